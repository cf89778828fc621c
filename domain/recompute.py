"""Recomputing: what each event of a log should have led to, beside what the log says it led to.

The same rules judge here as when the events were appended, on the state that came before each of
them. What they give is compared with what was recorded, and time is the recorded time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from domain.admit import CAIRN, difference, protocol_of
from domain.complete import completed
from domain.kernel import (
    PROVISIONAL,
    Conclusion,
    Decision,
    Event,
    Key,
    Noted,
    Proposed,
    Recorded,
)
from domain.participant import Participant, evolve
from domain.possible import SKEW
from domain.trial.crossing import crossings
from domain.trial.events import SlotFreed, SlotTaken
from domain.trial.study import Trial

RACE = timedelta(minutes=1)
"""A fact may have been judged on the study as it stood up to so long before it was recorded."""

RACED_EVENTS_MAX = 64
"""So many events of the study's stream are looked back for it."""

Slot = SlotTaken | SlotFreed


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the log says otherwise than it is computed now."""

    position: int
    """Of the event that differs; of a missing one, that of the event it should have followed."""
    participant: str | None
    what: Literal["differs", "missing", "unfounded"]
    """`unfounded`: the log has a conclusion where nothing is to be concluded."""
    protocol: str | None
    recorded: Event | None
    computed: Event | None
    fields: tuple[str, ...] = ()
    """What differs: names of the data, or `protocol`, `cause`, `actor` of the envelope."""


@dataclass(frozen=True, slots=True)
class Run:
    """Events of one participant at consecutive positions, and what the study's stream says next."""

    participant: str
    events: tuple[Recorded, ...]
    study: tuple[Recorded, ...] = ()
    """The conclusions of the study's own stream that were drawn from them."""


@dataclass(frozen=True, slots=True)
class Known:
    """A participant as the log tells it, and with the conclusions that are computed instead.

    The two are one object until something differs, and again once the log has caught up: so a
    difference is told once, where it is, and not at every event that comes after it.
    """

    logged: Participant
    computed: Participant
    slot: Slot | None = None
    """What is computed of the participant's slot, where the log says otherwise."""

    @classmethod
    def nothing(cls, name: str) -> "Known":
        """Before the first event."""
        blank = Participant(name)
        return cls(blank, blank)

    def states(self) -> Iterator[Participant]:
        """What the next conclusions may be drawn from."""
        yield self.computed
        if self.logged is not self.computed:
            yield self.logged

    def after(self, event: Recorded) -> "Known":
        """After one more fact or decision."""
        logged = evolve(self.logged, event)
        same = self.logged is self.computed
        return Known(logged, logged if same else evolve(self.computed, event), self.slot)


@dataclass(frozen=True, slots=True)
class Standing:
    """The study as it stood, and when the event that made it so was recorded."""

    trial: Trial
    since: datetime


@dataclass(frozen=True, slots=True)
class _Step:
    """One event (None: time alone) and the conclusions that were drawn from it."""

    event: Recorded | None
    conclusions: tuple[Recorded, ...]

    @property
    def now(self) -> datetime:
        """When it was judged: as its conclusions have it, else when it was recorded.

        An event is judged before it is recorded; how long before, only its conclusions tell.
        """
        if self.conclusions:
            return self.conclusions[0].occurred_at.earliest()
        assert self.event is not None
        return self.event.recorded_at


def recomputed(
    standings: Sequence[Standing], known: Known, run: Run
) -> tuple[Known, list[Difference]]:
    """The participant after a run of events, and everything in it that differs.

    `standings` is the study as it stood then, the newest first, with what it was shortly before.
    Conclusions of events that were posted together may have been drawn from all of them at once,
    so that they are looked for after the last of those.
    """
    found: list[Difference] = []
    steps = list(_steps(run.events))
    for step, following in pairwise([*steps, None]):
        assert step is not None
        if step.event is not None:
            found += _written(standings, known.logged, step.event)
            known = known.after(step.event)
        if not (following is not None and _may_be_together(step, following)):
            known, more = _concluded(standings, known, step)
            found += more
    known, more = _crossed(standings, known, run, steps)
    return known, [*found, *more]


