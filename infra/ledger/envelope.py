"""The envelope's bytes: an event as canonical JSON, on its way in and back out of the ledger."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, Field, TypeAdapter

from domain.canonical import INTEGER_MAX, NotCanonical
from domain.kernel import PROVISIONAL, STORED, Actor, Event, Kind, Recorded, Strict
from domain.time import Moment, When
from infra.ledger.markers import position_blank, previous_blank, time_blank
from infra.ledger.reading import taken_apart
from infra.ledger.types import APPEND_EVENTS_MAX, Stored
from infra.ledger.upcasting import current, named

EVIDENCE = "evidence"
"""The only member of a conclusion, or of a part of it, that names positions of the log."""

_STRING_OR_LARGE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[0-9]{16,}')

BodyT = TypeVar("BodyT", bound=Event)


class _Envelope(Strict, Generic[BodyT]):
    """What is stored, key by key; the body's type stands in the envelope, not in its data."""

    actor: Actor
    cause: int | None
    data: BodyT
    id: str | None
    kind: Kind
    occurred_at: Moment
    participant: str | None
    position: int
    previous: str | None
    protocol: str | None
    reason: str | None
    recorded_at: datetime
    recorded_at_source: Moment | None = None
    schema_version: int = Field(alias="schema")
    source: str | None
    type: str
    version: int


def template(
    event: Recorded,
    *,
    known_previous: str | None = None,
    in_same_append: bool = False,
    first: int = PROVISIONAL,
) -> bytes:
    """The canonical bytes of an event that is not appended yet, with blanks for what is not known.

    Positions from `first` on are those of the append's own events, whether provisional or foreseen:
    they are blank until the ledger gives them.
    `known_previous` is the leaf hash of the stream's event before, as the event was judged on: the
    ledger refuses the append when another stands there. An event that follows one of its own append
    cannot know it. Raises NotCanonical for a value that has no canonical form.
    """
    body = event.body
    judged_on = None if in_same_append else known_previous
    source = event.recorded_at_source
    known = "" if source is None else f',"recorded_at_source":{_text(source.text)}'
    text = (
        f'{{"actor":{_actor(event.actor.id, event.actor.role)},'
        f'"cause":{_position(event.cause, first)},'
        f'"data":{_data(body, first)},"id":{_text(event.id)},"kind":"{body.kind.value}",'
        f'"occurred_at":{_text(event.occurred_at.text)},'
        f'"participant":{_text(event.participant)},'
        f'"position":{_position(event.position, first)},'
        f'"previous":{previous_blank(judged_on)},"protocol":{_text(event.protocol)},'
        f'"reason":{_text(event.reason)},'
        f'"recorded_at":"{time_blank(instant_text(event.recorded_at))}"{known},'
        f'"schema":{body.schema_version},"source":{_text(event.source)},'
        f'"type":{_text(body.type)},"version":{event.version}}}'
    )
    return text.encode()


def read(stored: Stored, types: Mapping[str, type[Event]]) -> Recorded:
    """The envelope of a stored event; older schema versions are brought to today's first.

    Raises KeyError for a type that the catalogue does not know, ValidationError for bytes that are
    no such event: neither was ever written by this program.
    """
    name, version = named(stored.topic)
    cls = types[name]
    if cls.schema_version == version:
        try:
            return taken_apart(stored, cls)
        except (ValueError, TypeError, KeyError):
            # Not in the ledger's own form: what it is, and whether it is, the schema decides.
            pass
    return validated(stored, types)


def validated(stored: Stored, types: Mapping[str, type[Event]]) -> Recorded:
    """The same by the schema of the whole envelope alone: what may be read at all, and as what."""
    name, body = current(stored.topic, stored.body, types)
    envelope = _reader(types[name]).validate_json(body, context=STORED)
    return Recorded(
        body=envelope.data,
        position=envelope.position,
        version=envelope.version,
        occurred_at=envelope.occurred_at,
        recorded_at=envelope.recorded_at.astimezone(UTC),
        actor=envelope.actor,
        participant=envelope.participant,
        source=envelope.source,
        id=envelope.id,
        reason=envelope.reason,
        recorded_at_source=envelope.recorded_at_source,
        protocol=envelope.protocol,
        cause=envelope.cause,
        previous=envelope.previous,
        hash=stored.hash,
    )


