"""Eligibility: what the criteria say, and the investigator's word on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import Field

from domain.eligibility.compiling import CRITERION
from domain.eligibility.evaluate import Blocked, Outcome, Verdict, evaluate
from domain.journey.consent import reconsent_due
from domain.kernel import (
    Code,
    Conclusion,
    Decision,
    Event,
    Key,
    Noted,
    Proposed,
    Recorded,
    Refused,
    WrittenByCairn,
    cited,
    joined,
)
from domain.making import changing

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

# --- events: what can happen ----------------------------------------------------------------------


class _CriterionOutcome(Conclusion):
    criterion: Code
    explanation: str
    missing: Annotated[tuple[str, ...], Field(strict=False)] = ()

    def key(self) -> Key:
        """One outcome per criterion."""
        return (CRITERION, self.criterion)

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when the outcome changes; a new wording alone is not news."""
        return (self.type,)


class CriterionPassed(_CriterionOutcome):
    """A criterion holds."""

    type: Literal["criterion-passed"] = "criterion-passed"


class CriterionFailed(_CriterionOutcome):
    """A criterion is not met (for an exclusion: it applies)."""

    type: Literal["criterion-failed"] = "criterion-failed"


class CriterionReopened(_CriterionOutcome):
    """A criterion that was decided cannot be told any more."""

    type: Literal["criterion-reopened"] = "criterion-reopened"


class EligibilityDetermined(Conclusion):
    """What all criteria say together."""

    type: Literal["eligibility-determined"] = "eligibility-determined"
    verdict: Literal["pending", "eligible", "ineligible"]

    def key(self) -> Key:
        """One verdict."""
        return ("verdict",)

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when the verdict changes."""
        return (self.verdict,)


class EligibilityConfirmed(Decision):
    """An investigator takes responsibility for the verdict."""

    type: Literal["eligibility-confirmed"] = "eligibility-confirmed"
    verdict_hash: Annotated[str | None, WrittenByCairn] = None
    """SHA-256 (hex) over protocol version and outcomes: what exactly was confirmed."""


EligibilityEvent = (
    CriterionPassed
    | CriterionFailed
    | CriterionReopened
    | EligibilityDetermined
    | EligibilityConfirmed
)

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Confirmations, in effective time."""

    confirmed: tuple[Noted[EligibilityConfirmed], ...] = ()


def verdict_of(trial: "Trial", participant: "Participant") -> Verdict:
    """The verdict under the protocol in force."""
    return evaluate(trial, participant)


def confirmation_problem(
    trial: "Trial", participant: "Participant", now: datetime
) -> Blocked | None:
    """None while an investigator's confirmation stands; else the rule and what it rests on."""
    confirmed = participant.eligibility.confirmed
    if not confirmed:
        return Blocked("verdict", "eligibility is not confirmed by an investigator")
    verdict, last = verdict_of(trial, participant), confirmed[-1]
    if last.body.verdict_hash != verdict.digest():
        evidence = tuple(sorted({*last.cited, *verdict.evidence_after(last.position)}))
        return Blocked("stale", "facts changed since eligibility was confirmed", evidence)
    moved = [n for n in participant.oversight.transferred if n.position > last.position]
    if moved:
        return Blocked("stale", "the participant moved to another site since", moved[-1].cited)
    started = participant.screening.attempt
    # Screening serves the dose: once it is given, its validity has done its work.
    if started is not None and not participant.treatment.dosed:
        zone = trial.zone(participant.site)
        valid = timedelta(days=trial.protocol_of(participant).settings.screening_validity_days)
        if now.astimezone(zone).date() > started.when.civil(zone)[0] + valid:
            return Blocked("stale", "the screening's validity has ended", cited(started, last))
    return None


# --- check: what is refused -----------------------------------------------------------------------


