"""What goes into the ledger and what comes out: drafts, outcomes and stored events."""

from dataclasses import dataclass
from typing import NamedTuple

APPEND_EVENTS_MAX = 10_000

STUDY_STREAM = "$study"
"""The name of the study's own stream; no participant's name can contain a dollar sign."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An event on its way into the ledger: canonical bytes with blanks only the ledger can fill."""

    stream: str
    version: int
    """The version it must get: dense within the stream, from 1."""
    topic: str
    """`participant.<type>.v<n>` or `study.<type>.v<n>`."""
    template: bytes
    """The canonical envelope with markers for positions, previous hash and recording time."""
    source: str | None = None
    event_id: str | None = None
    fingerprint: bytes | None = None
    """Digest of the content as it was sent: tells a repeated event from a reused id."""


@dataclass(frozen=True, slots=True)
class Append:
    """Events that are appended together or not at all, of one or more streams of one study."""

    drafts: tuple[Draft, ...]
    study_version: int | None = None
    """The version of the study's stream the events were judged on; None: it does not matter."""


class Stored(NamedTuple):
    """An event as the ledger has it."""

    position: int
    stream: str
    version: int
    topic: str
    body: bytes
    """The canonical bytes, as they were hashed: the envelope without `hash`."""
    hash: str
    """Leaf hash: SHA-256(0x00 || body), hex."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Committed. Positions are those of the drafts, in order."""

    stored: tuple[Stored, ...]

    @property
    def position(self) -> int:
        """The position of the first event."""
        return self.stored[0].position


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An event of the append was recorded before under its (source, id); nothing was appended."""

    index: int
    """Which of the drafts."""
    position: int
    stream: str
    version: int
    same: bool
    """Whether the content is the same as the first time."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A stream stands at another version than the append was judged on; nothing was appended."""

    stream: str
    version: int
    """Where the stream stands."""


Outcome = Appended | Duplicate | Conflict


@dataclass(frozen=True, slots=True)
class Found:
    """Where an event of a (source, id) stands."""

    position: int
    stream: str
    version: int
    fingerprint: bytes | None


class StoreAway(Exception):
    """The store does not answer. Nothing was recorded, or a retry with the same id tells."""


class StoreFull(Exception):
    """The store's disk is full. Nothing was recorded."""


def bounded(append: Append) -> None:
    """ValueError for an append that no ledger can take: no events, too many, or an id twice."""
    drafts = append.drafts
    if not 1 <= len(drafts) <= APPEND_EVENTS_MAX:
        raise ValueError("an append has between one event and ten thousand")
    ids: set[tuple[str, str]] = set()
    for one in drafts:
        if one.event_id is None:
            continue
        if one.source is None:
            raise ValueError("an event id of an append has no source")
        if (one.source, one.event_id) in ids:
            raise ValueError("an event id stands twice in one append")
        ids.add((one.source, one.event_id))
