"""Settling: a study's messages are recorded, refused for good, or wait for others."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from infra.kafka.inbound import Message
from infra.kafka.results import Result
from infra.parked import Parked
from services.auth import Caller
from services.batch import WAITS, Batch, Item, failed
from services.bootstrap import Cairn
from services.inbound.message import Received, source_of
from services.inbound.patience import may_be_lifted
from services.inbound.results import answer_of
from services.inbound.sequence import order_of
from services.inbound.waiting import Waiting, WaitingRoom
from services.problems import Answered, answered
from services.terms import Terms

STORE_TROUBLE = (503, 507)
RECORDED = (200, 201)

Meanwhile = Callable[[], Awaitable[None]]
"""Called, and waited for, before what failed because of the store is tried again."""


@dataclass(slots=True)
class Settled:
    """What became of some messages, not answered yet."""

    results: list[Result] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    """What waits from now on."""
    released: list[Parked] = field(default_factory=list)
    """What waited until now."""
    statuses: list[int] = field(default_factory=list)


def terms_of(caller: Caller, topic: str) -> Terms:
    """On whose behalf the messages of a topic are recorded."""
    return Terms(actor=caller.actor, source=source_of(topic))


class Settling:
    """Settles messages of one study, on behalf of whoever reads its topic."""

    def __init__(
        self, cairn: Cairn, caller: Caller, study: str, topic: str, patience: timedelta
    ) -> None:
        self._cairn = cairn
        self._caller = caller
        self._study = study
        self.terms = terms_of(caller, topic)
        self._patience = patience
        self.room = WaitingRoom()

    async def settle(
        self, fresh: Sequence[Received], now: datetime, meanwhile: Meanwhile
    ) -> Settled:
        """Settle messages that came, then whatever waits and may be lifted by them, and whatever
        has waited long enough."""
        settled = Settled()
        places = {one.message.place for one in fresh}
        waited = {place for place in places if self.room.find(place) is not None}
        due = [one for one in self.room.due(now) if one.message.place not in places]
        settled.messages = [one.message for one in fresh]
        found: dict[tuple[str, int, int], tuple[Received, dict[str, Any]]] = {}
        turn = sorted([*fresh, *due], key=order_of)
        while turn:
            moved: set[str | None] = set()
            for received, item in zip(turn, await self._tried(turn, now, meanwhile), strict=True):
                place = received.message.place
                if item["status"] == WAITS:
                    self._wait(received, now)
                    if place in places or place in found:
                        found[place] = received, item
                    continue
                if item["status"] in RECORDED:
                    moved.add(received.participant)
                known = self.room.take(place)
                if known is not None and (place in waited or place not in places):
                    settled.released.append(known.parked)
                found[place] = received, item
            turn = sorted(self.room.touched(moved), key=order_of) if moved else []
        self._answer(settled, found)
        return settled

    def gone(self, parked: Sequence[Parked]) -> Settled:
        """Messages that waited and that the topic has no more: nobody can try them again."""
        settled = Settled(released=list(parked))
        for one in parked:
            message = Message(one.topic, one.partition, one.offset, None, None, ())
            problem = answered("gone", "The topic has the message no more.")
            item = failed(0, problem)
            settled.results.append(answer_of(Received(self._study, message), item, None))
            settled.statuses.append(problem.status)
        return settled

    def _answer(
        self,
        settled: Settled,
        found: dict[tuple[str, int, int], tuple[Received, dict[str, Any]]],
    ) -> None:
        for place, (received, item) in found.items():
            waits = self.room.find(place) if item["status"] == WAITS else None
            if waits is not None:
                settled.parked.append(waits.parked)
            until = None if waits is None else waits.parked.until
            settled.results.append(answer_of(received, item, until))
            settled.statuses.append(item["status"])

    def _wait(self, received: Received, now: datetime) -> None:
        if self.room.find(received.message.place) is not None:
            return
        message = received.message
        self.room.put(
            Waiting(
                received,
                Parked(
                    self._study,
                    message.topic,
                    message.partition,
                    message.offset,
                    received.participant,
                    now,
                    now + self._patience,
                ),
            )
        )

    async def _tried(
        self, turn: Sequence[Received], now: datetime, meanwhile: Meanwhile
    ) -> list[dict[str, Any]]:
        """What became of each, tried until the store has an answer for all of them."""
        results: dict[int, dict[str, Any]] = {}

        def waits(item: Item, error: BaseException) -> bool:
            return may_be_lifted(error) and self._may_wait(turn[item.index], now)

        while True:
            items = [
                Item(index, one.posted, one.problem, one.terms)
                for index, one in enumerate(turn)
                if index not in results
            ]
            batch = Batch(self._cairn, self._caller, self._study, self.terms, self._refused, waits)
            tried = [result async for result in batch.results(_each(items))]
            away = any(one["status"] in STORE_TROUBLE for one in tried)
            # When the store failed halfway, what was refused may have lacked what failed.
            results |= {one["index"]: one for one in tried if not away or one["status"] in RECORDED}
            if not away:
                return [results[index] for index in range(len(turn))]
            await meanwhile()

    def _may_wait(self, received: Received, now: datetime) -> bool:
        known = self.room.find(received.message.place)
        if known is not None:
            return known.parked.until > now
        return self._patience > timedelta(0) and self.room.has_room()

    def _refused(self, problem: Answered) -> None:
        """Refusals are counted by their status when they are answered."""


async def _each(items: Sequence[Item]) -> AsyncIterator[Item]:
    for item in items:
        yield item
