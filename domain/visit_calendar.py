"""A participant's calendar: planned visits in the protocol's order, then what stands beside them.

Each visit's own window, and what became of it, is worked out in `domain/planning.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from domain.in_force import InForce, governing
from domain.journey.treatment import Dosed
from domain.journey.visits import UNSCHEDULED, Booking, VisitCompleted
from domain.kernel import Noted
from domain.planned import Anchor, PlannedVisit
from domain.planning import Planning
from domain.trial.protocol import Protocol, Visit

UNDATED_MAX = 64
"""Protocols whose visits without dates are kept."""

_UNPLANNED = ("early-termination", "unscheduled")
_UNPLANNED_NAMES = {UNSCHEDULED: "Unscheduled visit"}


def calendar(planning: Planning) -> tuple[PlannedVisit, ...]:
    """The planned visits, then what was planned before, held beyond them or only booked."""
    if not planning.silent or planning.anchoring or planning.participant.visits.completed:
        return tuple(_all(planning))
    known = _undated(planning.protocol)
    if known.whole is None:
        known.whole = tuple(_all(planning))
    return known.whole


def _all(planning: Planning) -> Iterator[PlannedVisit]:
    before: PlannedVisit | None = None
    extra: list[PlannedVisit] = []
    for visit in planning.protocol.calendar:
        rows = _of(planning, visit, before)
        if not rows:
            continue
        yield rows[0]
        extra.extend(rows[1:])
        if rows[0].target is not None and visit.day is not None:
            before = rows[0]
    planned = {one.code for one in planning.protocol.calendar if one.kind != "unscheduled"}
    for one in reversed(planning.versions[:-1]):
        for visit in one.protocol.calendar:
            if visit.code not in planned and visit.kind not in _UNPLANNED:
                planned.add(visit.code)
                extra.extend(_dropped(planning, visit, one))
    extra.extend(_beside(planning, planned))
    yield from sorted(extra, key=_by_day)


def _of(planning: Planning, visit: Visit, before: PlannedVisit | None) -> list[PlannedVisit]:
    match visit.kind:
        case "unscheduled":
            return []
        case "early-termination":
            return _early_termination(planning, visit)
        case _ if visit.anchor == "screening":
            return _screening(planning, visit)
        case _:
            held = planning.participant.visits.held(visit.code)
            return _rows(planning, visit, planning.dose, held, before)


def _screening(planning: Planning, visit: Visit) -> list[PlannedVisit]:
    """A visit of each attempt at screening; the latest attempt's stands first."""
    held = planning.participant.visits.held(visit.code)
    started = planning.participant.screening.started
    if not started:
        booked = planning.participant.visits.booking(visit.code)
        day = booked.body.at.civil(planning.zone)[0] if booked is not None else None
        anchor = Anchor("screening", day, True, booked) if day and booked else None
        return _rows(planning, visit, anchor, held, None)
    anchors = []
    for attempt in started:
        day, last = attempt.when.civil(planning.zone)
        anchors.append(Anchor("screening", day, day != last, attempt))
    rows: list[PlannedVisit] = []
    for index in reversed(range(len(anchors))):
        since = anchors[index].day if index else date.min
        until = anchors[index + 1].day if index + 1 < len(anchors) else date.max
        mine = [n for n in held if since <= n.when.civil(planning.zone)[0] < until]
        if mine or not rows:
            rows.extend(_rows(planning, visit, anchors[index], mine, None))
    return [replace(row, occurrence=number) for number, row in enumerate(rows, start=1)]


def _early_termination(planning: Planning, visit: Visit) -> list[PlannedVisit]:
    held = planning.participant.visits.held(visit.code)
    end = planning.protocol.end_visit
    finished = end is not None and bool(planning.participant.visits.held(end.code))
    if planning.left is None or not planning.participant.treatment.dosed or finished:
        dosed = any(isinstance(one.body, Dosed) for one in planning.anchoring)
        if dosed and not held and (once := planning.once(visit)) is not None:
            row = _open(planning, visit, None, None)
            return [replace(row, once=once, not_expected_since=once[0])]
        return [_beyond(planning, visit.code, n, one) for n, one in enumerate(held, start=1)]
    day, last = planning.left.when.civil(planning.zone)
    anchor = Anchor("discontinuation", day, day != last, planning.left)
    return _rows(planning, visit, anchor, held, None)


