"""Consent: what the participant agreed to, and what they took back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, assert_never
from zoneinfo import ZoneInfo

from pydantic import Field

from domain.journey.oversight import DeviationDetected
from domain.journey.referral import Language
from domain.kernel import (
    Code,
    Conclusion,
    Fact,
    Noted,
    Proposed,
    Recorded,
    cited,
    joined,
)
from domain.making import changing

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

# --- events: what can happen ----------------------------------------------------------------------

Scope = Literal["treatment", "visits", "samples", "data"]


class Consented(Fact):
    """The participant, or a representative, signed a consent form."""

    type: Literal["consented"] = "consented"
    form_version: Code
    signed_by: Literal["participant", "representative"]
    language: Language | None = None
    witnessed: bool | None = None


class ConsentWithdrawn(Fact):
    """The participant took consent back, in whole or in part."""

    type: Literal["consent-withdrawn"] = "consent-withdrawn"
    scope: Annotated[tuple[Scope, ...], Field(strict=False, min_length=1)]
    cause: Code | None = None


ConsentEvent = Consented | ConsentWithdrawn

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Consent:
    """Forms signed and withdrawals, in effective time."""

    given: tuple[Noted[Consented], ...] = ()
    withdrawn: tuple[Noted[ConsentWithdrawn], ...] = ()

    def current(self, zone: ZoneInfo) -> Noted[Consented] | None:
        """The last form signed, unless treatment or visits were withdrawn since."""
        if not self.given:
            return None
        return None if self.withdrawal({"treatment", "visits"}, zone) else self.given[-1]

    def withdrawal(self, scopes: set[str], zone: ZoneInfo) -> Noted[ConsentWithdrawn] | None:
        """The first withdrawal of any of the scopes after which no form was signed.

        A form that was not certainly signed later does not undo it: of the two on one day, where
        a time is not known, the withdrawal counts. Dates are the zone's civil days.
        """
        for noted in self.withdrawn:
            again = any(noted.when.before(form.when, zone) for form in self.given)
            if not again and scopes.intersection(noted.body.scope):
                return noted
        return None

    def status(self, zone: ZoneInfo) -> Literal["none", "given", "withdrawn"]:
        """As coordinators say it."""
        if self.withdrawal({"treatment", "visits"}, zone):
            return "withdrawn"
        return "given" if self.given else "none"


def reconsent_due(trial: "Trial", participant: "Participant") -> str | None:
    """The newer form that asks for re-consent and was not signed yet; None when there is none, or
    the journey is over."""
    zone = trial.zone(participant.site)
    if participant.consent.current(zone) is None or participant.over(zone) is not None:
        return None
    signed = {noted.body.form_version for noted in participant.consent.given}
    forms = list(trial.consent_forms.values())
    order = [form.body.form_version for form in forms]
    seen = max((order.index(form) for form in signed if form in order), default=-1)
    due = [form for form in forms[seen + 1 :] if form.body.reconsent]
    return due[-1].body.form_version if due else None


# --- check: what is refused -----------------------------------------------------------------------


def check(_trial: "Trial", _participant: "Participant", proposed: Proposed) -> None:
    """A signature and its withdrawal are facts: never refused here."""
    assert isinstance(proposed.body, ConsentEvent)


# --- evolve: how memory changes -------------------------------------------------------------------

_changed = changing(Consent)


def evolve(consent: Consent, recorded: Recorded) -> Consent:
    """Remember one more event of this chapter; no rule lives here."""
    body = recorded.body
    assert isinstance(body, ConsentEvent)
    match body:
        case Consented():
            return _changed(consent, given=joined(consent.given, body, recorded))
        case ConsentWithdrawn():
            return _changed(consent, withdrawn=joined(consent.withdrawn, body, recorded))
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(trial: "Trial", participant: "Participant", _now: datetime) -> tuple[Conclusion, ...]:
    """Unapproved forms, and procedures without, before or after consent, or before a new one."""
    read = (
        participant.consent,
        participant.visits,
        participant.treatment,
        participant.screening.started,
        trial.consent_forms,
        trial.zone(participant.site),
    )
    return participant.derived(
        "consent conclusions",
        read,
        lambda: (
            *_unapproved_forms(trial, participant),
            *_without_consent(trial, participant),
            *_before_reconsent(trial, participant),
        ),
    )


def _unapproved_forms(trial: "Trial", participant: "Participant") -> Iterator[Conclusion]:
    for noted in participant.consent.given:
        version = noted.body.form_version
        if trial.consent_forms and version not in trial.consent_forms:
            words = f"consent form {version} is not an approved form of the study"
            yield _deviation("consent-form-approved", version, words, noted.cited)


@dataclass(frozen=True, slots=True)
class _Act:
    """A study procedure that took place, and the part of consent that it needs."""

    subject: str
    scope: Scope
    noted: Noted[Fact]


def _acts(participant: "Participant") -> list[_Act]:
    visits, treatment = participant.visits, participant.treatment
    return [
        *(_Act("screening", "visits", n) for n in participant.screening.started),
        *(_Act(f"visit {n.body.visit}", "visits", n) for n in visits.completed),
        *(_Act(f"sample {n.body.sample}", "samples", n) for n in visits.collected),
        *(_Act("dose", "treatment", n) for n in treatment.dosed),
    ]


def _without_consent(trial: "Trial", participant: "Participant") -> Iterator[Conclusion]:
    """Procedures without any recorded consent, before the first, or after it was withdrawn."""
    acts, consent = _acts(participant), participant.consent
    if not acts:
        return
    if not consent.given:
        many = "1 study procedure" if len(acts) == 1 else f"{len(acts)} study procedures"
        words = f"{many} without a recorded consent"
        yield _deviation("consent-before-procedure", None, words, cited(*(a.noted for a in acts)))
        return
    zone = trial.zone(participant.site)
    first = consent.given[0]
    for act in acts:
        if act.noted.when.before(first.when, zone):
            yield _deviation(
                "consent-before-procedure",
                act.subject,
                f"{act.subject} took place before consent",
                cited(act.noted, first),
            )
            continue
        withdrawn = _withdrawn_before(consent, act, zone)
        if withdrawn is not None:
            yield _deviation(
                "consent-withdrawn",
                act.subject,
                f"{act.subject} took place after consent to it was withdrawn",
                cited(act.noted, withdrawn),
            )


def _withdrawn_before(
    consent: Consent, act: _Act, zone: ZoneInfo
) -> Noted[ConsentWithdrawn] | None:
    """The withdrawal that was certainly in force when the act took place."""
    for withdrawn in reversed(consent.withdrawn):
        earlier = withdrawn.when.before(act.noted.when, zone)
        if act.scope not in withdrawn.body.scope or not earlier:
            continue
        again = any(
            withdrawn.when.before(given.when, zone)
            and given.when.earliest(zone) <= act.noted.when.latest(zone)
            for given in consent.given
        )
        return None if again else withdrawn
    return None


def _before_reconsent(trial: "Trial", participant: "Participant") -> Iterator[Conclusion]:
    """Procedures on a day after a newer form asked for a new signature that was not given yet."""
    asking = [form for form in trial.consent_forms.values() if form.body.reconsent]
    given = participant.consent.given
    if not asking or not given:
        return
    zone = trial.zone(participant.site)
    newer = _and_later(trial)
    for form in asking:
        asked = form.when.civil(zone)[1]
        if given[0].when.civil(zone)[0] >= asked:
            continue
        signed = [n for n in given if n.body.form_version in newer[form.body.form_version]]
        until = signed[0].when.civil(zone)[0] if signed else None
        for act in _acts(participant):
            first, last = act.noted.when.civil(zone)
            if first <= asked or (until is not None and last >= until):
                continue
            yield _deviation(
                "reconsent",
                f"{act.subject} {form.body.form_version}",
                f"{act.subject} took place before form {form.body.form_version} was signed",
                cited(act.noted, form),
            )


def _and_later(trial: "Trial") -> dict[str, set[str]]:
    """Form -> itself and the forms approved after it."""
    order = list(trial.consent_forms)
    return {form: set(order[index:]) for index, form in enumerate(order)}


def _deviation(
    rule: str, subject: str | None, explanation: str, evidence: tuple[int, ...]
) -> DeviationDetected:
    return DeviationDetected(
        rule=rule,
        subject=subject,
        category="consent",
        importance="important",
        explanation=explanation,
        evidence=evidence,
    )
