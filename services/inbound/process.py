"""The inbound process: reads topics, records what they say, answers, and only then moves on.

A message's offset is committed when its event is durable, or when it is kept to be tried again, and
when the brokers have its answer. Dying at any moment loses nothing: what was not committed comes
again, is known by its id, and is answered again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar

from infra.kafka.activity import Activity
from infra.kafka.inbound import BrokersAway, Inbox, Message, Partition
from infra.kafka.results import ResultProducer
from infra.kafka.topics import inbound_topic, is_topic, results_topic
from infra.ledger.types import StoreAway, StoreFull
from infra.parked import Parked, ParkedMessages
from services import logs
from services.auth import Caller
from services.bootstrap import Cairn
from services.inbound.figures import Figures
from services.inbound.message import received
from services.inbound.progress import Progress
from services.inbound.sequence import Sequence
from services.inbound.settling import Settled, Settling, terms_of
from services.inbound.waiting import Waiting
from services.pulse import beat

BATCH_MESSAGES_MAX = 1_000
IDLE_SECONDS = 0.5
QUIET_SECONDS = 0.1
"""When nothing came for so long, nothing more is waited for, whatever the topic promised."""
TOPICS_SECONDS = 5.0
"""How often it is looked whether there is another study."""
BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)

T = TypeVar("T")


class Ended(Exception):
    """The process was asked to end while it waited for the store or the brokers."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What the process does to the world outside the ledger."""

    inbox: Callable[[], Inbox]
    """Joins the group."""
    results: ResultProducer
    parked: ParkedMessages
    prepare: Callable[[Iterable[str]], None]
    """Makes the topics that are not there."""
    reread: Callable[[Partition, Collection[int]], Mapping[int, Message | None]]
    """Messages that were passed before."""
    activity: Activity = field(default_factory=Activity)


@dataclass(frozen=True, slots=True)
class Followed:
    """A topic, the study it is about, and what is at hand of it."""

    study: str
    topic: str
    settling: Settling
    sequence: Sequence = field(default_factory=Sequence)


