"""Reading what others post: a consumer group over the inbound topics, read by hand and committed by
hand, and a reader that goes back to messages which were passed before."""

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import (
    CommitFailedError,
    CorruptRecordError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from infra.kafka.brokers import Brokers
from infra.kafka.topics import ensure_topic

GROUP = "cairn-inbound"
POLL_MESSAGES_MAX = 1_000
FETCH_BYTES_MAX = 512 * 1024
"""Of one partition at once. Small, so that all partitions come side by side."""
SESSION_MILLISECONDS = 10_000
"""After so long a process that died is missed, and its partitions go to the others."""
HEARTBEAT_MILLISECONDS = 2_000
POLL_INTERVAL_MILLISECONDS = 300_000
PROBE_MILLISECONDS = 5_000
ANSWER_MILLISECONDS = 10_000
REREAD_MILLISECONDS = 10_000
CLOSE_MILLISECONDS = 5_000

STALLED_SECONDS = 15.0
STALLED_READS = 30
"""So long and so many looks a partition may stand still although the brokers have more of it."""

Partition = tuple[str, int]
"""Topic and number."""
Headers = tuple[tuple[str, bytes | None], ...]
UNREADABLE: Headers = (("", None),)
"""In place of the headers of what is no record."""


class BrokersAway(Exception):
    """The brokers do not answer, or not as they should; what was asked can be asked again."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the topic has it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands: topic, partition, offset."""
        return self.topic, self.partition, self.offset


@dataclass(slots=True)
class Read:
    """What one look at the topics brought."""

    messages: list[Message] = field(default_factory=list)
    gained: dict[Partition, int] = field(default_factory=dict)
    """Partitions that are this process's from now on, and the offset each is read from."""
    lost: set[Partition] = field(default_factory=set)
    """Partitions that are another's from now on, or were for a moment: what was read of them and
    not committed comes again."""


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what the group gives and takes; called in a thread of the client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lost: set[TopicPartition] = set()
        self._gained: set[TopicPartition] = set()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Partitions are taken away."""
        with self._lock:
            self._lost.update(revoked)
            self._gained.difference_update(revoked)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Partitions are given."""
        with self._lock:
            self._gained.update(assigned)

    def taken(self) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """What was taken and given since it was last asked."""
        with self._lock:
            lost, gained = self._lost, self._gained
            self._lost, self._gained = set(), set()
            return lost, gained


class Inbox:
    """The inbound topics, as one member of the group reads them. Used by one thread at a time.

    Everything raises BrokersAway.
    """

    def __init__(self, brokers: Brokers, group: str = GROUP) -> None:
        self._brokers = brokers
        self._changes = _Changes()
        self._next: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._behind_at: dict[Partition, int] = {}
        """Where partitions of which the brokers had more stood when that was looked for."""
        self._compared = time.monotonic()
        self._reads = 0
        try:
            self._consumer = KafkaConsumer(
                **brokers.options(),
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                max_poll_records=POLL_MESSAGES_MAX,
                max_partition_fetch_bytes=FETCH_BYTES_MAX,
                max_poll_interval_ms=POLL_INTERVAL_MILLISECONDS,
                session_timeout_ms=SESSION_MILLISECONDS,
                heartbeat_interval_ms=HEARTBEAT_MILLISECONDS,
            )
        except KafkaError as error:
            raise BrokersAway(type(error).__name__) from error

    def follow(self, topics: Collection[str]) -> None:
        """Read these topics, together with the other members of the group."""
        self._consumer.subscribe(list(topics), listener=self._changes)

    def read(self, seconds: float, full: Collection[Partition] = ()) -> Read:
        """Wait up to so long for messages; partitions that are `full` are left alone.

        It is called even when all are full: a member that never asks is put out of the group.
        """
        try:
            self._pause(full)
            polled = self._polled(seconds)
            lost, gained = self._changes.taken()
            found = Read(lost={_named(one) for one in lost | gained})
            for one in found.lost:
                self._next.pop(one, None)
                self._ends.pop(one, None)
            # Messages may come before the word that the partition is ours, or stem from before it
            # was taken away and given back: a partition always begins where the group stands.
            fresh = {one for one in polled if _named(one) not in self._next} | gained
            found.gained = self._begun(fresh)
            self._refuse_stalled(polled, full)
        except (KafkaError, IllegalStateError) as error:
            raise BrokersAway(type(error).__name__) from error
        for partition, records in polled.items():
            if partition in fresh:
                continue
            found.messages += records
            self._next[_named(partition)] = records[-1].offset + 1
        return found

    def _refuse_stalled(
        self, polled: Collection[TopicPartition], full: Collection[Partition]
    ) -> None:
        """BrokersAway when a partition brings nothing although the brokers have more of it: after
        brokers died the client at times never asks for it again, and a new member does."""
        self._reads += 1
        now = time.monotonic()
        if self._reads < STALLED_READS or now < self._compared + STALLED_SECONDS:
            return
        self._reads, self._compared = 0, now
        ours = [TopicPartition(*one) for one in self._next if one not in full]
        ends = self._consumer.end_offsets([one for one in ours if one not in polled])
        behind = {_named(one): at for one, end in ends.items() if (at := self._at(one)) < end}
        stalled = [one for one, at in behind.items() if self._behind_at.get(one) == at]
        self._behind_at = behind
        if stalled:
            raise BrokersAway("stalled")

    def _at(self, one: TopicPartition) -> int:
        return self._next[_named(one)]

    def _polled(self, seconds: float) -> dict[TopicPartition, list[Message]]:
        try:
            polled = self._consumer.poll(timeout_ms=int(seconds * 1_000))
        except CorruptRecordError as error:
            if not _as_written(error):
                raise
            return self._past_unreadable()
        return {partition: list(map(_message, records)) for partition, records in polled.items()}

    def _past_unreadable(self) -> dict[TopicPartition, list[Message]]:
        """A record is none, such as one with a header whose name is no text, and the client reads
        nothing of its batch from there on: those offsets are messages that say nothing."""
        for one, end in self._consumer.end_offsets(list(self._consumer.assignment())).items():
            at = self._consumer.position(one)
            if at < end and _unreadable(self._brokers, one, at):
                # Before anything else is read: the client would stay with this record.
                self._consumer.seek(one, at + 1)
                return {one: [Message(*_named(one), at, None, None, UNREADABLE)]}
        raise BrokersAway("a record could not be read, and now it can")

    def behind(self) -> dict[Partition, int]:
        """For each partition of ours how many messages are known that were not read yet."""
        found = {}
        for partition in list(self._next):
            try:
                newest = self._consumer.highwater(TopicPartition(*partition)) or 0
            except IllegalStateError:
                continue  # taken away since; the next look says so
            end = max(newest, self._ends.get(partition, 0))
            found[partition] = max(0, end - self._next[partition])
        return found

    def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Keep how far each partition is done: the offset that comes next. False when the group
        has moved on: then nothing is kept, and whoever has the partitions reads them again."""
        wanted = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
        }
        try:
            self._consumer.commit(wanted, timeout_ms=SESSION_MILLISECONDS)
        except (CommitFailedError, RebalanceInProgressError, IllegalStateError):
            return False
        except KafkaError as error:
            raise BrokersAway(type(error).__name__) from error
        return True

    def close(self) -> None:
        """Leave the group, so that the others need not wait for a time-out."""
        with suppress(KafkaError):
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_MILLISECONDS)

    def _pause(self, full: Collection[Partition]) -> None:
        ours = self._consumer.assignment()
        wanted = {TopicPartition(*one) for one in full} & ours
        paused = self._consumer.paused()
        self._consumer.pause(*(wanted - paused))
        self._consumer.resume(*(paused - wanted))

    def _begun(self, fresh: Collection[TopicPartition]) -> dict[Partition, int]:
        """Begin partitions at the offset that the group has committed; where each was begun."""
        ours = list(set(fresh) & self._consumer.assignment())
        if not ours:
            return {}
        ends = self._consumer.end_offsets(ours)
        first = self._consumer.beginning_offsets(ours)
        begun = {}
        for one in ours:
            committed = self._consumer.committed(one, timeout_ms=ANSWER_MILLISECONDS)
            at = first[one] if committed is None else max(first[one], committed)
            self._consumer.seek(one, at)
            begun[_named(one)] = self._next[_named(one)] = at
            self._ends[_named(one)] = ends[one]
        return begun


def reread(
    brokers: Brokers, partition: Partition, offsets: Collection[int]
) -> dict[int, Message | None]:
    """Messages that were passed before, by offset; None where the topic has it no more.

    Raises BrokersAway.
    """
    wanted = set(offsets)
    one = TopicPartition(*partition)
    consumer = None
    try:
        consumer = KafkaConsumer(
            **brokers.options(), group_id=None, isolation_level="read_committed"
        )
        consumer.assign([one])
        begin = max(min(wanted), consumer.beginning_offsets([one])[one])
        end = min(max(wanted) + 1, consumer.end_offsets([one])[one])
        consumer.seek(one, begin)
        read = _between(consumer, one, begin, end)
        found = {message.offset: message for message in read if message.offset in wanted}
    except (KafkaError, IllegalStateError) as error:
        raise BrokersAway(type(error).__name__) from error
    finally:
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MILLISECONDS)
    return {offset: found.get(offset) for offset in sorted(wanted)}


def _between(
    consumer: KafkaConsumer, one: TopicPartition, begin: int, end: int
) -> Iterator[Message]:
    """What stands from one offset up to another; nothing for what cannot be read."""
    position = begin
    while position < end:
        try:
            records = consumer.poll(timeout_ms=REREAD_MILLISECONDS).get(one, [])
        except CorruptRecordError as error:
            if not _as_written(error):
                raise
            position = consumer.position(one) + 1
            consumer.seek(one, position)
            continue
        yield from map(_message, records)
        reached = consumer.position(one)
        if reached <= position:
            raise BrokersAway("the partition does not answer")
        position = reached


def prepare(brokers: Brokers, topics: Iterable[str]) -> None:
    """Make the topics that are not there yet. BrokersAway."""
    try:
        for topic in topics:
            ensure_topic(brokers, topic)
    except KafkaError as error:
        raise BrokersAway(type(error).__name__) from error


def _named(partition: TopicPartition) -> Partition:
    return partition.topic, partition.partition


def _unreadable(brokers: Brokers, one: TopicPartition, offset: int) -> bool:
    """Whether what stands at an offset was written so that nobody can read it."""
    consumer = KafkaConsumer(**brokers.options(), group_id=None, isolation_level="read_committed")
    try:
        consumer.assign([one])
        consumer.seek(one, offset)
        consumer.poll(timeout_ms=PROBE_MILLISECONDS)
    except CorruptRecordError as error:
        return _as_written(error)
    finally:
        consumer.close(autocommit=False, timeout_ms=CLOSE_MILLISECONDS)
    return False


def _as_written(error: CorruptRecordError) -> bool:
    """Whether what cannot be read was written so. Bytes whose sum is wrong were spoilt on the way
    or on the broker's disk: they are asked for again, and not passed."""
    return "record structure" in str(error)


def _message(record: Any) -> Message:
    place = record.topic, record.partition, record.offset
    return Message(*place, record.key, record.value, tuple(record.headers))
