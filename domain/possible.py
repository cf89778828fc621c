"""What cannot have happened: the only reports that are refused for what they say.

Impossible at the precision of a day means impossible for the whole day; a partial date lies in
the future when its earliest day does.
"""

from collections.abc import Mapping
from datetime import timedelta

from domain.journey.closure import Died, Recontacted
from domain.journey.consent import Consented
from domain.journey.referral import Prescreened
from domain.journey.screening import Attested, ObservationRecorded, ScreeningStarted
from domain.journey.treatment import Dosed
from domain.journey.visits import SampleCollected, VisitCompleted
from domain.kernel import Event, Impossible, Proposed
from domain.participant import Participant
from domain.safety.events import AdverseEventReported, AdverseEventUpdated, SafetyReportSubmitted
from domain.time import When
from domain.trial.study import Trial

SKEW = timedelta(minutes=5)
"""How far a sender's clock may run ahead."""

_LIVING = (
    Attested,
    Consented,
    Dosed,
    ObservationRecorded,
    Prescreened,
    Recontacted,
    SampleCollected,
    ScreeningStarted,
    VisitCompleted,
)
"""Facts that need a living person; decisions after death are refused as such."""

_SAYS_WHEN: Mapping[type[Event], tuple[str, ...]] = {
    AdverseEventReported: ("onset", "end", "aware_at"),
    AdverseEventUpdated: ("onset", "end", "aware_at"),
    Died: ("on",),
    Dosed: ("started_at", "ended_at"),
    SafetyReportSubmitted: ("submitted_at",),
}
"""Fact -> its fields that say when something was, beside `occurred_at`."""


def not_in_the_future(
    moment: When | None, proposed: Proposed, trial: Trial, site: str | None
) -> None:
    """Refuse a moment later than now plus five minutes of skew."""
    if moment is not None and moment.earliest(trial.zone(site)) > proposed.now + SKEW:
        raise Impossible("future", "it lies in the future")


def check(trial: Trial, participant: Participant, proposed: Proposed) -> None:
    """Refuse what lies in the future, before birth, or after death for a living person's act."""
    moment, body = proposed.occurred_at, proposed.body
    not_in_the_future(moment, proposed, trial, participant.site)
    for name in _SAYS_WHEN.get(type(body), ()):
        not_in_the_future(getattr(body, name), proposed, trial, participant.site)
    if proposed.birth is not None and moment.last < proposed.birth.first:
        raise Impossible("before-birth", "it lies before the participant's birth")
    if participant.closure.died and isinstance(body, _LIVING):
        died = participant.closure.died[0]
        zone = trial.zone(participant.site)
        if moment.earliest(zone) >= died.body.on.latest(zone):
            raise Impossible("after-death", "it lies after the participant's death", died.cited)
