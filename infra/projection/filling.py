"""Filling generations that are being built: everybody's rows as of their position, by COPY.

Each participant is read and folded once for all views that are built together. What is written is
several transactions: rows of generations that nobody reads, so that it does not matter where a
process is killed.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from domain import participant as journey
from domain.trial.study import Trial
from infra.ledger.types import StoreAway, Stored
from infra.projection.folds import recorded
from infra.projection.shapes import RowShape
from infra.projection.sharing import Place, Range, Sharing
from infra.projection.tables import Cursor, ViewTables

COPY_ROWS = 5_000

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
        """Read, fold and write. Raises StoreAway."""
        position = self.cursors[0].position
        part = _Part(place.tables, place.trial(position), self.cursors)
        whole = Filled()
        log = place.folds.ledger
        for stored in log.histories(place.study, one.first, position, one.before):
            part.take_in(stored)
            if part.waiting >= COPY_ROWS:
                whole.add(part.written())
        whole.add(part.written())
        return whole


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
