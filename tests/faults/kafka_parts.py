"""Relay, inbound and workers as processes, brokers that die, and messages that keep coming."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, KafkaTimeoutError

from bench.journey import FACTS
from tests.kafka.cluster import Cluster, Node

SOURCE = "urn:test:faults"
PARTITIONS = 4
JOURNEYS_AT_ONCE = 60
TWICE_PERCENT = 10
POISON_PERCENT = 2
SETTLE_SECONDS_MAX = 180.0
READ_SECONDS_MAX = 30.0
READERS_MAX = 5


@dataclass
class Part:
    """One process of Cairn."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.cli", *self.arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def kill(self) -> None:
        """`kill -9`; a process that ended by itself is a fault of its own."""
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended by itself: {self.log}"
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text()[-4_000:]


class Messages(threading.Thread):
    """Posts journeys to the inbound topic at a steady rate, some messages twice, some poison."""

    def __init__(self, bootstrap: str, topic: str, rate: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._brokers, self._topic, self._rate = bootstrap, topic, rate
        self._random = random.Random(seed)
        self._journeys: list[tuple[str, int]] = []
        self._begun = 0
        self.sent = 0
        self.seconds = 0.0
        self.errors: list[str] = []
        self.halt = threading.Event()

    def run(self) -> None:
        producer = KafkaProducer(
            bootstrap_servers=self._brokers,
            linger_ms=20,
            delivery_timeout_ms=int(SETTLE_SECONDS_MAX * 1_000),
            request_timeout_ms=10_000,
            max_block_ms=60_000,
        )
        began = time.monotonic()
        while not self.halt.wait(0.02):
            due = int((time.monotonic() - began) * self._rate)
            while self.sent < due:
                for key, value in self._next():
                    try:
                        sent = producer.send(self._topic, value, key=key)
                    except KafkaError as error:
                        self.errors.append(type(error).__name__)
                        continue
                    sent.add_errback(lambda error: self.errors.append(type(error).__name__))
                    self.sent += 1
        self.seconds = time.monotonic() - began
        producer.flush(SETTLE_SECONDS_MAX)
        producer.close()

    def _next(self) -> list[tuple[bytes, bytes]]:
        if len(self._journeys) < JOURNEYS_AT_ONCE:
            self._begun += 1
            self._journeys.append((f"P{self._begun:06}", 0))
        at = self._random.randrange(len(self._journeys))
        participant, index = self._journeys[at]
        self._journeys[at] = (participant, index + 1)
        if index + 1 == len(FACTS):
            del self._journeys[at]
        kind, when, data = FACTS[index]
        event = {"participant": participant, "type": kind, "occurred_at": when, "data": data}
        event |= {"id": f"{participant}:{index}", "source": SOURCE}
        message = participant.encode(), json.dumps(event).encode()
        dice = self._random.randrange(100)
        if dice < POISON_PERCENT:
            return [message, (participant.encode(), b'{"participant": ')]
        return [message] * (2 if dice < POISON_PERCENT + TWICE_PERCENT else 1)


class Followed:
    """A topic as somebody reads it who keeps the position: from the beginning on and on."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._next: dict[TopicPartition, int] = {}
        self._consumer: KafkaConsumer | None = None

    def more(self) -> list[Any]:
        """What the topic has by now and was not given yet.

        The client may stop asking a partition whose leader has changed (kafka-python 3.0); another
        one then reads on from the same positions.
        """
        found: list[Any] = []
        for _ in range(READERS_MAX):
            try:
                for record in self._read(self._consumer or self._reader()):
                    self._next[TopicPartition(record.topic, record.partition)] = record.offset + 1
                    found.append(record)
            except KafkaError:
                self.close()
                continue
            return found
        raise AssertionError("the topic cannot be read")

    def _reader(self) -> KafkaConsumer:
        self._consumer = consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap,
            isolation_level="read_committed",
            max_poll_records=5_000,
        )
        numbers = consumer.partitions_for_topic(self._topic) or ()
        consumer.assign([TopicPartition(self._topic, one) for one in numbers])
        for place in consumer.assignment():
            consumer.seek(place, self._next.get(place, 0))
        return consumer

    @staticmethod
    def _read(consumer: KafkaConsumer) -> Iterator[Any]:
        ends = consumer.end_offsets(list(consumer.assignment()))
        deadline = time.monotonic() + READ_SECONDS_MAX
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(1_000).values():
                deadline = time.monotonic() + READ_SECONDS_MAX
                yield from records
            if time.monotonic() > deadline:
                raise KafkaTimeoutError("the topic is not read to its end")

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


def settled(more: Callable[[], int], done: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait as long as more comes; fail when nothing came for too long."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        came = more()
        if done():
            return
        if came:
            deadline = time.monotonic() + SETTLE_SECONDS_MAX
        assert time.monotonic() < deadline, what()
        time.sleep(1)


def await_copies(cluster: Cluster, topics: Sequence[str]) -> None:
    """Wait until every broker has everything again: then one may die."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap, request_timeout_ms=5_000)
            try:
                described = admin.describe_topics(list(topics))
            finally:
                admin.close()
        except KafkaError:
            time.sleep(0.2)
            continue
        if all(_whole(topic, len(cluster.nodes)) for topic in described):
            return
        time.sleep(0.2)
    raise AssertionError("the brokers did not catch up")


def _whole(topic: dict[str, Any], copies: int) -> bool:
    parts = topic["partitions"]
    return bool(parts) and all(len(one["isr_nodes"]) == copies for one in parts)


@dataclass
class Everything:
    """All that can be killed."""

    cluster: Cluster
    parts: list[Part]
    topics: Sequence[str]
    choose: random.Random
    kills: dict[str, int] = field(default_factory=dict)

    def kill_some(self) -> None:
        """One of the processes or more, at times a broker too; all come back at once."""
        victims = self.choose.sample(self.parts, self.choose.choice((1, 2, 2, 3, 4)))
        broker = self.choose.choice(self.cluster.nodes) if self.choose.random() < 0.3 else None
        if broker is not None:
            await_copies(self.cluster, self.topics)
            self.cluster.kill(broker)
            self._count(f"broker-{broker.number}")
        for one in victims:
            one.kill()
            self._count(one.name)
            time.sleep(self.choose.uniform(0, 0.05))
        for one in victims:
            one.start()
        if broker is not None:
            self._back(broker)

    def _back(self, broker: Node) -> None:
        self.cluster.begin(broker)
        self.cluster.await_ready(broker)

    def _count(self, name: str) -> None:
        self.kills[name] = self.kills.get(name, 0) + 1
