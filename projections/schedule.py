"""Schedule: one row per planned visit, and per visit that was held beside the plan."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, cast

from domain.journey.visits import Booking
from domain.kernel import cited
from domain.participant import Participant
from domain.planned import PlannedVisit
from domain.schedule import anchor_of, schedule, status
from domain.trial.study import Trial
from projections.changes import changes
from projections.view import (
    NO_DAY,
    OfParts,
    Part,
    Row,
    Timeline,
    View,
    beside_results,
    instant_text,
    state_at,
    timeline,
)

_A_DAY = timedelta(days=1)


Visit = tuple[tuple[str | None, str], int, tuple[int, datetime] | None, PlannedVisit]
"""Site and zone, which time of its visit it is, the event that last touched it (its position, and
when it was recorded), and the visit itself."""


def visits(trial: Trial, participant: Participant) -> Sequence[tuple[str, Visit]]:
    """The participant's visits, planned ones in the protocol's order, by the key of their rows.

    Told once for all views that show them.
    """
    return participant.here(
        "visits",
        (trial.protocols, trial.activated, trial.sites),
        lambda: tuple(_visits(trial, participant)),
    )


def _visits(trial: Trial, participant: Participant) -> Iterator[tuple[str, Visit]]:
    place = participant.site, trial.zone(participant.site).key
    planned_visits = schedule(trial, participant)
    changed, numbers = changes(trial, participant), _numbers(planned_visits)
    for planned in planned_visits:
        last = changed.of(planned)
        touched = None if last is None else (last.position, last.recorded_at)
        yield planned.subject, (place, numbers[planned.subject], touched, planned)


def _made(participant: str, key: str, part: Part) -> Row:
    (site, zone), number, touched, planned = cast("Visit", part)
    states = _states(planned)
    return Row(
        participant=participant,
        key=key,
        columns={
            "site": site,
            "zone": zone,
            "visit": planned.visit,
            "day": planned.target or planned.completed_first or NO_DAY,
            "settled": states[0][1] if len(states) == 1 else None,
            "due_from": _since(states, "due"),
            "late_from": _since(states, "overdue", "missed"),
            "lapsed": planned.lapsed,
            "booked_on": planned.booked_on,
            "work_day": _work_day(planned),
            "outside": planned.days_outside if planned.out_of_window is not None else None,
        },
        item={
            **_item(planned, states),
            "number": number,
            "changed": _change(touched),
            "once": [day.isoformat() for day in planned.once] if planned.once else None,
        },
    )


rows = OfParts(visits, _made)


def _item(planned: PlannedVisit, states: Timeline) -> dict[str, Any]:
    return {
        "visit": planned.visit,
        "name": planned.name,
        "day": planned.day_number,
        "target": _text(planned.target),
        "earliest": _text(planned.earliest),
        "latest": _text(planned.latest),
        "status": states,
        "completed_on": planned.completed_on,
        "days_from_target": planned.days_from_target,
        "out_of_window": planned.out_of_window,
        "days_outside_window": (
            planned.days_outside if planned.out_of_window is not None else None
        ),
        "booked_for": _booked_for(planned),
        "booked_outside_window": planned.booked_outside,
        "warnings": list(planned.warnings),
        "bookings": [_booking(one) for one in planned.bookings],
        "occurrence": planned.occurrence,
        "protocol": planned.protocol,
        "why": planned.why,
        "evidence": list(planned.evidence),
    }


def _booked_for(planned: PlannedVisit) -> str | None:
    return None if planned.booked is None else planned.booked.body.at.text


def _booking(one: Booking) -> dict[str, Any]:
    """A booking and what became of it, for the history of the visit."""
    return {
        "at": one.made.body.at.text,
        "made": one.made.when.text,
        "state": one.state,
        "cause": one.made.body.cause if one.by is None else one.by.body.cause,
        "position": one.made.position,
        "evidence": list(cited(one.made, one.by)),
    }


def _numbers(planned_visits: Iterable[PlannedVisit]) -> dict[str, int]:
    """Which time of its visit each one is, in the order of days: a name that stays when another
    attempt at screening becomes the one that is planned."""
    counted: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for one in sorted(planned_visits, key=_day):
        numbers[one.subject] = counted[one.visit] = counted.get(one.visit, 0) + 1
    return numbers


def _day(planned: PlannedVisit) -> date:
    return planned.completed_first or planned.target or NO_DAY


def _work_day(planned: PlannedVisit) -> date:
    """The day on which it was held, else for which it is booked, else its target."""
    return planned.completed_first or planned.booked_on or planned.target or NO_DAY


def _change(touched: tuple[int, datetime] | None) -> dict[str, Any] | None:
    if touched is None:
        return None
    return {"position": touched[0], "at": instant_text(touched[1])}


def shown(item: Mapping[str, Any], day: date) -> dict[str, Any]:
    """The visit as it reads on a civil day at the site."""
    found = {name: value for name, value in item.items() if name != "once"}
    return {**found, "status": state_at(item["status"], day)}


CELL = (
    *("target", "earliest", "latest", "completed_on", "days_from_target", "out_of_window"),
    *("days_outside_window", "booked_for"),
)


def cell(item: Mapping[str, Any], day: date) -> dict[str, Any]:
    """The visit in a matrix: its state on a day, and the dates behind it."""
    return {"status": state_at(item["status"], day), **{name: item[name] for name in CELL}}


def calendar_entry(one: Visit) -> dict[str, Any] | None:
    """The visit for a calendar that people subscribe to: nothing in it depends on the day on which
    it is read. None for a visit that never had a day."""
    _, number, touched, planned = one
    first, last = planned.earliest, planned.latest
    if first is None and (day := _work_day(planned)) != NO_DAY:
        first = last = day
    gone = first is None and planned.once is not None
    if gone and planned.once is not None:
        first, last = planned.once
    if first is None or touched is None:
        return None
    states = _states(planned)
    settled = states[0][1] if len(states) == 1 else None
    if not settled and planned.lapsed:
        settled = "missed"
    off = gone or settled in ("missed", "not-expected")
    return {
        "visit": planned.visit,
        "name": planned.name,
        "number": number,
        "target": _text(planned.target),
        "booked_for": _booked_for(planned),
        "completed_on": planned.completed_on,
        "warnings": list(planned.warnings),
        "changed": _change(touched),
        "first": _text(first),
        "last": _text(last),
        "state": "off" if off else "provisional" if settled == "provisional" else "on",
        "settled": settled,
    }


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
    version=2,
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
        "work_day",
        "outside",
    ),
    rows=rows,
    basis=beside_results,
)
