"""Leaderless group commit: many callers' appends to one study in one transaction.

While one batch is on its way the next accumulates; there is no timer, so a lone append waits for
nobody. Each event loop sends for its own callers, so one that is held up holds up nobody else's;
several loops and processes may do this on one study: the lock inside the database orders them.
"""

import asyncio
import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from secrets import randbits
from typing import cast

import psycopg

from infra.ledger.asking import Connections
from infra.ledger.batch import arguments, outcomes
from infra.ledger.types import Append, Appended, Outcome, StoreAway, StoreFull

BATCH_EVENTS_MAX = 1_000
BATCH_BYTES_MAX = 1024 * 1024
QUEUE_APPENDS_MAX = 10_000
LANES_MAX = 2
"""Batches on their way at once."""
OVERLAP_APPENDS = 64
"""When so many wait, a second batch follows the first before its answer: the database goes from one
to the next without a pause. Fewer wait, and share the batch that comes after."""
RETRY_SECONDS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Waits before each attempt: a store that does not answer within their sum is away."""
CLOSE_SECONDS = 15.0
LOOK_AGAIN_SECONDS = 0.1
"""How often who closes looks whether the loop that is waited for still runs."""

DISK_FULL = "53100"
AWAY = ("08", "53", "57", "58", "40", "55P03", "25006")
"""SQLSTATEs (or their classes) that say nothing against the append: the store has trouble."""

Settled = tuple["Waiting", "Outcome | Exception"]


@dataclass(slots=True, eq=False)
class Waiting:
    """An append in the queue and who waits for it."""

    append: Append
    future: "asyncio.Future[Outcome]"
    token: int = field(default_factory=partial(next, itertools.count(randbits(62))))
    """Kept with its events: after a lost connection it tells our own work from another's."""

    def settle(self, outcome: Outcome | Exception) -> None:
        """Hand over the outcome, on the loop of who waits, unless the caller has gone."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)

    def outcome(self) -> Outcome | Exception:
        """What was handed over; StoreAway when nothing was."""
        if not self.future.done() or self.future.cancelled():
            return StoreAway("the ledger was closed before the store answered")
        error = self.future.exception()
        return self.future.result() if error is None else cast("Exception", error)


class Writer:
    """Appends to one study for the callers of one event loop, and is used on that loop alone."""

    def __init__(
        self,
        study: str,
        loop: asyncio.AbstractEventLoop,
        connections: Connections,
        appended: Callable[[str], None],
    ) -> None:
        self._study = study
        self._loop = loop
        self._connections = connections
        self._appended = appended
        self._queue: deque[Waiting] = deque()
        self._called = False
        self._on_the_way: list[Sequence[Waiting]] = []
        self._lanes: set[asyncio.Task[None]] = set()
        self._ending: list[threading.Event] = []

    def submit(self, append: Append) -> "asyncio.Future[Outcome]":
        """Queue an append; StoreAway when too many wait."""
        if len(self._queue) >= QUEUE_APPENDS_MAX:
            raise StoreAway("too many appends are waiting")
        waiting = Waiting(append, self._loop.create_future())
        self._queue.append(waiting)
        self._call()
        return waiting.future

    async def finish(self, left: Iterable[Waiting]) -> None:
        """Append what another loop does not come to, and tell its callers.

        It may be on its way there: its token finds it then, whichever of the two comes first.
        """
        both = [(one, Waiting(one.append, self._loop.create_future(), one.token)) for one in left]
        self._queue.extend(ours for _, ours in both)
        self._call()
        try:
            await asyncio.wait([ours.future for _, ours in both])
        finally:
            for theirs, ours in both:
                loop = theirs.future.get_loop()
                if not loop.is_closed():
                    loop.call_soon_threadsafe(theirs.settle, ours.outcome())

    def close(self) -> list[Waiting]:
        """Wait, in whatever thread, until nothing is queued or on its way.

        Given back is what the loop cannot come to: it waits here itself, or has ended.
        """
        ended, until = threading.Event(), time.monotonic() + CLOSE_SECONDS
        if self._loop.is_running() and not _runs_here(self._loop):
            # It may end this very moment, without having come to us.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end, ended)
            while self._loop.is_running() and time.monotonic() < until:
                if ended.wait(LOOK_AGAIN_SECONDS):
                    return []
        return self._with_queue([one for batch in list(self._on_the_way) for one in batch])

    def _end(self, ended: threading.Event) -> None:
        self._ending.append(ended)
        self._call()
        self._tell_ended()

    def _tell_ended(self) -> None:
        if not (self._queue or self._on_the_way):
            for ended in self._ending:
                ended.set()

    def _call(self) -> None:
        """Open a lane when a batch should set out. It begins after what the loop has in hand: what
        is judged in one round of the loop rides in one batch."""
        if self._due() and not self._called:
            self._called = True
            lane = self._loop.create_task(self._lane())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)

    def _due(self) -> bool:
        """Whether a batch should set out: the only one on its way, or one more that is worth it."""
        others = len(self._on_the_way)
        worth_it = others < LANES_MAX and len(self._queue) >= OVERLAP_APPENDS
        return bool(self._queue) and (others == 0 or worth_it)

    async def _lane(self) -> None:
        """Carry one batch after the other while there is one."""
        self._called = False
        try:
            while self._due():
                share = len(self._queue) if self._on_the_way else (len(self._queue) + 1) // 2
                batch = taken(self._queue, max(share, OVERLAP_APPENDS))
                self._on_the_way.append(batch)
                self._call()
                await self._carry(batch)
        finally:
            self._tell_ended()

    async def _carry(self, batch: Sequence[Waiting]) -> None:
        """Append a batch and tell its callers. Whatever goes wrong here, nobody is left waiting."""
        settled: list[Settled] | None = None
        try:
            settled = await self._committed(batch)
        finally:
            self._on_the_way.remove(batch)
            if settled is None:
                settled = [(one, StoreAway("the writer failed")) for one in self._with_queue(batch)]
            for waiting, outcome in settled:
                waiting.settle(outcome)
            if any(isinstance(outcome, Appended) for _, outcome in settled):
                self._appended(self._study)

    def _with_queue(self, batch: Sequence[Waiting]) -> list[Waiting]:
        """A batch and whoever queued meanwhile, who are not in the queue any more."""
        waiting = list(batch)
        while self._queue:
            waiting.append(self._queue.popleft())
        return waiting

    async def _committed(self, batch: Sequence[Waiting]) -> list[Settled]:
        """Commit a batch; when the database rejects it as a whole, halve it to find the culprit."""
        try:
            return list(zip(batch, await self._called_for(batch), strict=True))
        except StoreFull as full:
            return [(waiting, full) for waiting in batch]
        except StoreAway as away:
            # Whoever queued meanwhile would wait as long again, and in vain.
            return [(waiting, away) for waiting in self._with_queue(batch)]
        except psycopg.Error as error:
            if len(batch) == 1:
                return [(batch[0], error)]
            middle = len(batch) // 2
            first = await self._committed(batch[:middle])
            return first + await self._committed(batch[middle:])

    async def _called_for(self, batch: Sequence[Waiting]) -> list[Outcome]:
        """Append a batch, trying again and again while the store has trouble.

        When the connection is lost the outcome is unknown. The same tokens are sent again: what was
        committed is found by them and answered as appended, so nothing doubles and nobody is told
        of a conflict with himself. Raises StoreAway, StoreFull, psycopg.Error.
        """
        values = arguments(self._study, [(waiting.token, waiting.append) for waiting in batch])
        for wait in RETRY_SECONDS:
            if wait:
                await asyncio.sleep(wait)
            try:
                rows = await self._connections.ask(values)
                return outcomes([waiting.append for waiting in batch], rows)
            except psycopg.Error as error:
                state = error.sqlstate or ""
                if state == DISK_FULL:
                    raise StoreFull("the store's disk is full") from error
                if state and not state.startswith(AWAY):
                    raise
                self._connections.drop()
        raise StoreAway("the store does not answer")


def taken(queue: "deque[Waiting]", share: int) -> list[Waiting]:
    """Take the next batch off the queue; an event id is in it once, its repetition waits."""
    batch: list[Waiting] = []
    held: list[Waiting] = []
    ids: set[tuple[str | None, str]] = set()
    events = size = 0
    while queue and len(batch) < share:
        theirs = []
        for draft in queue[0].append.drafts:
            events += 1
            size += len(draft.template)
            if draft.event_id is not None:
                theirs.append((draft.source, draft.event_id))
        if batch and (events > BATCH_EVENTS_MAX or size > BATCH_BYTES_MAX):
            break
        if ids.isdisjoint(theirs):
            ids.update(theirs)
            batch.append(queue.popleft())
        else:
            held.append(queue.popleft())
    queue.extendleft(reversed(held))
    return batch


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
