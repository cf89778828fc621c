"""The stage of a journey, and its summary: what a coordinator sees first."""

from datetime import datetime
from typing import Literal

from domain.journey.eligibility import confirmation_problem
from domain.participant import Participant
from domain.trial.study import Trial

Stage = Literal[
    "referred",
    "prescreening",
    "consented",
    "screening",
    "eligible",
    "enrolled",
    "follow-up",
    "completed",
    "screen-failed",
    "discontinued",
    "withdrawn",
    "lost",
    "deceased",
    "not-proceeding",
]


def stage(trial: Trial, participant: Participant, now: datetime) -> Stage:
    """Where the journey stands; endings first, then how far it has come."""
    return _ended(trial, participant) or _reached(trial, participant, now)


def _ended(trial: Trial, participant: Participant) -> Stage | None:
    closure, treatment = participant.closure, participant.treatment
    if closure.died:
        return "deceased"
    if closure.completed:
        return "completed"
    left = {"visits"} if treatment.dosed else {"visits", "treatment"}
    if participant.consent.withdrawal(left, trial.zone(participant.site)) is not None:
        return "withdrawn" if participant.consent.given else "not-proceeding"
    if closure.standing_loss is not None:
        return "lost"
    if closure.discontinued:
        return "discontinued"
    if participant.screening.failure is not None and not treatment.dosed:
        return "screen-failed"
    if not participant.referral.open and not participant.consent.given:
        return "not-proceeding"
    return None


def _reached(trial: Trial, participant: Participant, now: datetime) -> Stage:
    if participant.treatment.dosed:
        return "follow-up"
    if participant.treatment.enrolled:
        return "enrolled"
    if confirmation_problem(trial, participant, now) is None:
        return "eligible"
    if participant.screening.started:
        return "screening"
    if participant.consent.given:
        return "consented"
    return "prescreening" if participant.referral.prescreened else "referred"
