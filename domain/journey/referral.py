"""Referral: how a person comes to the study, before anything is agreed."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import StringConstraints

from domain.kernel import (
    Code,
    Conclusion,
    Decision,
    Fact,
    Noted,
    Proposed,
    Protected,
    Protects,
    Recorded,
    Refused,
    Strict,
    joined,
)
from domain.making import changing

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

# --- events: what can happen ----------------------------------------------------------------------

Name = Annotated[str, StringConstraints(max_length=200)]
FreeText = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Contact(Strict):
    """How to reach the person; protected, always."""

    first_name: Name | None = None
    last_name: Name | None = None
    email: Name | None = None
    phone: Name | None = None
    language: Language | None = None


class Referred(Fact):
    """A person was referred to the study at a site."""

    type: Literal["referred"] = "referred"
    site: Code
    channel: Literal["self", "clinician", "registry", "site", "other"]
    contact: Annotated[Protected | None, Protects(Contact)] = None
    message: Annotated[Protected | None, Protects(FreeText)] = None


class Prescreened(Fact):
    """The first questions were asked, before consent."""

    type: Literal["prescreened"] = "prescreened"
    proceed: bool
    note: Annotated[Protected | None, Protects(FreeText)] = None


class ReferralClosed(Decision):
    """The referral leads nowhere."""

    type: Literal["referral-closed"] = "referral-closed"
    cause: Literal["declined", "unreachable", "not-interested", "other"]


ReferralEvent = Referred | Prescreened | ReferralClosed

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Referral:
    """Referrals, prescreening answers and closures, in effective time."""

    referred: tuple[Noted[Referred], ...] = ()
    prescreened: tuple[Noted[Prescreened], ...] = ()
    closed: tuple[Noted[ReferralClosed], ...] = ()

    @property
    def open(self) -> bool:
        """Whether the last thing said is not that the referral is closed."""
        if not self.closed:
            return True
        last = self.closed[-1]
        return any(again.after(last) for again in self.referred)


# --- check: what is refused -----------------------------------------------------------------------


def check(_trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    """Facts are taken as they are; a referral is closed once, and only before consent."""
    body = proposed.body
    assert isinstance(body, ReferralEvent)
    match body:
        case Referred() | Prescreened():
            return
        case ReferralClosed():
            if participant.consent.given:
                raise Refused(
                    "order",
                    "a consented participant is withdrawn or screen-failed, not closed",
                    participant.consent.given[-1].cited,
                )
            if not participant.referral.open:
                raise Refused(
                    "terminal", "the referral is closed", participant.referral.closed[-1].cited
                )
        case _:
            assert_never(body)


# --- evolve: how memory changes -------------------------------------------------------------------

_changed = changing(Referral)


def evolve(referral: Referral, recorded: Recorded) -> Referral:
    """Remember one more event of this chapter; no rule lives here."""
    body = recorded.body
    assert isinstance(body, ReferralEvent)
    match body:
        case Referred():
            return _changed(referral, referred=joined(referral.referred, body, recorded))
        case Prescreened():
            return _changed(referral, prescreened=joined(referral.prescreened, body, recorded))
        case ReferralClosed():
            return _changed(referral, closed=joined(referral.closed, body, recorded))
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(
    _trial: "Trial", _participant: "Participant", _now: datetime
) -> tuple[Conclusion, ...]:
    """Nothing is derived from a referral alone."""
    return ()