def check(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    """Only an investigator confirms, and only an eligible verdict under current consent."""
    body = proposed.body
    assert isinstance(body, EligibilityEvent)
    match body:
        case EligibilityConfirmed():
            _may_confirm(trial, participant, proposed)
        case CriterionPassed() | CriterionFailed() | CriterionReopened():
            raise Refused("signer", "a conclusion is drawn by Cairn only")
        case EligibilityDetermined():
            raise Refused("signer", "a conclusion is drawn by Cairn only")
        case _:
            assert_never(body)


def _may_confirm(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    if proposed.actor.role not in ("investigator", "administrator"):
        raise Refused("signer", "only an investigator confirms eligibility")
    ended = participant.ended() or participant.screening.failure
    if ended is not None:
        raise Refused("terminal", "the participant's screening has ended", ended.cited)
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
    verdict = verdict_of(trial, participant)
    if verdict.verdict != "eligible":
        undecided = verdict.failing() or verdict.unknown()
        names = ", ".join(one.criterion for one in undecided)
        evidence = {position for one in undecided for position in one.evidence}
        raise Refused(
            "verdict", f"the verdict is {verdict.verdict}: {names}", tuple(sorted(evidence))
        )


# --- evolve: how memory changes -------------------------------------------------------------------

_changed = changing(Eligibility)


def evolve(eligibility: Eligibility, recorded: Recorded) -> Eligibility:
    """Remember one more event of this chapter; no rule lives here."""
    body = recorded.body
    assert isinstance(body, EligibilityEvent)
    match body:
        case EligibilityConfirmed():
            return _changed(eligibility, confirmed=joined(eligibility.confirmed, body, recorded))
        case CriterionPassed() | CriterionFailed() | CriterionReopened():
            return eligibility
        case EligibilityDetermined():
            return eligibility
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(trial: "Trial", participant: "Participant", _now: datetime) -> tuple[Conclusion, ...]:
    """The outcome of each criterion that is or was decided, and the verdict.

    What the log says already is given as it stands there: an unchanged outcome is not news.
    """
    verdict, concluded = verdict_of(trial, participant), participant.concluded
    told = participant.steady("criteria", verdict.told)
    drawn = participant.derived(
        "criteria by what is told",
        (told, verdict.keys, concluded),
        lambda: _Drawn.of(verdict, concluded),
    )
    if drawn.verdict is None or drawn.verdict is verdict:
        return drawn.conclusions
    return participant.derived(
        "criteria by the verdict",
        (verdict, concluded),
        lambda: _Drawn.of(verdict, concluded).conclusions,
    )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What follows from a verdict beside what the log says."""

    conclusions: tuple[Conclusion, ...]
    verdict: Verdict | None
    """The verdict whose evidence is in them; None where the log says all of it already."""

    @classmethod
    def of(cls, verdict: Verdict, concluded: Mapping[Key, Recorded]) -> "_Drawn":
        found: list[Conclusion] = []
        standing: dict[int, Event] = {}
        gone: list[Event] = []
        keys = verdict.keys
        # The log says little yet of most participants: it is looked through, not all that may be.
        for key, recorded in concluded.items():
            place = keys.get(key)
            if place is not None:
                standing[place] = recorded.body
            elif key[0] == CRITERION:
                gone.append(recorded.body)
        news, said = False, verdict.told
        decided = [place for place, told in enumerate(said) if told != "unknown"]
        for place in sorted({*standing, *decided}):
            known = standing.get(place)
            if known is not None and isinstance(known, _CONCLUDED[said[place]]):
                found.append(known)
            else:
                found.append(_concluded(verdict.outcome(place)))
                news = True
        for body in gone:
            found.append(_dropped(body))
            news = news or found[-1] is not body
        if keys:
            last = concluded.get(("verdict",))
            found.append(_determined(verdict, None if last is None else last.body))
            news = news or last is None or found[-1] is not last.body
        return cls(tuple(found), verdict if news else None)


def _determined(verdict: Verdict, standing: Event | None) -> Conclusion:
    if isinstance(standing, EligibilityDetermined) and standing.verdict == verdict.verdict:
        return standing
    return EligibilityDetermined(verdict=verdict.verdict, evidence=verdict.evidence())


_CONCLUDED: Mapping[
    str, type[CriterionPassed] | type[CriterionFailed] | type[CriterionReopened]
] = {
    "passed": CriterionPassed,
    "failed": CriterionFailed,
    "unknown": CriterionReopened,
}


def _concluded(outcome: Outcome) -> Conclusion:
    return _CONCLUDED[outcome.outcome](
        criterion=outcome.criterion,
        explanation=outcome.explanation,
        missing=outcome.missing,
        evidence=outcome.evidence,
    )


def _dropped(body: Event) -> Conclusion:
    assert isinstance(body, _CriterionOutcome)
    if isinstance(body, CriterionReopened):
        return body
    return CriterionReopened(
        criterion=body.criterion,
        explanation="the protocol in force has no such criterion",
    )