def _dropped(planning: Planning, visit: Visit, last: InForce) -> list[PlannedVisit]:
    """A visit that a later version no longer plans: to be held until that version came."""
    anchor = planning.dose
    if visit.anchor == "screening":
        started = planning.participant.screening.started
        day = started[-1].when.civil(planning.zone)[0] if started else None
        anchor = Anchor("screening", day, False, started[-1]) if day else None
    rows = _rows(planning, visit, anchor, planning.participant.visits.held(visit.code), None)
    return [
        replace(row, not_expected_since=min(row.not_expected_since or last.until, last.until))
        if row.open and last.until is not None and not _closed_before(row, last.until)
        else row
        for row in rows
    ]


def _rows(
    planning: Planning,
    visit: Visit,
    anchor: Anchor | None,
    held: Sequence[Noted[VisitCompleted]],
    before: PlannedVisit | None,
) -> list[PlannedVisit]:
    if not held:
        return [_open(planning, visit, anchor, before)]
    rows = [
        planning.as_held(visit, number, anchor, one, before)
        for number, one in enumerate(held, start=1)
    ]
    return [replace(rows[0], bookings=planning.bookings(visit.code)), *rows[1:]]


def _open(
    planning: Planning, visit: Visit, anchor: Anchor | None, before: PlannedVisit | None
) -> PlannedVisit:
    if anchor is None and _says_nothing_of(planning, visit):
        rows = _undated(planning.protocol).rows
        if visit.code not in rows:
            rows[visit.code] = planning.as_planned(visit, None, None)
        return rows[visit.code]
    return planning.as_planned(visit, anchor, before)


def _says_nothing_of(planning: Planning, visit: Visit) -> bool:
    """Whether the facts say nothing of a visit without an anchor: then it is planned alike for
    everybody under the protocol."""
    return planning.silent and not (visit.anchor == "screening" and planning.anchoring)


def _closed_before(planned: PlannedVisit, day: date) -> bool:
    return not planned.provisional and planned.latest is not None and planned.latest < day


def _by_day(planned: PlannedVisit) -> tuple[date, str, int]:
    day = planned.completed_first or planned.target or date.max
    return (day, planned.visit, planned.occurrence)


# --- beside the plan ------------------------------------------------------------------------------


def _beside(planning: Planning, planned: set[str]) -> Iterator[PlannedVisit]:
    """What was held, or stands booked, without being planned."""
    visits = planning.participant.visits
    counted: dict[str, int] = {}
    for held in visits.completed:
        code = held.body.visit
        if code not in planned:
            counted[code] = counted.get(code, 0) + 1
            yield _beyond(planning, code, counted[code], held)
    for code in sorted({one.body.visit for one in visits.booked} - planned):
        last = visits.bookings(code)[-1]
        if not any(one.after(last.made) for one in visits.held(code)):
            yield _only_booked(planning, code, counted.get(code, 0) + 1, last)


def _only_booked(planning: Planning, code: str, number: int, last: Booking) -> PlannedVisit:
    """A visit that is not planned, and for which there is a booking."""
    plan = planning.protocol.visits_by_code.get(code)
    day = last.made.body.at.civil(planning.zone)[0]
    ended = planning.ended
    if last.by is not None:
        ended = last.by.when.civil(planning.zone)[0]
    standing = last.made if ended is None else None
    return PlannedVisit(
        visit=code,
        occurrence=number,
        name=_name(code, plan),
        protocol=planning.protocol.version,
        plan=plan,
        anchor=Anchor("booking", day, False, last.made),
        target=day,
        not_expected_since=ended,
        booked=standing,
        booked_on=day if standing is not None else None,
        bookings=planning.bookings(code),
    )


def _beyond(
    planning: Planning, code: str, number: int, held: Noted[VisitCompleted]
) -> PlannedVisit:
    """A visit that the protocol in force does not plan."""
    protocol = governing(planning.trial, planning.participant, held.when)
    plan = protocol.visits_by_code.get(code)
    first, last = held.when.civil(planning.zone)
    return PlannedVisit(
        visit=code,
        occurrence=number,
        name=_name(code, plan),
        protocol=protocol.version,
        plan=plan,
        held=held,
        completed_first=first,
        completed_last=last,
    )


def _name(code: str, plan: Visit | None) -> str:
    return plan.name if plan is not None else _UNPLANNED_NAMES.get(code, code)


# --- before anything is known ---------------------------------------------------------------------


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
