"""Filling generations that are being built: everybody's rows as of their position, by COPY.

Each participant is read and folded once for all views that are built together. For several
processes participants are divided into ranges of names. What is written is several transactions:
rows of generations that nobody reads, so that it does not matter where a process is killed.
"""

import os
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from typing import Any

from psycopg import Connection

from domain import participant as journey
from domain.trial.study import Trial
from infra.garbage import looked_for_seldom
from infra.ledger.ledger import Log
from infra.ledger.types import StoreAway, Stored
from infra.postgres.pool import connect, conninfo_of
from infra.projection.folds import Folds, recorded
from infra.projection.shapes import RowShape
from infra.projection.tables import SQL, Cursor, ViewTables

COPY_ROWS = 5_000
RANGE_PARTICIPANTS = 200
"""So many are one range: processes that are done early take what is left."""
RANGES_EACH = 4
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

    first: str = ""
    last: str | None = None
    """None: to the end."""


@dataclass(slots=True)
class Filled:
    """What came of some participants."""

    events: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    """View -> how many were written."""
    halted: dict[str, str] = field(default_factory=dict)
    """View that may have no gaps -> the kind of error at which it stopped."""

    def add(self, other: "Filled") -> None:
        """What came of others too."""
        self.events += other.events
        for view, count in other.rows.items():
            self.rows[view] = self.rows.get(view, 0) + count
        self.halted |= other.halted


def fill(
    folds: Folds,
    tables: ViewTables,
    study: str,
    cursors: Sequence[Cursor],
    progress: Progress,
    beside: Beside,
) -> Filled:
    """The rows of every participant as of the position at which all the cursors stand.

    Raises StoreAway, and BrokenProcessPool when a process that helps was killed.
    """
    position = cursors[0].position
    trial = folds.trial(study, position)
    todo = ranges(folds.ledger, study) if beside.count > 1 else []
    helping = min(beside.count, len(todo) // RANGES_EACH)
    found = (
        _beside(study, cursors, todo, Beside(helping, beside.opened))
        if helping > 1
        else fill_range(folds, tables, cursors, trial, Range())
    )
    whole = Filled(trial.version)
    with closing(found):
        for filled in found:
            whole.add(filled)
            progress(whole.events, position)
            if len(whole.halted) == len(cursors):
                break
    progress(position, position)
    return whole


def ranges(log: Log, study: str) -> list[Range]:
    """The study's participants in ranges of names."""
    found, after = [], ""
    while page := log.participants(study, after, RANGE_PARTICIPANTS):
        found.append(Range(page[0], page[-1]))
        after = page[-1]
    return found


def fill_range(
    folds: Folds, tables: ViewTables, cursors: Sequence[Cursor], trial: Trial, one: Range
) -> Generator[Filled, None, None]:
    """The rows of the participants of a range, part by part."""
    part = _Part(tables, trial, cursors)
    for stored in folds.ledger.histories(trial.study, one.first, cursors[0].position):
        if one.last is not None and stored[0].stream > one.last:
            break
        part.take_in(stored)
        if part.waiting >= COPY_ROWS:
            yield part.written()
    yield part.written()


class _Part:
    """Rows of a few participants, written together."""

    def __init__(self, tables: ViewTables, trial: Trial, cursors: Sequence[Cursor]) -> None:
        self._tables = tables
        self._trial = trial
        self._views = [(cursor, tables.views[cursor.view]) for cursor in cursors]
        self._rows: dict[str, list[RowShape]] = {cursor.view: [] for cursor in cursors}
        self._parked: list[tuple[Cursor, str, str]] = []
        self._halted: dict[str, str] = {}
        self._events = 0
        self.waiting = 0
        """How many rows are not written yet."""

    def take_in(self, stored: Sequence[Stored]) -> None:
        """A participant's whole history. Raises StoreAway."""
        name = stored[0].stream
        try:
            state = journey.replay(name, map(recorded, stored))
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it concerns this participant
            for cursor, _ in self._views:
                self._failed(cursor, name, error)
            return
        self._events += len(stored)
        for cursor, view in self._views:
            if view.name in self._halted:
                continue
            try:
                rows = view.of(self._trial, state).values()
            except StoreAway:
                raise
            except Exception as error:  # noqa: BLE001  as above
                self._failed(cursor, name, error)
                continue
            self._rows[view.name].extend(rows)
            self.waiting += len(rows)

    def written(self) -> Filled:
        """Write what waits; what came of the participants since the last time."""
        filled = Filled(self._events, halted=dict(self._halted))
        with self._tables.writing(self._trial.study) as writing:
            for cursor, view in self._views:
                if rows := self._rows[view.name]:
                    filled.rows[view.name] = writing.copy(cursor, rows)
            for cursor, name, kind in self._parked:
                writing.park(cursor, name, cursor.position, kind)
        for rows in self._rows.values():
            rows.clear()
        self._parked.clear()
        self._events = self.waiting = 0
        return filled

    def _failed(self, cursor: Cursor, name: str, error: Exception) -> None:
        kind = type(error).__name__
        if self._tables.views[cursor.view].halts:
            self._halted[cursor.view] = kind
        else:
            self._parked.append((cursor, name, kind))


# --- processes beside this one --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Work:
    """What a helping process keeps from range to range."""

    folds: Folds
    tables: ViewTables
    cursors: Sequence[Cursor]
    trial: Trial


_working: list[_Work] = []
"""Of a helping process alone: what it was started for."""

_held: list[Connection[tuple[Any, ...]]] = []
"""Of a helping process alone: its connections stay open as long as it lives."""


def _beside(
    study: str, cursors: Sequence[Cursor], todo: Sequence[Range], beside: Beside
) -> Generator[Filled, None, None]:
    pool = ProcessPoolExecutor(
        beside.count,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(beside.opened, study, cursors),
    )
    try:
        waiting: list[Future[Filled]] = [pool.submit(_fill_there, one) for one in todo]
        for one in as_completed(waiting):
            yield one.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(opened: Opened, study: str, cursors: Sequence[Cursor]) -> None:
    """In the helping process, before its first range."""
    looked_for_seldom()
    folds, tables = opened()
    # Held as long as this process lives: no other rebuild of the views begins meanwhile, whose
    # generation might get this number. Whoever started this process may be gone by now: then
    # nothing is written any more.
    held = connect(conninfo_of(tables.pool))
    for cursor in cursors:
        held.execute(SQL["help_rebuild"], {"study": study, "view": cursor.view})
    _held.append(held)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    parent = parent_process()
    if parent is None or not parent.is_alive():
        os._exit(1)
    _working.append(_Work(folds, tables, cursors, folds.trial(study, cursors[0].position)))


def _end_with_parent() -> None:
    """A parent that is killed leaves nobody at work."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os._exit(1)


def _fill_there(one: Range) -> Filled:
    work, whole = _working[-1], Filled()
    for filled in fill_range(work.folds, work.tables, work.cursors, work.trial, one):
        whole.add(filled)
    return whole