def _steps(events: Sequence[Recorded]) -> Iterator[_Step]:
    event: Recorded | None = None
    conclusions: list[Recorded] = []
    for one in events:
        if not isinstance(one.body, Conclusion):
            begins = True
        elif one.cause is None:
            begins = event is not None or (
                bool(conclusions) and one.occurred_at != conclusions[0].occurred_at
            )
        else:
            begins = False
        if begins:
            if event is not None or conclusions:
                yield _Step(event, tuple(conclusions))
            event, conclusions = (None if isinstance(one.body, Conclusion) else one), []
        if isinstance(one.body, Conclusion):
            conclusions.append(one)
    if event is not None or conclusions:
        yield _Step(event, tuple(conclusions))


def _may_be_together(step: _Step, following: _Step) -> bool:
    """Whether the events may be of one append that was concluded from at its end."""
    one, other = step.event, following.event
    if one is None or other is None or step.conclusions:
        return False
    return one.actor == other.actor


# --- what an event itself says --------------------------------------------------------------------


def _written(
    standings: Sequence[Standing], before: Participant, event: Recorded
) -> list[Difference]:
    """What Cairn writes into an event: the protocol in force, hashes of what a person saw."""
    found: list[Difference] = []
    for standing in _possible(standings, event):
        protocol = protocol_of(standing.trial, before, event)
        proposed = Proposed(event.body, event.occurred_at, event.actor, event.recorded_at)
        body = completed(standing.trial, before, proposed)
        fields = [*_unlike(event.body, body), *(["protocol"] if protocol != event.protocol else [])]
        if not fields:
            return []
        if not found:
            told = (event.position, event.participant, protocol, event.body, body, fields)
            found = [_differs(*told)]
    return found


def _possible(standings: Sequence[Standing], event: Recorded | None) -> Iterator[Standing]:
    """The study as the event may have been judged on it: for a fact under contention also as it
    stood a moment before. A decision, and what time brings, follows the study's stream."""
    yield standings[0]
    if event is None or isinstance(event.body, Decision):
        return
    for newer, older in pairwise(standings):
        if event.recorded_at - newer.since > RACE or not older.trial.protocols:
            return
        yield older


# --- what follows from it -------------------------------------------------------------------------


def _concluded(
    standings: Sequence[Standing], known: Known, step: _Step
) -> tuple[Known, list[Difference]]:
    first: tuple[list[Conclusion], Participant, list[Difference]] | None = None
    for trial, now in _circumstances(standings, step):
        for state in known.states():
            expected = difference(trial, state, now)
            found = list(_compared(step, expected, trial.version_for(state)))
            if not found:
                return _followed(known, state, step.conclusions), []
            first = first or (expected, state, found)
    assert first is not None
    expected, state, found = first
    logged = _after(known.logged, step.conclusions)
    concluded = _in_force(state.concluded, expected, step)
    # Fresh: what was derived from the state with the log's conclusions is not of this one.
    computed = replace(logged, concluded=concluded, _computed={}, _derived={})
    return Known(logged, computed, known.slot), found


def _circumstances(standings: Sequence[Standing], step: _Step) -> Iterator[tuple[Trial, datetime]]:
    """The study and the moment that the step may have been judged on, the likeliest first."""
    for standing in _possible(standings, step.event):
        yield standing.trial, step.now
        if not step.conclusions:
            yield standing.trial, step.now - SKEW


def _compared(step: _Step, expected: Sequence[Conclusion], protocol: str) -> Iterator[Difference]:
    waiting = {one.key(): one for one in expected}
    cause = None if step.event is None else step.event.position
    for one in step.conclusions:
        assert isinstance(one.body, Conclusion)
        computed = waiting.pop(one.body.key(), None)
        place = (one.position, one.participant)
        if computed is None:
            yield Difference(*place, "unfounded", one.protocol, one.body, None)
            continue
        envelope = {
            "protocol": one.protocol == protocol,
            "cause": one.cause == cause,
            "actor": one.actor == CAIRN,
        }
        fields = [
            *_unlike(one.body, computed),
            *(name for name, same in envelope.items() if not same),
        ]
        if fields:
            yield _differs(*place, protocol, one.body, computed, fields)
    for left in waiting.values():
        last = step.event or step.conclusions[-1]
        yield Difference(last.position, last.participant, "missing", protocol, None, left)


