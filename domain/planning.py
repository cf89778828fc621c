"""One visit of a participant's calendar: its window, the version that plans it, what became of it.

It is worked out from what all visits are counted from; which visits there are, and in which order,
is the calendar's (`domain/visit_calendar.py`).
"""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from domain.in_force import InForce, governing
from domain.journey.closure import Discontinued
from domain.journey.screening import ScreeningStarted
from domain.journey.treatment import Dosed
from domain.journey.visits import Booking, VisitBooked, VisitCompleted
from domain.kernel import Noted, Recorded
from domain.planned import Anchor, PlannedVisit
from domain.trial.protocol import Protocol, Visit
from domain.visit_dates import dates_of, day_number

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial


def dose_anchor(participant: "Participant", protocol: Protocol, zone: ZoneInfo) -> Anchor | None:
    """Day 0: the first dose, else the booked day of the dosing visit; None when neither is."""
    if participant.treatment.dosed:
        first = participant.treatment.dosed[0]
        day, last = first.when.civil(zone)
        # A dose whose day is not known to the day plans visits roughly, and misses none.
        return Anchor("dose", day, day != last, first)
    if protocol.dosing_visit is None:
        return None
    booked = participant.visits.booking(protocol.dosing_visit.code)
    if booked is None:
        return None
    return Anchor("dose", booked.body.at.civil(zone)[0], True, booked)


_ANCHORING = (Dosed, VisitBooked, Discontinued, ScreeningStarted)


@dataclass(frozen=True, slots=True)
class Planning:
    """What the calendar is computed from."""

    trial: "Trial"
    participant: "Participant"
    versions: tuple[InForce, ...]
    zone: ZoneInfo
    dose: Anchor | None
    ended: date | None
    """The day on which something ended all further visits."""
    left: Noted[Any] | None
    """The participant left early: only the early-termination visit is still expected."""
    anchoring: tuple[Recorded, ...]
    """What visits were ever counted from, newest first, corrections not applied."""
    silent: bool
    """Whether no fact says anything of a visit that was not held, but that screening began."""

    @classmethod
    def of(
        cls,
        trial: "Trial",
        participant: "Participant",
        versions: tuple[InForce, ...],
        zone: ZoneInfo,
        ended: date | None,
    ) -> "Planning":
        """What a participant's calendar is computed from; `ended` as in the field."""
        left, visits = participant.closure.discontinued, participant.visits
        history = reversed(participant.history)
        anchoring = tuple([one for one in history if isinstance(one.body, _ANCHORING)])
        said = visits.booked or visits.missed or left or ended is not None or len(versions) > 1
        return cls(
            trial=trial,
            participant=participant,
            versions=versions,
            zone=zone,
            dose=dose_anchor(participant, versions[-1].protocol, zone),
            ended=ended,
            left=left[0] if left else None,
            anchoring=anchoring,
            silent=not said and all(isinstance(one.body, ScreeningStarted) for one in anchoring),
        )

    @property
    def protocol(self) -> Protocol:
        """The version in force now."""
        return self.versions[-1].protocol

    def as_planned(
        self, visit: Visit, anchor: Anchor | None, before: PlannedVisit | None
    ) -> PlannedVisit:
        """A visit that was not held, counted from its anchor; `before` is the planned one before
        it."""
        missed = self.participant.visits.said_missed(visit.code)
        protocol, plan = self._planned_by(visit, anchor, before, missed)
        dates = dates_of(plan, anchor, before)
        since = self._not_expected(plan, anchor, dates.latest) if missed is None else None
        booked = self.participant.visits.booking(visit.code) if since is None else None
        return PlannedVisit(
            visit=plan.code,
            occurrence=1,
            name=plan.name,
            protocol=protocol.version,
            plan=plan,
            day_number=day_number(plan, protocol),
            anchor=anchor,
            target=dates.target,
            earliest=dates.earliest,
            latest=dates.latest,
            after_visit=dates.after_visit,
            said_missed=missed,
            not_expected_since=since,
            booked=booked,
            booked_on=booked.body.at.civil(self.zone)[0] if booked is not None else None,
            bookings=self.bookings(visit.code),
            once=self.once(plan) if dates.target is None else None,
        )

    def _planned_by(
        self,
        visit: Visit,
        anchor: Anchor | None,
        before: PlannedVisit | None,
        missed: Noted[Any] | None,
    ) -> tuple[Protocol, Visit]:
        """The version under which the visit is past, else the last one that plans it."""
        found = (self.protocol, visit)
        for one in self.versions:
            plan = one.protocol.visits_by_code.get(visit.code)
            if plan is None:
                continue
            found = (one.protocol, plan)
            if one.until is None:
                break
            if missed is not None:
                if missed.when.civil(self.zone)[1] < one.until:
                    break
            elif anchor is not None and not anchor.provisional:
                latest = dates_of(plan, anchor, before).latest
                if latest is not None and latest < one.until:
                    break
        return found

    def _not_expected(
        self, visit: Visit, anchor: Anchor | None, latest: date | None
    ) -> date | None:
        """The ending that left the visit open: what closed before it stays missed."""
        days = [self.ended] if self.ended is not None else []
        if self.left is not None and visit.kind != "early-termination":
            days.append(self.left.when.civil(self.zone)[0])
        if not days:
            return None
        over = min(days)
        exact = anchor is not None and not anchor.provisional
        closed = exact and latest is not None and latest < over
        return None if closed and visit.kind != "dosing" else over

    def as_held(
        self,
        visit: Visit,
        number: int,
        anchor: Anchor | None,
        held: Noted[VisitCompleted],
        before: PlannedVisit | None,
    ) -> PlannedVisit:
        """A visit that was held for the `number`th time, under the version that governed it."""
        protocol = governing(self.trial, self.participant, held.when)
        then = protocol.visits_by_code.get(visit.code, visit)
        dates = dates_of(then, anchor, before)
        first, last = held.when.civil(self.zone)
        return PlannedVisit(
            visit=then.code,
            occurrence=number,
            name=then.name,
            protocol=protocol.version,
            plan=then,
            day_number=day_number(then, protocol),
            anchor=anchor,
            target=dates.target,
            earliest=dates.earliest,
            latest=dates.latest,
            after_visit=dates.after_visit,
            held=held,
            completed_first=first,
            completed_last=last,
        )

    def bookings(self, code: str) -> tuple[Booking, ...]:
        """Every booking of a visit, and what became of it."""
        return self.participant.visits.bookings(code)

    def once(self, plan: Visit) -> tuple[date, date] | None:
        """The window that was shown before its anchor was taken back; calendars that people
        subscribe to must be told that it is off, and when it would have been."""
        kinds: tuple[type[Any], ...] = (Dosed, VisitBooked)
        dosing = self.protocol.dosing_visit
        code = dosing.code if dosing is not None else None
        if plan.kind == "early-termination":
            kinds = (Discontinued,)
        elif plan.anchor == "screening":
            kinds, code = (ScreeningStarted, VisitBooked), plan.code
        for one in self.anchoring:
            body = one.body
            if not isinstance(body, kinds) or getattr(body, "visit", code) != code:
                continue
            when = body.at if isinstance(body, VisitBooked) else one.occurred_at
            anchor = Anchor("booking", when.civil(self.zone)[0], True, Noted(body, one))
            dates = dates_of(plan, anchor, None)
            if dates.earliest is not None and dates.latest is not None:
                return dates.earliest, dates.latest
        booked = self.bookings(plan.code)
        day = booked[-1].made.body.at.civil(self.zone)[0] if booked else None
        return None if day is None else (day, day)
