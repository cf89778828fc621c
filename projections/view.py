"""What a view is: rows computed from a participant, of which the projector writes the difference.

A row holds nothing that depends on the present. What does (an open window, a running clock) is kept
as a timeline: the states and since when each holds, so that any "now" only has to look it up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar, assert_never

from domain.kernel import Event
from domain.participant import Participant
from domain.trial.events import (
    ConsentFormApproved,
    HoldPlaced,
    HoldReleased,
    ProtocolActivated,
    ProtocolApproved,
    ProtocolPublished,
    SiteOpened,
    SlotFreed,
    SlotTaken,
    StoppingBoundaryCrossed,
    StudyEvent,
    StudyRegistered,
)
from domain.trial.study import Trial

T = TypeVar("T")

Column = str | int | bool | date | datetime | None
"""A value that is filtered or sorted by; decimals have no place there."""

Timeline = list[list[str | None]]
"""States in order, each after the moment it begins at (None: from the start), as text."""

NO_DAY = date.max
"""Where a row is sorted by day and has none: after all others."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its place, the columns it is found by, and what is shown of it."""

    participant: str
    key: str
    """Unique among the participant's rows of the view."""
    columns: Mapping[str, Column]
    item: Mapping[str, Any]
    """Plain JSON, with decimals and dates as text."""


Rows = Callable[[Trial, Participant], Iterator[Row]]

Part = tuple[object, ...]
"""What one row is made of, beside the participant and the key: equal parts make equal rows."""

Parts = Callable[[Trial, Participant], Iterable[tuple[str, Part]]]
"""Key and part of each of the participant's rows: told more cheaply than the rows are made."""

Made = Callable[[str, str, Part], Row]
"""The row of a participant that has a key, of its part and of nothing else."""


@dataclass(frozen=True, slots=True)
class OfParts:
    """Rows that are made one by one, where most of many stay as they are."""

    parts: Parts
    made: Made

    def __call__(self, trial: Trial, participant: Participant) -> Iterator[Row]:
        """All of the participant's rows."""
        return (self.made(participant.id, key, one) for key, one in self.parts(trial, participant))


Basis = Callable[[Trial, Participant], tuple[object, ...]]
"""What rows rest on: where all of it is the same (by identity), the rows are the same."""


@dataclass(frozen=True, slots=True)
class View:
    """A view: what its rows are, and how it is kept."""

    name: str
    """Also names the `.sql` file beside its module."""
    version: int
    """Counts up with every change of its rows or its table, whose name carries it: two versions of
    the program keep their own tables side by side."""
    columns: tuple[str, ...]
    """Columns of its table beyond place and item, in the table's order."""
    rows: Rows
    halts: bool = False
    """Whether it stops at an event that cannot be projected, instead of leaving out one
    participant: for views in which a gap is worse than a delay."""
    package: str = "projections"
    basis: Basis | None = None
    """None: any event of the participant may change the rows."""

    def of(self, trial: Trial, participant: Participant) -> dict[str, Row]:
        """The participant's rows by key. ValueError when two have one key."""
        return self._by_key((row.key, row) for row in self.rows(trial, participant))

    def parts(self, trial: Trial, participant: Participant) -> dict[str, Part] | None:
        """What each row is made of, by key; None where only the rows themselves tell. ValueError
        when two have one key."""
        if not isinstance(self.rows, OfParts):
            return None
        return self._by_key(self.rows.parts(trial, participant))

    def made(self, participant: str, key: str, part: Part) -> Row:
        """The row that is made of a part."""
        assert isinstance(self.rows, OfParts)
        return self.rows.made(participant, key, part)

    def _by_key(self, found: Iterable[tuple[str, T]]) -> dict[str, T]:
        by_key: dict[str, T] = {}
        for key, one in found:
            if key in by_key:
                raise ValueError(f"two rows of {self.name} have one key")
            by_key[key] = one
        return by_key

    def row(
        self, participant: str, key: str, columns: Mapping[str, Column], item: Mapping[str, Any]
    ) -> Row:
        """A row read back from the table."""
        return Row(participant, key, columns, item)

    def reaches(self, event: Event, participant: Participant) -> bool:
        """Whether an event of the study's stream may change the participant's rows."""
        return reaches(event, participant)

    def rests_on(self, event: Event) -> bool:
        """Whether an event of the study's stream may change anybody's rows."""
        return rests_on(event)


_OF_ELIGIBILITY = ("criterion", "verdict")


def beside_results(trial: Trial, participant: Participant) -> tuple[object, ...]:
    """A basis for views that look at no result, medicine, history or statement of screening and at
    no criterion: most of what is recorded leaves their rows as they are.

    Chapters are never changed, only replaced; a correction or retraction replaces all of them.
    """
    screening = participant.screening
    concluded = participant.concluded.items()
    return (
        trial.protocols,
        trial.activated,
        trial.sites,
        participant.referral,
        participant.consent,
        screening.started,
        screening.failed,
        screening.reopened,
        participant.treatment,
        participant.visits,
        participant.safety,
        participant.closure,
        participant.oversight,
        *(one for key, one in concluded if key[0] not in _OF_ELIGIBILITY),
    )


def rests_on(event: Event) -> bool:
    """Whether rows of participants may depend on an event of the study's stream."""
    assert isinstance(event, StudyEvent)
    match event:
        case SiteOpened() | ProtocolActivated() | ConsentFormApproved():
            return True
        case StudyRegistered() | ProtocolPublished() | ProtocolApproved():
            # A version reaches participants when it is activated at their site; the first one is
            # there before any of them.
            return False
        case HoldPlaced() | HoldReleased() | SlotTaken() | SlotFreed() | StoppingBoundaryCrossed():
            return False
        case _:
            assert_never(event)


def reaches(event: Event, participant: Participant) -> bool:
    """Whether an event of the study's stream may change the rows of the participant."""
    if isinstance(event, SiteOpened | ProtocolActivated):
        # Also of a site that was left: what was in force there governs what happened then.
        return event.site in participant.sites
    return rests_on(event)


# --- timelines ------------------------------------------------------------------------------------


def timeline(states: Iterable[tuple[date | datetime | None, str]]) -> Timeline:
    """States in order as a timeline; a state that only goes on is not repeated."""
    kept: Timeline = []
    for since, state in states:
        if not kept or kept[-1][1] != state:
            kept.append([None if since is None else str(plain(since)), state])
    return kept


def state_at(states: Sequence[Sequence[str | None]], moment: date | datetime) -> str:
    """The state that holds at a moment; of the kind (day or instant) the timeline is made of."""
    text = str(plain(moment))
    held = [state for since, state in states if since is None or since <= text]
    found = held[-1] if held else states[0][1]
    assert found is not None
    return found


def instant_text(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds: texts of this width sort like the instants."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def plain(value: Column) -> str | int | bool | None:
    """A column's value in plain JSON."""
    if isinstance(value, datetime):
        return instant_text(value)
    return value.isoformat() if isinstance(value, date) else value
