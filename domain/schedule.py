"""The calendar of a participant: every planned visit's target and window, and what became of it.

Windows are civil days in the site's zone. Visits after the dose are planned from the day of the
first dose, never from the visit before, so that delays do not add up; until then from the booked
day of the dosing visit (provisional). The screening visit is planned from its own beginning.
A visit that was held keeps the protocol version that was in force then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from domain.journey.visits import UNSCHEDULED, VisitCompleted
from domain.kernel import Noted
from domain.planned import Anchor, PlannedVisit, Status, status
from domain.trial.protocol import Protocol, Visit

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

__all__ = ["UNSCHEDULED", "Anchor", "PlannedVisit", "Status", "anchor_of", "schedule", "status"]


def anchor_of(trial: "Trial", participant: "Participant") -> Anchor | None:
    """Day 0: the first dose, else the booked day of the dosing visit; None when neither is."""
    return _dose_anchor(participant, trial.protocol_of(participant), trial.zone(participant.site))


def schedule(trial: "Trial", participant: "Participant") -> tuple[PlannedVisit, ...]:
    """Every planned visit in the protocol's order, then what else was held.

    The first occurrence of a code is the planned one.
    """
    planned = participant.derived(
        "schedule",
        (
            trial.protocols,
            trial.activated,
            trial.zone(participant.site),
            participant.visits,
            participant.treatment,
            participant.screening.started,
            participant.screening.failed,
            participant.screening.reopened,
            participant.consent,
            participant.closure,
            participant.referral,
            participant.oversight.transferred,
        ),
        lambda: tuple(_Planning.of(trial, participant).all()),
    )
    return participant.derived(
        "schedule with lapses",
        (planned, participant.concluded),
        lambda: _with_lapses(planned, participant),
    )


def _with_lapses(
    planned: tuple[PlannedVisit, ...], participant: "Participant"
) -> tuple[PlannedVisit, ...]:
    lapsed = {key[1] for key in participant.concluded if key[0] == "lapsed"}
    if not lapsed:
        return planned
    return tuple(
        replace(one, lapsed=True) if one.visit in lapsed and one.occurrence == 1 else one
        for one in planned
    )


def _dose_anchor(participant: "Participant", protocol: Protocol, zone: ZoneInfo) -> Anchor | None:
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


@dataclass(frozen=True, slots=True)
class _Planning:
    """What the calendar is computed from."""

    trial: "Trial"
    participant: "Participant"
    protocol: Protocol
    zone: ZoneInfo
    dose: Anchor | None
    ended: date | None
    """The day on which something ended all further visits."""
    left: Noted[Any] | None
    """The participant left early: only the early-termination visit is still expected."""

    @classmethod
    def of(cls, trial: "Trial", participant: "Participant") -> "_Planning":
        protocol, zone = trial.protocol_of(participant), trial.zone(participant.site)
        left = participant.closure.discontinued
        return cls(
            trial=trial,
            participant=participant,
            protocol=protocol,
            zone=zone,
            dose=_dose_anchor(participant, protocol, zone),
            ended=_ended(participant, zone),
            left=left[0] if left else None,
        )

    def all(self) -> Iterator[PlannedVisit]:
        """The planned visits, then what was held beyond them."""
        before: PlannedVisit | None = None
        extra: list[PlannedVisit] = []
        for visit in self.protocol.visits:
            rows = self._of(visit, before)
            if not rows:
                continue
            yield rows[0]
            extra.extend(rows[1:])
            if rows[0].target is not None and visit.day is not None:
                before = rows[0]
        planned = {visit.code for visit in self.protocol.visits if visit.kind != "unscheduled"}
        counted: dict[str, int] = {}
        for held in self.participant.visits.completed:
            code = held.body.visit
            if code not in planned:
                counted[code] = counted.get(code, 0) + 1
                extra.append(self._beyond(code, counted[code], held))
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
            return [self._beyond(visit.code, n, one) for n, one in enumerate(held, start=1)]
        day, last = self.left.when.civil(self.zone)
        anchor = Anchor("discontinuation", day, day != last, self.left)
        return self._rows(visit, anchor, held, None)

    def _rows(
        self,
        visit: Visit,
        anchor: Anchor | None,
        held: Sequence[Noted[VisitCompleted]],
        before: PlannedVisit | None,
    ) -> list[PlannedVisit]:
        if not held:
            return [self._open(visit, anchor, before)]
        return [
            self._held(visit, number, anchor, one, before)
            for number, one in enumerate(held, start=1)
        ]

    def _open(
        self, visit: Visit, anchor: Anchor | None, before: PlannedVisit | None
    ) -> PlannedVisit:
        dates = _dates(visit, anchor, before)
        missed = self.participant.visits.said_missed(visit.code)
        since = self._not_expected(visit, anchor, dates.latest) if missed is None else None
        booked = self.participant.visits.booking(visit.code) if since is None else None
        return PlannedVisit(
            visit=visit.code,
            occurrence=1,
            name=visit.name,
            protocol=self.protocol.version,
            plan=visit,
            day_number=_day_number(visit, self.protocol),
            anchor=anchor,
            target=dates.target,
            earliest=dates.earliest,
            latest=dates.latest,
            after_visit=dates.after_visit,
            said_missed=missed,
            not_expected_since=since,
            booked=booked,
        )

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
        protocol = self.trial.protocol_of(self.participant, held.when.latest(self.zone))
        then = protocol.visits_by_code.get(visit.code, visit)
        dates = _dates(then, anchor, before)
        first, last = held.when.civil(self.zone)
        return PlannedVisit(
            visit=then.code,
            occurrence=number,
            name=then.name,
            protocol=protocol.version,
            plan=then,
            day_number=_day_number(then, protocol),
            anchor=anchor,
            target=dates.target,
            earliest=dates.earliest,
            latest=dates.latest,
            after_visit=dates.after_visit,
            held=held,
            completed_first=first,
            completed_last=last,
        )

    def _beyond(self, code: str, number: int, held: Noted[VisitCompleted]) -> PlannedVisit:
        """A visit that the protocol in force does not plan."""
        protocol = self.trial.protocol_of(self.participant, held.when.latest(self.zone))
        plan = protocol.visits_by_code.get(code)
        first, last = held.when.civil(self.zone)
        name = plan.name if plan is not None else _UNPLANNED_NAMES.get(code, code)
        return PlannedVisit(
            visit=code,
            occurrence=number,
            name=name,
            protocol=protocol.version,
            plan=plan,
            held=held,
            completed_first=first,
            completed_last=last,
        )


_UNPLANNED_NAMES = {UNSCHEDULED: "Unscheduled visit"}


def _by_day(planned: PlannedVisit) -> tuple[date, str, int]:
    return (planned.completed_first or date.max, planned.visit, planned.occurrence)


def _day_number(visit: Visit, protocol: Protocol) -> int | None:
    """The day as the study counts it: with or without a day 0."""
    day = visit.day
    if day is not None and day >= 0 and protocol.settings.day_numbering == "day-1":
        return day + 1
    return day


class _Dates(NamedTuple):
    """A visit's target and window, and the visit before that pushed them, if one did."""

    target: date | None = None
    earliest: date | None = None
    latest: date | None = None
    after_visit: tuple[str, date] | None = None


