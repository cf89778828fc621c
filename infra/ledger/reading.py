"""Stored bytes taken apart: the quick way to an envelope, for the one form that the ledger writes.

Each part is looked at for exactly what the envelope's schema asks of it, and the data are validated
by the event's own. Whatever is not as expected is refused here and left to the schema of the whole,
so nothing is read that the schema would not read, and nothing reads otherwise.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import NoneType
from typing import Any

import orjson

from domain.kernel import STORED, Actor, Event, Kind, Recorded
from domain.time import When
from infra.ledger.types import Stored

ACTORS_KEPT = 1_000

_KEYS = (
    *("actor", "cause", "data", "id", "kind", "occurred_at", "participant", "position"),
    *("previous", "protocol", "reason", "recorded_at", "schema", "source", "type", "version"),
)
_KEYS_WITH_SOURCE_TIME = tuple(sorted((*_KEYS, "recorded_at_source")))
_KINDS = frozenset(kind.value for kind in Kind)
_ACTOR_KEYS = len(Actor.model_fields)
_TEXT = (str, NoneType)
_WHOLE_NUMBER = (int, NoneType)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{6}Z", re.ASCII)


class NotOfTheForm(ValueError):
    """The bytes are not of the form that the ledger writes; they may be an envelope nonetheless."""


class _Unfrozen:
    """An envelope while its fields are set. A frozen one sets each of its own by way of
    `object.__setattr__`, which took a quarter of the time of reading; a maker (`domain/making.py`)
    costs by its calls 4 % more in places and 14 % by name than what is assigned here."""

    __slots__ = Recorded.__slots__


def taken_apart(stored: Stored, cls: type[Event]) -> Recorded:
    """The envelope of an event that was written in the schema version that its class has today.

    Raises ValueError, TypeError or KeyError where the schema of the whole must decide.
    """
    envelope = orjson.loads(stored.body)
    if orjson.dumps(envelope) != stored.body:
        # What this JSON does not say: a key that stands twice, a number beyond 64 bits.
        raise NotOfTheForm
    source_time = None
    if (keys := tuple(envelope)) == _KEYS_WITH_SOURCE_TIME:
        source_time = When.parse(envelope.pop("recorded_at_source"))
    elif keys != _KEYS:
        raise NotOfTheForm
    return _placed(stored.hash, envelope, source_time, cls)


def _placed(
    digest: str, envelope: Mapping[str, Any], source_time: When | None, cls: type[Event]
) -> Recorded:
    # fmt: off
    (
        actor, cause, data, name, kind, occurred_at, participant, position,
        previous, protocol, reason, recorded_at, schema, source, said, version,
    ) = envelope.values()
    # fmt: on
    if (
        not int is type(position) is type(version) is type(schema)
        or type(said) is not str
        or type(cause) not in _WHOLE_NUMBER
        or type(name) not in _TEXT
        or type(participant) not in _TEXT
        or type(previous) not in _TEXT
        or type(protocol) not in _TEXT
        or type(reason) not in _TEXT
        or type(source) not in _TEXT
        or kind not in _KINDS
        or len(actor) != _ACTOR_KEYS
        or not _INSTANT.fullmatch(recorded_at)
    ):
        raise NotOfTheForm
    made: Any = _Unfrozen()
    made.body = cls.__pydantic_validator__.validate_python(data, context=STORED)
    made.position = position
    made.version = version
    made.occurred_at = When.parse(occurred_at)
    made.recorded_at = datetime.fromisoformat(recorded_at)
    made.actor = _actor(actor["id"], actor["role"])
    made.participant = participant
    made.source = source
    made.id = name
    made.reason = reason
    made.recorded_at_source = source_time
    made.protocol = protocol
    made.cause = cause
    made.previous = previous
    made.hash = digest
    made.corrected_by = None
    made.__class__ = Recorded
    found: Recorded = made
    return found


@lru_cache(maxsize=ACTORS_KEPT)
def _actor(name: str, role: str) -> Actor:
    return Actor(id=name, role=role)