def _followed(known: Known, matching: Participant, conclusions: Sequence[Recorded]) -> Known:
    """As the log goes on, which says what follows from the state that matched."""
    logged = _after(known.logged, conclusions)
    if matching is known.logged:
        return Known(logged, logged, known.slot)
    return Known(logged, _after(known.computed, conclusions), known.slot)


def _after(state: Participant, conclusions: Sequence[Recorded]) -> Participant:
    for one in conclusions:
        state = evolve(state, one)
    return state


def _in_force(
    concluded: Mapping[Key, Recorded], expected: Sequence[Conclusion], step: _Step
) -> dict[Key, Recorded]:
    """The conclusions that stand after the computed ones, each where the log has its like."""
    places = {one.body.key(): one for one in step.conclusions if isinstance(one.body, Conclusion)}
    last = step.event or step.conclusions[-1]
    standing = dict(concluded)
    for one in expected:
        standing.pop(one.key(), None)
        if not one.cleared:
            standing[one.key()] = replace(places.get(one.key(), last), body=one)
    return standing


# --- what follows for the study -------------------------------------------------------------------


def _crossed(
    standings: Sequence[Standing], known: Known, run: Run, steps: Sequence[_Step]
) -> tuple[Known, list[Difference]]:
    """Slots and stopping boundaries: what the study's own stream says after the run."""
    first = run.study[0].position if run.study else PROVISIONAL
    told: tuple[Slot | None, list[Difference]] | None = None
    for trial, now in _moments(standings, run, steps):
        for seen in _seen(trial, known):
            expected = list(crossings(seen, known.computed, now, first))
            found = list(_study_compared(run, expected))
            if not found:
                return replace(known, slot=None if seen is trial else known.slot), []
            told = told or (_slot(expected, seen, run.participant), found)
    assert told is not None
    slot, found = told
    return replace(known, slot=slot), found


def _moments(
    standings: Sequence[Standing], run: Run, steps: Sequence[_Step]
) -> Iterator[tuple[Trial, datetime]]:
    """What touches the study's stream was judged on the newest of it."""
    if run.study:
        yield standings[0].trial, run.study[0].occurred_at.earliest()
    else:
        yield from _circumstances(standings, steps[-1])


def _seen(trial: Trial, known: Known) -> Iterator[Trial]:
    """The study with the participant's slot as computed, where that differs, and as logged."""
    if known.slot is not None:
        name = known.logged.id
        noted = trial.slots.get(name)
        recorded = noted.recorded if noted is not None else known.logged.history[-1]
        slots = {who: one for who, one in trial.slots.items() if who != name}
        if isinstance(known.slot, SlotTaken):
            slots[name] = Noted(known.slot, recorded)
        yield replace(trial, slots=slots)
    yield trial


def _slot(expected: Sequence[Conclusion], seen: Trial, name: str) -> Slot:
    for one in expected:
        if isinstance(one, Slot):
            return one
    noted = seen.slots.get(name)
    return noted.body if noted is not None else SlotFreed(participant=name)


def _study_compared(run: Run, expected: Sequence[Conclusion]) -> Iterator[Difference]:
    waiting = {one.key(): one for one in expected}
    causes: set[int | None] = {one.position for one in run.events} or {None}
    for one in run.study:
        assert isinstance(one.body, Conclusion)
        computed = waiting.pop(one.body.key(), None)
        if computed is None:
            yield Difference(one.position, None, "unfounded", None, one.body, None)
            continue
        envelope = {"cause": one.cause in causes, "actor": one.actor == CAIRN}
        fields = [*_unlike(one.body, computed), *(k for k, same in envelope.items() if not same)]
        if fields:
            yield _differs(one.position, None, None, one.body, computed, fields)
    last = (*run.events, *run.study)[-1].position
    for left in waiting.values():
        yield Difference(last, run.participant, "missing", None, None, left)


# --- what differs ---------------------------------------------------------------------------------


def _unlike(one: Event, other: Event) -> list[str]:
    """The data in which two bodies differ; `type` where they are not of one type."""
    if type(one) is not type(other):
        return ["type"]
    if one == other:
        return []
    return [name for name in type(one).model_fields if getattr(one, name) != getattr(other, name)]


def _differs(
    position: int,
    participant: str | None,
    protocol: str | None,
    recorded: Event,
    computed: Event,
    fields: Sequence[str],
) -> Difference:
    return Difference(position, participant, "differs", protocol, recorded, computed, tuple(fields))
