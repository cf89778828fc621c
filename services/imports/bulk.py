"""Recording in bulk: many participants an append, and what is refused is set aside on its own.

An append is all or nothing. When it is refused, it is tried again in halves until the one event
that cannot be recorded is found; everything else is recorded. Ids make it safe to do all of it
again: what was recorded before is recognised.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from domain.kernel import Refusal
from infra.ledger.types import StoreAway
from services.door import Invalid, Posted
from services.record import (
    Answer,
    EventIdReused,
    Group,
    PreconditionRequired,
    Recording,
    Terms,
)
from services.state import NotFound

EVENTS_PER_APPEND = 300
"""Posted events of one append; their conclusions come on top, and an append has a limit."""
ATTEMPTS_MAX = 6
PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that was not recorded, and the rule that says why."""

    posted: Posted
    rule: str


@dataclass(slots=True)
class Tally:
    """What became of the events so far."""

    recorded: Counter[str] = field(default_factory=Counter)
    """Event type -> how many were recorded now."""
    known: Counter[str] = field(default_factory=Counter)
    """Event type -> how many had been recorded before."""
    conclusions: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def events(self) -> int:
        """All events that were looked at."""
        return self.recorded.total() + self.known.total() + len(self.rejected)


class Bulk:
    """Records groups of one study's events, and keeps count."""

    def __init__(self, recording: Recording, study: str, terms: Terms) -> None:
        self._recording = recording
        self._study = study
        self._terms = terms
        self.tally = Tally()

    async def record(self, groups: Sequence[Group]) -> None:
        """Record the groups, each event at most once. Raises StoreAway, StoreFull, and NotFound
        when there is no such study."""
        for batch in _batches(groups):
            await self._record(batch)

    async def _record(self, groups: list[Group]) -> None:
        try:
            answers = await self._attempt(groups)
        except (Refusal, Invalid, EventIdReused, PreconditionRequired, NotFound) as refusal:
            if isinstance(refusal, NotFound) and refusal.what == "study":
                raise
            if sum(len(group.posted) for group in groups) > 1:
                for half in _halves(groups):
                    await self._record(half)
                return
            self.tally.rejected.append(Rejected(groups[0].posted[0], rule_of(refusal)))
            return
        for group, answer in zip(groups, answers, strict=True):
            self._count(group, answer)

    async def _attempt(self, groups: list[Group]) -> list[Answer]:
        for attempt in range(1, ATTEMPTS_MAX):
            try:
                return await self._recording.record_all(self._study, groups, self._terms)
            except StoreAway:
                # Whether it was recorded is not known: the same ids again do no harm.
                await asyncio.sleep(PAUSE_SECONDS * attempt)
        return await self._recording.record_all(self._study, groups, self._terms)

    def _count(self, group: Group, answer: Answer) -> None:
        for posted, place in zip(group.posted, answer.places, strict=True):
            counter = self.tally.known if place.replayed else self.tally.recorded
            counter[posted.body.type] += 1
        if not answer.replayed:
            places = {place.position for place in answer.places}
            self.tally.conclusions += sum(one.position not in places for one in answer.events)


def rule_of(refusal: Exception) -> str:
    """Why an event was not recorded, in a word or a few; never what it says."""
    match refusal:
        case Refusal():
            return refusal.rule
        case EventIdReused():
            return "event-id-reused"
        case PreconditionRequired():
            return "precondition-required"
        case NotFound():
            return f"no-such-{refusal.what}"
        case Invalid():
            first = refusal.problems[0]
            return f"{first.rule} at {first.pointer or '/'}"
        case _:
            raise TypeError("not a refusal") from refusal


def _batches(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Groups in appends of bounded size; a participant is named once in each."""
    batch: list[Group] = []
    room = EVENTS_PER_APPEND
    for group in groups:
        rest = group.posted
        while rest:
            batch.append(Group(group.participant, rest[:room]))
            rest, room = rest[room:], room - len(rest[:room])
            if room == 0:
                yield batch
                batch, room = [], EVENTS_PER_APPEND
    if batch:
        yield batch


def _halves(groups: list[Group]) -> tuple[list[Group], list[Group]]:
    if len(groups) > 1:
        middle = len(groups) // 2
        return groups[:middle], groups[middle:]
    (group,) = groups
    middle = len(group.posted) // 2
    return (
        [Group(group.participant, group.posted[:middle])],
        [Group(group.participant, group.posted[middle:])],
    )
