"""Batches: many participants' events, each standing alone, recorded side by side.

Items of one participant keep their order and, where several wait, are tried together in one
append; when that is refused each is judged alone. Results come in the order of the items. Memory
is bounded by the window of items under way.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from domain.kernel import Refusal
from infra.ledger.types import StoreAway, StoreFull
from services import logs
from services.api import access
from services.api.errors import problem_of
from services.api.watched import Measures
from services.auth import Caller
from services.bootstrap import Cairn
from services.door import Posted
from services.problems import Answered, answered
from services.terms import Answer, Place, Terms

WINDOW_ITEMS = 512
TOGETHER_MAX = 32
"""Items of one participant that are tried in one append."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a batch: a posted event, or why it is none."""

    index: int
    posted: Posted | None = None
    problem: Answered | None = None


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


class Batch:
    """Records the items of one request."""

    def __init__(
        self, cairn: Cairn, caller: Caller, study: str, terms: Terms, measures: Measures
    ) -> None:
        self._cairn = cairn
        self._measures = measures
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
        if participant is None:
            # What the study does (a site opens, a hold is placed) stands between what comes before
            # and after it in the batch.
            await asyncio.gather(*self._workers)
            sure.set_result(await self._alone(None, item))
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
        if len(pairs) > 1 and self._terms.if_match is None:
            posted = [item.posted for item, _ in pairs if item.posted is not None]
            answer = await self._tried(participant, posted)
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
        answer = await self._tried(participant, [item.posted])
        if isinstance(answer, Answer):
            return placed(item.index, answer.places[0])
        if isinstance(answer, Refusal):
            (away,) = await asyncio.gather(
                self._cairn.refusals.keep(
                    self._study, participant, [item.posted], answer, self._terms
                ),
                return_exceptions=True,
            )
            if away is not None:
                # A refusal that nobody can look up later is not given: the sender asks again.
                answer = away
        return failed(item.index, self._problem(answer))

    async def _tried(self, participant: str | None, posted: list[Posted]) -> Answer | BaseException:
        """What became of the events: one item's failure is not the batch's."""
        recorded = (
            self._record_study(posted[0])
            if participant is None
            else self._record(participant, posted)
        )
        (answer,) = await asyncio.gather(recorded, return_exceptions=True)
        return answer

    async def _record(self, participant: str, posted: list[Posted]) -> Answer:
        await access.may_post(self._cairn, self._caller, self._study, participant, posted)
        return await self._cairn.recording.record(self._study, participant, posted, self._terms)

    async def _record_study(self, posted: Posted) -> Answer:
        await access.may_post_study(self._cairn, self._caller, self._study, posted)
        return await self._cairn.recording.record_study(self._study, posted, self._terms)

    def _problem(self, error: BaseException) -> Answered:
        problem = problem_of(error)
        if problem is None:
            logs.defect(error)
            problem = answered("internal", "The item was not recorded.")
        self._measures.refused(problem)
        return problem
