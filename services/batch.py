"""Batches: many participants' events, each standing alone, recorded side by side.

Items of one participant keep their order and, where several wait, are tried together in one
append; when that is refused each is judged alone. Results come in the order of the items. Memory
is bounded by the window of items under way.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from domain.journey.treatment import DoseAuthorised, Enrolled
from domain.kernel import Refusal
from infra.ledger.types import StoreAway, StoreFull
from services import access, logs
from services.auth import Caller
from services.bootstrap import Cairn
from services.door import Posted
from services.errors import problem_of
from services.problems import Answered, answered
from services.terms import Answer, Place, Terms

WINDOW_ITEMS = 512
TOGETHER_MAX = 32
"""Items of one participant that are tried in one append."""
RESTS_ON_OTHERS = (Enrolled, DoseAuthorised)
"""Decisions that are judged on other participants as well: slots taken, days between doses."""
WAITS = 202
"""The status of an item that is not decided."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a batch: a posted event, or why it is none."""

    index: int
    posted: Posted | None = None
    problem: Answered | None = None
    terms: Terms | None = None
    """Conditions of its own; None: those of the batch."""


Waits = Callable[[Item, BaseException], bool]
"""Whether an item that was not recorded may still be, once others are: then nothing is decided."""

Result = dict[str, Any]
Sure = asyncio.Future[Result]


def placed(index: int, place: Place) -> Result:
    """The result of an item that is recorded, now or before."""
    status = 200 if place.replayed else 201
    return {
        "index": index,
        "status": status,
        "position": place.position,
        "version": place.version,
    }


def failed(index: int, problem: Answered) -> Result:
    """The result of an item that is not recorded."""
    return {"index": index, "status": problem.status, "problem": problem.document()}


def waiting(index: int, problem: Answered) -> Result:
    """The result of an item that waits for others; the problem is what it would be told now."""
    return {"index": index, "status": WAITS, "problem": problem.document()}


def _never(_item: Item, _error: BaseException) -> bool:
    return False


class Batch:
    """Records the items of one request, or of whatever came together."""

    def __init__(
        self,
        cairn: Cairn,
        caller: Caller,
        study: str,
        terms: Terms,
        refused: Callable[[Answered], None],
        waits: Waits = _never,
    ) -> None:
        self._cairn = cairn
        self._refused = refused
        self._waits = waits
        self._caller = caller
        self._study = study
        self._terms = terms
        self._waiting: dict[str, deque[tuple[Item, Sure]]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def results(self, items: AsyncIterator[Item]) -> AsyncGenerator[Result, None]:
        """The results, in order, as they become known."""
        window: asyncio.Queue[Sure | None] = asyncio.Queue(WINDOW_ITEMS)
        reader = asyncio.create_task(self._read(items, window))
        try:
            while (result := await window.get()) is not None:
                yield await result
            await reader
        finally:
            reader.cancel()
            for worker in list(self._workers):
                worker.cancel()
            await asyncio.gather(reader, *self._workers, return_exceptions=True)

    async def _read(self, items: AsyncIterator[Item], window: "asyncio.Queue[Sure | None]") -> None:
        try:
            async for item in items:
                sure: Sure = asyncio.get_running_loop().create_future()
                await self._begin(item, sure)
                await window.put(sure)
        except Exception:
            await window.put(None)
            raise
        await window.put(None)

    async def _begin(self, item: Item, sure: Sure) -> None:
        if item.posted is None:
            assert item.problem is not None
            sure.set_result(failed(item.index, item.problem))
            return
        participant = item.posted.participant
        if participant is None or isinstance(item.posted.body, RESTS_ON_OTHERS):
            # What the study does (a site opens, a hold is placed), and what rests on how others
            # stand, stands between what comes before and after it in the batch.
            await asyncio.gather(*self._workers)
            sure.set_result(await self._alone(participant, item))
            return
        waiting = self._waiting.get(participant)
        if waiting is None:
            waiting = self._waiting[participant] = deque()
            worker = asyncio.create_task(self._work(participant, waiting))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        waiting.append((item, sure))

    async def _work(self, participant: str, waiting: deque[tuple[Item, Sure]]) -> None:
        try:
            while waiting:
                count = min(len(waiting), TOGETHER_MAX)
                await self._together(participant, [waiting.popleft() for _ in range(count)])
        finally:
            del self._waiting[participant]

    async def _together(self, participant: str, pairs: list[tuple[Item, Sure]]) -> None:
        own = any(item.terms is not None for item, _ in pairs)
        if len(pairs) > 1 and self._terms.if_match is None and not own:
            posted = [item.posted for item, _ in pairs if item.posted is not None]
            answer = await self._tried(participant, posted, self._terms)
            if isinstance(answer, Answer):
                for (item, sure), place in zip(pairs, answer.places, strict=True):
                    sure.set_result(placed(item.index, place))
                return
            if isinstance(answer, StoreAway | StoreFull):
                for item, sure in pairs:
                    sure.set_result(failed(item.index, self._problem(answer)))
                return
        for item, sure in pairs:
            sure.set_result(await self._alone(participant, item))

    async def _alone(self, participant: str | None, item: Item) -> Result:
        assert item.posted is not None
        terms = item.terms or self._terms
        answer = await self._tried(participant, [item.posted], terms)
        if isinstance(answer, Answer):
            return placed(item.index, answer.places[0])
        told = problem_of(answer)
        if told is not None and self._waits(item, answer):
            return waiting(item.index, told)
        if isinstance(answer, Refusal):
            (away,) = await asyncio.gather(
                self._cairn.refusals.keep(self._study, participant, [item.posted], answer, terms),
                return_exceptions=True,
            )
            if away is not None:
                # A refusal that nobody can look up later is not given: the sender asks again.
                answer = away
        return failed(item.index, self._problem(answer))

    async def _tried(
        self, participant: str | None, posted: list[Posted], terms: Terms
    ) -> Answer | BaseException:
        """What became of the events: one item's failure is not the batch's."""
        recorded = (
            self._record_study(posted[0], terms)
            if participant is None
            else self._record(participant, posted, terms)
        )
        (answer,) = await asyncio.gather(recorded, return_exceptions=True)
        return answer

    async def _record(self, participant: str, posted: list[Posted], terms: Terms) -> Answer:
        await access.may_post(self._cairn, self._caller, self._study, participant, posted)
        return await self._cairn.recording.record(self._study, participant, posted, terms)

    async def _record_study(self, posted: Posted, terms: Terms) -> Answer:
        await access.may_post_study(self._cairn, self._caller, self._study, posted)
        return await self._cairn.recording.record_study(self._study, posted, terms)

    def _problem(self, error: BaseException) -> Answered:
        problem = problem_of(error)
        if problem is None:
            logs.defect(error)
            problem = answered("internal", "The item was not recorded.")
        self._refused(problem)
        return problem
