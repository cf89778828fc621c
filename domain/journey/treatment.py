"""Treatment: the study's one gate (enrolment, dose authorisation) and its one act (the dose)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, assert_never

from pydantic import Field

from domain.eligibility.day0 import recheck
from domain.eligibility.evaluate import Verdict, verdict_under
from domain.in_force import governing, in_force
from domain.journey.consent import reconsent_due
from domain.journey.eligibility import confirmation_problem, verdict_of
from domain.journey.oversight import DeviationDetected
from domain.kernel import (
    Code,
    Conclusion,
    Decision,
    Fact,
    Noted,
    Number,
    Proposed,
    Recorded,
    Refused,
    Term,
    cited,
    joined,
)
from domain.making import changing
from domain.time import Moment
from domain.trial.protocol import Dose

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

# --- events: what can happen ----------------------------------------------------------------------


class Enrolled(Decision):
    """The participant entered the study and takes one of its slots."""

    type: Literal["enrolled"] = "enrolled"
    number: Code | None = None
    cohort: Code | None = None


class DoseAuthorised(Decision):
    """An investigator released the dose for this participant."""

    type: Literal["dose-authorised"] = "dose-authorised"


class Dosed(Fact):
    """The product was given: the anchor of the schedule."""

    type: Literal["dosed"] = "dosed"
    product: Term
    amount: Number
    unit: Annotated[str, Field(max_length=40)]
    route: Code
    lot: Code | None = None
    sites: Annotated[tuple[Code, ...] | None, Field(strict=False)] = None
    started_at: Moment | None = None
    ended_at: Moment | None = None


class DoseNotGiven(Fact):
    """The planned dose was not given."""

    type: Literal["dose-not-given"] = "dose-not-given"
    cause: Code


TreatmentEvent = Enrolled | DoseAuthorised | Dosed | DoseNotGiven

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Treatment:
    """Enrolment, authorisations and doses, in effective time."""

    enrolled: tuple[Noted[Enrolled], ...] = ()
    authorised: tuple[Noted[DoseAuthorised], ...] = ()
    dosed: tuple[Noted[Dosed], ...] = ()
    not_given: tuple[Noted[DoseNotGiven], ...] = ()

    @property
    def standing_authorisation(self) -> Noted[DoseAuthorised] | None:
        """The last authorisation, unless the dose it was for is reported as not given."""
        if not self.authorised:
            return None
        last = self.authorised[-1]
        return None if any(one.after(last) for one in self.not_given) else last


def dose_date(trial: "Trial", participant: "Participant") -> date | None:
    """The civil date of the first dose in the site's zone: day 0, the anchor of the schedule."""
    if not participant.treatment.dosed:
        return None
    return participant.treatment.dosed[0].when.civil(trial.zone(participant.site))[0]


# --- check: what is refused -----------------------------------------------------------------------


