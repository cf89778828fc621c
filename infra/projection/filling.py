"""Filling a generation that is being built: everybody's rows as of its position, by COPY.

Participants are divided into ranges of names; each is read, folded and written by itself, here or
in processes beside this one. What a range writes is one transaction or several: rows of a
generation that nobody reads, so that it does not matter where a process is killed.
"""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from typing import Any

from psycopg import Connection

from domain import participant as journey
from domain.trial.study import Trial
from infra.ledger.ledger import Log
from infra.ledger.types import StoreAway, Stored
from infra.postgres.pool import connect, conninfo_of
from infra.projection.batch import Halted
from infra.projection.folds import Folds, recorded
from infra.projection.shapes import RowShape, ViewShape
from infra.projection.tables import SQL, Cursor, ViewTables

COPY_ROWS = 5_000
RANGE_PARTICIPANTS = 200
"""So many are one range: processes that are done early take what is left."""
RANGES_EACH = 8
"""Where there are fewer for each process, they are filled before it has even started."""

Progress = Callable[[int, int], None]
"""Told how many of the log's events are done, and how many there are."""

Opened = Callable[[], tuple[Folds, ViewTables]]
"""Opens the store in another process; it has to be found there by its name."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Processes that help."""

    count: int
    opened: Opened


@dataclass(frozen=True, slots=True)
class Range:
    """Participants by name, first and last included."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Filled:
    """What came of a range."""

    rows: int
    events: int
    halted: str | None = None
    """The kind of error at which a view stopped that may have no gaps."""


def fill(
    folds: Folds, tables: ViewTables, study: str, cursor: Cursor, progress: Progress, beside: Beside
) -> int:
    """The rows of every participant as of the cursor's position; how many. Raises Halted,
    StoreAway, and BrokenProcessPool when a process that helps was killed."""
    trial = folds.trial(study, cursor.position)
    todo = ranges(folds.ledger, study)
    done, count = trial.version, 0
    helping = min(beside.count, len(todo) // RANGES_EACH)
    found = (
        _beside(study, cursor, todo, Beside(helping, beside.opened))
        if helping > 1
        else (fill_range(folds, tables, cursor, trial, one) for one in todo)
    )
    with closing(found):
        for filled in found:
            if filled.halted is not None:
                raise Halted(cursor, cursor.position, filled.halted)
            done, count = done + filled.events, count + filled.rows
            progress(done, cursor.position)
    progress(cursor.position, cursor.position)
    return count


def ranges(log: Log, study: str) -> list[Range]:
    """The study's participants in ranges of names."""
    found, after = [], ""
    while page := log.participants(study, after, RANGE_PARTICIPANTS):
        found.append(Range(page[0], page[-1]))
        after = page[-1]
    return found


def fill_range(
    folds: Folds, tables: ViewTables, cursor: Cursor, trial: Trial, one: Range
) -> Filled:
    """The rows of the participants of a range."""
    view, study = tables.views[cursor.view], trial.study
    waiting: list[RowShape] = []
    rows = events = 0
    for stored in folds.ledger.histories(study, one.first, cursor.position):
        name = stored[0].stream
        if name > one.last:
            break
        try:
            waiting.extend(_rows(view, trial, stored))
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it concerns this participant
            kind = type(error).__name__
            if view.halts:
                return Filled(rows, events, kind)
            with tables.writing(study) as writing:
                writing.park(cursor, name, cursor.position, kind)
            continue
        events += len(stored)
        if len(waiting) >= COPY_ROWS:
            rows += _copy(tables, study, cursor, waiting)
            waiting = []
    return Filled(rows + _copy(tables, study, cursor, waiting), events)


def _rows(view: ViewShape, trial: Trial, stored: Sequence[Stored]) -> list[RowShape]:
    state = journey.replay(stored[0].stream, map(recorded, stored))
    return list(view.of(trial, state).values())


def _copy(tables: ViewTables, study: str, cursor: Cursor, rows: list[RowShape]) -> int:
    if not rows:
        return 0
    with tables.writing(study) as writing:
        return writing.copy(cursor, rows)


# --- processes beside this one --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Work:
    """What a helping process keeps from range to range."""

    folds: Folds
    tables: ViewTables
    cursor: Cursor
    trial: Trial


_working: list[_Work] = []
"""Of a helping process alone: what it was started for."""

_held: list[Connection[tuple[Any, ...]]] = []
"""Of a helping process alone: its connections stay open as long as it lives."""


def _beside(
    study: str, cursor: Cursor, todo: Sequence[Range], beside: Beside
) -> Generator[Filled, None, None]:
    pool = ProcessPoolExecutor(
        beside.count,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(beside.opened, study, cursor),
    )
    try:
        waiting: list[Future[Filled]] = [pool.submit(_fill_there, one) for one in todo]
        for one in as_completed(waiting):
            yield one.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(opened: Opened, study: str, cursor: Cursor) -> None:
    """In the helping process, before its first range."""
    folds, tables = opened()
    # Held as long as this process lives: no other rebuild of the view begins meanwhile, whose
    # generation might get this number. Whoever started this process may be gone by now: then
    # nothing is written any more.
    held = connect(conninfo_of(tables.pool))
    held.execute(SQL["help_rebuild"], {"study": study, "view": cursor.view})
    _held.append(held)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    parent = parent_process()
    if parent is None or not parent.is_alive():
        os._exit(1)
    _working.append(_Work(folds, tables, cursor, folds.trial(study, cursor.position)))


def _end_with_parent() -> None:
    """A parent that is killed leaves nobody at work."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os._exit(1)


def _fill_there(one: Range) -> Filled:
    work = _working[-1]
    return fill_range(work.folds, work.tables, work.cursor, work.trial, one)
