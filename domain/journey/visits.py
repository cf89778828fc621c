"""Visits: what was booked, held, missed and collected, and what the calendar makes of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import ConfigDict, Field

from domain.journey.oversight import DeviationDetected
from domain.kernel import (
    Code,
    Conclusion,
    Fact,
    Impossible,
    Key,
    Noted,
    Number,
    Proposed,
    Recorded,
    Refused,
    Strict,
    joined,
)
from domain.making import changing
from domain.time import Appointment, CivilDate, Instant, When
from domain.trial.protocol import Mode

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.planned import PlannedVisit
    from domain.procedures import Circumstances
    from domain.trial.study import Trial

PROCEDURES_MAX = 200

MINOR_DAYS_MAX = 7
"""Up to so many days outside its window a visit is a minor deviation."""

UNSCHEDULED = "UNS"
"""The code of a visit that no protocol plans."""

# --- events: what can happen ----------------------------------------------------------------------


class VisitBooked(Fact):
    """A visit was booked; a later booking of the same visit moves it."""

    type: Literal["visit-booked"] = "visit-booked"
    visit: Code
    at: Appointment
    cause: Code | None = None


class VisitCancelled(Fact):
    """A booking was cancelled: the one at `at`, or all that stand for the visit."""

    type: Literal["visit-cancelled"] = "visit-cancelled"
    visit: Code
    at: Appointment | None = None
    cause: Code | None = None


class ProcedureReport(Strict):
    """Whether something was done at a visit; what is not listed was not reported."""

    code: Code
    done: bool
    cause: Code | None = None
    at: Instant | None = None
    """When it was done, where the order within the visit matters."""


class VisitCompleted(Fact):
    """A visit was held; `UNS` is an unscheduled one."""

    type: Literal["visit-completed"] = "visit-completed"
    visit: Code
    mode: Mode
    procedures: Annotated[
        tuple[ProcedureReport, ...] | None, Field(strict=False, max_length=PROCEDURES_MAX)
    ] = None


class VisitMissed(Fact):
    """A visit did not take place and will not."""

    type: Literal["visit-missed"] = "visit-missed"
    visit: Code
    cause: Code | None = None


class VisitLapsed(Conclusion):
    """The window closed without a visit."""

    type: Literal["visit-lapsed"] = "visit-lapsed"
    visit: Code
    latest: CivilDate
    """The last day of the window, in the site's zone."""

    def key(self) -> Key:
        """One lapse per visit."""
        return ("lapsed", self.visit)

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when the window moves and is still closed."""
        return (self.latest.text,)


SampleStatus = Literal[
    "collected",
    "processed",
    "aliquoted",
    "stored",
    "shipped",
    "received",
    "analysed",
    "destruction-requested",
    "destroyed",
    "lost",
    "unusable",
]


class _Sample(Fact):
    """A sample's own `type` has the name that every event's type has: in Python the event's type
    is `type` and the sample's is `sample_type`; in its data the sample's is `type`."""

    model_config = ConfigDict(serialize_by_alias=True)

    sample: Code
    visit: Code | None = None
    volume_ml: Annotated[Number, Field(ge=0)] | None = None
    status: SampleStatus | None = None


class SampleCollected(_Sample):
    """A sample was taken."""

    type: Literal["sample-collected"] = Field("sample-collected", alias="event_type")
    sample_type: Code = Field(alias="type")


class SampleUpdated(_Sample):
    """Something about a sample changed; fields left out stay as they were."""

    type: Literal["sample-updated"] = Field("sample-updated", alias="event_type")
    sample_type: Code | None = Field(None, alias="type")


VisitEvent = (
    VisitBooked
    | VisitCancelled
    | VisitCompleted
    | VisitMissed
    | VisitLapsed
    | SampleCollected
    | SampleUpdated
)

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Visits:
    """Bookings, visits and samples, each kind in effective time."""

    booked: tuple[Noted[VisitBooked], ...] = ()
    cancelled: tuple[Noted[VisitCancelled], ...] = ()
    completed: tuple[Noted[VisitCompleted], ...] = ()
    missed: tuple[Noted[VisitMissed], ...] = ()
    collected: tuple[Noted[SampleCollected], ...] = ()
    updated: tuple[Noted[SampleUpdated], ...] = ()

    def booking(self, code: str) -> Noted[VisitBooked] | None:
        """The latest booking of the visit that no later cancellation takes back."""
        return booking_of(code, self.booked, self.cancelled)

    def bookings(self, code: str) -> tuple["Booking", ...]:
        """Every booking of the visit, in the order in which they were made."""
        made = [one for one in self.booked if one.body.visit == code]
        if not made:
            return ()
        standing = self.booking(code)
        return tuple(
            Booking(one, "standing") if one is standing else self._ended(one, made[number:])
            for number, one in enumerate(made, start=1)
        )

    def _ended(self, booked: Noted[VisitBooked], later: Sequence[Noted[VisitBooked]]) -> "Booking":
        """What happened to the booking first: another in its place, or a cancellation."""
        back = [one for one in self.cancelled if _takes_back(one, booked)]
        if later and not (back and later[0].after(back[0])):
            return Booking(booked, "moved", later[0])
        return Booking(booked, "cancelled", back[0] if back else None)

    def held(self, code: str) -> tuple[Noted[VisitCompleted], ...]:
        """Every time that the visit was held."""
        return tuple([visit for visit in self.completed if visit.body.visit == code])

    def said_missed(self, code: str) -> Noted[VisitMissed] | None:
        """The last report that the visit did not take place; a visit that was held belies it."""
        if any(visit.body.visit == code for visit in self.completed):
            return None
        return next((one for one in reversed(self.missed) if one.body.visit == code), None)

    def closed(self, code: str) -> bool:
        """Whether the visit was held or is reported missed."""
        return any(one.body.visit == code for one in self.completed) or any(
            one.body.visit == code for one in self.missed
        )


@dataclass(frozen=True, slots=True)
class Booking:
    """A booking, and what became of it."""

    made: Noted[VisitBooked]
    state: Literal["standing", "moved", "cancelled"]
    by: Noted[VisitBooked] | Noted[VisitCancelled] | None = None
    """The later booking or the cancellation that ended it."""


def booking_of(
    code: str,
    bookings: Sequence[Noted[VisitBooked]],
    cancelled: Sequence[Noted[VisitCancelled]],
) -> Noted[VisitBooked] | None:
    """The latest of the bookings of the visit that no later cancellation takes back."""
    for booked in reversed(bookings):
        if booked.body.visit == code and not any(_takes_back(one, booked) for one in cancelled):
            return booked
    return None


def _takes_back(cancelled: Noted[VisitCancelled], booked: Noted[VisitBooked]) -> bool:
    at = cancelled.body.at
    return (
        cancelled.body.visit == booked.body.visit
        and (at is None or _same_time(at, booked.body.at))
        and cancelled.after(booked)
    )


def _same_time(one: When, other: When) -> bool:
    if one.instant is not None and other.instant is not None:
        return one.instant == other.instant
    return one.first == other.first


# --- check: what is refused -----------------------------------------------------------------------


def check(trial: "Trial", _participant: "Participant", proposed: Proposed) -> None:
    """Visits and samples are facts; a visit must be one that some protocol of the study plans."""
    body = proposed.body
    assert isinstance(body, VisitEvent)
    match body:
        case VisitBooked() | VisitCancelled() | VisitCompleted() | VisitMissed():
            _is_planned(trial, body.visit)
        case SampleCollected() | SampleUpdated():
            if body.visit is not None:
                _is_planned(trial, body.visit)
        case VisitLapsed():
            raise Refused("signer", "a conclusion is drawn by Cairn only")
        case _:
            assert_never(body)


def _is_planned(trial: "Trial", code: str) -> None:
    protocols = trial.protocols.values()
    if code == UNSCHEDULED or any(code in one.visits_by_code for one in protocols):
        return
    if any(one.visits for one in protocols):
        raise Impossible("unknown-visit", "no protocol of the study has such a visit")


# --- evolve: how memory changes -------------------------------------------------------------------

_changed = changing(Visits)


def evolve(visits: Visits, recorded: Recorded) -> Visits:
    """Remember one more event of this chapter; no rule lives here."""
    body = recorded.body
    assert isinstance(body, VisitEvent)
    match body:
        case VisitBooked():
            return _changed(visits, booked=joined(visits.booked, body, recorded))
        case VisitCancelled():
            return _changed(visits, cancelled=joined(visits.cancelled, body, recorded))
        case VisitCompleted():
            return _changed(visits, completed=joined(visits.completed, body, recorded))
        case VisitMissed():
            return _changed(visits, missed=joined(visits.missed, body, recorded))
        case SampleCollected():
            return _changed(visits, collected=joined(visits.collected, body, recorded))
        case SampleUpdated():
            return _changed(visits, updated=joined(visits.updated, body, recorded))
        case VisitLapsed():
            return visits
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(trial: "Trial", participant: "Participant", now: datetime) -> tuple[Conclusion, ...]:
    """Windows that closed, visits outside theirs or missed, required procedures not done."""
    # The calendar knows visits as this chapter defines them, so it is imported when it is needed.
    from domain.procedures import Circumstances
    from domain.schedule import plan

    planned = plan(trial, participant)
    zone = trial.zone(participant.site)
    today = now.astimezone(zone).date()
    # Circumstances count for the procedures of visits that were held, and for nothing else. Which
    # those are, by which version they are judged and in which zone, the calendar is made of.
    reported = any(one.body.procedures for one in participant.visits.completed)
    read = Circumstances(participant, zone).inputs if reported else ()
    return participant.derived(
        "visit conclusions",
        (planned, same_day(today), *read),
        lambda: tuple(_concluded(trial, planned, today, Circumstances(participant, zone))),
    )


@lru_cache(maxsize=1_000)
def same_day(day: date) -> date:
    """One object for each day, so that days compare by identity."""
    return day


def _concluded(
    trial: "Trial",
    planned: "tuple[PlannedVisit, ...]",
    today: date,
    around: "Circumstances",
) -> Iterator[Conclusion]:
    from domain.procedures import conclusions

    for one in planned:
        if one.held is not None:
            yield from _out_of_window(one)
            yield from conclusions(one, trial.protocols[one.protocol], around)
        elif one.said_missed is not None:
            yield _missed(one, f"{one.visit} was missed", one.said_missed.cited)
        elif has_lapsed(one, today):
            assert one.latest is not None
            anchor = one.anchor.by.cited if one.anchor is not None else ()
            yield VisitLapsed(visit=one.visit, latest=When.on(one.latest), evidence=anchor)
            yield _missed(one, f"the window of {one.visit} closed on {one.latest}", anchor)


def has_lapsed(planned: "PlannedVisit", today: date) -> bool:
    """Whether the window closed without a visit. A dose shows that its visit took place."""
    if planned.latest is None or planned.provisional or not planned.open:
        return False
    return today > planned.latest and planned.plan is not None and planned.plan.kind != "dosing"


def _out_of_window(planned: "PlannedVisit") -> Iterator[Conclusion]:
    days = planned.days_outside
    if days == 0:
        return
    side = f"after its window closed on {planned.latest}"
    if days < 0:
        side = f"before its window opened on {planned.earliest}"
    count = abs(days)
    yield DeviationDetected(
        rule="visit-window",
        subject=planned.subject,
        category="visit-window",
        importance="minor" if count <= MINOR_DAYS_MAX else "important",
        explanation=f"{planned.visit} took place {count} {'day' if count == 1 else 'days'} {side}",
        evidence=planned.evidence,
    )


def _missed(planned: "PlannedVisit", explanation: str, evidence: tuple[int, ...]) -> Conclusion:
    safety = planned.plan is not None and planned.plan.safety
    return DeviationDetected(
        rule="visit-missed",
        subject=planned.subject,
        category="visit-window",
        importance="important" if safety else "minor",
        explanation=explanation,
        evidence=evidence,
    )
