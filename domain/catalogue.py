"""The closed catalogue: every event type, by name, for the participant's and the study's stream."""

from typing import get_args

from domain.journey.closure import ClosureEvent
from domain.journey.consent import ConsentEvent
from domain.journey.eligibility import EligibilityEvent
from domain.journey.oversight import OversightEvent
from domain.journey.referral import ReferralEvent
from domain.journey.safety import SafetyEvent
from domain.journey.screening import ScreeningEvent
from domain.journey.treatment import TreatmentEvent
from domain.journey.visits import VisitEvent
from domain.kernel import Event
from domain.trial.events import StudyEvent

ParticipantEvent = (
    ReferralEvent
    | ConsentEvent
    | ScreeningEvent
    | EligibilityEvent
    | TreatmentEvent
    | VisitEvent
    | SafetyEvent
    | ClosureEvent
    | OversightEvent
)


def _by_type(union: object) -> dict[str, type[Event]]:
    return {cls.model_fields["type"].default: cls for cls in get_args(union)}


PARTICIPANT: dict[str, type[Event]] = _by_type(ParticipantEvent)
"""Event types of a participant's stream."""

STUDY: dict[str, type[Event]] = _by_type(StudyEvent)
"""Event types of the study's stream."""
