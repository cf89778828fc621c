"""Consent: what the participant agreed to, and what they took back."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

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

    @property
    def current(self) -> Noted[Consented] | None:
        """The last form signed, unless treatment or visits were withdrawn since."""
        if not self.given:
            return None
        last = self.given[-1]
        return None if self.withdrawal({"treatment", "visits"}) else last

    def withdrawal(self, scopes: set[str]) -> Noted[ConsentWithdrawn] | None:
        """The first withdrawal of any of the scopes since the last form was signed."""
        last = self.given[-1] if self.given else None
        for noted in self.withdrawn:
            if last is not None and last.after(noted):
                continue
            if scopes.intersection(noted.body.scope):
                return noted
        return None

    @property
    def status(self) -> Literal["none", "given", "withdrawn"]:
        """As coordinators say it."""
        if self.withdrawal({"treatment", "visits"}):
            return "withdrawn"
        return "given" if self.given else "none"


def reconsent_due(trial: "Trial", participant: "Participant") -> str | None:
    """The newer form that asks for re-consent and was not signed yet, or None."""
    current = participant.consent.current
    if current is None:
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


def evolve(consent: Consent, recorded: Recorded) -> Consent:
    """Remember one more event of this chapter; no rule lives here."""
    body = recorded.body
    assert isinstance(body, ConsentEvent)
    match body:
        case Consented():
            return replace(consent, given=joined(consent.given, body, recorded))
        case ConsentWithdrawn():
            return replace(consent, withdrawn=joined(consent.withdrawn, body, recorded))
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(trial: "Trial", participant: "Participant", _now: datetime) -> Iterator[Conclusion]:
    """Unapproved forms, and study procedures before (or without) consent."""
    yield from _unapproved_forms(trial, participant)
    yield from _procedures_before_consent(trial, participant)


def _unapproved_forms(trial: "Trial", participant: "Participant") -> Iterator[Conclusion]:
    for noted in participant.consent.given:
        version = noted.body.form_version
        if trial.consent_forms and version not in trial.consent_forms:
            yield DeviationDetected(
                rule="consent-form-approved",
                subject=version,
                category="consent",
                importance="important",
                explanation=f"consent form {version} is not an approved form of the study",
                evidence=noted.cited,
            )


def _procedures_before_consent(trial: "Trial", participant: "Participant") -> Iterator[Conclusion]:
    given = participant.consent.given
    zone = trial.zone(participant.site)
    acts: tuple[tuple[str, Noted[Fact]], ...] = (
        *((f"visit {n.body.visit}", n) for n in participant.visits.completed),
        *((f"sample {n.body.sample}", n) for n in participant.visits.collected),
        *(("dose", n) for n in participant.treatment.dosed),
    )
    for subject, act in acts:
        if given and act.when.latest(zone) > given[0].when.earliest(zone):
            continue
        yield DeviationDetected(
            rule="consent-before-procedure",
            subject=subject,
            category="consent",
            importance="important",
            explanation=f"{subject} took place {'before' if given else 'without a recorded'} consent",
            evidence=cited(act, given[0] if given else None),
        )
