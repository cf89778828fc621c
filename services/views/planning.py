"""Figures over the visits of a study: the work of each week, and how well windows are kept."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any

from domain.time import When
from domain.trial.study import Trial, zone_named
from infra.projection.tables import Reading
from projections.view import NO_DAY, Row, state_at
from services.door.refused import invalid
from services.views.asked import Place, Query, day_of
from services.views.lists import columns_of

WEEKS_BEFORE = 4
WEEKS_AHEAD = 13
"""The weeks that are shown when no range is asked for."""

WEEKS_MAX = 530

STATES = ("provisional", "upcoming", "due", "overdue", "completed", "missed", "not-expected")
_NO_WORK = ("missed", "not-expected")

Worked = tuple[date, str | None, str, int, int]
"""Monday, site, state; how many visits, and how many of them are booked."""

Line = tuple[Place, dict[str, Any]]
"""A line and its place in the order."""

Kept = tuple[str, str | None, str, int | None, int]
"""Visit, site, state, side of the window (-1 early, 0 in, 1 late, None: not judged); how many."""


# --- the matrix as a table ------------------------------------------------------------------------


def matrix_columns(extra: Mapping[str, Any]) -> list[str]:
    """The columns of the matrix as a table: the visits in the protocol's order."""
    return ["participant", "site", *extra.get("visits", ())]


def matrix_lines(items: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The matrix as a table: each visit's state, its day, and by how much it missed its window."""
    for item in items:
        cells = {code: _cell(one) for code, one in item["visits"].items()}
        unsure = {name: item[name] for name in ("uncertain",) if name in item}
        yield {"participant": item["participant"], "site": item["site"], **cells, **unsure}


def _cell(one: Mapping[str, Any]) -> str:
    words = [one["status"], one["completed_on"] or one["target"] or ""]
    outside = one["days_outside_window"]
    if outside:
        words.append(f"{abs(outside)} days {'late' if outside > 0 else 'early'}")
    return " ".join(word for word in words if word)


# --- the work of each week ------------------------------------------------------------------------


def weeks(query: Query, on: When) -> tuple[date, date]:
    """The first and the last day of the weeks that are asked for. Raises Invalid."""
    first = query.first
    if first is None:
        first = (query.last or on.last) - timedelta(weeks=WEEKS_BEFORE)
    first = _monday(first)
    last = query.last or first + timedelta(weeks=WEEKS_BEFORE + WEEKS_AHEAD)
    if last - first > timedelta(weeks=WEEKS_MAX):
        raise invalid("/query/from", "range-too-long")
    return first, _monday(last) + timedelta(days=6)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def workload_of(rows: Iterable[Row], query: Query, on: When) -> Iterator[Worked]:
    """The rows of the schedule as parts of the workload, one each."""
    first, last = weeks(query, on)
    for row in rows:
        day = row.columns["work_day"]
        assert isinstance(day, date)
        if first <= day <= last and query.site in (None, row.columns["site"]):
            booked = int(row.columns["booked_on"] is not None)
            yield _monday(day), _site(row), _state(row, on), 1, booked


def workload_read(reading: Reading, query: Query, on: When) -> list[Worked]:
    """The same, counted by the store."""
    first, last = weeks(query, on)
    asked = {"first": first, "last": last, "site": query.site, **_today(on)}
    found: list[Any] = reading.tuples("schedule", "workload", **asked)
    return found


def workload(parts: Iterable[Worked], _trial: Trial) -> list[Line]:
    """A line for each week and site: how many visits, how many booked, how many in each state.

    A visit counts in the week in which it was held, else for which it is booked, else in that of
    its target. Those that were missed, or are not expected, are no work.
    """
    lines: dict[tuple[date, str], dict[str, Any]] = {}
    for week, site, state, count, booked in parts:
        line = lines.setdefault(
            (week, site or ""),
            {"week": week.isoformat(), "site": site, "visits": 0, "booked": 0}
            | {_word(one): 0 for one in STATES},
        )
        line[_word(state)] += count
        if state not in _NO_WORK:
            line["visits"] += count
            line["booked"] += booked
    return [((week.isoformat(), site), lines[week, site]) for week, site in sorted(lines)]


def _word(state: str) -> str:
    return state.replace("-", "_")


# --- windows kept ---------------------------------------------------------------------------------


def adherence_of(rows: Iterable[Row], query: Query, on: When) -> Iterator[Kept]:
    """The rows of the schedule as parts of the figures, one each."""
    for row in rows:
        day, outside = row.columns["work_day"], row.columns["outside"]
        assert isinstance(day, date)
        inside = (query.first or date.min) <= day <= (query.last or NO_DAY)
        if inside and query.site in (None, row.columns["site"]):
            side = (outside > 0) - (outside < 0) if isinstance(outside, int) else None
            yield str(row.columns["visit"]), _site(row), _state(row, on), side, 1


def adherence_read(reading: Reading, query: Query, on: When) -> list[Kept]:
    """The same, counted by the store."""
    first, last = query.first or date.min, query.last or NO_DAY
    asked = {"first": first, "last": last, "site": query.site, **_today(on)}
    found: list[Any] = reading.tuples("schedule", "adherence", **asked)
    return found


def adherence(parts: Iterable[Kept], trial: Trial) -> list[Line]:
    """A line for each visit and site: how many were held, of these in the window, early and late,
    without a window to judge by; how many were missed, and how many are still open."""
    order = {code: number for number, code in enumerate(columns_of(trial))}
    lines: dict[Place, dict[str, Any]] = {}
    names = ("held", "in", "early", "late", "not_judged", "missed", "not_expected", "open")
    for visit, site, state, side, count in parts:
        line = lines.setdefault(
            (order.get(visit, len(order)), visit, site or ""),
            {"visit": visit, "site": site} | dict.fromkeys(names, 0),
        )
        match state:
            case "completed":
                line["held"] += count
                line[{-1: "early", 0: "in", 1: "late", None: "not_judged"}[side]] += count
            case "missed" | "not-expected":
                line[_word(state)] += count
            case _:
                line["open"] += count
    return sorted(lines.items(), key=lambda line: line[0])


SOURCES: Mapping[str, tuple[Callable[..., Iterable[Any]], Callable[..., list[Any]]]] = (
    MappingProxyType(
        {
            "workload": (workload_of, workload_read),
            "adherence": (adherence_of, adherence_read),
        }
    )
)
"""Figures -> their parts from rows of the past, and as the store counts them."""

LINES: Mapping[str, Callable[[Iterable[Any], Trial], list[Line]]] = MappingProxyType(
    {"workload": workload, "adherence": adherence}
)
"""Figures -> their parts made into lines, in order."""

PLACES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {"workload": (date, str), "adherence": (int, str, str)}
)
"""Figures -> the shape of a line's place."""

# --- rows -----------------------------------------------------------------------------------------


def _site(row: Row) -> str | None:
    site = row.columns["site"]
    return None if site is None else str(site)


def _state(row: Row, on: When) -> str:
    return state_at(row.item["status"], day_of(on, zone_named(str(row.columns["zone"]))))


def _today(on: When) -> dict[str, Any]:
    """The day of the "now": that of a moment at each site, else the same everywhere."""
    return {"day": None if on.instant is not None else on.last, "moment": on.instant}