class Inbound:
    """One member of the group that reads the inbound topics. `topics` names them by study; without
    it every study's own topic is read, those of studies to come as well."""

    def __init__(
        self,
        cairn: Cairn,
        caller: Caller,
        ports: Ports,
        patience: timedelta,
        topics: Mapping[str, str] | None = None,
    ) -> None:
        self._cairn = cairn
        self._caller = caller
        self._ports = ports
        self._patience = patience
        self._topics = topics
        self._followed: dict[str, Followed] = {}
        self._inbox: Inbox | None = None
        self._progress = Progress()
        self._unloaded: set[Partition] = set()
        """Partitions of ours whose waiting messages are not at hand yet."""
        self._ending = asyncio.Event()
        self._kafka = ThreadPoolExecutor(1, "inbound")
        """The consumer belongs to one thread."""
        self._failures = 0
        self._more = False
        """More was at hand than one step takes."""
        self._looked = float("-inf")
        self.figures = Figures(ports.activity)

    def end(self) -> None:
        """Ask it to end after what is at hand."""
        self._ending.set()

    async def run(self) -> None:
        """Read and record until told to end."""
        try:
            while not self._ending.is_set():
                beat()
                try:
                    await self._step()
                    self._failures = 0
                    self._ports.activity.goes_on()
                except Ended:
                    break
                except (BrokersAway, StoreAway, StoreFull) as error:
                    self._waits(error)
                    await self._back_off()
                    if isinstance(error, BrokersAway):
                        await self._leave()
        finally:
            await self._leave()
            await asyncio.to_thread(self._ports.results.close)
            self._kafka.shutdown()

    # --- one step ---------------------------------------------------------------------------------

    async def _step(self) -> None:
        await self._follow()
        behind, quiet = await self._read(self._wait_seconds())
        self._more = False
        await self._load()
        for one in self._followed.values():
            theirs = {} if quiet else {p: n for p, n in behind.items() if p[0] == one.topic}
            ready = one.sequence.taken(theirs, BATCH_MESSAGES_MAX)
            self._more |= len(ready) == BATCH_MESSAGES_MAX
            if ready or one.settling.room.due(self._cairn.clock()):
                settled = await one.settling.settle(ready, self._cairn.clock(), self._meanwhile)
                await self._answer(settled)
        self.figures.stand(
            behind,
            {topic: len(one.sequence) for topic, one in self._followed.items()},
            {topic: len(one.settling.room) for topic, one in self._followed.items()},
        )
        self.figures.tell(asyncio.get_running_loop().time())

    def _wait_seconds(self) -> float:
        """How long messages may be waited for."""
        if self._more:
            return 0.0
        if any(len(one.sequence) for one in self._followed.values()):
            return QUIET_SECONDS
        rooms = (one.settling.room.next_due() for one in self._followed.values())
        due = min((one for one in rooms if one is not None), default=None)
        if due is None:
            return IDLE_SECONDS
        left = (due - self._cairn.clock()).total_seconds()
        return min(IDLE_SECONDS, max(0.0, left))

    async def _follow(self) -> None:
        """Join the group, and read the topics of every study that there is."""
        now = asyncio.get_running_loop().time()
        if self._inbox is not None and now < self._looked + TOPICS_SECONDS:
            return
        self._looked = now
        topics = self._topics
        if topics is None:
            studies = await asyncio.to_thread(self._cairn.ledger.studies)
            named = ((study, inbound_topic(study)) for study in studies)
            topics = {study: topic for study, topic in named if is_topic(topic)}
        new = [study for study, topic in topics.items() if topic not in self._followed]
        if new:
            names = [name for study in new for name in (topics[study], results_topic(study))]
            await asyncio.to_thread(self._ports.prepare, names)
        for study in new:
            topic = topics[study]
            settling = Settling(self._cairn, self._caller, study, topic, self._patience)
            self._followed[topic] = Followed(study, topic, settling)
        if self._inbox is None:
            self._inbox = await self._in_turn(self._ports.inbox)
            new = list(topics)
        if new and self._followed:
            await self._in_turn(partial(self._inbox.follow, list(self._followed)))

    async def _read(self, seconds: float) -> tuple[dict[Partition, int], bool]:
        """Take in what is there; what is known beyond it, and whether nothing came though it was
        waited for."""
        assert self._inbox is not None
        if not self._followed:
            await self._pause(IDLE_SECONDS)
            return {}, True
        full = {part for one in self._followed.values() for part in one.sequence.full()}
        found = await self._in_turn(partial(self._inbox.read, seconds, full))
        self._let_go(found.lost)
        if found.lost or found.gained:
            self._changed({*self._progress.partitions(), *found.gained})
        for partition, offset in found.gained.items():
            self._progress.begin(partition, offset)
            self._unloaded.add(partition)
        for message in found.messages:
            partition = message.topic, message.partition
            if self._progress.read(partition, message.offset):
                one = self._followed[message.topic]
                terms = terms_of(self._caller, message.topic)
                one.sequence.add(received(one.study, message, terms))
        behind = await self._in_turn(self._inbox.behind)
        return behind, not found.messages and seconds >= QUIET_SECONDS

    def _let_go(self, lost: Collection[Partition]) -> None:
        if not lost:
            return
        self._progress.forget(lost)
        self._unloaded -= set(lost)
        for one in self._followed.values():
            one.sequence.drop(lost)
            one.settling.room.drop(lost)

    def _changed(self, ours: Iterable[Partition]) -> None:
        held = Counter(self._followed[topic].study for topic, _ in ours)
        self._ports.activity.changed(dict(held))

    async def _load(self) -> None:
        """Bring to mind what waits of partitions that were gained: the store knows the places, the
        topic still has the messages."""
        for partition in list(self._unloaded):
            one = self._followed[partition[0]]
            parked = await asyncio.to_thread(self._ports.parked.of_partition, one.study, *partition)
            if parked:
                await self._bring_to_mind(one, partition, {it.offset: it for it in parked})
            self._unloaded.discard(partition)

    async def _bring_to_mind(
        self, one: Followed, partition: Partition, parked: Mapping[int, Parked]
    ) -> None:
        messages = await asyncio.to_thread(self._ports.reread, partition, list(parked))
        terms = terms_of(self._caller, one.topic)
        for offset, message in messages.items():
            if message is not None:
                again = received(one.study, message, terms)
                one.settling.room.put(Waiting(again, parked[offset]))
        gone = [parked[offset] for offset, message in messages.items() if message is None]
        if gone:
            await self._answer(one.settling.gone(gone))

    # --- answering --------------------------------------------------------------------------------

    async def _answer(self, settled: Settled) -> None:
        """Answer what was settled, then move on.

        Dying before the results are taken: the messages come again, are known, and are answered.
        Dying after it: they come again and are answered a second time, the same way. What waits is
        kept before it is answered that it waits; what waited is forgotten after its last answer.
        """
        if settled.parked:
            await self._until_done(partial(self._ports.parked.park, settled.parked))
        if settled.results:
            await self._until_done(partial(self._ports.results.send, settled.results))
        if settled.released:
            await self._until_done(partial(self._ports.parked.release, settled.released))
        for message in settled.messages:
            self._progress.done((message.topic, message.partition), message.offset)
        self.figures.answered(settled.statuses)
        offsets = self._progress.to_commit()
        inbox = self._inbox
        if offsets and inbox is not None and await self._in_turn(partial(inbox.commit, offsets)):
            self._progress.committed(offsets)

    async def _until_done(self, act: Callable[[], None]) -> None:
        """Do it, again and again while the store or the brokers are away. Raises Ended."""
        while True:
            try:
                await asyncio.to_thread(act)
            except (BrokersAway, StoreAway, StoreFull) as error:
                self._waits(error)
                await self._meanwhile()
            else:
                return

    async def _meanwhile(self) -> None:
        """Wait a little longer each time, and stay a member of the group. Raises Ended."""
        await self._back_off()
        beat()
        if self._ending.is_set():
            raise Ended
        if self._inbox is not None:
            # What comes is kept at hand; what is taken away is another's to answer.
            await self._read(0.0)

    def _waits(self, error: Exception) -> None:
        self._ports.activity.interrupted(type(error).__name__)
        logs.warned("inbound-waits", kind=type(error).__name__, cause=str(error))

    async def _back_off(self) -> None:
        pause = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._failures += 1
        await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except TimeoutError:
            return

    async def _in_turn(self, act: Callable[[], T]) -> T:
        """Do something with the consumer, in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._kafka, act)

    async def _leave(self) -> None:
        """Leave the group; whatever was not committed is read again by whoever comes."""
        if self._inbox is None:
            return
        inbox, self._inbox = self._inbox, None
        self._ports.activity.held = {}
        self._let_go(self._progress.partitions())
        await self._in_turn(inbox.close)
