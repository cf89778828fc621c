"""Lists over a study: in which order, which rows, in which shape; the same live and in the past."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from domain.time import When
from domain.trial.study import Trial, zone_named
from infra.projection.tables import Reading
from projections import calendar, deviations, eligibility, enrolment, safety, schedule
from projections.view import NO_DAY, Row, View
from services.views.asked import Place, Query, day_of, moment_of

Entry = Sequence[Row]
"""What one item is made of."""

FIRST_DAY = date.min


@dataclass(frozen=True, slots=True)
class Asking:
    """A query with its "now" settled, and the study to look words up in."""

    query: Query
    on: When
    trial: Trial


def _nothing(_asking: Asking) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of one view."""

    view: View
    place_shape: tuple[type, ...]
    entries: Callable[[Sequence[Row]], Iterator[Entry]]
    place: Callable[[Entry], Place]
    wanted: Callable[[Entry, Asking], bool]
    item: Callable[[Entry, Asking], dict[str, Any]]
    fetch: Callable[[Reading, Asking, Place | None, int], list[Any]]
    """Rows after a place, in the list's order; they may hold some that are not wanted."""
    beside: Callable[[Asking], dict[str, Any]] = _nothing
    """What else belongs to every page."""
    by_participant: bool = False
    """Whether its order is that of the participants: a page needs none beyond its own."""


def _zone(entry: Entry) -> ZoneInfo:
    return zone_named(str(entry[-1].columns["zone"]))


def _participant(entry: Entry) -> Place:
    return (entry[0].participant,)


def _singly(rows: Sequence[Row]) -> Iterator[Entry]:
    for row in rows:
        yield (row,)


def _at_site(entry: Entry, query: Query) -> bool:
    return query.site is None or entry[0].columns["site"] == query.site


def _whose(row: Row) -> dict[str, Any]:
    return {"participant": row.participant, "site": row.columns["site"]}


# --- participants ---------------------------------------------------------------------------------


def _summary_wanted(entry: Entry, asking: Asking) -> bool:
    stage = asking.query.stage
    shown = enrolment.shown(entry[0].item, day_of(asking.on, _zone(entry)))
    return _at_site(entry, asking.query) and stage in (None, shown["stage"])


def _summary(entry: Entry, asking: Asking) -> dict[str, Any]:
    return enrolment.shown(entry[0].item, day_of(asking.on, _zone(entry)))


def _summaries(reading: Reading, asking: Asking, after: Place | None, limit: int) -> list[Any]:
    return reading.rows(
        "enrolment",
        "page",
        after=after[0] if after else "",
        site=asking.query.site,
        stage=asking.query.stage,
        limit=limit,
    )


# --- eligibility ----------------------------------------------------------------------------------


def _by_participant(rows: Sequence[Row]) -> Iterator[Entry]:
    for _, of_one in groupby(rows, key=lambda row: row.participant):
        yield tuple(of_one)


def _verdict_wanted(entry: Entry, asking: Asking) -> bool:
    verdict = asking.query.verdict
    return _at_site(entry, asking.query) and verdict in (None, entry[0].columns["verdict"])


def _verdict(entry: Entry, asking: Asking) -> dict[str, Any]:
    head = next(row for row in entry if row.key == eligibility.VERDICT)
    protocol = asking.trial.protocols[head.item["protocol"]]
    return eligibility.shown(entry, protocol, day_of(asking.on, _zone(entry)))


def _verdicts(reading: Reading, asking: Asking, after: Place | None, limit: int) -> list[Any]:
    return reading.rows(
        "eligibility",
        "page",
        after=after[0] if after else "",
        site=asking.query.site,
        verdict=asking.query.verdict,
        limit=limit,
    )


def _key(entry: Entry) -> Place:
    return (entry[0].participant, entry[0].key)


def _awaited_wanted(entry: Entry, asking: Asking) -> bool:
    query, row = asking.query, entry[0]
    return (
        row.columns["awaited"] is True
        and _at_site(entry, query)
        and query.criterion in (None, row.columns["criterion"])
        and query.participant in (None, row.participant)
    )


def _awaited(entry: Entry, _asking: Asking) -> dict[str, Any]:
    return eligibility.awaited(entry[0])


def _missing(reading: Reading, asking: Asking, after: Place | None, limit: int) -> list[Any]:
    participant, key = after or ("", "")
    return reading.rows(
        "eligibility",
        "missing",
        after=participant,
        after_key=key,
        site=asking.query.site,
        criterion=asking.query.criterion,
        participant=asking.query.participant,
        limit=limit,
    )


# --- schedule -------------------------------------------------------------------------------------


def _dated(column: str) -> Callable[[Entry], Place]:
    def place(entry: Entry) -> Place:
        day = entry[0].columns[column]
        assert isinstance(day, date)
        return (day.isoformat(), entry[0].participant, entry[0].key)

    return place


def _visit_wanted(entry: Entry, asking: Asking) -> bool:
    query, row = asking.query, entry[0]
    day = row.columns["day"]
    assert isinstance(day, date)
    if not _at_site(entry, query) or not _within(day, query):
        return False
    if query.participant not in (None, row.participant):
        return False
    return query.status is None or query.status == _visit(entry, asking)["status"]


def _within(day: date, query: Query) -> bool:
    """A visit without any day lies in no range, and in the list without one."""
    if query.first is None and query.last is None:
        return True
    return day != NO_DAY and (query.first or FIRST_DAY) <= day <= (query.last or NO_DAY)


def _visit(entry: Entry, asking: Asking) -> dict[str, Any]:
    shown = schedule.shown(entry[0].item, day_of(asking.on, _zone(entry)))
    return {**_whose(entry[0]), **shown}


