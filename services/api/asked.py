"""What a request asks for beside its body: conditions, preferences, keys, pages."""

import re
from dataclasses import replace

from starlette.requests import ClientDisconnect, Request

from services import conditions
from services.auth import Caller
from services.conditions import Handling
from services.door import Invalid, Malformed, Posted, TooLarge
from services.door.content import BATCH_MAX_BYTES
from services.door.refused import invalid
from services.door.strict import EVENT_MAX_BYTES, is_array
from services.terms import Terms

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000

_IDENTIFIER = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")


def terms_of(request: Request, caller: Caller) -> Terms:
    """On whose behalf and on which conditions the request records."""
    return Terms(
        actor=caller.actor,
        source=caller.source,
        if_match=conditions.if_match(request.headers.get("if-match")),
        strict="strict" in handling(request),
    )


def handling(request: Request) -> set[Handling]:
    """What `Prefer: handling=...` asks for."""
    sent = request.headers.getlist("prefer")
    return conditions.handling(sent) if sent else set()


def with_key(request: Request, posted: list[Posted]) -> list[Posted]:
    """The events with `Idempotency-Key` as the id of the only one. Raises Malformed, Invalid."""
    sent = request.headers.get("idempotency-key")
    if sent is None:
        return posted
    key = sent.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _IDENTIFIER.fullmatch(key):
        raise Malformed("idempotency-key", "The idempotency key cannot be read.")
    if len(posted) != 1:
        raise invalid("", "idempotency-key-on-several-events")
    if posted[0].id not in (None, key):
        raise invalid("/id", "differs-from-idempotency-key")
    return [replace(posted[0], id=key)]


async def body_of(request: Request) -> bytes:
    """The body, read only as far as the route may take it: an event, or an array of them."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > BATCH_MAX_BYTES:
        raise TooLarge(BATCH_MAX_BYTES)
    body, most, more = bytearray(), EVENT_MAX_BYTES, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            # Only an array may be larger than an event; its elements are measured one by one.
            most = BATCH_MAX_BYTES if is_array(bytes(body[:64])) else EVENT_MAX_BYTES
            if len(body) > most:
                raise TooLarge(most)
    return bytes(body)


def number(request: Request, name: str, default: int, *, least: int = 0) -> int:
    """A whole number of the query. Raises Invalid."""
    sent = request.query_params.get(name)
    if sent is None:
        return default
    if not sent.isascii() or not sent.isdecimal() or len(sent) > 15 or int(sent) < least:
        raise Invalid(invalid(f"/query/{name}", "whole-number").problems)
    return int(sent)


def limit_of(request: Request) -> int:
    """How many items a page has at most."""
    return min(number(request, "limit", LIMIT_DEFAULT, least=1), LIMIT_MAX)


def prefers(request: Request, *offered: str) -> str:
    """The offered media type that `Accept` likes best; the first one when it does not say."""
    accepted: dict[str, float] = {}
    for part in request.headers.get("accept", "*/*").split(","):
        media, *parameters = [piece.strip().lower() for piece in part.split(";")]
        accepted[media] = _quality(parameters)
    best, liked = offered[0], 0.0
    for media in offered:
        family = media.partition("/")[0] + "/*"
        quality = accepted.get(media, accepted.get(family, accepted.get("*/*", 0.0)))
        if quality > liked:
            best, liked = media, quality
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if re.fullmatch(r"q=(0(\.[0-9]{1,3})?|1(\.0{1,3})?)", parameter):
            return float(parameter[2:])
    return 1.0
