"""Leaderless group commit: many callers' appends to one study in one transaction.

While one batch is on its way the next accumulates; there is no timer, so a lone append waits for
nobody. Several processes may do this on one study: the lock inside the database orders them.
"""

import asyncio
import functools
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from secrets import randbits
from typing import Any, LiteralString

import psycopg
from psycopg import Connection

from infra.ledger.batch import arguments, outcomes
from infra.ledger.types import Append, Appended, Outcome, StoreAway, StoreFull

BATCH_EVENTS_MAX = 1_000
BATCH_BYTES_MAX = 1024 * 1024
QUEUE_APPENDS_MAX = 10_000
LANES_MAX = 2
OVERLAP_APPENDS = 64
"""When so many wait, a second batch follows the first before its answer: the database goes from one
to the next without a pause. Fewer wait, and share the batch that comes after."""
IDLE_SECONDS = 30.0
RETRY_SECONDS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Waits before each attempt: a store that does not answer within their sum is away."""
CLOSE_SECONDS = 15.0

DISK_FULL = "53100"
AWAY = ("08", "53", "57", "58", "40", "55P03", "25006")
"""SQLSTATEs (or their classes) that say nothing against the append: the store has trouble."""

Connect = Callable[[], Connection[tuple[Any, ...]]]
Settled = tuple["Waiting", "Outcome | Exception"]


@dataclass(slots=True)
class Waiting:
    """An append in the queue and who waits for it."""

    append: Append
    future: "asyncio.Future[Outcome] | Future[Outcome]"
    loop: asyncio.AbstractEventLoop | None
    token: int = field(default_factory=functools.partial(next, itertools.count(randbits(62))))
    """Kept with its events: after a lost connection it tells our own work from another's."""

    def settle(self, outcome: Outcome | Exception) -> None:
        """Hand over the outcome, unless the caller has gone."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class Writer:
    """Appends to one study while there is work, in lanes: a thread with a connection of its own."""

    def __init__(
        self,
        study: str,
        statement: LiteralString,
        connect: Connect,
        appended: Callable[[str], None],
    ) -> None:
        self._study = study
        self._statement = statement
        self._connect = connect
        self._appended = appended
        self._queue: deque[Waiting] = deque()
        self._ready = threading.Condition()
        self._lanes: set[threading.Thread] = set()
        self._in_flight = 0
        self._closing = False

    def submit(self, waiting: Waiting) -> None:
        """Queue an append; StoreAway when the queue is full or the ledger is closed."""
        with self._ready:
            if self._closing:
                raise StoreAway("the ledger is closed")
            if len(self._queue) >= QUEUE_APPENDS_MAX:
                raise StoreAway("too many appends are waiting")
            self._queue.append(waiting)
            if waiting.loop is None or len(self._queue) >= OVERLAP_APPENDS:
                self._call()
                return
        # After what the loop has in hand: what is judged in one round of it rides in one batch,
        # unless that is worth a call by itself.
        waiting.loop.call_soon(self._wake)

    def close(self) -> None:
        """Append what is queued, then end the lanes."""
        with self._ready:
            self._closing = True
            self._call()
            self._ready.notify_all()
            lanes = list(self._lanes)
        for lane in lanes:
            lane.join(CLOSE_SECONDS)

    def _wake(self) -> None:
        with self._ready:
            self._call()

    def _call(self) -> None:
        """Wake a lane, or open one, when a batch should set out."""
        if not self._due():
            return
        if self._in_flight == len(self._lanes) < LANES_MAX:
            lane = threading.Thread(target=self._run, name=f"ledger-{self._study}", daemon=True)
            self._lanes.add(lane)
            lane.start()
        else:
            self._ready.notify()

    def _due(self) -> bool:
        """Whether a batch should set out: the only one on its way, or a second that is worth it."""
        return bool(self._queue) and (self._in_flight == 0 or len(self._queue) >= OVERLAP_APPENDS)

    def _run(self) -> None:
        call = Call(self._study, self._statement, self._connect)
        try:
            while batch := self._next():
                settled = self._settled(call, batch)
                _deliver(settled)
                if any(isinstance(outcome, Appended) for _, outcome in settled):
                    self._appended(self._study)
        finally:
            call.disconnect()

    def _next(self) -> list[Waiting] | None:
        """The next batch; None when there is nothing to do for a while, or ever."""
        with self._ready:
            self._ready.wait_for(lambda: self._due() or self._closing, IDLE_SECONDS)
            if self._due() or (self._closing and self._queue):
                share = len(self._queue) if self._in_flight else (len(self._queue) + 1) // 2
                self._in_flight += 1
                batch = taken(self._queue, max(share, OVERLAP_APPENDS))
                self._call()
                return batch
            self._lanes.discard(threading.current_thread())
        return None

    def _settled(self, call: "Call", batch: list[Waiting]) -> list[Settled]:
        """The batch with its outcomes. Whatever goes wrong here, nobody is left waiting."""
        settled: list[Settled] | None = None
        try:
            settled = self._committed(call, batch)
        finally:
            with self._ready:
                self._in_flight -= 1
                if settled is None:
                    self._lanes.discard(threading.current_thread())
                    batch += self._queue
                    self._queue.clear()
            if settled is None:
                _deliver([(waiting, StoreAway("the writer failed")) for waiting in batch])
        return settled

    def _committed(self, call: "Call", batch: Sequence[Waiting]) -> list[Settled]:
        """Commit a batch; when the database rejects it as a whole, halve it to find the culprit."""
        try:
            return list(zip(batch, call(batch), strict=True))
        except StoreFull as full:
            return [(waiting, full) for waiting in batch]
        except StoreAway as away:
            # Whoever queued meanwhile would wait as long again, and in vain.
            with self._ready:
                batch = [*batch, *self._queue]
                self._queue.clear()
            return [(waiting, away) for waiting in batch]
        except psycopg.Error as error:
            if len(batch) == 1:
                return [(batch[0], error)]
            middle = len(batch) // 2
            return self._committed(call, batch[:middle]) + self._committed(call, batch[middle:])


class Call:
    """Calls of the ledger's function on a connection that is made anew when it is lost."""

    def __init__(self, study: str, statement: LiteralString, connect: Connect) -> None:
        self._study = study
        self._statement = statement
        self._connect = connect
        self._connection: Connection[tuple[Any, ...]] | None = None

    def __call__(self, batch: Sequence[Waiting]) -> list[Outcome]:
        """Append a batch, trying again and again while the store has trouble.

        When the connection is lost the outcome is unknown. The same tokens are sent again: what was
        committed is found by them and answered as appended, so nothing doubles and nobody is told
        of a conflict with himself. Raises StoreAway, StoreFull, psycopg.Error.
        """
        appends = [waiting.append for waiting in batch]
        values = arguments(self._study, [(waiting.token, waiting.append) for waiting in batch])
        for wait in RETRY_SECONDS:
            if wait:
                time.sleep(wait)
            try:
                if self._connection is None:
                    self._connection = self._connect()
                cursor = self._connection.execute(
                    self._statement, values, prepare=True, binary=True
                )
                return outcomes(appends, cursor)
            except psycopg.Error as error:
                state = error.sqlstate or ""
                if state == DISK_FULL:
                    raise StoreFull("the store's disk is full") from error
                if state and not state.startswith(AWAY):
                    raise
                self.disconnect()
        raise StoreAway("the store does not answer")

    def disconnect(self) -> None:
        """Let go of the connection; the next call makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def taken(queue: "deque[Waiting]", share: int) -> list[Waiting]:
    """Take the next batch off the queue; an event id is in it once, its repetition waits."""
    batch: list[Waiting] = []
    held: list[Waiting] = []
    ids: set[tuple[str | None, str]] = set()
    events = size = 0
    while queue and len(batch) < share:
        drafts = queue[0].append.drafts
        events += len(drafts)
        size += sum([len(draft.template) for draft in drafts])
        if batch and (events > BATCH_EVENTS_MAX or size > BATCH_BYTES_MAX):
            break
        theirs = [(draft.source, draft.event_id) for draft in drafts if draft.event_id is not None]
        if ids.isdisjoint(theirs):
            ids.update(theirs)
            batch.append(queue.popleft())
        else:
            held.append(queue.popleft())
    queue.extendleft(reversed(held))
    return batch


def _deliver(settled: Sequence[Settled]) -> None:
    """Hand over outcomes: event loops are woken once per batch, not once per caller."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Settled]] = {}
    for waiting, outcome in settled:
        if waiting.loop is None:
            waiting.settle(outcome)
        else:
            by_loop.setdefault(waiting.loop, []).append((waiting, outcome))
    for loop, theirs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, theirs)


def _settle(settled: Sequence[Settled]) -> None:
    for waiting, outcome in settled:
        waiting.settle(outcome)
