"""CloudEvents 1.0: the same events in the envelope that brokers and gateways speak.

`type` is `cairn.participant.<event type>.v<n>` (or `cairn.study...`), `subject` is
`<study>/<participant>` (or `<study>`), `time` is when it happened. A time that is known only to
the day, month or year is no RFC 3339 timestamp: it travels in the extension `occurredat`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal
from urllib.parse import unquote

import orjson
from pydantic import ConfigDict, ValidationError

from domain.kernel import Problem, Strict
from infra.ledger.types import Stored
from services.door.posted import Posted, posted
from services.door.refused import Invalid, Malformed, invalid, problems_of

SPECVERSION = "1.0"

_TYPE = re.compile(r"cairn\.(participant|study)\.([a-z0-9-]{1,64})\.v([1-9][0-9]{0,3})")
_HEADER = "ce-"
KAFKA_HEADER = "ce_"
_NAMES = {
    "/occurred_at": "/time",
    "/participant": "/subject",
    "/recorded_at_source": "/recordedatsource",
}


class _Attributes(Strict):
    """The attributes that Cairn reads; others are allowed, as the specification asks."""

    model_config = ConfigDict(extra="ignore")

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    data: dict[str, Any] | None = None
    occurredat: str | None = None
    recordedatsource: str | None = None
    reason: str | None = None


def from_headers(headers: Iterable[tuple[bytes, bytes]], data: object) -> dict[str, Any]:
    """Binary mode over HTTP: the attributes from `ce-*` headers, the data from the body."""
    pairs = (
        (name.decode("latin-1").lower(), unquote(value.decode("latin-1"), errors="replace"))
        for name, value in headers
    )
    return _binary(pairs, _HEADER, data)


def from_kafka_headers(headers: Iterable[tuple[str, bytes | None]], data: object) -> dict[str, Any]:
    """Binary mode over Kafka: the attributes from `ce_*` headers in UTF-8, the data from the value.

    Raises Invalid, Malformed.
    """
    try:
        pairs = [(name, (value or b"").decode()) for name, value in headers]
    except UnicodeDecodeError:
        raise Malformed("encoding", "a header is not UTF-8") from None
    return _binary(pairs, KAFKA_HEADER, data)


def _binary(pairs: Iterable[tuple[str, str]], prefix: str, data: object) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for header, value in pairs:
        if not header.startswith(prefix):
            continue
        name = header.removeprefix(prefix)
        if name in attributes:
            raise invalid("", "duplicate-attribute")
        attributes[name] = value
    return {**attributes, "data": data}


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether the headers carry a CloudEvent beside its data."""
    return "ce-specversion" in headers


def read(document: object, study: str, participant: str | None = None) -> Posted:
    """The posted event in a CloudEvent; `participant` is the one that the path names, if any."""
    try:
        event = _Attributes.model_validate(document)
    except ValidationError as error:
        raise Invalid(problems_of(error)) from None
    if isinstance(document, dict) and "data_base64" in document:
        raise invalid("/data_base64", "not-json")
    kind, name, version = _named(event.type)
    inner = {
        "id": event.id,
        "source": event.source,
        "type": name,
        "occurred_at": event.occurredat or event.time,
        "data": event.data or {},
        "reason": event.reason,
        "recorded_at_source": event.recordedatsource,
        "participant": _subject(event.subject, study, kind),
    }
    if inner["occurred_at"] is None:
        raise invalid("/time", "required")
    try:
        found = posted(inner, participant=participant)
    except Invalid as refused:
        raise Invalid([_renamed(one) for one in refused.problems]) from None
    if found.body.schema_version != version:
        raise invalid("/type", "unknown-version")
    return found


def written(stored: Stored, study: str) -> dict[str, Any]:
    """A stored event as a CloudEvent, its circumstances in extension attributes.

    They are complete: `restored` makes the bytes of it that `leafhash` is the hash of.
    """
    event = orjson.loads(stored.body)
    occurred_at: str = event["occurred_at"]
    exact = "T" in occurred_at.upper()
    actor = event["actor"]
    document = {
        "specversion": SPECVERSION,
        "id": event["id"] or f"{study}/{stored.position}",
        "source": event["source"] if event["id"] else f"urn:cairn:study:{study}",
        "type": f"cairn.{stored.topic}",
        "subject": study if event["participant"] is None else f"{study}/{event['participant']}",
        "time": occurred_at if exact else None,
        "occurredat": None if exact else occurred_at,
        "datacontenttype": "application/json",
        "recordedtime": event["recorded_at"],
        "recordedatsource": event.get("recorded_at_source"),
        "position": str(stored.position),
        "streamversion": str(stored.version),
        "actor": f"{actor['role']}:{actor['id']}",
        "causationid": None if event["cause"] is None else str(event["cause"]),
        "origin": None if event["id"] else event["source"],
        "protocolversion": event["protocol"],
        "reason": event["reason"],
        "prevhash": event["previous"],
        "leafhash": stored.hash,
        "data": event["data"],
    }
    return {name: value for name, value in document.items() if value is not None}


def _named(text: str) -> tuple[str, str, int]:
    found = _TYPE.fullmatch(text)
    if found is None:
        raise invalid("/type", "unknown-type")
    return found[1], found[2], int(found[3])


def _subject(subject: str | None, study: str, kind: str) -> str | None:
    if subject is None:
        if kind == "study":
            return None
        raise invalid("/subject", "required")
    named, _, participant = subject.partition("/")
    if named != study:
        raise invalid("/subject", "differs-from-path")
    if kind == "study":
        if participant:
            raise invalid("/subject", "not-for-study-events")
        return None
    if not participant:
        raise invalid("/subject", "required")
    return participant


def _renamed(problem: Problem) -> Problem:
    return Problem(_NAMES.get(problem.pointer, problem.pointer), problem.rule)
