"""Work on a study's participants, by ranges of their names, shared with processes beside this one.

This process takes ranges too. What a range's work writes belongs to generations that nobody reads,
so that it does not matter where a process is killed.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from typing import Any, Protocol, TypeVar

from psycopg import Connection

from domain.trial.study import Trial
from infra.interpreter import set_to_fold
from infra.ledger.ledger import Log
from infra.postgres.pool import connect, conninfo_of
from infra.projection.behind import Behind
from infra.projection.folds import Folds
from infra.projection.tables import SQL, ViewTables

RANGE_PARTICIPANTS = 50
"""So many are one range: whoever is done early takes what is left."""
RANGES_EACH = 16
"""Where there are fewer for each process, they are done before another has even started."""
WIDE_RANGES_EACH = 4
AHEAD_RANGES = 2
"""So many are handed to each helping process at once, so that it need not wait for the next."""

Opened = Callable[[], tuple[Folds, ViewTables]]
"""Opens the store in another process; it has to be found there by its name."""

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Beside:
    """So many processes in all, this one included."""

    count: int
    opened: Opened


@dataclass(frozen=True, slots=True)
class Range:
    """Participants by name. The ranges of a study touch each other: whatever name there is, also
    one that the log does not know, is in one of them."""

    first: str = ""
    """Included."""
    before: str | None = None
    """Not included; None: to the end."""

    def has(self, name: str) -> bool:
        """Whether the participant is one of them."""
        return self.first <= name and (self.before is None or name < self.before)


@dataclass(slots=True)
class Place:
    """Where a range's work is done: the store, and what is kept from range to range."""

    folds: Folds
    tables: ViewTables
    study: str
    behind: Behind = field(default_factory=Behind)
    """What a range's work leaves to be written while the next range's is done."""
    _trials: dict[int, Trial] = field(default_factory=dict)

    def trial(self, position: int) -> Trial:
        """The study as of a position."""
        if position not in self._trials:
            self._trials[position] = self.folds.trial(self.study, position)
        return self._trials[position]


class Job(Protocol[T_co]):
    """What is done with each range; it goes to other processes as it is."""

    def on(self, place: Place, one: Range) -> T_co:
        """Do it, but for what is left to `place.behind`. Raises StoreAway."""


def ranges(log: Log, study: str) -> list[Range]:
    """The study's participants in ranges of names."""
    firsts, after = [""], ""
    while page := log.participants(study, after, RANGE_PARTICIPANTS):
        if after:
            firsts.append(page[0])
        after = page[-1]
    return [Range(*bounds) for bounds in zip(firsts, [*firsts[1:], None], strict=True)]


class Sharing:
    """This process, and those that help it."""

    def __init__(
        self,
        place: Place,
        todo: Sequence[Range],
        pool: ProcessPoolExecutor | None = None,
        helping: int = 0,
    ) -> None:
        self.place = place
        self._ranges = todo
        self._pool = pool
        self._ahead = AHEAD_RANGES * helping

    def each(self, job: Job[T]) -> Generator[T, None, None]:
        """What came of each range, in no order.

        Raises StoreAway, and BrokenProcessPool when a process that helps was killed.
        """
        return self._each(job, self._ranges)

    def widely(self, job: Job[T]) -> Generator[T, None, None]:
        """The same of few ranges, for work that costs more to begin than to go on with."""
        size = -(-len(self._ranges) // max(1, WIDE_RANGES_EACH * self._ahead))
        return self._each(
            job, [_joined(self._ranges[at : at + size]) for at in range(0, len(self._ranges), size)]
        )

    def _each(self, job: Job[T], parts: Sequence[Range]) -> Generator[T, None, None]:
        todo, there = deque(parts), set[Future[T]]()
        try:
            while todo or there:
                while self._pool is not None and todo and len(there) < self._ahead:
                    there.add(self._pool.submit(_do_there, job, todo.popleft()))
                if todo:
                    yield job.on(self.place, todo.popleft())
                done, there = wait(there, 0 if todo else None, FIRST_COMPLETED)
                for one in done:
                    yield one.result()
            self.place.behind.done()
        finally:
            for one in there:
                one.cancel()
            wait(there)


def _joined(parts: Sequence[Range]) -> Range:
    return Range(parts[0].first, parts[-1].before)


@contextmanager
def sharing(
    folds: Folds, tables: ViewTables, study: str, views: Sequence[str], beside: Beside
) -> Iterator[Sharing]:
    """The study's ranges, shared with as many processes as are worth their start."""
    place, todo = Place(folds, tables, study), ranges(folds.ledger, study)
    helping = min(beside.count, len(todo) // RANGES_EACH) - 1
    if helping < 1:
        with place.behind:
            yield Sharing(place, todo)
        return
    pool = ProcessPoolExecutor(
        helping,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(beside.opened, study, views),
    )
    try:
        with place.behind:
            yield Sharing(place, todo, pool, helping)
    finally:
        pool.shutdown(cancel_futures=True)


# --- in a process that helps ----------------------------------------------------------------------

_working: list[Place] = []
"""What it was started for."""

_held: list[Connection[tuple[Any, ...]]] = []
"""Its connections stay open as long as it lives."""


def _begin(opened: Opened, study: str, views: Sequence[str]) -> None:
    """Before its first range."""
    set_to_fold()
    folds, tables = opened()
    # Held as long as this process lives: no other rebuild of the views begins meanwhile, whose
    # generation might get this number. Whoever started this process may be gone by now: then
    # nothing is written any more.
    held = connect(conninfo_of(tables.pool))
    for view in views:
        held.execute(SQL["help_rebuild"], {"study": study, "view": view})
    _held.append(held)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    parent = parent_process()
    if parent is None or not parent.is_alive():
        os._exit(1)
    _working.append(Place(folds, tables, study))


def _end_with_parent() -> None:
    """A parent that is killed leaves nobody at work."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
    os._exit(1)


def _do_there(job: Job[T], one: Range) -> T:
    place = _working[-1]
    found = job.on(place, one)
    # Whoever asked takes the range for done from here on.
    place.behind.done()
    return found
