"""Visits under two readings: which fall out of their windows or into them, which move or go."""

from collections.abc import Iterator
from datetime import date

from domain.planned import PlannedVisit, status
from domain.what_if.reading import Change, Facts, Told, merged, names

KINDS = ("now_out", "now_in", "changed", "added", "dropped")

_NONE = PlannedVisit("", 1, "", "")
"""Stands where a reading has no such visit."""


def changes(before: Told, after: Told) -> Iterator[Change]:
    """The visits that differ, in the order of the second reading's calendar."""
    days = before.reading.day, after.reading.day
    for subject in names(before.visits, after.visits):
        one, other = before.visits.get(subject, _NONE), after.visits.get(subject, _NONE)
        for kind, why in _kinds(one, other, *days):
            yield Change(
                part="visits",
                kind=kind,
                what=subject,
                why=why,
                today=_shown(one, days[0]),
                what_if=_shown(other, days[1]),
                evidence=merged((one.evidence, other.evidence)),
            )


def _kinds(
    one: PlannedVisit, other: PlannedVisit, day: date, then: date
) -> Iterator[tuple[str, str]]:
    """How a visit differs, and why. Nobody misses a visit that is not expected anyway."""
    was, is_now = one.out_of_window is True, other.out_of_window is True
    if was != is_now:
        yield ("now_out" if is_now else "now_in"), _held(other)
    if (bool(one.visit), _planned(one)) != (bool(other.visit), _planned(other)):
        gone = not other.visit or _planned(one)
        left = one if gone else other
        if left.not_expected_since is None:
            yield ("dropped", "it is not planned") if gone else ("added", _appears(other))
    elif moved := _moved(one, other, day, then):
        yield "changed", moved


def _planned(one: PlannedVisit) -> bool:
    return one.plan is not None and one.plan.kind != "unscheduled"


def _appears(one: PlannedVisit) -> str:
    return f"{_held(one)}; {one.why}" if one.held is not None else one.why


def _held(one: PlannedVisit) -> str:
    """The day on which it was held, beside its window."""
    if one.held is None:
        return "not held"
    on = f"held on {one.completed_on}"
    if one.earliest is None:
        return f"{on}, without a window"
    window = f"window {one.earliest} to {one.latest}"
    days = abs(one.days_outside)
    if days == 0:
        return f"{on}, {window}"
    side = "early" if one.days_outside < 0 else "late"
    return f"{on}, {days} {'day' if days == 1 else 'days'} {side}, {window}"


def _moved(one: PlannedVisit, other: PlannedVisit, day: date, then: date) -> str:
    """What is told of a visit of both: its state, its dates while it is open, its booking.

    A visit that was held keeps its day: what another window makes of it is told apart.
    """
    found = []
    state, another = status(one, day), status(other, then)
    if state != another:
        found.append(f"{state} becomes {another}")
    if one.open and other.open and _dates(one) != _dates(other):
        found.append(f"{_dates(one)} becomes {_dates(other)}")
    if one.booked_outside != other.booked_outside:
        side = "outside" if other.booked_outside else "within"
        found.append(f"the booking for {other.booked_on or one.booked_on} is {side} its window")
    if one.held is not None and other.held is not None and one.completed_on != other.completed_on:
        found.append(f"held on {one.completed_on} becomes held on {other.completed_on}")
    return "; ".join(found)


def _dates(one: PlannedVisit) -> str:
    if one.target is None:
        return "no date"
    if one.earliest == one.latest:
        return one.target.isoformat()
    return f"{one.target} ({one.earliest} to {one.latest})"


def _shown(one: PlannedVisit, day: date) -> Facts | None:
    if not one.visit:
        return None
    judged = one.out_of_window is not None
    return {
        "planned": _planned(one),
        "target": _text(one.target),
        "earliest": _text(one.earliest),
        "latest": _text(one.latest),
        "status": status(one, day),
        "completed_on": one.completed_on,
        "out_of_window": one.out_of_window,
        "days_outside_window": one.days_outside if judged else None,
        "booked_for": _text(one.booked_on),
        "booked_outside_window": one.booked_outside,
        "protocol": one.protocol,
        "why": one.why,
    }


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
