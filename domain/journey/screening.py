"""Screening: what is found out about the participant before the study decides."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import Field

from domain.clinical.age import AgeAtScreening
from domain.clinical.interval import Presence
from domain.clinical.terms import DrugClass, HistoryCategory, Interpretation, Sex
from domain.eligibility.dictionary import check_observation, check_statement
from domain.in_force import governing
from domain.kernel import (
    Code,
    Conclusion,
    Decision,
    Event,
    Fact,
    Impossible,
    Noted,
    Number,
    Proposed,
    Protected,
    Protects,
    Recorded,
    Refused,
    Term,
    WrittenByCairn,
    joined,
)
from domain.making import changing
from domain.time import PartialDate
from domain.trial.protocol import Protocol

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

# --- events: what can happen ----------------------------------------------------------------------


class ScreeningStarted(Fact):
    """The screening visit began; its civil date at the site is the anchor SCR."""

    type: Literal["screening-started"] = "screening-started"
    age_at_screening: Annotated[AgeAtScreening | None, WrittenByCairn] = None


class DemographicsRecorded(Fact):
    """Birth date (protected), sex and childbearing potential."""

    type: Literal["demographics-recorded"] = "demographics-recorded"
    birth_date: Annotated[Protected, Protects(PartialDate)]
    sex: Sex
    childbearing_potential: bool | None = None
    age_at_screening: Annotated[AgeAtScreening | None, WrittenByCairn] = None


class ObservationRecorded(Fact):
    """A laboratory, vital-sign, questionnaire or score result, by the protocol's dictionary."""

    type: Literal["observation-recorded"] = "observation-recorded"
    code: Code
    value: Number | str | None = Field(default=None, union_mode="left_to_right")
    unit: Annotated[str, Field(max_length=40)] | None = None
    interpretation: Interpretation | None = None
    components: dict[Code, Presence] | None = None
    specimen: Code | None = None


class MedicationRecorded(Fact):
    """A medicine taken; the same record id again is a change of it."""

    type: Literal["medication-recorded"] = "medication-recorded"
    medication: Code
    name: Term
    classes: Annotated[tuple[DrugClass, ...], Field(strict=False)]
    indication: Term | None = None
    dose: Number | None = None
    unit: Annotated[str, Field(max_length=40)] | None = None
    per: Annotated[str, Field(max_length=40)] | None = None
    route: Code | None = None
    started_on: PartialDate
    ended_on: PartialDate | None = None
    half_life_days: Number | None = None
    changed_on: PartialDate | None = None


class HistoryRecorded(Fact):
    """An illness or procedure in the past, or planned; the same record id again changes it."""

    type: Literal["history-recorded"] = "history-recorded"
    item: Code
    category: HistoryCategory
    term: Term
    code: Code | None = None
    started_on: PartialDate | None = None
    ended_on: PartialDate | None = None
    status: Code | None = None
    adequately_treated: bool | None = None
    planned: bool | None = None


class Attested(Fact):
    """A person answered one of the protocol's statements."""

    type: Literal["attested"] = "attested"
    statement: Code
    answer: bool


class ScreenFailed(Decision):
    """Screening ended: the participant does not enter the study."""

    type: Literal["screen-failed"] = "screen-failed"
    criteria: Annotated[tuple[Code, ...], Field(strict=False)]
    cause: Code | None = None


class RescreeningOpened(Decision):
    """A new attempt at screening after a failure."""

    type: Literal["rescreening-opened"] = "rescreening-opened"
    cause: Code


ScreeningEvent = (
    ScreeningStarted
    | DemographicsRecorded
    | ObservationRecorded
    | MedicationRecorded
    | HistoryRecorded
    | Attested
    | ScreenFailed
    | RescreeningOpened
)

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Screening:
    """Everything found out so far, each kind in effective time."""

    started: tuple[Noted[ScreeningStarted], ...] = ()
    demographics: tuple[Noted[DemographicsRecorded], ...] = ()
    observations: tuple[Noted[ObservationRecorded], ...] = ()
    medications: tuple[Noted[MedicationRecorded], ...] = ()
    histories: tuple[Noted[HistoryRecorded], ...] = ()
    attested: tuple[Noted[Attested], ...] = ()
    failed: tuple[Noted[ScreenFailed], ...] = ()
    reopened: tuple[Noted[RescreeningOpened], ...] = ()

    @property
    def attempt(self) -> Noted[ScreeningStarted] | None:
        """The screening visit of the latest attempt: anchor SCR."""
        return self.started[-1] if self.started else None

    @property
    def failure(self) -> Noted[ScreenFailed] | None:
        """The standing failure: the last one, unless screening was opened again since."""
        if not self.failed:
            return None
        last = self.failed[-1]
        again = any(noted.after(last) for noted in self.reopened)
        return None if again else last