def _dates(plan: Visit, anchor: Anchor | None, before: PlannedVisit | None) -> _Dates:
    if anchor is None:
        return _Dates()
    target = anchor.day + timedelta(days=plan.day or 0)
    if not plan.windowed or (plan.day is None and not (plan.before or plan.after)):
        return _kept_apart(_Dates(target), plan, before)
    earliest = target - timedelta(days=plan.before)
    latest = target + timedelta(days=plan.after)
    return _kept_apart(_Dates(target, earliest, latest), plan, before)


def _kept_apart(dates: _Dates, plan: Visit, before: PlannedVisit | None) -> _Dates:
    """The distance to the visit before comes first: it may push the window beyond its end."""
    if plan.after_previous is None or before is None or before.said_missed is not None:
        return dates
    day = before.completed_first or before.target
    if day is None or dates.target is None:
        return dates
    floor = day + timedelta(days=plan.after_previous)
    pushed = (before.visit, day)
    if dates.earliest is None or dates.latest is None:
        return _Dates(floor, after_visit=pushed) if dates.target < floor else dates
    if dates.earliest >= floor:
        return dates
    return _Dates(max(dates.target, floor), floor, max(dates.latest, floor), pushed)


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
        participant.consent.withdrawal(scopes),
        screening.failure if not dosed else None,
        participant.referral.closed[-1]
        if not participant.referral.open and not participant.consent.given
        else None,
    )
    days.extend(one.when.civil(zone)[0] for one in over if one is not None)
    return min(days) if days else None
