"""When a visit last changed: the event that touched its dates, its booking or what became of it.

The place of that event only ever grows, also where something is corrected or taken back, so that
whoever keeps a copy (a calendar that people subscribe to) can tell newer from older.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from domain.journey.closure import Completed, Died, Discontinued, LostToFollowUp, Recontacted
from domain.journey.consent import Consented, ConsentWithdrawn
from domain.journey.oversight import Corrected, Retracted, Transferred
from domain.journey.referral import ReferralClosed, Referred
from domain.journey.screening import RescreeningOpened, ScreenFailed, ScreeningStarted
from domain.journey.treatment import Dosed
from domain.journey.visits import VisitBooked, VisitCancelled, VisitCompleted, VisitMissed
from domain.kernel import Event, Recorded
from domain.participant import Participant
from domain.planned import PlannedVisit
from domain.trial.study import Trial


def _types(*events: type[Event]) -> frozenset[str]:
    return frozenset([event.model_fields["type"].default for event in events])


_CALENDAR = _types(
    *(Referred, ReferralClosed, Consented, ConsentWithdrawn),
    *(ScreeningStarted, ScreenFailed, RescreeningOpened, Dosed),
    *(Completed, Died, Discontinued, LostToFollowUp, Recontacted, Transferred),
)
"""They may move, end or reopen the whole calendar."""

_VISIT = _types(VisitBooked, VisitCancelled, VisitCompleted, VisitMissed)
_NAMING = _types(Corrected, Retracted)
_LOOKED_AT = _CALENDAR | _VISIT | _NAMING
"""All other events, most of a history, say nothing of visits."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The last event about the whole calendar, about any visit, and about each visit."""

    calendar: Recorded | None
    visits: Recorded | None
    by_visit: dict[str, Recorded]

    def of(self, planned: PlannedVisit) -> Recorded | None:
        """The event that last touched a visit; None for one that rests on no event."""
        last = _later(self.calendar, self.by_visit.get(planned.visit))
        plan = planned.plan
        if plan is None or plan.after_previous is not None or plan.kind == "early-termination":
            # What became of other visits decides about it, too.
            return _later(last, self.visits)
        return last


def changes(trial: Trial, participant: Participant) -> Changes:
    """What the history says about the participant's visits."""
    dosing = trial.protocol_of(participant).dosing_visit
    calendar = [one.recorded for one in trial.activated if one.body.site == participant.site]
    opened = trial.sites.get(participant.site or "")
    if opened is not None:
        calendar.append(opened.recorded)
    visits: dict[str, Recorded] = {}
    for one in participant.history:
        if one.type not in _LOOKED_AT:
            continue
        about: Any = _about(one, participant)
        if about.type in _CALENDAR or (about.type in _VISIT and about is not one.body):
            calendar.append(one)
        elif about.type in _VISIT:
            visits[about.visit] = one
            if dosing is not None and about.visit == dosing.code:
                calendar.append(one)
    last_visit = _last(visits.values())
    for key, one in participant.concluded.items():
        if key[0] == "lapsed":
            known = visits.get(key[1])
            visits[key[1]] = one if known is None or known.position < one.position else known
    return Changes(_last(calendar), last_visit, visits)


def _about(recorded: Recorded, participant: Participant) -> Event:
    """The event itself, or the one that a correction is about in the end."""
    body = recorded.body
    if recorded.type not in _NAMING:
        return body
    events = participant.once(
        "history by position", lambda: {one.position: one for one in participant.history}
    )
    while isinstance(body, Corrected | Retracted):
        target = events.get(body.position)
        if target is None:
            break
        body = target.body
    return body


def _last(events: Iterable[Recorded]) -> Recorded | None:
    return max(events, key=lambda one: one.position, default=None)


def _later(one: Recorded | None, other: Recorded | None) -> Recorded | None:
    if one is None or (other is not None and other.position > one.position):
        return other
    return one