def screening_date(trial: "Trial", participant: "Participant") -> date | None:
    """The civil date of the latest screening visit in the site's zone (earliest when partial)."""
    attempt = participant.screening.attempt
    return attempt.when.civil(trial.zone(participant.site))[0] if attempt else None


# --- check: what is refused -----------------------------------------------------------------------


def check(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    """Facts must make sense for their code; failing and re-opening follow their order."""
    body = proposed.body
    assert isinstance(body, ScreeningEvent)
    match body:
        case ScreeningStarted() | DemographicsRecorded() | MedicationRecorded():
            return
        case HistoryRecorded():
            return
        case ObservationRecorded() | Attested():
            _makes_sense(trial, participant, proposed)
        case ScreenFailed():
            _can_fail(participant)
        case RescreeningOpened():
            _can_reopen(trial, participant)
        case _:
            assert_never(body)


def _makes_sense(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    """By the words of the version in force now, or else of the one that governed the act: what was
    found before an amendment may be told after it, in either version's words."""
    now = trial.protocol_of(participant)
    try:
        _checked(now, proposed.body)
    except Impossible:
        then = governing(trial, participant, proposed.occurred_at)
        if then is now:
            raise
        _checked(then, proposed.body)


def _checked(protocol: Protocol, body: Event) -> None:
    if isinstance(body, ObservationRecorded):
        check_observation(protocol, body)
    elif isinstance(body, Attested):
        check_statement(protocol, body)


def _can_fail(participant: "Participant") -> None:
    if participant.treatment.dosed:
        raise Refused("dosed", "screening cannot fail after a dose", participant.first_dose_cited())
    if participant.screening.failure is not None:
        raise Refused("terminal", "screening has failed", participant.screening.failure.cited)
    if not participant.consent.given and not participant.screening.started:
        raise Refused("order", "screening has not begun")


def _can_reopen(trial: "Trial", participant: "Participant") -> None:
    screening = participant.screening
    if participant.treatment.dosed:
        raise Refused("dosed", "the participant was dosed", participant.first_dose_cited())
    if screening.failure is None:
        raise Refused("order", "only failed screening is opened again")
    if participant.consent.current(trial.zone(participant.site)) is None:
        raise Refused("consent", "there is no current consent")
    most = trial.protocol_of(participant).settings.screening_attempts_max
    if len(screening.reopened) + 2 > most:
        raise Refused(
            "attempts",
            "no further attempt at screening is allowed",
            tuple(noted.position for noted in screening.reopened),
        )


# --- evolve: how memory changes -------------------------------------------------------------------

_changed = changing(Screening)


def evolve(screening: Screening, recorded: Recorded) -> Screening:
    """Remember one more event of this chapter; no rule lives here."""
    body = recorded.body
    assert isinstance(body, ScreeningEvent)
    match body:
        case ScreeningStarted():
            return _changed(screening, started=joined(screening.started, body, recorded))
        case DemographicsRecorded():
            return _changed(screening, demographics=joined(screening.demographics, body, recorded))
        case ObservationRecorded():
            return _changed(screening, observations=joined(screening.observations, body, recorded))
        case MedicationRecorded():
            return _changed(screening, medications=joined(screening.medications, body, recorded))
        case HistoryRecorded():
            return _changed(screening, histories=joined(screening.histories, body, recorded))
        case Attested():
            return _changed(screening, attested=joined(screening.attested, body, recorded))
        case ScreenFailed():
            return _changed(screening, failed=joined(screening.failed, body, recorded))
        case RescreeningOpened():
            return _changed(screening, reopened=joined(screening.reopened, body, recorded))
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(
    _trial: "Trial", _participant: "Participant", _now: datetime
) -> tuple[Conclusion, ...]:
    """What the findings mean is concluded in the chapter of eligibility."""
    return ()
