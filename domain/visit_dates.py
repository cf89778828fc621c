"""A visit's target and window, from its anchor and the visit before it."""

from datetime import date, timedelta
from typing import NamedTuple

from domain.planned import Anchor, PlannedVisit
from domain.trial.protocol import Protocol, Visit


class Dates(NamedTuple):
    """A visit's target and window, and the visit before that pushed them, if one did."""

    target: date | None = None
    earliest: date | None = None
    latest: date | None = None
    after_visit: tuple[str, date] | None = None


def day_number(visit: Visit, protocol: Protocol) -> int | None:
    """The day as the study counts it: with or without a day 0."""
    day = visit.day
    if day is not None and day >= 0 and protocol.settings.day_numbering == "day-1":
        return day + 1
    return day


def dates_of(plan: Visit, anchor: Anchor | None, before: PlannedVisit | None) -> Dates:
    """The dates of a visit; all None while there is no anchor."""
    if anchor is None:
        return Dates()
    target = anchor.day + timedelta(days=plan.day or 0)
    if not plan.windowed or (plan.day is None and not (plan.before or plan.after)):
        return _kept_apart(Dates(target), plan, before)
    earliest = target - timedelta(days=plan.before)
    latest = target + timedelta(days=plan.after)
    return _kept_apart(Dates(target, earliest, latest), plan, before)


def _kept_apart(dates: Dates, plan: Visit, before: PlannedVisit | None) -> Dates:
    """The distance to the visit before comes first: it may push the window beyond its end."""
    if plan.after_previous is None or before is None or before.said_missed is not None:
        return dates
    day = before.completed_first or before.target
    if day is None or dates.target is None:
        return dates
    floor = day + timedelta(days=plan.after_previous)
    pushed = (before.visit, day)
    if dates.earliest is None or dates.latest is None:
        return Dates(floor, after_visit=pushed) if dates.target < floor else dates
    if dates.earliest >= floor:
        return dates
    return Dates(max(dates.target, floor), floor, max(dates.latest, floor), pushed)
