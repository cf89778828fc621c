"""Rebuilding: new generations of views beside those that are read, then the swap of each.

Views that stand together are filled by one fold of each participant. Readers see a view's old
generation until one transaction makes the new one active. A crash before that leaves rows nobody
reads; the next rebuild removes them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from infra.postgres.pool import connect, conninfo_of
from infra.projection import digests
from infra.projection.batch import Halted
from infra.projection.digests import Noted, Noting, combined
from infra.projection.filling import Progress, fill
from infra.projection.folds import Folds
from infra.projection.following import grouped
from infra.projection.lane import Lane
from infra.projection.partitions import Partition, divide_one
from infra.projection.sharing import Beside, Place, Sharing, sharing
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
    folds: Folds,
    tables: ViewTables,
    study: str,
    names: Sequence[str],
    progress: Progress,
    beside: Beside,
) -> list[Rebuilt | Halted]:
    """Build views anew and swap each in; see the module. What came of each, in their order.

    One that stops at what it cannot take in does not stop the others. Raises RebuildUnderWay.
    """
    tables.begin(study)
    with _alone(tables, study, names):
        for name in names:
            _clear_leftovers(tables, study, name)
        cursors = [_begin(tables, study, name) for name in names]
        found: dict[str, Rebuilt | Halted] = {}
        with sharing(folds, tables, study, names, beside) as shared:
            for together in grouped(cursors, ()):
                found |= _built(shared, together, progress)
        for name in names:
            _clear_leftovers(tables, study, name)
    return [found[name] for name in names]


def _built(
    shared: Sharing, together: Sequence[Cursor], progress: Progress
) -> dict[str, Rebuilt | Halted]:
    """Views that stand together filled by one fold, and swapped in one after the other."""
    found: dict[str, Rebuilt | Halted] = {}
    filled = fill(shared, together, progress)
    for cursor in together:
        if kind := filled.halted.get(cursor.view):
            found[cursor.view] = Halted(cursor, cursor.position, kind)
    whole = [one for one in together if one.view not in filled.halted]
    for cursor in _followed(shared.place, whole):
        found[cursor.view] = _finished(shared, cursor, filled.rows.get(cursor.view, 0))
    return found


def _finished(shared: Sharing, cursor: Cursor, rows: int) -> Rebuilt | Halted:
    """One view's generation caught up with and swapped in, by itself."""
    folds, tables, study = shared.place.folds, shared.place.tables, shared.place.study
    try:
        lane = Lane.open(folds, tables, study, [cursor])
        _catch_up(tables, lane)
        read = tables.active(study)[cursor.view]
        noting = Noting(cursor.view, (read.generation, cursor.generation))
        known = digests.noted(shared, noting)
        # Again, so that little is left to do while the live projector waits.
        _catch_up(tables, lane)
        return _swap(shared.place, lane, rows, noting, known)
    except Halted as halted:
        return halted


def _catch_up(tables: ViewTables, lane: Lane) -> None:
    """Take in what the generations that are read have all taken in meanwhile."""
    views = [one.view for one in lane.cursors]
    while lane.step(min(tables.active(lane.study)[view].position for view in views)):
        pass


def _followed(place: Place, cursors: Sequence[Cursor]) -> list[Cursor]:
    """The same for several views together, by one fold."""
    if not cursors:
        return []
    lane = Lane.open(place.folds, place.tables, place.study, cursors)
    with suppress(Halted):  # the others go on without it, each by itself
        _catch_up(place.tables, lane)
    return lane.cursors


@contextmanager
def _alone(tables: ViewTables, study: str, names: Sequence[str]) -> Iterator[None]:
    """Nobody else rebuilds the views meanwhile; the locks end with the connection."""
    with connect(conninfo_of(tables.pool)) as connection:
        for name in names:
            view = {"study": study, "view": name}
            # Of a rebuild that was killed a process may still be ending.
            for lock in ("try_rebuild", "helped_rebuild"):
                row = connection.execute(SQL[lock], view).fetchone()
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


def _swap(place: Place, lane: Lane, rows: int, noting: Noting, known: Noted) -> Rebuilt:
    """Make the new generation the one that is read, in one transaction."""
    with place.tables.writing(place.study) as writing:
        # The live projector waits here, at a position that the new generation then reaches too.
        # A crash from here on to the commit leaves the old generation in its place.
        cursor = lane.cursors[0]
        generation, position, partitions = writing.execute("active_held", cursor).fetchone()
        old = Cursor(cursor.view, cursor.version, generation, "active", position)
        reached = position
        if partitions is None:
            _reach(lane, position)
        else:
            # So do the workers, each partition at a position of its own.
            held = dict(row[:2] for row in writing.execute("held_partitions", old).fetchall())
            _reach_by_partition(place, lane, held)
            position, reached = min(held.values()), max(held.values())
            writing.execute("take_offsets", cursor, other=generation)
            writing.execute("end_partitions", old)
        # What was noted before the transaction stands, but for those whom events reached since.
        found = digests.brought_up(known, reached, place, noting, writing.connection)
        before, after = combined(found, 0), combined(found, 1)
        writing.execute("turn", old, status="old")
        writing.execute("turn", cursor, status="active")
    return Rebuilt(cursor.view, cursor.generation, position, rows, after, before)


def _reach(lane: Lane, position: int) -> None:
    while lane.step(position):
        pass


def _reach_by_partition(place: Place, whole: Lane, positions: dict[int, int]) -> None:
    """Divide the new generation as the one that is read is, and bring each partition as far."""
    of = len(positions)
    with place.tables.writing(whole.study) as writing:
        divide_one(writing, whole.cursors[0], of)
    for number, position in positions.items():
        cursor = replace(whole.cursors[0], partitions=of, partition=number)
        partition = Partition(number, of)
        lane = Lane.open(place.folds, place.tables, whole.study, [cursor], partition)
        _reach(lane, position)
