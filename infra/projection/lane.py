"""A lane: the views of a study that stand at one position, and what they need to go on from it.

Views share a lane while they stand together, so that a participant is folded once for all of them;
each has a cursor of its own, because a view that halts must not hold up the others and a view that
is rebuilt starts elsewhere.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain import participant as journey
from domain.kernel import Event
from domain.participant import Participant
from domain.trial.study import Trial
from infra.ledger.types import STUDY_STREAM, StoreAway, Stored
from infra.projection.folds import Folds, recorded
from infra.projection.shapes import RowShape, ViewShape
from infra.projection.tables import Cursor, ViewTables, Writing

BATCH_EVENTS = 1_000
FLUSH_ROWS = 2_000
HOT_EVENTS_MAX = 50_000
"""Participants stay in memory as long as their histories together are not longer."""

Known = dict[str, dict[str, bytes]]
"""View -> key of each row -> its digest; what the tables hold of one participant."""


class Halted(Exception):
    """A view that may have no gaps met what it cannot take in."""

    def __init__(self, cursor: Cursor, position: int, error: str) -> None:
        super().__init__(error)
        self.cursor = cursor
        self.position = position
        """The first event that it could not take in."""
        self.error = error


@dataclass(frozen=True, slots=True)
class Hot:
    """A participant as the tables reflect it."""

    state: Participant
    known: Known


class HotParticipants:
    """Participants in memory, the least recently touched leave first."""

    def __init__(self, events_max: int = HOT_EVENTS_MAX) -> None:
        self._kept: OrderedDict[str, Hot] = OrderedDict()
        self._events = 0
        self._most = events_max

    def get(self, name: str) -> Hot | None:
        """The participant, if it is in memory."""
        return self._kept.get(name)

    def keep(self, name: str, hot: Hot) -> None:
        """Remember the participant as it is now."""
        self.drop(name)
        self._kept[name] = hot
        self._events += hot.state.version
        while self._events > self._most and len(self._kept) > 1:
            self._events -= self._kept.popitem(last=False)[1].state.version

    def drop(self, name: str) -> None:
        """Forget the participant."""
        before = self._kept.pop(name, None)
        if before is not None:
            self._events -= before.state.version


@dataclass(slots=True)
class Pending:
    """Rows on their way to one view's table."""

    put: list[RowShape] = field(default_factory=list)
    gone: list[tuple[str, str | None]] = field(default_factory=list)

    def take(self) -> tuple[list[RowShape], list[tuple[str, str | None]]]:
        """What is there; nothing is, afterwards."""
        taken = (self.put, self.gone)
        self.put, self.gone = [], []
        return taken


class Lane:
    """Some views of one study, at one position."""

    def __init__(
        self,
        folds: Folds,
        tables: ViewTables,
        study: str,
        cursors: Sequence[Cursor],
        trial: Trial,
        parked: Mapping[str, set[str]],
    ) -> None:
        self._folds = folds
        self._tables = tables
        self.study = study
        self.cursors = list(cursors)
        self.position = cursors[0].position
        self._trial = trial
        self._hot = HotParticipants()
        self._parked = parked

    @classmethod
    def open(
        cls, folds: Folds, tables: ViewTables, study: str, cursors: Sequence[Cursor]
    ) -> "Lane":
        """A lane of cursors that stand at one position."""
        trial = folds.trial(study, cursors[0].position)
        return cls(folds, tables, study, cursors, trial, tables.left_out(study, cursors))

    def step(self, up_to: int | None = None) -> bool:
        """Take in the next events; False when there are none.

        Raises Overtaken, Halted, StoreAway, or whatever makes the study itself unreadable; then
        nothing was written and the lane must not be used again.
        """
        stored = self._folds.ledger.read(self.study, self.position, BATCH_EVENTS, up_to)
        if not stored:
            return False
        to = stored[-1].position
        study = [one for one in stored if one.stream == STUDY_STREAM]
        trial = self._folds.evolved(self._trial, study)
        with self._tables.writing(self.study) as writing:
            # The cursors first: a projector that comes from the same position waits here, and
            # finds them moved. A crash from here on to the commit undoes all of it.
            writing.move(self.cursors, to)
            batch = _Batch(self, writing, trial, to)
            touched = batch.take_in(stored)
            batch.take_in_study([recorded(one).body for one in study], touched, stored)
            batch.flush()
        self._commit(batch, to)
        return True

    def _commit(self, batch: "_Batch", to: int) -> None:
        self._trial, self.position = batch.trial, to
        self.cursors = [
            replace(cursor, position=to, halted_at=None, error=None) for cursor in self.cursors
        ]
        for name, hot in batch.folded.items():
            if hot is None:
                self._hot.drop(name)
            else:
                self._hot.keep(name, hot)

    def view(self, cursor: Cursor) -> ViewShape:
        """The view of a cursor."""
        return self._tables.views[cursor.view]

    def hot(self, name: str) -> Hot | None:
        """The participant as of the lane's position, if it is in memory."""
        return self._hot.get(name)

    def folded(self, name: str, up_to: int) -> Participant:
        """The participant as of a position, from its whole history."""
        return self._folds.participant(self.study, name, up_to)

    def names(self) -> Iterator[str]:
        """All participants that the ledger knows."""
        after = ""
        while page := self._folds.ledger.participants(self.study, after):
            yield from page
            after = page[-1]

    def parked(self, cursor: Cursor) -> set[str]:
        """Participants that the view leaves out."""
        return self._parked[cursor.view]


