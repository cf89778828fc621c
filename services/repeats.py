"""Repeats: the same (source, id) again is answered as the first time, or refused as reused."""

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import orjson

from domain.journey.oversight import Corrected
from domain.participant import Participant
from infra.ledger.ledger import Ledger
from infra.ledger.types import STUDY_STREAM, Found, Stored
from infra.vault.keyring import KeyRing
from services.door import Posted
from services.drafting import Fingerprints
from services.sealing import has_protected
from services.terms import Answer, EventIdReused, Group, Place, Terms

READ_AT_ONCE = 64
"""Events read in one go while the conclusions of a repeated event are collected."""


@dataclass(frozen=True, slots=True)
class Sifted:
    """A group with what was recorded before taken out."""

    participant: str
    new: tuple[Posted, ...]
    places: tuple[Place | int, ...]
    """For each posted event its place, or which of the new ones it is."""

    @property
    def known(self) -> list[Place]:
        """Places of what was recorded before."""
        return [place for place in self.places if isinstance(place, Place)]


class Repeats:
    """Recognises what was recorded before, and finds its first answer."""

    def __init__(self, ledger: Ledger, keys: KeyRing) -> None:
        self._ledger = ledger
        self._keys = keys

    def fingerprint(self, posted: Posted) -> bytes:
        """A digest of the content; keyed where it holds protected values."""
        if has_protected(posted.body) or isinstance(posted.body, Corrected):
            return self._keys.fingerprint(posted.content)
        return hashlib.sha256(posted.content).digest()

    def fingerprints(self, groups: Iterable[Group], terms: Terms) -> Fingerprints:
        """The fingerprint of every posted event that has an id.

        Raises EventIdReused when two of them share one: they are of different streams.
        """
        found: dict[tuple[str, str | None, str], bytes] = {}
        names: set[tuple[str, str]] = set()
        for group in groups:
            for posted in group.posted:
                if posted.id is None:
                    continue
                source = posted.source or terms.source
                if (source, posted.id) in names:
                    raise EventIdReused(None)
                names.add((source, posted.id))
                found[group.participant, source, posted.id] = self.fingerprint(posted)
        return found

    async def sifted(
        self, study: str, group: Group, participant: Participant, terms: Terms
    ) -> Sifted:
        """What of a group is new, and where the rest stands. Raises EventIdReused."""
        seen = recorded_of(participant, {one.id for one in group.posted if one.id is not None})
        new: list[Posted] = []
        places: list[Place | int] = []
        within: dict[tuple[str, str], int] = {}
        for posted in group.posted:
            key = (posted.source or terms.source, posted.id or "")
            place: Place | int | None = None
            if posted.id is not None and key in seen:
                place = await asyncio.to_thread(
                    self.place, study, group.participant, key[0], posted
                )
            elif posted.id is not None and key in within:
                place = within[key]
                if self.fingerprint(new[place]) != self.fingerprint(posted):
                    raise EventIdReused(None)
            if place is None:
                place = within[key] = len(new)
                new.append(posted)
            places.append(place)
        return Sifted(group.participant, tuple(new), tuple(places))

    async def completed(self, study: str, sifted: Sifted, fresh: Answer | None) -> Answer:
        """The answer for a whole group, from what was recorded now and before."""
        if fresh is None:
            return await asyncio.to_thread(self.answer, study, sifted.participant, sifted.known)
        if len(sifted.places) == len(fresh.places):
            return fresh
        places = _placed(sifted.places, fresh.places)
        known = {place.position for place in sifted.known}
        before = await asyncio.to_thread(self.events, study, known)
        events = (*before, *fresh.events)
        return replace(fresh, position=places[0].position, events=events, places=places)

    def place(self, study: str, stream: str, source: str, posted: Posted) -> Place | None:
        """Where the event stands, when it was recorded before. Raises EventIdReused."""
        found = self.found(study, source, posted)
        if found is None:
            return None
        if found.stream != stream:
            raise EventIdReused(found.position)
        return Place(found.position, found.version, replayed=True)

    def found(self, study: str, source: str, posted: Posted) -> Found | None:
        """What was recorded under the id, in whatever stream. Raises EventIdReused."""
        if posted.id is None:
            return None
        found = self._ledger.find(study, source, posted.id)
        if found is not None and found.fingerprint != self.fingerprint(posted):
            raise EventIdReused(found.position)
        return found

    def answer(self, study: str, stream: str, places: Sequence[Place]) -> Answer:
        """The first answer again, for events that were all recorded before."""
        events = self.events(study, {place.position for place in places})
        participant = None if stream == STUDY_STREAM else stream
        version = max(one.version for one in events if one.stream == stream)
        first = places[0].position
        return Answer(participant, version, first, events, tuple(places), replayed=True)

    def events(self, study: str, positions: Collection[int]) -> tuple[Stored, ...]:
        """The events at the positions, each with what followed from it in the same append."""
        collected: dict[int, Stored] = {}
        for position in sorted(positions):
            if position not in collected:
                self._collect(study, position, positions, collected)
        return tuple(collected[position] for position in sorted(collected))

    def _collect(
        self, study: str, position: int, positions: Collection[int], into: dict[int, Stored]
    ) -> None:
        # An append is contiguous: an event, its conclusions, the next event, ..., study events.
        after = position - 1
        while True:
            page = self._ledger.read(study, after, READ_AT_ONCE)
            for stored in page:
                cause = orjson.loads(stored.body)["cause"]
                if stored.position not in positions and cause not in positions:
                    return
                into[stored.position] = stored
                after = stored.position
            if len(page) < READ_AT_ONCE:
                return


def _placed(posted: Sequence[Place | int], fresh: Sequence[Place]) -> tuple[Place, ...]:
    """Where each posted event stands; one that was posted twice is a repetition of itself."""
    places: list[Place] = []
    for place in posted:
        known = place if isinstance(place, Place) else fresh[place]
        places.append(replace(known, replayed=True) if known in places else known)
    return tuple(places)


def recorded_of(
    participant: Participant, ids: Collection[str]
) -> Collection[tuple[str | None, str | None]]:
    """Which of the ids were recorded for the participant, each with its source."""
    return {(one.source, one.id) for one in participant.history if one.id in ids}
