"""The tables of views: written together with the cursor, read in one snapshot with it."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

import orjson
from psycopg import Connection
from psycopg.rows import dict_row

from infra.ledger.types import StoreAway
from infra.postgres.pool import Pool, borrowed
from infra.postgres.statements import beside, load
from infra.projection.shapes import RowShape, ViewShape

SQL = load("views")

CLEAR_ROWS = 10_000
WAIT_POLL_SECONDS = 0.05

Status = Literal["active", "building", "old"]

_PLACE = ("study", "generation", "participant", "key")


class Overtaken(Exception):
    """Another projector moved the cursor from the same position; nothing was written."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one generation of a view has come in a study's log."""

    view: str
    version: int
    generation: int
    status: Status
    position: int
    halted_at: int | None = None
    """The event that the view could not take in, if it has stopped."""
    error: str | None = None
    """The kind of failure; never what a sender wrote."""
    moved_at: datetime | None = None
    partitions: int | None = None
    """Into how many partitions the generation's participants are divided; None: they are not."""
    partition: int | None = None
    """Which of them; None: the cursor tells of everybody, as the last partition does."""
    next_offset: int | None = None
    """No event of the partition after `position` has a smaller offset in the topic."""


class ViewTables:
    """The views' tables in the ledger's database."""

    def __init__(self, pool: Pool, views: Sequence[ViewShape]) -> None:
        self.views = {view.name: view for view in views}
        self.pool = pool
        self._prepared = False
        self._moved = threading.Condition()

    def prepare(self) -> None:
        """Make the tables that are not there yet."""
        if self._prepared:
            return
        with borrowed(self.pool) as connection:
            connection.execute(SQL["one_at_a_time"])
            for view in self.views.values():
                connection.execute(statements(view)["table"])
        self._prepared = True

    def cursors(self, study: str) -> list[Cursor]:
        """Every generation of every view of the study; also those of other versions."""
        with borrowed(self.pool) as connection:
            return [Cursor(*row) for row in connection.execute(SQL["cursors"], {"study": study})]

    def active(self, study: str) -> dict[str, Cursor]:
        """The cursors that readers see, by view, of the views of this program."""
        return {cursor.view: cursor for cursor in self.cursors(study) if self._is_read(cursor)}

    def partition_cursors(self, study: str) -> list[Cursor]:
        """The same of views that are divided: one for each of their partitions."""
        with borrowed(self.pool) as connection:
            rows = connection.execute(SQL["partition_cursors"], {"study": study}).fetchall()
        return [cursor for cursor in (Cursor(*row) for row in rows) if self._is_read(cursor)]

    def _is_read(self, cursor: Cursor) -> bool:
        view = self.views.get(cursor.view)
        return cursor.status == "active" and view is not None and view.version == cursor.version

    def begin(self, study: str) -> None:
        """A first generation, at the start of the log, for each view that has none."""
        self.prepare()
        with borrowed(self.pool) as connection:
            for view in self.views.values():
                values = {"study": study, "view": view.name, "version": view.version}
                if connection.execute(SQL["active"], values).fetchone() is None:
                    connection.execute(SQL["begin_first"], values)

    def left_out(self, study: str, cursors: Iterable[Cursor]) -> dict[str, set[str]]:
        """Participants whom the generations of some cursors leave out, by view."""
        found: dict[tuple[str, int, int], set[str]] = {}
        with borrowed(self.pool) as connection:
            for *place, participant in connection.execute(SQL["parked"], {"study": study}):
                found.setdefault(tuple(place), set()).add(participant)
        return {
            one.view: found.get((one.view, one.version, one.generation), set()) for one in cursors
        }

    # --- writing ----------------------------------------------------------------------------------

    @contextmanager
    def writing(self, study: str) -> Iterator["Writing"]:
        """One transaction: the cursor and the rows. After a crash in it neither has changed."""
        with borrowed(self.pool) as connection:
            yield Writing(connection, study, self.views)
        self._wake()

    # --- reading ----------------------------------------------------------------------------------

    @contextmanager
    def reading(self, study: str, names: Iterable[str]) -> Iterator["Reading"]:
        """One snapshot of some views and their positions."""
        self.prepare()
        with borrowed(self.pool) as connection:
            connection.execute(SQL["snapshot"])
            found: dict[str, tuple[int, int]] = {}
            for name in names:
                view = self.views[name]
                values = {"study": study, "view": name, "version": view.version}
                row = connection.execute(SQL["active"], values).fetchone()
                found[name] = (0, 0) if row is None else (row[0], row[1])
            yield Reading(connection, study, self.views, found)

    def wait(self, study: str, names: Sequence[str], position: int, seconds: float) -> bool:
        """Wait until the views reflect a position; False when they do not in time."""
        deadline = time.monotonic() + seconds
        while True:
            active = self.active(study)
            if all(name in active and active[name].position >= position for name in names):
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self._moved:
                # Another process may move the cursor: this process's condition is a hint.
                self._moved.wait(min(left, WAIT_POLL_SECONDS))

    def clear(self, study: str, name: str, generation: int) -> None:
        """Remove the rows of a generation that nobody reads, part by part."""
        statement = statements(self.views[name])["clear"]
        values = {"study": study, "generation": generation, "limit": CLEAR_ROWS}
        removed = CLEAR_ROWS
        while removed == CLEAR_ROWS:
            with borrowed(self.pool) as connection:
                removed = connection.execute(statement, values).rowcount

    def _wake(self) -> None:
        with self._moved:
            self._moved.notify_all()