class _Batch:
    """One step: from events to rows, in one transaction."""

    def __init__(self, lane: Lane, writing: Writing, trial: Trial, to: int) -> None:
        self._lane = lane
        self._writing = writing
        self.trial = trial
        self._to = to
        self.folded: dict[str, Hot | None] = {}
        """Participants to keep in memory after the commit; None: to forget."""
        self._pending = {cursor.view: Pending() for cursor in lane.cursors}

    def take_in(self, stored: Sequence[Stored]) -> set[str]:
        """The participants' own events; whose they were."""
        by_name: dict[str, list[Stored]] = {}
        for one in stored:
            if one.stream != STUDY_STREAM:
                by_name.setdefault(one.stream, []).append(one)
        for name, events in by_name.items():
            self._participant(name, events)
        return set(by_name)

    def take_in_study(
        self, events: Sequence[Event], touched: set[str], stored: Sequence[Stored]
    ) -> None:
        """The study's events that reach participants who have no events of their own here."""
        wide = [
            event
            for event in events
            if any(self._lane.view(cursor).rests_on(event) for cursor in self._lane.cursors)
        ]
        if not wide:
            return
        first = next(one.position for one in stored if one.stream == STUDY_STREAM)
        for name in self._lane.names():
            if name not in touched:
                self._reached(name, wide, first)

    def flush(self) -> None:
        """Write what is pending."""
        for cursor in self._lane.cursors:
            put, gone = self._pending[cursor.view].take()
            self._writing.write(cursor, put, gone)

    def _participant(self, name: str, events: Sequence[Stored]) -> None:
        hot = self._lane.hot(name)
        first = events[0]
        try:
            if hot is not None:
                state, known = hot.state, hot.known
            elif first.version == 1:
                state, known = Participant(name), {}
            else:
                state, known, events = self._lane.folded(name, self._to), None, ()
            for one in events:
                state = journey.evolve(state, recorded(one))
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
        for cursor in cursors:
            view = self._lane.view(cursor)
            try:
                rows = view.of(self.trial, state)
                after = {key: row.digest() for key, row in rows.items()}
            except Exception as error:  # noqa: BLE001  as above
                self._failed(cursor, name, position, error)
                now.pop(view.name, None)
                continue
            pending = self._pending[view.name]
            before = None if known is None else known.get(view.name)
            if before is None and (known is None or name in self._lane.parked(cursor)):
                pending.gone.append((name, None))
            put, gone = view.difference(before or {}, rows)
            pending.put.extend(put)
            changed = [row.key for row in put if row.key in (before or {})]
            pending.gone.extend((name, key) for key in (*gone, *changed))
            now[view.name] = after
            if name in self._lane.parked(cursor):
                self._writing.unpark(cursor, [name])
                self._lane.parked(cursor).discard(name)
        if keep:
            self.folded[name] = Hot(state, now)
        if sum(len(pending.put) for pending in self._pending.values()) >= FLUSH_ROWS:
            self.flush()

    def _failed(self, cursor: Cursor, name: str, position: int, error: Exception) -> None:
        kind = type(error).__name__
        if self._lane.view(cursor).halts:
            raise Halted(cursor, position, kind) from error
        self._writing.park(cursor, name, position, kind)
        self._lane.parked(cursor).add(name)
