"""The calendar of a participant: every planned visit's target and window, and what became of it.

Windows are civil days in the site's zone. Visits after the dose are planned from the day of the
first dose, never from the visit before, so that delays do not add up; until then from the booked
day of the dosing visit (provisional). The screening visit is planned from its own beginning.
A visit that was held, or whose window closed, keeps the protocol version that was in force then;
one that a later version no longer plans is not expected from then on.
"""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from domain.in_force import in_force
from domain.journey.visits import UNSCHEDULED, same_day
from domain.planned import Anchor, PlannedVisit, Status, status
from domain.planning import Planning, dose_anchor
from domain.visit_calendar import calendar

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

__all__ = ["UNSCHEDULED", "Anchor", "PlannedVisit", "Status", "anchor_of", "schedule", "status"]


def anchor_of(trial: "Trial", participant: "Participant") -> Anchor | None:
    """Day 0: the first dose, else the booked day of the dosing visit; None when neither is."""
    return dose_anchor(participant, trial.protocol_of(participant), trial.zone(participant.site))


def schedule(trial: "Trial", participant: "Participant") -> tuple[PlannedVisit, ...]:
    """Every planned visit in the protocol's order, then what else was held.

    The first occurrence of a code is the planned one.
    """
    planned, lapsed = plan(trial, participant), participant.lapsed()
    return participant.derived(
        "schedule with lapses", (planned, lapsed), lambda: _with_lapses(planned, lapsed)
    )


def plan(trial: "Trial", participant: "Participant") -> tuple[PlannedVisit, ...]:
    """The same by the facts alone, whether or not the log says that a window closed."""
    zone = trial.zone(participant.site)
    versions = participant.steady("calendar's versions", in_force(trial, participant))
    ended = participant.derived(
        "ended",
        (
            zone,
            participant.closure,
            participant.screening.failed,
            participant.screening.reopened,
            participant.treatment.dosed,
            participant.consent,
            participant.referral,
        ),
        lambda: _ended(participant, zone),
    )
    return participant.derived(
        "schedule",
        (
            versions,
            zone,
            None if ended is None else same_day(ended),
            participant.visits,
            participant.treatment.dosed,
            participant.screening.started,
            participant.closure.discontinued,
        ),
        lambda: calendar(Planning.of(trial, participant, versions, zone, ended)),
    )


def _with_lapses(
    planned: tuple[PlannedVisit, ...], lapsed: frozenset[str]
) -> tuple[PlannedVisit, ...]:
    if not lapsed:
        return planned
    return tuple(
        replace(one, lapsed=True) if one.visit in lapsed and one.occurrence == 1 else one
        for one in planned
    )


def _ended(participant: "Participant", zone: ZoneInfo) -> date | None:
    """The first day of what ended all further visits; leaving early is not such an end."""
    closure, screening = participant.closure, participant.screening
    dosed = bool(participant.treatment.dosed)
    days: list[date] = []
    if closure.died:
        days.append(closure.died[0].body.on.civil(zone)[0])
    scopes = {"visits"} if dosed else {"visits", "treatment"}
    over = (
        closure.completed[0] if closure.completed else None,
        closure.standing_loss,
        participant.consent.withdrawal(scopes, zone),
        screening.failure if not dosed else None,
        participant.referral.closed[-1]
        if not participant.referral.open and not participant.consent.given
        else None,
    )
    days.extend(one.when.civil(zone)[0] for one in over if one is not None)
    return min(days) if days else None
