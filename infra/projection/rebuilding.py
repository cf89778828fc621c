"""Rebuilding: a new generation of a view beside the one that is read, then the swap.

Readers see the old generation until one transaction makes the new one active. A crash before that
leaves rows nobody reads; the next rebuild removes them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from infra.postgres.pool import connect, conninfo_of
from infra.projection.filling import Beside, Progress, fill
from infra.projection.folds import Folds
from infra.projection.lane import Lane
from infra.projection.partitions import Partition, divide_one
from infra.projection.tables import SQL, Cursor, ViewTables


class RebuildUnderWay(Exception):
    """Another process rebuilds the same view."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of a rebuild."""

    view: str
    generation: int
    position: int
    rows: int
    """How many were written before the last events were taken in."""
    digest: str
    digest_before: str
    """Of the generation that was read so far, at the same position."""

    @property
    def same(self) -> bool:
        """Whether the rows kept live were those that the log gives."""
        return self.digest == self.digest_before


def rebuild(
    folds: Folds, tables: ViewTables, study: str, name: str, progress: Progress, beside: Beside
) -> Rebuilt:
    """Build a view anew and swap it in; see the module. Raises RebuildUnderWay, Halted."""
    tables.begin(study)
    with _alone(tables, study, name):
        _clear_leftovers(tables, study, name)
        cursor = _begin(tables, study, name)
        rows = fill(folds, tables, study, cursor, progress, beside)
        lane = Lane.open(folds, tables, study, [cursor])
        _follow(tables, study, lane, name)
        rebuilt = _swap(folds, tables, study, lane, rows)
        _clear_leftovers(tables, study, name)
        return rebuilt


@contextmanager
def _alone(tables: ViewTables, study: str, name: str) -> Iterator[None]:
    """Nobody else rebuilds the view meanwhile; the lock ends with the connection."""
    with connect(conninfo_of(tables.pool)) as connection:
        row = connection.execute(SQL["try_rebuild"], {"study": study, "view": name}).fetchone()
        if row is None or not row[0]:
            raise RebuildUnderWay(name)
        # Of a rebuild that was killed a process may still be ending.
        row = connection.execute(SQL["helped_rebuild"], {"study": study, "view": name}).fetchone()
        if row is None or not row[0]:
            raise RebuildUnderWay(name)
        yield


def _clear_leftovers(tables: ViewTables, study: str, name: str) -> None:
    version = tables.views[name].version
    for cursor in tables.cursors(study):
        if (cursor.view, cursor.version) != (name, version) or cursor.status == "active":
            continue
        tables.clear(study, name, cursor.generation)
        with tables.writing(study) as writing:
            writing.execute("forget_parked", cursor)
            writing.execute("forget", cursor)


def _begin(tables: ViewTables, study: str, name: str) -> Cursor:
    """A generation that is to stand where the one that is read stands now."""
    active = tables.active(study)[name]
    with tables.writing(study) as writing:
        row = writing.execute("begin_building", active, position=active.position).fetchone()
    return Cursor(name, active.version, int(row[0]), "building", active.position)


def _follow(tables: ViewTables, study: str, lane: Lane, name: str) -> None:
    """Take in what the generation that is read has taken in meanwhile."""
    while lane.step(tables.active(study)[name].position):
        pass


def _swap(folds: Folds, tables: ViewTables, study: str, lane: Lane, rows: int) -> Rebuilt:
    """Make the new generation the one that is read, in one transaction."""
    with tables.writing(study) as writing:
        # The live projector waits here, at a position that the new generation then reaches too.
        # A crash from here on to the commit leaves the old generation in its place.
        cursor = lane.cursors[0]
        generation, position, partitions = writing.execute("active_held", cursor).fetchone()
        old = Cursor(cursor.view, cursor.version, generation, "active", position)
        if partitions is None:
            _reach(lane, position)
        else:
            # So do the workers, each partition at a position of its own.
            held = writing.execute("held_partitions", old).fetchall()
            _reach_by_partition(folds, tables, lane, {one[0]: one[1] for one in held})
            position = min(one[1] for one in held)
            writing.execute("take_offsets", cursor, other=generation)
            writing.execute("end_partitions", old)
        before = tables.digest_in(writing.connection, study, cursor.view, generation)
        after = tables.digest_in(writing.connection, study, cursor.view, cursor.generation)
        writing.execute("turn", old, status="old")
        writing.execute("turn", cursor, status="active")
    return Rebuilt(cursor.view, cursor.generation, position, rows, after, before)


def _reach(lane: Lane, position: int) -> None:
    while lane.step(position):
        pass


def _reach_by_partition(
    folds: Folds, tables: ViewTables, whole: Lane, positions: dict[int, int]
) -> None:
    """Divide the new generation as the one that is read is, and bring each partition as far."""
    of = len(positions)
    with tables.writing(whole.study) as writing:
        divide_one(writing, whole.cursors[0], of)
    for number, position in positions.items():
        cursor = replace(whole.cursors[0], partitions=of, partition=number)
        lane = Lane.open(folds, tables, whole.study, [cursor], Partition(number, of))
        _reach(lane, position)
