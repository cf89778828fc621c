"""The worklist: what waits for somebody today, from the schedule, the clocks and the consents."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from domain.time import When
from domain.trial.study import zone_named
from infra.projection.tables import Reading
from projections import enrolment, schedule
from projections.view import Row
from services.views.asked import Place, Query, day_of
from services.views.figures import owed_clocks

CLOSING_DAYS = 3
"""A window that closes within so many days is closing, unless the reader says otherwise."""

OPENING_DAYS = 14
"""A window that opens within so many days should have a booking."""

EXPIRING_DAYS = 7
"""An eligibility whose screening ends within so many days is about to expire."""

WORK_MAX = 1_000
"""So many rows of each source are looked at; a list that long is a problem of its own."""

VIEWS = ("schedule", "safety", "enrolment")
PLACE = (str, str, str, str)

Work = tuple[Place, dict[str, Any]]


def found(reading: Reading, query: Query, on: When) -> Iterator[Work]:
    """Everything that waits, from the tables."""
    asked = {"site": query.site, "limit": WORK_MAX}
    visits: dict[tuple[str, str], Any] = {}
    soon = on.last + timedelta(days=OPENING_DAYS + 1)
    for statement, more in (("open", {}), ("booked", {}), ("opening", {"before": soon})):
        for row in reading.rows("schedule", statement, on=on.last, **more, **asked):
            visits[row.participant, row.key] = row
    yield from of_visits(visits.values(), on, closing_days(query))
    owed: list[Any] = list(reading.rows("safety", "owed", **asked))
    yield from of_clocks(owed, on)
    before = on.last + timedelta(days=EXPIRING_DAYS + 2)
    rows: list[Any] = [
        *reading.rows("enrolment", "reconsents", **asked),
        *reading.rows("enrolment", "expiring", before=before, **asked),
    ]
    yield from of_summaries({row.participant: row for row in rows}.values(), on)


def closing_days(query: Query) -> int:
    """Within how many days a window closes that is closing."""
    return CLOSING_DAYS if query.within is None else query.within


def of_visits(rows: Iterable[Row], on: When, closing: int = CLOSING_DAYS) -> Iterator[Work]:
    """Visits that are booked for today, overdue, closing, open or without a booking."""
    for row in rows:
        today = day_of(on, zone_named(str(row.columns["zone"])))
        shown = schedule.shown(row.item, today)
        due = shown["latest"] or shown["target"] or today.isoformat()
        for task in _tasks(row, shown, today, closing):
            yield _work(row, task, due, shown)


def _tasks(row: Row, shown: dict[str, Any], today: date, closing: int) -> Iterator[str]:
    unbooked = row.columns["booked_on"] is None
    if row.columns["lapsed"] and row.columns["booked_on"] != today:
        # The log says that nothing came of it: it waits for nobody, on whatever day one looks.
        return
    if row.columns["booked_on"] == today:
        yield "today"
    elif shown["status"] == "overdue":
        yield "overdue"
    elif shown["status"] == "due":
        task = _due(shown, today, closing)
        if task != "due" or not unbooked:
            yield task
    if unbooked and (shown["status"] == "due" or _opens_soon(shown, today)):
        yield "nothing-booked"


def _due(shown: dict[str, Any], today: date, closing: int) -> str:
    if shown["target"] == today.isoformat():
        return "today"
    latest = shown["latest"]
    closes = date.fromisoformat(latest) - today if latest else None
    return "closing" if closes is not None and closes.days <= closing else "due"


def _opens_soon(shown: dict[str, Any], today: date) -> bool:
    if shown["status"] != "upcoming":
        return False
    opens = date.fromisoformat(shown["earliest"] or shown["target"])
    return (opens - today).days <= OPENING_DAYS


def of_clocks(rows: Iterable[Row], on: When) -> Iterator[Work]:
    """Reports that are owed."""
    for clock in owed_clocks(rows, on):
        task = f"clock-{clock['status']}"
        key = f"{clock['ae']}/{clock['clock']}/{clock['occasion']}"
        place = (clock["due_at"][:10], clock["participant"], task, key)
        yield place, {"task": task, "due": clock["due_at"], **clock}


def of_summaries(rows: Iterable[Row], on: When) -> Iterator[Work]:
    """Consents to renew, and eligibilities that are about to end by themselves."""
    for row in rows:
        today = day_of(on, zone_named(str(row.columns["zone"])))
        form = row.columns["reconsent_due"]
        if form is not None:
            yield _work(row, "re-consent", today.isoformat(), {"form_version": form})
        until = row.columns["stage_until"]
        if not isinstance(until, date) or enrolment.shown(row.item, today)["stage"] != "eligible":
            continue
        last = until - timedelta(days=1)
        if (last - today).days <= EXPIRING_DAYS:
            yield _work(row, "eligibility-expiring", last.isoformat(), {})


def _work(row: Row, task: str, due: str, about: dict[str, Any]) -> Work:
    whose = {"participant": row.participant, "site": row.columns["site"]}
    return (due, row.participant, task, row.key), {**whose, "task": task, "due": due, **about}
