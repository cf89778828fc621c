"""How a participant's calendar is worked out: visit by visit, from what it is counted from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from domain.in_force import InForce, governing
from domain.journey.closure import Discontinued
from domain.journey.screening import ScreeningStarted
from domain.journey.treatment import Dosed
from domain.journey.visits import UNSCHEDULED, Booking, VisitBooked, VisitCompleted
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


_UNPLANNED = ("early-termination", "unscheduled")
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

    def all(self) -> tuple[PlannedVisit, ...]:
        """The planned visits, then what was planned before, held beyond them or only booked."""
        if not self.silent or self.anchoring or self.participant.visits.completed:
            return tuple(self._all())
        known = _undated(self.protocol)
        if known.whole is None:
            known.whole = tuple(self._all())
        return known.whole

    def _all(self) -> Iterator[PlannedVisit]:
        before: PlannedVisit | None = None
        extra: list[PlannedVisit] = []
        for visit in self.protocol.calendar:
            rows = self._of(visit, before)
            if not rows:
                continue
            yield rows[0]
            extra.extend(rows[1:])
            if rows[0].target is not None and visit.day is not None:
                before = rows[0]
        planned = {one.code for one in self.protocol.calendar if one.kind != "unscheduled"}
        for one in reversed(self.versions[:-1]):
            for visit in one.protocol.calendar:
                if visit.code not in planned and visit.kind not in _UNPLANNED:
                    planned.add(visit.code)
                    extra.extend(self._dropped(visit, one))
        extra.extend(self._beside(planned))
        yield from sorted(extra, key=_by_day)

    def _of(self, visit: Visit, before: PlannedVisit | None) -> list[PlannedVisit]:
        match visit.kind:
            case "unscheduled":
                return []
            case "early-termination":
                return self._early_termination(visit)
            case _ if visit.anchor == "screening":
                return self._screening(visit)
            case _:
                held = self.participant.visits.held(visit.code)
                return self._rows(visit, self.dose, held, before)

    def _screening(self, visit: Visit) -> list[PlannedVisit]:
        """A visit of each attempt at screening; the latest attempt's stands first."""
        held = self.participant.visits.held(visit.code)
        started = self.participant.screening.started
        if not started:
            booked = self.participant.visits.booking(visit.code)
            day = booked.body.at.civil(self.zone)[0] if booked is not None else None
            anchor = Anchor("screening", day, True, booked) if day and booked else None
            return self._rows(visit, anchor, held, None)
        anchors = []
        for attempt in started:
            day, last = attempt.when.civil(self.zone)
            anchors.append(Anchor("screening", day, day != last, attempt))
        rows: list[PlannedVisit] = []
        for index in reversed(range(len(anchors))):
            since = anchors[index].day if index else date.min
            until = anchors[index + 1].day if index + 1 < len(anchors) else date.max
            mine = [n for n in held if since <= n.when.civil(self.zone)[0] < until]
            if mine or not rows:
                rows.extend(self._rows(visit, anchors[index], mine, None))
        return [replace(row, occurrence=number) for number, row in enumerate(rows, start=1)]

    def _early_termination(self, visit: Visit) -> list[PlannedVisit]:
        held = self.participant.visits.held(visit.code)
        end = self.protocol.end_visit
        finished = end is not None and bool(self.participant.visits.held(end.code))
        if self.left is None or not self.participant.treatment.dosed or finished:
            dosed = any(isinstance(one.body, Dosed) for one in self.anchoring)
            if dosed and not held and (once := self._once(visit)) is not None:
                row = self._open(visit, None, None)
                return [replace(row, once=once, not_expected_since=once[0])]
            return [self._beyond(visit.code, n, one) for n, one in enumerate(held, start=1)]
        day, last = self.left.when.civil(self.zone)
        anchor = Anchor("discontinuation", day, day != last, self.left)
        return self._rows(visit, anchor, held, None)

    def _dropped(self, visit: Visit, last: InForce) -> list[PlannedVisit]:
        """A visit that a later version no longer plans: to be held until that version came."""
        anchor = self.dose
        if visit.anchor == "screening":
            started = self.participant.screening.started
            day = started[-1].when.civil(self.zone)[0] if started else None
            anchor = Anchor("screening", day, False, started[-1]) if day else None
        rows = self._rows(visit, anchor, self.participant.visits.held(visit.code), None)
        return [
            replace(row, not_expected_since=min(row.not_expected_since or last.until, last.until))
            if row.open and last.until is not None and not _closed_before(row, last.until)
            else row
            for row in rows
        ]

    def _rows(
        self,
        visit: Visit,
        anchor: Anchor | None,
        held: Sequence[Noted[VisitCompleted]],
        before: PlannedVisit | None,
    ) -> list[PlannedVisit]:
        if not held:
            return [self._open(visit, anchor, before)]
        rows = [
            self._held(visit, number, anchor, one, before)
            for number, one in enumerate(held, start=1)
        ]
        return [replace(rows[0], bookings=self._bookings(visit.code)), *rows[1:]]

    def _open(
        self, visit: Visit, anchor: Anchor | None, before: PlannedVisit | None
    ) -> PlannedVisit:
        if anchor is None and self._says_nothing_of(visit):
            rows = _undated(self.protocol).rows
            if visit.code not in rows:
                rows[visit.code] = self._row(visit, None, None)
            return rows[visit.code]
        return self._row(visit, anchor, before)

    def _says_nothing_of(self, visit: Visit) -> bool:
        """Whether the facts say nothing of a visit without an anchor: then it is planned alike for
        everybody under the protocol."""
        return self.silent and not (visit.anchor == "screening" and self.anchoring)

    def _row(
        self, visit: Visit, anchor: Anchor | None, before: PlannedVisit | None
    ) -> PlannedVisit:
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
            bookings=self._bookings(visit.code),
            once=self._once(plan) if dates.target is None else None,
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

    def _held(
        self,
        visit: Visit,
        number: int,
        anchor: Anchor | None,
        held: Noted[VisitCompleted],
        before: PlannedVisit | None,
    ) -> PlannedVisit:
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

    # --- beside the plan --------------------------------------------------------------------------

    def _beside(self, planned: set[str]) -> Iterator[PlannedVisit]:
        """What was held, or stands booked, without being planned."""
        visits = self.participant.visits
        counted: dict[str, int] = {}
        for held in visits.completed:
            code = held.body.visit
            if code not in planned:
                counted[code] = counted.get(code, 0) + 1
                yield self._beyond(code, counted[code], held)
        for code in sorted({one.body.visit for one in visits.booked} - planned):
            last = visits.bookings(code)[-1]
            if not any(one.after(last.made) for one in visits.held(code)):
                yield self._only_booked(code, counted.get(code, 0) + 1, last)

    def _only_booked(self, code: str, number: int, last: Booking) -> PlannedVisit:
        """A visit that is not planned, and for which there is a booking."""
        plan = self.protocol.visits_by_code.get(code)
        day = last.made.body.at.civil(self.zone)[0]
        ended = self.ended
        if last.by is not None:
            ended = last.by.when.civil(self.zone)[0]
        standing = last.made if ended is None else None
        return PlannedVisit(
            visit=code,
            occurrence=number,
            name=self._name(code, plan),
            protocol=self.protocol.version,
            plan=plan,
            anchor=Anchor("booking", day, False, last.made),
            target=day,
            not_expected_since=ended,
            booked=standing,
            booked_on=day if standing is not None else None,
            bookings=self._bookings(code),
        )

    def _beyond(self, code: str, number: int, held: Noted[VisitCompleted]) -> PlannedVisit:
        """A visit that the protocol in force does not plan."""
        protocol = governing(self.trial, self.participant, held.when)
        plan = protocol.visits_by_code.get(code)
        first, last = held.when.civil(self.zone)
        return PlannedVisit(
            visit=code,
            occurrence=number,
            name=self._name(code, plan),
            protocol=protocol.version,
            plan=plan,
            held=held,
            completed_first=first,
            completed_last=last,
        )

    @staticmethod
    def _name(code: str, plan: Visit | None) -> str:
        return plan.name if plan is not None else _UNPLANNED_NAMES.get(code, code)

    def _bookings(self, code: str) -> tuple[Booking, ...]:
        return self.participant.visits.bookings(code)

    def _once(self, plan: Visit) -> tuple[date, date] | None:
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
        booked = self._bookings(plan.code)
        day = booked[-1].made.body.at.civil(self.zone)[0] if booked else None
        return None if day is None else (day, day)


UNDATED_MAX = 64
"""Protocols whose visits without dates are kept."""


@dataclass(slots=True)
class _Undated:
    """The visits of a protocol before anything is known of them, as far as they were asked for."""

    protocol: Protocol
    """Kept beside them, so that its address stays its own."""
    rows: dict[str, PlannedVisit] = field(default_factory=dict)
    whole: tuple[PlannedVisit, ...] | None = None
    """The calendar of whom nothing is known that it is counted from."""


_UNDATED: dict[int, _Undated] = {}


def _undated(protocol: Protocol) -> _Undated:
    known = _UNDATED.get(id(protocol))
    if known is None:
        if len(_UNDATED) >= UNDATED_MAX:
            _UNDATED.clear()
        known = _UNDATED[id(protocol)] = _Undated(protocol)
    return known


_UNPLANNED_NAMES = {UNSCHEDULED: "Unscheduled visit"}


def _closed_before(planned: PlannedVisit, day: date) -> bool:
    return not planned.provisional and planned.latest is not None and planned.latest < day


def _by_day(planned: PlannedVisit) -> tuple[date, str, int]:
    day = planned.completed_first or planned.target or date.max
    return (day, planned.visit, planned.occurrence)
