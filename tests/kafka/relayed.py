"""A ledger with events in it, a relay at work, and what a consumer of the topic sees."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from kafka import KafkaConsumer, TopicPartition

from domain.journey.consent import Consented
from domain.kernel import PROVISIONAL, Actor, Recorded
from domain.time import When
from domain.trial.events import SiteOpened
from infra.kafka.brokers import Brokers
from infra.kafka.cursors import RelayCursors
from infra.kafka.messages import partition_of
from infra.kafka.relay import Ports, Relay
from infra.kafka.topics import events_topic
from infra.ledger.envelope import template
from infra.ledger.ledger import Ledger
from infra.ledger.postgres import PostgresLedger
from infra.ledger.types import STUDY_STREAM, Append, Appended, Draft
from infra.postgres.pool import Pool, conninfo_of
from services.door.cloudevents import written

PARTITIONS = 3
SETTLE_SECONDS_MAX = 40.0
WHEN = When.parse("2026-11-02T09:15:00-05:00")


def draft(participant: str | None, version: int, reason: str | None = None) -> Draft:
    """An event of a participant, or of the study."""
    body = (
        Consented(form_version="1.0", signed_by="participant")
        if participant
        else SiteOpened(site=f"{version:03}", name="Site", timezone="America/New_York")
    )
    family, stream = ("participant", participant) if participant else ("study", STUDY_STREAM)
    event = Recorded(
        body=body,
        position=PROVISIONAL,
        version=version,
        occurred_at=WHEN,
        recorded_at=datetime.now(UTC),
        actor=Actor(id="urn:test", role="system"),
        participant=participant,
        source="urn:test",
        id=f"{stream}-{version}",
        protocol=None,
        reason=reason,
    )
    assert stream is not None
    return Draft(
        stream=stream,
        version=version,
        topic=f"{family}.{body.type}.v1",
        template=template(event),
        source="urn:test",
        event_id=event.id,
    )


@dataclass
class Study:
    """One study's ledger as somebody appends to it."""

    ledger: Ledger
    name: str
    versions: dict[str | None, int] = field(default_factory=dict)

    def append(self, *participants: str | None, reason: str | None = None) -> None:
        """An event for each; None is the study's own. All in one append."""
        drafts = []
        for one in participants:
            self.versions[one] = self.versions.get(one, 0) + 1
            drafts.append(draft(one, self.versions[one], reason))
        assert isinstance(self.ledger.append_now(self.name, Append(tuple(drafts))), Appended)

    def told(self, partitions: int = PARTITIONS) -> dict[int, list[tuple[int, str]]]:
        """What each partition has to tell: position and hash of its events, in order."""
        found: dict[int, list[tuple[int, str]]] = {number: [] for number in range(partitions)}
        after = 0
        while page := self.ledger.read(self.name, after, 1_000):
            after = page[-1].position
            for one in page:
                own = one.stream == STUDY_STREAM
                into = range(partitions) if own else [partition_of(one.stream.encode(), partitions)]
                for number in into:
                    found[number].append((one.position, one.hash))
        return found


def consumed(bootstrap: str, study: str) -> dict[int, list[Any]]:
    """All records of the study's topic, by partition, as they stand there."""
    topic = events_topic(study)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, allow_auto_create_topics=False)
    try:
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        places = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(places)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(places)
        found: dict[int, list[Any]] = {number: [] for number in numbers}
        while any(consumer.position(place) < ends[place] for place in places):
            for place, records in consumer.poll(1_000, max_records=5_000).items():
                found[place.partition] += records
        return found
    finally:
        consumer.close()


def seen(records: dict[int, list[Any]]) -> dict[int, list[tuple[int, str]]]:
    """What a consumer sees that keeps its position in each partition and skips what it has."""
    found: dict[int, list[tuple[int, str]]] = {}
    for partition, sent in records.items():
        events = found[partition] = []
        for record in sent:
            position = int(dict(record.headers)["position"])
            if not events or position > events[-1][0]:
                events.append((position, orjson.loads(record.value)["leafhash"]))
    return found


def ports_on(pool: Pool, bootstrap: str, partitions: int = PARTITIONS, **more: Any) -> Ports:
    """What a relay works with, told to nobody."""
    ports = Ports(
        ledger=PostgresLedger(pool),
        cursors=RelayCursors(pool),
        conninfo=conninfo_of(pool),
        brokers=Brokers(tuple(bootstrap.split(",")), partitions),
        encode=written,
        notice=lambda _name, **_circumstances: None,
    )
    return replace(ports, **more)


@contextlib.contextmanager
def relaying(ports: Ports, only: str | None = None) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """A relay at work while the block lasts; what it told."""
    told: list[tuple[str, dict[str, Any]]] = []
    relay = Relay(replace(ports, notice=lambda name, **more: told.append((name, more))), only)
    stop = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    try:
        yield told
    finally:
        relay.stop(stop)
        thread.join(SETTLE_SECONDS_MAX)
        assert not thread.is_alive(), "the relay did not end"


def until(holds: Callable[[], bool], what: str, seconds: float = SETTLE_SECONDS_MAX) -> None:
    """Wait until it holds; fail when it does not within a bounded time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.01)


def sent(ports: Ports, study: Study) -> bool:
    """Whether the cursor stands at the ledger's head."""
    cursor = ports.cursors.find(study.name)
    return cursor is not None and cursor.position == study.ledger.head(study.name)


def halted(ports: Ports, study: str) -> str | None:
    """Why the study's relay does not go on."""
    cursor = ports.cursors.find(study)
    return None if cursor is None else cursor.halted