def _visits(reading: Reading, asking: Asking, after: Place | None, limit: int) -> list[Any]:
    query = asking.query
    return reading.rows(
        "schedule",
        "page",
        **_after_day(after),
        first=query.first or FIRST_DAY,
        last=query.last or NO_DAY,
        site=query.site,
        participant=query.participant,
        status=query.status,
        on=asking.on.last,
        limit=limit,
    )


# --- calendars ------------------------------------------------------------------------------------


def _entry_wanted(entry: Entry, asking: Asking) -> bool:
    query, row = asking.query, entry[0]
    here = bool(row.columns["current"]) if query.site is None else _at_site(entry, query)
    return here and query.participant in (None, row.participant)


def _entry_place(entry: Entry) -> Place:
    return (entry[0].participant, entry[0].key)


def _entry(entry: Entry, _asking: Asking) -> dict[str, Any]:
    return {**_whose(entry[0]), **entry[0].item}


def _entries(reading: Reading, asking: Asking, after: Place | None, limit: int) -> list[Any]:
    first, key = after or ("", "")
    asked = {"site": asking.query.site, "participant": asking.query.participant}
    return reading.rows("calendar", "page", after=first, after_key=key, limit=limit, **asked)


# --- the matrix -----------------------------------------------------------------------------------


def columns_of(trial: Trial) -> list[str]:
    """The visits of every version, in the order of the latest."""
    versions = reversed(list(trial.protocols.values()))
    return list(dict.fromkeys(visit.code for one in versions for visit in one.calendar))


def _columns(asking: Asking) -> dict[str, Any]:
    return {"visits": columns_of(asking.trial)}


def _matrix_wanted(entry: Entry, asking: Asking) -> bool:
    return _at_site(entry, asking.query)


def _matrix_row(entry: Entry, asking: Asking) -> dict[str, Any]:
    order = {code: number for number, code in enumerate(columns_of(asking.trial))}
    day = day_of(asking.on, _zone(entry))
    rows = sorted(entry, key=lambda row: (order.get(str(row.columns["visit"]), 999), row.key))
    visits = {row.key: schedule.cell(row.item, day) for row in rows}
    return {**_whose(entry[0]), "visits": visits}


def _matrix(reading: Reading, asking: Asking, after: Place | None, limit: int) -> list[Any]:
    first = after[0] if after else ""
    return reading.rows("schedule", "matrix", after=first, site=asking.query.site, limit=limit)


# --- days -----------------------------------------------------------------------------------------


def _after_day(after: Place | None) -> dict[str, Any]:
    day, participant, key = after or (FIRST_DAY.isoformat(), "", "")
    return {
        "after_day": date.fromisoformat(str(day)),
        "after": participant,
        "after_key": key,
    }


# --- safety and deviations ------------------------------------------------------------------------


def _event_wanted(entry: Entry, asking: Asking) -> bool:
    return entry[0].columns["kind"] == safety.EVENT and _at_site(entry, asking.query)


def _event(entry: Entry, asking: Asking) -> dict[str, Any]:
    shown = safety.shown(entry[0].item, moment_of(asking.on, _zone(entry)))
    return {**_whose(entry[0]), **shown}


def _events(reading: Reading, asking: Asking, after: Place | None, limit: int) -> list[Any]:
    site = asking.query.site
    return reading.rows("safety", "page", **_after_day(after), site=site, limit=limit)


def _deviation_wanted(entry: Entry, asking: Asking) -> bool:
    return _at_site(entry, asking.query)


def _deviation_place(entry: Entry) -> Place:
    position = entry[0].columns["position"]
    assert isinstance(position, int)
    return (position, entry[0].key)


def _deviation(entry: Entry, _asking: Asking) -> dict[str, Any]:
    return {**_whose(entry[0]), **entry[0].item}


def _deviations(reading: Reading, asking: Asking, after: Place | None, limit: int) -> list[Any]:
    first = after[0] if after else 0
    return reading.rows("deviations", "page", after=first, site=asking.query.site, limit=limit)


LISTS: Mapping[str, Listing] = MappingProxyType(
    {
        "participants": Listing(
            enrolment.VIEW,
            (str,),
            _singly,
            _participant,
            _summary_wanted,
            _summary,
            _summaries,
            by_participant=True,
        ),
        "eligibility": Listing(
            eligibility.VIEW,
            (str,),
            _by_participant,
            _participant,
            _verdict_wanted,
            _verdict,
            _verdicts,
            by_participant=True,
        ),
        "missing": Listing(
            eligibility.VIEW,
            (str, str),
            _singly,
            _key,
            _awaited_wanted,
            _awaited,
            _missing,
            by_participant=True,
        ),
        "schedule": Listing(
            schedule.VIEW,
            (date, str, str),
            _singly,
            _dated("day"),
            _visit_wanted,
            _visit,
            _visits,
        ),
        "matrix": Listing(
            schedule.VIEW,
            (str,),
            _by_participant,
            _participant,
            _matrix_wanted,
            _matrix_row,
            _matrix,
            _columns,
            by_participant=True,
        ),
        "calendar": Listing(
            calendar.VIEW,
            (str, str),
            _singly,
            _entry_place,
            _entry_wanted,
            _entry,
            _entries,
            by_participant=True,
        ),
        "safety": Listing(
            safety.VIEW,
            (date, str, str),
            _singly,
            _dated("onset"),
            _event_wanted,
            _event,
            _events,
        ),
        "deviations": Listing(
            deviations.VIEW,
            (int, str),
            _singly,
            _deviation_place,
            _deviation_wanted,
            _deviation,
            _deviations,
        ),
    }
)
"""List of a study -> how it is made."""
