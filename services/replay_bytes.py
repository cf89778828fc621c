"""The bytes of a log: hashes, chains, dense positions and versions, canonical form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from infra.ledger.markers import leaf
from infra.ledger.types import STUDY_STREAM, Stored


@dataclass(frozen=True, slots=True)
class Broken:
    """An event whose bytes are not what the ledger writes."""

    stored: Stored
    rule: str
    """`leaf-hash`, `json`, `canonical`, `position`, `version`, `previous`, `columns` or
    `recorded-at`."""


@dataclass(slots=True)
class Bytes:
    """Reads events in the order of the log. With `whole`, positions must leave no gap."""

    whole: bool
    _position: int = 0
    _recorded_at: str = ""
    _streams: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Stream -> version and leaf hash of its last event."""

    def read(self, page: Sequence[Stored]) -> Iterator[Broken]:
        """What is broken in the next events."""
        for stored in page:
            for rule in self._rules(stored):
                yield Broken(stored, rule)

    def _rules(self, stored: Stored) -> Iterator[str]:
        """The rules that the event breaks. What comes next is measured by what is there."""
        found = leaf(stored.body)
        if found != stored.hash:
            yield "leaf-hash"
        version, previous = self._streams.get(stored.stream, (0, None))
        follows = stored.position == self._position + 1
        if not (follows if self.whole else stored.position > self._position):
            yield "position"
        if stored.version != version + 1:
            yield "version"
        self._position = stored.position
        self._streams[stored.stream] = (stored.version, found)
        try:
            envelope = orjson.loads(stored.body)
            named = _named(envelope)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            yield "json"
            return
        if orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS) != stored.body:
            yield "canonical"
        if named != (stored.position, stored.stream, stored.version, stored.topic):
            yield "columns"
        if envelope["previous"] != previous:
            yield "previous"
        if envelope["recorded_at"] < self._recorded_at:
            yield "recorded-at"
        self._recorded_at = envelope["recorded_at"]


def _named(envelope: dict[str, Any]) -> tuple[int, str, int, str]:
    """Position, stream, version and topic, as the envelope has them."""
    participant = envelope["participant"]
    family = "study" if participant is None else "participant"
    topic = f"{family}.{envelope['type']}.v{envelope['schema']}"
    return envelope["position"], participant or STUDY_STREAM, envelope["version"], topic
