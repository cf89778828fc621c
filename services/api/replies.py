"""Replies as bytes: stored events are spliced in as they were hashed, never parsed again."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Scope

from infra.ledger.types import Stored
from services.joined import WHOLE, Whole
from services.problems import MEDIA_TYPE, Answered
from services.receipts import Receipts
from services.terms import Answer

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
CLOUDEVENTS_BATCH = "application/cloudevents-batch+json"


def problem_reply(problem: Answered) -> Response:
    """A problem document."""
    return Response(
        orjson.dumps(problem.document()), problem.status, dict(problem.headers), MEDIA_TYPE
    )


def json_reply(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON document."""
    return Response(orjson.dumps(content), status, dict(headers or {}), JSON)


def event_bytes(stored: Stored) -> bytes:
    """A recorded event: the canonical bytes, and their leaf hash as the last member."""
    return b'%s,"hash":"%s"}' % (stored.body[:-1], stored.hash.encode())


def events_bytes(events: Iterable[Stored]) -> bytes:
    """Recorded events as a JSON array."""
    return b"[%s]" % b",".join(map(event_bytes, events))


SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""Of every answer."""

_OF_JSON = ((b"content-type", JSON.encode()), *SECURITY_HEADERS)
_LINES_OF_JSON = b"".join(b"%s: %s\r\n" % header for header in _OF_JSON)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


class Told(Response):
    """What was recorded, as bytes; its headers are made of what is known, not of what may be."""

    def __init__(self, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
        self.status_code = status
        self.body: bytes = body
        self.background = None
        self._own = [*headers, (b"content-length", b"%d" % len(body))]

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        """All of its headers, in their order."""
        return [*self._own, *_OF_JSON]

    def left(self, scope: Scope) -> bool:
        """Hand the reply to the connection as a whole; whether it took it. Else it is sent by
        messages, as any other is: so is one with a header that must not be sent at all."""
        whole: Whole | None = scope.get("extensions", {}).get(WHOLE)
        if whole is None or any(_CONTROL.search(value) for _, value in self._own):
            return False
        lines = b"".join([b"%s: %s\r\n" % header for header in self._own])
        return whole(self.status_code, lines + _LINES_OF_JSON, self.body)


def answer_reply(study: str, answer: Answer, receipts: Receipts) -> Response:
    """What was recorded: 201 the first time, 200 when it is the first answer again."""
    receipt = receipts.signed(study, _last_of_stream(answer))
    body = b'{%s"version":%d,"position":%d,"receipt":%s,"events":%s}' % (
        b"" if answer.participant is None else b'"participant":"%s",' % answer.participant.encode(),
        answer.version,
        answer.events[-1].position,
        receipt,
        events_bytes(answer.events),
    )
    headers = [
        (b"etag", etag(answer.version).encode()),
        (b"location", _location(study, answer).encode()),
    ]
    if answer.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    return Told(200 if answer.replayed else 201, body, *headers)


def etag(version: int) -> str:
    """A strong entity tag of a version or position."""
    return f'"{version}"'


def list_bytes(position: int, items: bytes, extra: Mapping[str, Any] | None = None) -> bytes:
    """A list: the position it reflects, its items, and what else belongs to it."""
    more = b"".join(
        b",%s:%s" % (orjson.dumps(name), orjson.dumps(value))
        for name, value in (extra or {}).items()
    )
    return b'{"position":%d,"items":%s%s}' % (position, items, more)


def _last_of_stream(answer: Answer) -> Stored:
    """The event that the stream's chain ends in: its hash binds all the others of the stream."""
    for one in reversed(answer.events):
        if one.version == answer.version and answer.participant in (None, one.stream):
            return one
    return answer.events[-1]


def _location(study: str, answer: Answer) -> str:
    if answer.participant is None:
        return f"/v1/studies/{study}/log?after={answer.position - 1}&limit=1"
    first = next(one for one in answer.events if one.position == answer.position)
    return f"/v1/studies/{study}/participants/{answer.participant}/events?after={first.version - 1}"
