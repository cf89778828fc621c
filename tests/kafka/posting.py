"""What tests of inbound messages share: a study, a poster, the process, and its answers."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from domain.kernel import Actor
from infra.kafka.inbound import Message
from infra.kafka.topics import inbound_topic, results_topic
from services.auth import Caller, Claims
from services.bootstrap import Cairn, Settings, open_cairn
from services.publishing import draft
from services.terms import Terms

ANSWER_SECONDS_MAX = 90.0
"""So long nothing may be heard before a test gives up."""
PARTITIONS = 2
TERMS = Terms(Actor(id="t", role="administrator"), "urn:t")

CALLER = Caller(Claims(role="administrator", id="inbound"))

Answer = dict[str, Any]
Place = tuple[int, int]


def protocol(study: str) -> dict[str, Any]:
    """A small study."""
    return {
        "study": study,
        "version": "1.0",
        "title": "A study for tests",
        "accrual": 2,
        "dictionary": {"egfr": {"name": "eGFR", "kind": "quantity", "unit": "mL/min"}},
    }


def event(kind: str, participant: str | None, occurred_at: str, **more: Any) -> dict[str, Any]:
    """An event as it is posted; what is no member of the envelope is its data."""
    envelope = {name: more.pop(name) for name in ("id", "source", "reason") if name in more}
    whole = {"type": kind, "participant": participant, "occurred_at": occurred_at, "data": more}
    return {**{name: value for name, value in whole.items() if value is not None}, **envelope}


def referred(participant: str, **more: Any) -> dict[str, Any]:
    return event("referred", participant, "2025-11-01", site="01", channel="clinician", **more)


def consented(participant: str, **more: Any) -> dict[str, Any]:
    signed = {"form_version": "1.0", "signed_by": "participant"}
    return event("consented", participant, "2025-11-02", **signed, **more)


@contextlib.contextmanager
def opened(database: str, folder: Path, study: str) -> Iterator[Cairn]:
    """A Cairn on the database, the small study published."""
    with contextlib.closing(open_cairn(Settings(data=folder), conninfo=database)) as cairn:
        found = draft(json.dumps(protocol(study)).encode(), "application/json", study=study)
        asyncio.run(cairn.publishing.publish_protocol(found, TERMS))
        yield cairn


def make_topics(broker: str, study: str, partitions: int = PARTITIONS) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    names = (inbound_topic(study), results_topic(study))
    admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    admin.close()


Sent = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Key, value, headers."""


def as_json(document: Mapping[str, Any]) -> Sent:
    """A message as most senders write it: keyed by participant."""
    key = str(document.get("participant", "study")).encode()
    return key, json.dumps(document).encode(), ()


def as_message(
    study: str,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> Message:
    """The message as the inbound process reads it."""
    return Message(inbound_topic(study), 0, offset, key, value, tuple(headers))


def send(broker: str, topic: str, messages: Sequence[Sent], **where: Any) -> list[Place]:
    """Send messages; partition and offset of each."""
    producer = KafkaProducer(bootstrap_servers=broker, linger_ms=5)
    futures = [
        producer.send(topic, value, key=key, headers=list(headers), **where)
        for key, value, headers in messages
    ]
    places = [(sent.partition, sent.offset) for sent in (one.get(30) for one in futures)]
    producer.close()
    return places


class Answers:
    """The results of a study, as they come."""

    def __init__(self, broker: str, study: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest")
        topic = results_topic(study)
        parts = self._consumer.partitions_for_topic(topic) or set()
        self._consumer.assign([TopicPartition(topic, one) for one in parts])
        self.all: list[Answer] = []
        self.headers: dict[Place, dict[str, bytes]] = {}
        self.keys: dict[Place, bytes] = {}

    def of(self, place: Place) -> list[Answer]:
        return [one for one in self.all if (one["partition"], one["offset"]) == place]

    @property
    def last(self) -> dict[Place, Answer]:
        """The result that counts: what is recorded stays recorded, else the last word."""
        found: dict[Place, Answer] = {}
        for one in self.all:
            place = one["partition"], one["offset"]
            if found.get(place, one)["status"] not in (200, 201) or one["status"] in (200, 201):
                found[place] = one
        return found

    def wait(self, places: Sequence[Place], *, final: bool = True) -> list[Answer]:
        """The result of each of the messages; the last word where `final`."""
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while time.monotonic() < deadline:
            last = self.last
            if all(p in last and not (final and last[p]["status"] == 202) for p in places):
                return [last[place] for place in places]
            if self.read():
                deadline = time.monotonic() + ANSWER_SECONDS_MAX
        missing = [place for place in places if place not in self.last]
        raise AssertionError(f"{len(missing)} of {len(places)} messages are not answered")

    def read(self, milliseconds: int = 200) -> int:
        """Take in what is there; how many results came."""
        before = len(self.all)
        for records in self._consumer.poll(timeout_ms=milliseconds).values():
            for one in records:
                result = json.loads(one.value)
                place = result["partition"], result["offset"]
                self.headers[place], self.keys[place] = dict(one.headers), one.key
                self.all.append(result)
        return len(self.all) - before

    def close(self) -> None:
        self._consumer.close()


@dataclass
class Process:
    """`cairn inbound` as a process of its own."""

    database: str
    folder: Path
    broker: str
    options: tuple[str, ...] = ("--role", "administrator")
    patience: str = "PT30S"
    module: str = "services.cli"
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            "CAIRN_DATABASE_URL": self.database,
            "CAIRN_DATA": str(self.folder),
            "CAIRN_KAFKA_BOOTSTRAP": self.broker,
            "CAIRN_KAFKA_PARTITIONS": str(PARTITIONS),
            "CAIRN_KAFKA_INBOUND_PATIENCE": self.patience,
            **self.environment,
        }
        with (self.folder / "inbound.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, "inbound", *self.options],
                stdout=log,
                stderr=log,
                env=environment,
            )

    @property
    def log(self) -> str:
        return (self.folder / "inbound.log").read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        """Until it ends by itself."""
        assert self.process is not None
        return self.process.wait(ANSWER_SECONDS_MAX)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextlib.contextmanager
def running(*processes: Process) -> Iterator[None]:
    """Some processes at work; ended afterwards."""
    for one in processes:
        one.start()
    try:
        yield
    finally:
        for one in processes:
            if one.process is not None and one.process.poll() is None:
                one.kill()