def placed(event: Recorded, stored: Stored, previous: str | None) -> Recorded | None:
    """The event as `read` gives it from its stored bytes, without reading them once more.

    `event` is what was appended, `previous` the leaf hash of its stream's event before. None where
    only the bytes can tell: a conclusion names positions that it got with them, and what is written
    in another form than it was posted in must read the same from now on as after a restart.
    """
    body = event.body
    if body.kind is Kind.CONCLUSION or not _reads_back(body, _AS_THEY_ARE):
        return None
    return Recorded(
        body=body,
        position=stored.position,
        version=stored.version,
        occurred_at=event.occurred_at,
        recorded_at=_recorded_at(stored),
        actor=event.actor,
        participant=event.participant,
        source=event.source,
        id=event.id,
        reason=event.reason,
        recorded_at_source=event.recorded_at_source,
        protocol=event.protocol,
        previous=previous,
        hash=stored.hash,
    )


def settled_at(event: Recorded, stored: Stored) -> datetime | None:
    """When an event was recorded that was judged at the position it then got; it reads the same
    from its stored bytes, its hashes and this moment apart.

    None where that is not so, or where only the bytes can tell.
    """
    body = event.body
    as_they_are = _TEXTS if body.kind is Kind.CONCLUSION else _AS_THEY_ARE
    if event.position != stored.position or not _reads_back(body, as_they_are):
        return None
    return _recorded_at(stored)


def _recorded_at(stored: Stored) -> datetime:
    start = stored.body.rindex(_RECORDED_AT) + len(_RECORDED_AT)
    return datetime.fromisoformat(stored.body[start : stored.body.index(b'"', start)].decode())


_RECORDED_AT = b',"recorded_at":"'
"""It cannot stand within a string, where quotes are escaped, and follows the data."""

_AS_THEY_ARE = (str, int, When, type(None))
"""What most values are: asked first."""

_TEXTS = (str, int, type(None))
"""Of what Cairn concludes. A moment that it computed has a zone, and only an offset when it is read
again; a day is the same day."""


def _reads_back(value: object, as_they_are: tuple[type, ...]) -> bool:
    """Whether a value is read back exactly as it is: members are sorted when they are written, and
    exponents are written out."""
    if isinstance(value, as_they_are):
        return True
    if isinstance(value, (BaseModel, tuple)):
        parts = value if isinstance(value, tuple) else value.__dict__.values()
        for one in parts:
            if not isinstance(one, as_they_are) and not _reads_back(one, as_they_are):
                return False
        return True
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return isinstance(exponent, int) and exponent <= 0
    if isinstance(value, When):
        return value.instant is None
    return not isinstance(value, (dict, list))


def instant_text(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds: texts of this width sort like the instants."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


@lru_cache
def _reader(cls: type[Event]) -> TypeAdapter[Any]:
    of_type: Any = _Envelope.__class_getitem__(cls)
    return TypeAdapter(of_type)


@lru_cache(maxsize=1_000)
def _actor(name: str, role: str) -> str:
    return _text({"id": name, "role": role})


def _text(value: str | dict[str, str] | None) -> str:
    if value is None:
        return "null"
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise NotCanonical("a text has a lone surrogate") from None


def _position(position: int | None, first: int) -> str:
    if position is None:
        return "null"
    return position_blank(position - first) if position >= first else str(position)


def _data(body: Event, first: int) -> str:
    plain = body.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    if first != PROVISIONAL and body.kind is Kind.CONCLUSION:
        _make_provisional(plain, first)
    provisional = _checked(plain)
    try:
        text = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise NotCanonical("a text has a lone surrogate") from None
    if provisional:
        text = _STRING_OR_LARGE.sub(_blank, text)
    return text.decode()


def _make_provisional(data: dict[str, Any], first: int) -> None:
    """Tell foreseen positions from other numbers: only `evidence` names positions."""
    for name, value in data.items():
        if name == EVIDENCE:
            data[name] = [one if one < first else PROVISIONAL + one - first for one in value]
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    _make_provisional(one, first)


def _blank(found: re.Match[bytes]) -> bytes:
    token = found[0]
    if token.startswith(b'"') or int(token) <= INTEGER_MAX:
        return token
    return position_blank(int(token) - PROVISIONAL).encode()


def _checked(value: object) -> bool:
    """Whether a position is provisional; NotCanonical for what the profile leaves out."""
    if value is None or isinstance(value, (str, bool)):
        return False
    if isinstance(value, int):
        if not -INTEGER_MAX <= value < PROVISIONAL + APPEND_EVENTS_MAX:
            raise NotCanonical("an integer is out of range")
        return value >= PROVISIONAL
    if isinstance(value, list):
        return sum(map(_checked, value)) > 0
    if not isinstance(value, dict):
        raise NotCanonical(f"{type(value).__name__} has no canonical form")
    provisional = False
    for key, one in value.items():
        if not (isinstance(key, str) and key.isascii()):
            raise NotCanonical("a key is not ASCII text")
        # Texts are most of what there is, and nothing can be wrong with them here.
        if type(one) is not str and _checked(one):
            provisional = True
    return provisional
