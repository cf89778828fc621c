"""A planned visit: its target and window, what became of it, its state on a day, and why."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from domain.journey.visits import Booking, VisitBooked, VisitCompleted, VisitMissed
from domain.kernel import Noted, cited
from domain.trial.protocol import Visit

Status = Literal["provisional", "upcoming", "due", "overdue", "completed", "missed", "not-expected"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The civil day that visits are counted from, and the fact that sets it."""

    name: Literal["dose", "screening", "discontinuation", "booking"]
    day: date
    provisional: bool
    by: Noted[Any]


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """A visit as planned and as it went; what depends on the day is told by `status`."""

    visit: str
    occurrence: int
    """1, and the next numbers where a visit was held again."""
    name: str
    protocol: str
    """The version whose window applies."""
    plan: Visit | None = None
    """None for a visit that this version does not plan."""
    day_number: int | None = None
    """The day's number as the study counts."""
    anchor: Anchor | None = None
    target: date | None = None
    earliest: date | None = None
    latest: date | None = None
    """Both None where the protocol states no window."""
    after_visit: tuple[str, date] | None = None
    """The visit before and its day, where a distance to it moved the window."""
    held: Noted[VisitCompleted] | None = None
    completed_first: date | None = None
    completed_last: date | None = None
    """The first and the last day on which it may have been held."""
    said_missed: Noted[VisitMissed] | None = None
    lapsed: bool = False
    """Whether the log says that the window closed without a visit."""
    not_expected_since: date | None = None
    """The day of what ended the participant's visits while this one was open."""
    booked: Noted[VisitBooked] | None = None
    """The standing booking of a visit that was not held."""
    booked_on: date | None = None
    """Its civil day at the site."""
    bookings: tuple[Booking, ...] = ()
    """Every booking of the visit, as they were made."""
    once: tuple[date, date] | None = None
    """The window it had while its anchor stood, where none stands now."""

    @property
    def subject(self) -> str:
        """The visit as deviations name it."""
        return self.visit if self.occurrence == 1 else f"{self.visit} ({self.occurrence})"

    @property
    def provisional(self) -> bool:
        """Whether the dates rest on a booking, or are not known yet."""
        return self.anchor is None or self.anchor.provisional

    @property
    def completed_on(self) -> str | None:
        """The day as exactly as it is known: a date, a month or a year."""
        if self.held is None or self.completed_first is None:
            return None
        exact = self.completed_first == self.completed_last
        return self.completed_first.isoformat() if exact else self.held.when.text

    @property
    def days_from_target(self) -> int | None:
        """Days after (before: negative) the target; None unless both days are known."""
        if self.target is None or self.completed_first is None or self.provisional:
            return None
        exact = self.completed_first == self.completed_last
        return (self.completed_first - self.target).days if exact else None

    @property
    def days_outside(self) -> int:
        """By how many days the visit certainly missed its window: negative early, positive late."""
        first, last = self.completed_first, self.completed_last
        if first is None or last is None or self.earliest is None or self.latest is None:
            return 0
        if self.provisional:
            return 0
        if last < self.earliest:
            return (last - self.earliest).days
        return (first - self.latest).days if first > self.latest else 0

    @property
    def out_of_window(self) -> bool | None:
        """None while the visit was not held, or has no window to keep."""
        if self.held is None or self.earliest is None or self.provisional:
            return None
        return self.days_outside != 0

    @property
    def booked_outside(self) -> bool:
        """Whether the standing booking lies outside the window."""
        return self.booked_days_outside != 0

    @property
    def booked_days_outside(self) -> int:
        """By how many days the standing booking misses the window: negative early."""
        day = self.booked_on
        if day is None or self.earliest is None or self.latest is None:
            return 0
        return min((day - self.earliest).days, 0) or max((day - self.latest).days, 0)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a coordinator should look at again, in sentences."""
        days = self.booked_days_outside
        if days == 0:
            return ()
        side = f"after the window closes on {self.latest}"
        if days < 0:
            side = f"before the window opens on {self.earliest}"
        return (f"booked for {self.booked_on}, {_days(abs(days))} {side}",)

    @property
    def open(self) -> bool:
        """Whether it is still to come: neither held nor missed nor given up."""
        return self.held is None and self.said_missed is None and self.not_expected_since is None

    @property
    def evidence(self) -> tuple[int, ...]:
        """Positions of what the plan and its outcome rest on."""
        by = self.anchor.by if self.anchor is not None else None
        return cited(by, self.held, self.said_missed)

    @property
    def why(self) -> str:
        """How the dates come about, in a sentence."""
        if self.anchor is not None and self.anchor.name == "booking":
            at = f"booked for {self.anchor.day}, position {self.anchor.by.position}"
            return f"{at}; not planned by protocol {self.protocol}"
        if self.anchor is None or self.plan is None or self.target is None:
            return _without_dates(self)
        parts = [_counted(self, self.anchor), _window(self.plan)]
        if self.after_visit is not None:
            code, day = self.after_visit
            parts.append(f"moved to at least {self.plan.after_previous} days after {code} on {day}")
        parts.append(f"protocol {self.protocol}")
        return "; ".join(parts[:-1]) + ", " + parts[-1]


def _without_dates(planned: PlannedVisit) -> str:
    if planned.plan is None or planned.plan.kind == "unscheduled":
        return f"not planned by protocol {planned.protocol}"
    if planned.plan.kind == "early-termination":
        return f"due when the participant leaves early, protocol {planned.protocol}"
    if planned.plan.anchor == "screening":
        return "no date yet: screening has not begun and is not booked"
    return "no date yet: there is no dose, and the dosing visit is not booked"


def _counted(planned: PlannedVisit, anchor: Anchor) -> str:
    what = {
        "dose": "planned dose" if anchor.provisional else "dose",
        "screening": "booked screening visit" if anchor.provisional else "start of screening",
        "discontinuation": "discontinuation",
        "booking": "booking",
    }[anchor.name]
    at = f"{what} on {anchor.day}, position {anchor.by.position}"
    day = planned.plan.day if planned.plan is not None else None
    if day is None:
        return at
    label = f"day {planned.day_number}"
    if day == 0:
        return f"{label} = {at}"
    side = "after" if day > 0 else "before"
    return f"{label} = {_days(abs(day))} {side} {at}"


def _window(plan: Visit) -> str:
    if not plan.windowed:
        return "no window"
    if plan.before == plan.after:
        return f"window {_days(plan.before)} either side" if plan.before else "on that day only"
    opens = f"{_days(plan.before)} before" if plan.before else "that day"
    closes = f"{_days(plan.after)} after" if plan.after else "that day"
    return f"window from {opens} to {closes}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def status(planned: PlannedVisit, on: date) -> Status:
    """The state of a planned visit on a civil day at the site, as the facts are known now."""
    if planned.held is not None:
        return "completed"
    if planned.said_missed is not None:
        return "missed"
    if planned.not_expected_since is not None:
        return "not-expected"
    if planned.provisional or planned.target is None:
        return "provisional"
    if planned.latest is None or planned.earliest is None:
        return "upcoming" if on < planned.target else "due"
    if on > planned.latest:
        return "missed" if planned.lapsed else "overdue"
    return "upcoming" if on < planned.earliest else "due"
