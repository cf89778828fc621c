"""One transaction of a projector: from events to rows, each view's written together."""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import orjson

from domain import participant as journey
from domain.kernel import Event
from domain.participant import Participant
from domain.trial.study import Trial
from infra.ledger.types import STUDY_STREAM, StoreAway, Stored
from infra.projection.behind import Behind
from infra.projection.folds import recorded
from infra.projection.hot import Held, Hot, Known
from infra.projection.shapes import Basis, RowShape, ViewShape
from infra.projection.tables import Cursor, Writing

FLUSH_ROWS = 1_000
"""So many rows are written while the next ones are computed. What fewer make is computed before the
transaction begins: it is then as short as it can be."""
SILENT_SECONDS = 2.0
"""So often at least something is said in a transaction, which PostgreSQL ends after ten seconds of
silence (`infra/postgres/pool.py`): many participants may be looked at who get no new rows."""
DIGEST_BYTES = 16


class Halted(Exception):
    """A view that may have no gaps met what it cannot take in."""

    def __init__(self, cursor: Cursor, position: int, error: str) -> None:
        super().__init__(error)
        self.cursor = cursor
        self.position = position
        """The first event that it could not take in."""
        self.error = error


class Gap(Exception):
    """An event is missing in front of one that came; nothing was written."""


class LaneShape(Protocol):
    """What is asked of a lane while its events become rows."""

    cursors: list[Cursor]
    trial: Trial

    def view(self, cursor: Cursor) -> ViewShape:
        """The view of a cursor."""

    def hot(self, name: str) -> Hot | None:
        """The participant as of the lane's position, if it is in memory."""

    def folded(self, name: str, up_to: int) -> Participant:
        """The participant as of a position, from its whole history."""

    def names(self) -> Iterator[str]:
        """All participants of the lane."""

    def parked(self, cursor: Cursor) -> set[str]:
        """Participants that the view leaves out."""

    def evolved(self, events: Sequence[Stored]) -> Trial:
        """The study after more events of its own."""


@dataclass(slots=True)
class _Pending:
    """Rows on their way to one view's table."""

    cursor: Cursor
    put: list[RowShape] = field(default_factory=list)
    gone: list[tuple[str, str | None]] = field(default_factory=list)
    parked: list[tuple[str, int, str]] = field(default_factory=list)
    unparked: list[str] = field(default_factory=list)

    def write(self, writing: Writing) -> None:
        """Put all of it into the transaction."""
        writing.write(self.cursor, self.put, self.gone)
        for participant, position, error in self.parked:
            writing.park(self.cursor, participant, position, error)
        if self.unparked:
            writing.unpark(self.cursor, self.unparked)


class Batch:
    """What one transaction writes, of one lane or of several; it begins with the first writing.

    Its connection is used by one thread at a time: by the one that writes behind until `flush`.
    """

    def __init__(self, begin: Callable[[], Writing], behind: Behind) -> None:
        self._begin = begin
        self._behind = behind
        self._writing: Writing | None = None
        self._pending: dict[tuple[str, int], _Pending] = {}
        self._waiting = 0
        self._silent_until = math.inf
        """When something has to be said again, once the transaction has begun."""

    def add(
        self, cursor: Cursor, put: Sequence[RowShape], gone: Sequence[tuple[str, str | None]]
    ) -> None:
        """Rows to write soon."""
        pending = self._of(cursor)
        pending.put.extend(put)
        pending.gone.extend(gone)
        self._waiting += len(put)

    def park(self, cursor: Cursor, participant: str, position: int, error: str) -> None:
        """Leave a participant out of the view, from a position on."""
        self._of(cursor).parked.append((participant, position, error))

    def unpark(self, cursor: Cursor, participant: str) -> None:
        """The participant's rows are complete again."""
        self._of(cursor).unparked.append(participant)

    def flush_behind(self) -> None:
        """Write what is pending, if it is much, while more is computed. Raises what writing the
        rows before raised, such as Overtaken."""
        now = time.monotonic()
        if self._waiting >= FLUSH_ROWS:
            self._behind.do(partial(self._write, self._taken()))
        elif now > self._silent_until:
            self._behind.do(self._go_on)
        else:
            return
        self._silent_until = now + SILENT_SECONDS

    def flush(self) -> None:
        """Write all that is pending. Raises Overtaken."""
        self._behind.done()
        self._write(self._taken())

    def _taken(self) -> list[_Pending]:
        taken = list(self._pending.values())
        self._pending.clear()
        self._waiting = 0
        return taken

    def _write(self, taken: Sequence[_Pending]) -> None:
        if self._writing is None:
            self._writing = self._begin()
        for pending in taken:
            pending.write(self._writing)

    def _go_on(self) -> None:
        if self._writing is not None:
            self._writing.go_on()

    def _of(self, cursor: Cursor) -> _Pending:
        return self._pending.setdefault((cursor.view, cursor.generation), _Pending(cursor))


