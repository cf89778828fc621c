"""Schedule: one row per planned visit, and per visit that was held beside the plan."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from domain.participant import Participant
from domain.planned import PlannedVisit
from domain.schedule import anchor_of, schedule, status
from domain.trial.study import Trial
from projections.view import NO_DAY, Row, Timeline, View, state_at, timeline

_A_DAY = timedelta(days=1)


def rows(trial: Trial, participant: Participant) -> Iterator[Row]:
    """The participant's visits, planned ones in the protocol's order."""
    site = participant.site
    zone = trial.zone(site)
    for planned in schedule(trial, participant):
        states = _states(planned)
        booked = planned.booked.body.at if planned.booked is not None else None
        yield Row(
            participant=participant.id,
            key=planned.subject,
            columns={
                "site": site,
                "zone": zone.key,
                "visit": planned.visit,
                "day": planned.target or planned.completed_first or NO_DAY,
                "settled": states[0][1] if len(states) == 1 else None,
                "due_from": _since(states, "due"),
                "late_from": _since(states, "overdue", "missed"),
                "lapsed": planned.lapsed,
                "booked_on": booked.civil(zone)[0] if booked is not None else None,
            },
            item={
                "visit": planned.visit,
                "name": planned.name,
                "target": _text(planned.target),
                "earliest": _text(planned.earliest),
                "latest": _text(planned.latest),
                "status": states,
                "completed_on": planned.completed_on,
                "days_from_target": planned.days_from_target,
                "out_of_window": planned.out_of_window,
                "booked_for": booked.text if booked is not None else None,
                "booked_outside_window": planned.booked_outside,
                "occurrence": planned.occurrence,
                "protocol": planned.protocol,
                "why": planned.why,
                "evidence": list(planned.evidence),
            },
        )


def shown(item: Mapping[str, Any], day: date) -> dict[str, Any]:
    """The visit as it reads on a civil day at the site."""
    return {**item, "status": state_at(item["status"], day)}


def anchor(trial: Trial, participant: Participant) -> dict[str, Any] | None:
    """Day 0: the dose, or the booked day of the dosing visit; None while there is neither."""
    found = anchor_of(trial, participant)
    if found is None:
        return None
    visit = trial.protocol_of(participant).dosing_visit
    return {
        "visit": visit.code if visit is not None else None,
        "date": found.day.isoformat(),
        "provisional": found.provisional,
    }


def _states(planned: PlannedVisit) -> Timeline:
    """The state over time: it can only change where the window opens or has closed."""
    changes = {planned.target, planned.earliest}
    if planned.latest is not None:
        changes.add(planned.latest + _A_DAY)
    days = sorted(day for day in changes if day is not None)
    first = days[0] - _A_DAY if days else date.min
    return timeline(
        [(None, status(planned, first)), *((day, status(planned, day)) for day in days)]
    )


def _since(states: Timeline, *wanted: str) -> date | None:
    for since, state in states:
        if state in wanted and since is not None:
            return date.fromisoformat(since)
    return None


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


VIEW = View(
    name="schedule",
    version=1,
    columns=(
        "site",
        "zone",
        "visit",
        "day",
        "settled",
        "due_from",
        "late_from",
        "lapsed",
        "booked_on",
    ),
    rows=rows,
)
