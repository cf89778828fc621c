"""Filling generations that are being built: everybody's rows as of their position, by COPY.

Each participant is read and folded once for all views that are built together. What is written is
several transactions: rows of generations that nobody reads, so that it does not matter where a
process is killed.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from domain import participant as journey
from domain.trial.study import Trial
from infra.ledger.types import StoreAway, Stored
from infra.projection.behind import Behind
from infra.projection.folds import recorded
from infra.projection.shapes import RowShape
from infra.projection.sharing import Place, Range, Sharing
from infra.projection.tables import Cursor, ViewTables

COPY_ROWS = 5_000
"""So many rows of a range, of all views, are written at once while the next ones are computed."""

Progress = Callable[[int, int], None]
"""Told how many of the log's events are done, and how many there are."""


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


@dataclass(frozen=True, slots=True)
class Filling:
    """Fills generations with the rows of a range, as of the position at which all of them stand."""

    cursors: Sequence[Cursor]

    def on(self, place: Place, one: Range) -> Filled:
        """Read, fold and have the rows written, the last of them behind. Raises StoreAway."""
        position = self.cursors[0].position
        part = _Part(place.tables, place.trial(position), self.cursors)
        log = place.folds.ledger
        for stored in log.histories(place.study, one.first, position, one.before):
            part.take_in(stored)
            part.written(place.behind, COPY_ROWS)
        part.written(place.behind)
        return part.filled


def fill(sharing: Sharing, cursors: Sequence[Cursor], progress: Progress) -> Filled:
    """The rows of every participant as of the position at which all the cursors stand.

    Raises StoreAway, and BrokenProcessPool when a process that helps was killed.
    """
    position = cursors[0].position
    whole = Filled(sharing.place.trial(position).version)
    with closing(sharing.each(Filling(cursors))) as found:
        for filled in found:
            whole.add(filled)
            progress(whole.events, position)
            if len(whole.halted) == len(cursors):
                break
    progress(position, position)
    return whole


@dataclass(slots=True)
class _Waiting:
    """Rows that are not written yet, by view, and participants whom a view leaves out."""

    rows: dict[str, list[RowShape]] = field(default_factory=dict)
    parked: list[tuple[Cursor, str, str]] = field(default_factory=list)
    count: int = 0

    def write(self, tables: ViewTables, study: str, cursors: Sequence[Cursor]) -> None:
        """Write all of it, in one transaction."""
        with tables.writing(study) as writing:
            for cursor in cursors:
                if rows := self.rows.get(cursor.view):
                    writing.copy(cursor, rows)
            for cursor, name, kind in self.parked:
                writing.park(cursor, name, cursor.position, kind)


class _Part:
    """Rows of a few participants, and what came of them."""

    def __init__(self, tables: ViewTables, trial: Trial, cursors: Sequence[Cursor]) -> None:
        self._tables = tables
        self._trial = trial
        self._cursors = cursors
        self._waiting = _Waiting()
        self.filled = Filled()
        """What comes of all that was taken in, when all of it is written."""

    def take_in(self, stored: Sequence[Stored]) -> None:
        """A participant's whole history. Raises StoreAway."""
        name = stored[0].stream
        try:
            state = journey.replay(name, map(recorded, stored))
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it concerns this participant
            for cursor in self._cursors:
                self._failed(cursor, name, error)
            return
        self.filled.events += len(stored)
        for cursor in self._cursors:
            if cursor.view in self.filled.halted:
                continue
            try:
                rows = self._tables.views[cursor.view].of(self._trial, state).values()
            except StoreAway:
                raise
            except Exception as error:  # noqa: BLE001  as above
                self._failed(cursor, name, error)
                continue
            self._put(cursor.view, rows)

    def written(self, behind: Behind, at_least: int = 1) -> None:
        """Have what waits written, if it is so much. Raises what writing before it raised."""
        waiting = self._waiting
        if waiting.count >= at_least:
            self._waiting = _Waiting()
            behind.do(partial(waiting.write, self._tables, self._trial.study, self._cursors))

    def _put(self, view: str, rows: Collection[RowShape]) -> None:
        self._waiting.rows.setdefault(view, []).extend(rows)
        self._waiting.count += len(rows)
        self.filled.rows[view] = self.filled.rows.get(view, 0) + len(rows)

    def _failed(self, cursor: Cursor, name: str, error: Exception) -> None:
        kind = type(error).__name__
        if self._tables.views[cursor.view].halts:
            self.filled.halted[cursor.view] = kind
        else:
            self._waiting.parked.append((cursor, name, kind))
            self._waiting.count += 1