class Taking:
    """One lane's part of a batch. What it learns is the lane's own after the commit."""

    def __init__(self, lane: LaneShape, batch: Batch, to: int) -> None:
        self._lane = lane
        self._batch = batch
        self._to = to
        self.trial = lane.trial
        self.folded: dict[str, Hot | None] = {}
        """Participants to keep in memory; None: to forget."""
        self.left_out: dict[tuple[str, str], bool] = {}
        """(view, participant) -> whether it is left out from now on."""

    def take_in(self, stored: Sequence[Stored]) -> None:
        """The lane's next events, in order. Raises Halted, Gap, StoreAway, or whatever makes the
        study itself unreadable."""
        study: list[Stored] = []
        by_name: dict[str, list[Stored]] = {}
        for one in stored:
            if one.stream == STUDY_STREAM:
                study.append(one)
            else:
                by_name.setdefault(one.stream, []).append(one)
        if study:
            if study[0].version != self._lane.trial.version + 1:
                raise Gap
            self.trial = self._lane.evolved(study)
        for name, events in by_name.items():
            self._participant(name, events)
        if study:
            self._take_in_study(study, set(by_name))

    def _take_in_study(self, stored: Sequence[Stored], touched: set[str]) -> None:
        """The study's events that reach participants who have no events of their own here."""
        cursors = self._lane.cursors
        wide = [
            event
            for event in (recorded(one).body for one in stored)
            if any(self._lane.view(cursor).rests_on(event) for cursor in cursors)
        ]
        if wide:
            for name in self._lane.names():
                if name not in touched:
                    self._reached(name, wide, stored[0].position)

    def _participant(self, name: str, events: Sequence[Stored]) -> None:
        hot = self._lane.hot(name)
        first = events[0]
        if hot is not None and first.version != hot.state.version + 1:
            raise Gap
        try:
            if hot is not None:
                state, known = hot.state, hot.known
            elif first.version == 1:
                state, known = Participant(name), {}
            else:
                state, known, events = self._lane.folded(name, self._to), None, ()
            state = journey.extended(state, list(map(recorded, events)))
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it concerns this participant
            for cursor in self._lane.cursors:
                self._failed(cursor, name, first.position, error)
            self.folded[name] = None
            return
        self._rows(name, state, known, first.position, self._lane.cursors)

    def _reached(self, name: str, events: Sequence[Event], position: int) -> None:
        """A participant who has no events here, but whom the study's may reach."""
        hot = self._lane.hot(name)
        try:
            state = hot.state if hot is not None else self._lane.folded(name, self._to)
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  as above
            for cursor in self._lane.cursors:
                self._failed(cursor, name, position, error)
            return
        if state.version == 0:
            return
        cursors = [
            cursor
            for cursor in self._lane.cursors
            if any(self._lane.view(cursor).reaches(event, state) for event in events)
        ]
        known = hot.known if hot is not None else None
        self._rows(name, state, known, position, cursors, keep=hot is not None)

    def _rows(
        self,
        name: str,
        state: Participant,
        known: Known | None,
        position: int,
        cursors: Sequence[Cursor],
        *,
        keep: bool = True,
    ) -> None:
        """The difference of the participant's rows; `known` is None: the tables may hold any."""
        now: Known = dict(known or {})
        bases: dict[Basis, tuple[object, ...]] = {}
        for cursor in cursors:
            view = self._lane.view(cursor)
            held = None if known is None else known.get(view.name)
            try:
                basis = self._basis(view.basis, state, bases)
                if held is not None and held.rests_on(basis):
                    continue
                before = {} if held is None else held.marks
                marks, rows = _differing(view, self.trial, state, before)
            except Exception as error:  # noqa: BLE001  as above
                self._failed(cursor, name, position, error)
                now.pop(view.name, None)
                continue
            was_left_out = name in self._lane.parked(cursor)
            gone: list[tuple[str, str | None]] = []
            if held is None and (known is None or was_left_out):
                gone.append((name, None))
            gone.extend((name, key) for key in before if key not in marks)
            self._batch.add(cursor, list(rows.values()), gone)
            now[view.name] = Held(marks, basis)
            if was_left_out:
                self._batch.unpark(cursor, name)
                self.left_out[view.name, name] = False
        if keep:
            self.folded[name] = Hot(state, now)
        self._batch.flush_behind()

    def _basis(
        self,
        basis_of: Basis | None,
        state: Participant,
        known: dict[Basis, tuple[object, ...]],
    ) -> tuple[object, ...] | None:
        """What a view's rows rest on, told once for all views that rest on the same."""
        if basis_of is None:
            return None
        if basis_of not in known:
            known[basis_of] = basis_of(self.trial, state)
        return known[basis_of]

    def _failed(self, cursor: Cursor, name: str, position: int, error: Exception) -> None:
        kind = type(error).__name__
        if self._lane.view(cursor).halts:
            raise Halted(cursor, position, kind) from error
        self._batch.park(cursor, name, position, kind)
        self.left_out[cursor.view, name] = True


def _differing(
    view: ViewShape, trial: Trial, state: Participant, before: Mapping[str, object]
) -> tuple[Mapping[str, object], dict[str, RowShape]]:
    """What tells each of the view's rows now, and those that are not as they were before."""
    parts = view.parts(trial, state)
    if parts is None:
        made = view.of(trial, state)
        digests = {key: _digest(row) for key, row in made.items()}
        return digests, {key: made[key] for key, one in digests.items() if before.get(key) != one}
    return parts, {
        key: view.made(state.id, key, part)
        for key, part in parts.items()
        if before.get(key) != part
    }


def _digest(row: RowShape) -> bytes:
    """Tells a changed row from an unchanged one, within one process: bytes of equal rows are equal
    as long as the same program makes them."""
    content = orjson.dumps([row.columns, row.item])
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
