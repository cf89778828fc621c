"""A reading: a participant as judged by a trial at a moment, and all of it that is compared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from domain.eligibility.evaluate import Outcome
from domain.in_force import awaited
from domain.journey.consent import reconsent_due
from domain.journey.eligibility import confirmation_problem, verdict_of
from domain.journey.safety import runs_of
from domain.kernel import Conclusion, Key
from domain.participant import CHAPTERS, Participant
from domain.planned import PlannedVisit
from domain.safety.clocks import Run
from domain.schedule import schedule
from domain.stage import Stage, stage
from domain.trial.protocol import Protocol
from domain.trial.study import Trial

Facts = Mapping[str, Any]
"""Plain data: texts, numbers, lists of them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A participant's facts as judged by a trial, at a moment."""

    trial: Trial
    participant: Participant
    """Without what the log has concluded: `facts_alone`."""
    now: datetime

    def __post_init__(self) -> None:
        if self.participant.concluded:
            raise ValueError("facts alone are read, not what the log concluded")

    @property
    def day(self) -> date:
        """The civil day of the moment at the site."""
        return self.now.astimezone(self.trial.zone(self.participant.site)).date()


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that the two readings tell differently."""

    part: str
    """What is compared: visits, eligibility, ..."""
    kind: str
    """How it differs: one of the part's lists."""
    what: str
    """What it is about: a visit, a verdict, a rule with its subject, an event with its clock."""
    why: str
    """In words."""
    today: Facts | None
    """As it is; None where there is no such thing."""
    what_if: Facts | None
    """As it would be."""
    evidence: tuple[int, ...] = ()
    """Positions of what it rests on, ascending."""
    more: Facts = field(default_factory=dict)
    """What else is told of this kind of difference."""


@dataclass(frozen=True, slots=True)
class Told:
    """All that is compared of one reading."""

    reading: Reading
    protocol: Protocol
    visits: Mapping[str, PlannedVisit]
    """By the subject that deviations name them by."""
    verdict: str
    judged_by: str
    """The protocol version whose criteria were judged: of who is dosed, that of the dose."""
    outcomes: Mapping[str, Outcome]
    """By criterion."""
    confirmed: bool
    """Whether an investigator's confirmation stands and is still to serve."""
    stage: Stage
    runs: Mapping[Key, Run]
    """By event, clock and occasion."""
    conclusions: Mapping[Key, Conclusion]
    reconsent: str | None
    """What asks for a new signature: an approved form, or a protocol that waits for one."""


def told(reading: Reading) -> Told:
    """What the live functions say of a reading.

    What they derive is kept with the participant for the trial that asked last: tell one reading
    whole before another of the same participant.
    """
    trial, participant, now = reading.trial, reading.participant, reading.now
    verdict = verdict_of(trial, participant)
    conclusions = (one for chapter in CHAPTERS for one in chapter.conclude(trial, participant, now))
    return Told(
        reading=reading,
        protocol=trial.protocol_of(participant),
        visits={one.subject: one for one in schedule(trial, participant)},
        verdict=verdict.verdict,
        judged_by=verdict.protocol,
        outcomes={one.criterion: one for one in verdict.outcomes},
        confirmed=_confirmed(reading),
        stage=stage(trial, participant, now),
        runs={(run.ae, run.clock, str(run.occasion)): run for run in runs_of(trial, participant)},
        conclusions={one.key(): one for one in conclusions},
        reconsent=_reconsent(reading),
    )


def _reconsent(reading: Reading) -> str | None:
    form = reconsent_due(reading.trial, reading.participant)
    if form is not None:
        return f"form {form}"
    waiting = awaited(reading.trial, reading.participant)
    return None if waiting is None else f"protocol {waiting.body.protocol}"


def _confirmed(reading: Reading) -> bool:
    participant = reading.participant
    if not participant.eligibility.confirmed or participant.treatment.dosed:
        return False
    if participant.ended() is not None:
        return False
    return confirmation_problem(reading.trial, participant, reading.now) is None


def names(one: Mapping[Any, object], other: Mapping[Any, object]) -> list[Any]:
    """The names of both, in the order of the second; what only the first has comes last."""
    return [*other, *(name for name in one if name not in other)]


def merged(evidence: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Positions of several, ascending and without repeats."""
    return tuple(sorted({position for one in evidence for position in one}))