class StandbyTables(ViewTables):
    """The views' tables in a standby: whoever writes them is elsewhere, and they follow."""

    def prepare(self) -> None:
        """Nothing is made here. Raises StoreAway until the tables have come."""
        if self._prepared:
            return
        names = [f"views.{view.name}_{view.version}" for view in self.views.values()]
        with borrowed(self.pool) as connection:
            row = connection.execute(SQL["missing"], {"tables": names}).fetchone()
        if row is None or row[0]:
            raise StoreAway("the standby has not all tables of the views yet")
        self._prepared = True


@dataclass(frozen=True, slots=True)
class Writing:
    """What one transaction writes."""

    connection: Connection[tuple[Any, ...]]
    study: str
    views: Mapping[str, ViewShape]

    def move(self, moves: Iterable[tuple[Cursor, int, int | None]]) -> None:
        """Move cursors on, each to a position and, of a partition, an offset in the topic (None: as
        before). Overtaken when one of them is elsewhere meanwhile."""
        whole: list[tuple[Cursor, int, int | None]] = []
        divided: list[tuple[Cursor, int, int | None]] = []
        for one in moves:
            (whole if one[0].partition is None else divided).append(one)
        if whole:
            self._move("move", whole, {"statuses": [cursor.status for cursor, *_ in whole]})
        if divided:
            partitions = [cursor.partition for cursor, *_ in divided]
            offsets = [offset for *_, offset in divided]
            self._move("move_partitions", divided, {"partitions": partitions, "offsets": offsets})

    def _move(
        self,
        statement: LiteralString,
        moves: Sequence[tuple[Cursor, int, int | None]],
        lists: Mapping[str, list[Any]],
    ) -> None:
        at = [cursor for cursor, *_ in moves]
        values = {
            "study": self.study,
            "views": [one.view for one in at],
            "versions": [one.version for one in at],
            "generations": [one.generation for one in at],
            "froms": [one.position for one in at],
            "tos": [to for _, to, _ in moves],
            **lists,
        }
        if self.connection.execute(SQL[statement], values).rowcount != len(moves):
            raise Overtaken

    def halt(self, cursor: Cursor, at: int, error: str) -> None:
        """Write down that the view could not take in the event at a position."""
        values = {**self._of(cursor), "from": cursor.position, "at": at, "error": error}
        if cursor.partition is None:
            self.connection.execute(SQL["halt"], values)
        else:
            values["partition"] = cursor.partition
            self.connection.execute(SQL["halt_partition"], values)

    def write(
        self, cursor: Cursor, put: Iterable[RowShape], gone: Iterable[tuple[str, str | None]]
    ) -> None:
        """Replace rows; `gone` are (participant, key), without a key all rows of one."""
        named = statements(self.views[cursor.view])
        left = [{"participant": participant, "key": key} for participant, key in gone]
        if left:
            values = {"study": self.study, "generation": cursor.generation, "gone": _json(left)}
            self.connection.execute(named["remove"], values)
        place = {"study": self.study, "generation": cursor.generation}
        rows = [
            {
                **place,
                "participant": row.participant,
                "key": row.key,
                **row.columns,
                "item": row.item,
            }
            for row in put
        ]
        if rows:
            self.connection.execute(named["put"], {"rows": _json(rows)})

    def copy(self, cursor: Cursor, rows: Iterable[RowShape]) -> int:
        """Add the rows of a generation that is being built; how many they were."""
        view = self.views[cursor.view]
        count = 0
        with self.connection.cursor().copy(statements(view)["copy"]) as copy:
            for row in rows:
                values = [row.columns[name] for name in view.columns]
                place = (self.study, cursor.generation, row.participant, row.key)
                copy.write_row((*place, *values, _json(row.item)))
                count += 1
        return count

    def go_on(self) -> None:
        """Say something, so that PostgreSQL does not take the transaction for forgotten."""
        self.connection.execute(SQL["go_on"])

    def park(self, cursor: Cursor, participant: str, position: int, error: str) -> None:
        """Leave a participant out: its rows stay as they were before the position."""
        values = {"participant": participant, "position": position, "error": error}
        self.connection.execute(SQL["park"], {**self._of(cursor), **values})

    def unpark(self, cursor: Cursor, participants: Iterable[str]) -> None:
        """Participants whose rows are complete again."""
        values = {**self._of(cursor), "participants": list(participants)}
        self.connection.execute(SQL["unpark"], values)

    def execute(self, name: LiteralString, cursor: Cursor, **values: Any) -> Any:
        """One of the bookkeeping statements for a cursor."""
        return self.connection.execute(SQL[name], {**self._of(cursor), **values})

    def _of(self, cursor: Cursor) -> dict[str, Any]:
        return {
            "study": self.study,
            "view": cursor.view,
            "version": cursor.version,
            "generation": cursor.generation,
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """Views as they stand together."""

    connection: Connection[tuple[Any, ...]]
    study: str
    views: Mapping[str, ViewShape]
    found: Mapping[str, tuple[int, int]]
    """View -> generation and position."""

    @property
    def position(self) -> int:
        """What all of them reflect."""
        return min(position for _, position in self.found.values())

    def rows(self, name: str, statement: str, **values: Any) -> list[RowShape]:
        """The rows of one of the view's reads."""
        view = self.views[name]
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statements(view)[statement], self._with(name, values), prepare=False)
            return [_row(view, found) for found in cursor]

    def tuples(self, name: str, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """What one of the view's reads answers, where that is no row."""
        named = statements(self.views[name])[statement]
        return self.connection.execute(named, self._with(name, values), prepare=False).fetchall()

    def stale(self, name: str, participants: Iterable[str]) -> dict[str, int]:
        """Participants whose rows do not reflect the position -> the first event missing."""
        values = {
            "study": self.study,
            "view": name,
            "version": self.views[name].version,
            "generation": self.found[name][0],
            "participants": list(participants),
        }
        return dict(self.connection.execute(SQL["parked_of"], values).fetchall())

    def _with(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"study": self.study, "generation": self.found[name][0], **values}


def statements(view: ViewShape) -> dict[str, LiteralString]:
    """The statements that stand beside a view."""
    return beside(view.package, view.name)


def _row(view: ViewShape, found: Mapping[str, Any]) -> RowShape:
    columns = {name: found[name] for name in view.columns}
    return view.row(found["participant"], found["key"], columns, found["item"])


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