def check(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    """Enrolment and authorisation are gated; doses are facts."""
    body = proposed.body
    assert isinstance(body, TreatmentEvent)
    match body:
        case Dosed() | DoseNotGiven():
            return
        case Enrolled():
            _may_enrol(trial, participant, proposed)
        case DoseAuthorised():
            _may_authorise(trial, participant, proposed)
        case _:
            assert_never(body)


def _may_enrol(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    if participant.treatment.enrolled:
        raise Refused("order", "is enrolled", participant.treatment.enrolled[0].cited)
    _still_in(trial, participant)
    _confirmed(trial, participant, proposed)
    _not_on_hold(trial, participant)
    cap = trial.protocol_of(participant).accrual
    taken = [slot for slot in trial.slots.values() if slot.body.participant != participant.id]
    if cap is not None and len(taken) >= cap:
        raise Refused("cap", f"all {cap} slots of the study are taken", _positions(taken))


def _may_authorise(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    if participant.treatment.dosed and trial.protocol_of(participant).dose.single:
        raise Refused("dosed", "the single dose was given", participant.first_dose_cited())
    _still_in(trial, participant)
    if not participant.treatment.enrolled:
        raise Refused("order", "only an enrolled participant is dosed")
    _confirmed(trial, participant, proposed)
    _not_on_hold(trial, participant)
    day = proposed.occurred_at.civil(trial.zone(participant.site))[0]
    blocking = recheck(trial, participant, day)
    if blocking is not None:
        raise Refused("verdict", blocking.detail, blocking.evidence)
    _staggered(trial, participant, day)


def _still_in(trial: "Trial", participant: "Participant") -> None:
    """Consent current and no newer form due; the journey has not ended."""
    ended = participant.ended()
    if ended is not None:
        raise Refused("terminal", "the participant's journey has ended", ended.cited)
    zone = trial.zone(participant.site)
    withdrawn = participant.consent.withdrawal({"treatment", "visits"}, zone)
    if withdrawn is not None:
        raise Refused("scope", "consent to this was withdrawn", withdrawn.cited)
    if participant.consent.current(zone) is None:
        raise Refused("consent", "there is no current consent")
    newer = reconsent_due(trial, participant)
    if newer is not None:
        form = trial.consent_forms[newer]
        raise Refused("reconsent", "a newer consent form must be signed first", form.cited)


def _confirmed(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    problem = confirmation_problem(trial, participant, proposed.now)
    if problem is not None:
        raise Refused(problem.rule, problem.detail, problem.evidence)


def _not_on_hold(trial: "Trial", participant: "Participant") -> None:
    holds = trial.holds_for(participant.site)
    if holds:
        raise Refused("hold", "a hold is in force", _positions(holds))
    if trial.boundary_crossed is not None:
        raise Refused(
            "hold",
            "a stopping rule was met and no named person has lifted the hold",
            _positions(trial.boundaries.values()),
        )


def _staggered(trial: "Trial", participant: "Participant", day: date) -> None:
    stagger = trial.protocol_of(participant).stagger
    if stagger is None:
        return
    others = [
        (dosed_on, slot.position)
        for slot in trial.slots.values()
        if slot.body.participant != participant.id
        and (dosed_on := slot.body.dose_day()) is not None
    ]
    if not others or len(others) >= stagger.first:
        return
    latest, position = max(others)
    if (day - latest).days < stagger.days:
        raise Refused(
            "stagger",
            f"the first {stagger.first} doses are at least {stagger.days} days apart",
            (position,),
        )


def _positions(noted: Iterable[Noted[Any]]) -> tuple[int, ...]:
    return tuple(sorted(one.position for one in noted))


# --- evolve: how memory changes -------------------------------------------------------------------

_changed = changing(Treatment)


def evolve(treatment: Treatment, recorded: Recorded) -> Treatment:
    """Remember one more event of this chapter; no rule lives here."""
    body = recorded.body
    assert isinstance(body, TreatmentEvent)
    match body:
        case Enrolled():
            return _changed(treatment, enrolled=joined(treatment.enrolled, body, recorded))
        case DoseAuthorised():
            return _changed(treatment, authorised=joined(treatment.authorised, body, recorded))
        case Dosed():
            return _changed(treatment, dosed=joined(treatment.dosed, body, recorded))
        case DoseNotGiven():
            return _changed(treatment, not_given=joined(treatment.not_given, body, recorded))
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(trial: "Trial", participant: "Participant", _now: datetime) -> tuple[Conclusion, ...]:
    """Doses that the study did not authorise, a second dose, an ineligible participant dosed."""
    treatment = participant.treatment
    if not (treatment.dosed or treatment.enrolled):
        return ()
    # The zone, too, is among what the versions in force are told by.
    read = (treatment, in_force(trial, participant), verdict_of(trial, participant))
    return participant.derived(
        "treatment conclusions", read, lambda: tuple(_concluded(trial, participant))
    )


def _concluded(trial: "Trial", participant: "Participant") -> Iterator[Conclusion]:
    """What each dose departs from: the plan of the version that governed it."""
    dosed = participant.treatment.dosed
    for number, given in enumerate(dosed, start=1):
        dose = governing(trial, participant, given.when).dose
        if number == 1 and dose.authorisation:
            yield from _unauthorised(trial, participant)
        if number > 1 and dose.single:
            yield _deviation(
                "single-dose",
                given.recorded.id or given.when.text,
                "a second dose was given; the protocol has one",
                cited(dosed[0], given),
            )
        yield from _departures(dose, given, None if number == 1 else f"dose {number}")
    yield from _ineligible(trial, participant)


def _unauthorised(trial: "Trial", participant: "Participant") -> Iterator[Conclusion]:
    first = participant.treatment.dosed[0]
    zone = trial.zone(participant.site)
    for act in participant.treatment.authorised:
        if act.when.earliest(zone) <= first.when.latest(zone):
            return
    yield _deviation(
        "dose-authorised", None, "the dose was given without authorisation", first.cited
    )


def _departures(dose: Dose, given: Noted[Dosed], subject: str | None) -> Iterator[Conclusion]:
    """What was given differs from what the protocol plans, as far as both can be compared."""
    body = given.body
    for rule, planned, actual in (
        ("dose-product", dose.product, body.product),
        ("dose-route", dose.route, body.route),
    ):
        if planned is not None and planned.casefold() != actual.casefold():
            words = f"the protocol has {planned}; something else was given"
            yield _deviation(rule, subject, words, given.cited)
    if dose.amount is not None and dose.unit == body.unit and dose.amount != body.amount:
        words = f"the protocol has {dose.amount} {dose.unit}; another amount was given"
        yield _deviation("dose-amount", subject, words, given.cited)


def _ineligible(trial: "Trial", participant: "Participant") -> Iterator[Conclusion]:
    treatment = participant.treatment
    for act, noted in (("enrolled", treatment.enrolled), ("dosed", treatment.dosed)):
        verdict = _verdict_then(trial, participant, noted[0]) if noted else None
        if verdict is None or verdict.verdict != "ineligible":
            continue
        # Consent that is taken back later leaves what was done under it as it was.
        later = {one.position for one in participant.consent.withdrawn if one.after(noted[0])}
        failing = [one for one in verdict.failing() if later.isdisjoint(one.evidence)]
        if failing:
            names = ", ".join(one.criterion for one in failing)
            evidence = {position for one in failing for position in one.evidence}
            yield DeviationDetected(
                rule=f"{act}-ineligible",
                category="eligibility",
                importance="important",
                explanation=f"{act} although criteria are not met: {names}",
                evidence=tuple(sorted({*evidence, *noted[0].cited})),
            )


def _verdict_then(trial: "Trial", participant: "Participant", act: Noted[Any]) -> Verdict:
    """What is known now, judged by the criteria of the version that governed the act."""
    then, verdict = governing(trial, participant, act.when), verdict_of(trial, participant)
    if then.version == verdict.protocol:
        return verdict
    return verdict_under(then, participant, trial.zone(participant.site))


def _deviation(
    rule: str, subject: str | None, explanation: str, evidence: tuple[int, ...]
) -> DeviationDetected:
    return DeviationDetected(
        rule=rule,
        subject=subject,
        category="dosing",
        importance="important",
        explanation=explanation,
        evidence=evidence,
    )
