"""The relay on a real Apache Kafka: events a second, and how long after a post a consumer has it.

One broker, the embedded PostgreSQL, everything durable; API, relay, clients and consumer are
processes of their own. `CAIRN_TESTS_KAFKA_BOOTSTRAP` names a broker, else one is started from
Maven's jars.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

from kafka import KafkaConsumer, TopicPartition

from bench.append import event
from bench.http import CLIENTS, PATHS, Service, serving
from bench.journey import STUDY
from bench.load import Order, Seen
from bench.measured import Row, Sample
from bench.setting import Setting
from infra.kafka.brokers import Brokers
from infra.kafka.cursors import RelayCursors
from infra.kafka.relay import Ports, Relay
from infra.kafka.topics import FOR_EVER, ensure_topic, events_topic
from infra.ledger.postgres import PostgresLedger
from infra.ledger.types import Append
from infra.postgres.pool import Pool, open_pool
from services.door.cloudevents import written
from tests.kafka.cluster import Cluster
from tests.kafka.conftest import BOOTSTRAP

EVENTS = 20_000
EACH = 50
"""Events of each participant in the ledger that is relayed."""
RATE = 200.0
"""Posts a second, due at fixed times."""
JOURNEYS = 2
ARRIVE_SECONDS_MAX = 60


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[str]:
    """A real broker's address."""
    given = os.environ.get(BOOTSTRAP)
    if given:
        yield given
        return
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="kafka-", dir=folder)), nodes=1)
    try:
        cluster.start()
        yield cluster.bootstrap
    finally:
        cluster.stop()


def filled(ledger: PostgresLedger, study: str, events: int) -> None:
    """A study's ledger with so many events."""
    for number in range(events // EACH):
        drafts = [event(f"P-{number}", version, number) for version in range(1, EACH + 1)]
        ledger.append_now(study, Append(tuple(drafts)))


def relayed(pool: Pool, conninfo: str, bootstrap: str, events: int) -> tuple[float, float]:
    """Events a second from an empty topic to the last acknowledgement; processor seconds each."""
    study = f"B-{uuid4().hex[:8]}"
    with closing(PostgresLedger(pool)) as ledger:
        filled(ledger, study, events)
        cursors = RelayCursors(pool)
        brokers = Brokers(tuple(bootstrap.split(",")))
        ensure_topic(brokers, events_topic(study), configs=FOR_EVER)
        ports = Ports(ledger, cursors, conninfo, brokers, written, lambda *_, **__: None)
        relay, stop = Relay(ports, study), threading.Event()
        thread = threading.Thread(target=relay.run, args=(stop,))
        began, cpu = time.perf_counter(), time.process_time()
        thread.start()
        while (cursor := cursors.find(study)) is None or cursor.position < events:
            time.sleep(0.005)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        relay.stop(stop)
        thread.join()
    return events / took, cpu / events


class Arrivals(threading.Thread):
    """A consumer that notes when it has each event, by its id."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(daemon=True)
        brokers = Brokers(tuple(bootstrap.split(",")))
        ensure_topic(brokers, events_topic(STUDY), configs=FOR_EVER)
        self.at: dict[str, float] = {}
        self.over = threading.Event()
        self._consumer = KafkaConsumer(**brokers.options())
        numbers = range(brokers.partitions)
        self._consumer.assign([TopicPartition(events_topic(STUDY), number) for number in numbers])
        self._consumer.seek_to_end()
        self._consumer.poll(100)

    def run(self) -> None:
        """Consume until it is over."""
        while not self.over.is_set():
            for records in self._consumer.poll(100).values():
                now = time.perf_counter()
                for record in records:
                    self.at.setdefault(dict(record.headers)["ce_id"].decode(), now)
        self._consumer.close()


@contextlib.contextmanager
def relay_process(data: Path, conninfo: str, bootstrap: str) -> Iterator[None]:
    """`cairn relay`."""
    more = {"CAIRN_DATABASE_URL": conninfo, "CAIRN_KAFKA_BOOTSTRAP": bootstrap}
    command = [sys.executable, "-m", "services.cli", "relay", "--data", str(data)]
    with (data / "relay.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **more}
        )
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(ARRIVE_SECONDS_MAX)


def posted(service: Service, rate: float, journeys: int) -> dict[str, float]:
    """Post, and give when each event's post was due, by the event's id."""
    run = f"kafka-{uuid4().hex[:6]}"
    order = Order(service.port, PATHS["cairn"], service.token, CLIENTS, journeys, run, rate=rate)
    answer = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=True,
    )
    seen = Seen(**json.loads(answer.stdout))
    assert not seen.failed, seen.failed
    return seen.due


def latencies(data: Path, conninfo: str, bootstrap: str, rate: float) -> list[float]:
    """Seconds from when a post was due until a consumer had its event."""
    with serving("cairn", data, conninfo) as service:
        arrivals = Arrivals(bootstrap)
        arrivals.start()
        with relay_process(data, conninfo, bootstrap):
            posted(service, rate, 1)  # warms everything; does not count
            due = posted(service, rate, JOURNEYS)
            deadline = time.monotonic() + ARRIVE_SECONDS_MAX
            while not due.keys() <= arrivals.at.keys():
                assert time.monotonic() < deadline, "some events did not arrive"
                time.sleep(0.05)
        arrivals.over.set()
        arrivals.join()
    return sorted(arrivals.at[name] - when for name, when in due.items())


def rows(setting: Setting) -> Iterator[Row]:
    """The relay's rate, then from POST to a consumer."""
    conninfo, events = setting.database(), setting.size(EVENTS, 2_000)
    with (
        broker(setting.folder) as bootstrap,
        closing(open_pool(conninfo)) as pool,
    ):
        rates = [relayed(pool, conninfo, bootstrap, events) for _ in range(setting.rounds)]
        samples = [Sample(rate, cpu * 1e6) for rate, cpu in rates]
        yield Row("relay to Kafka, from an empty topic to the last answer", "events/s", samples)
        found = latencies(setting.folder, conninfo, bootstrap, RATE)
        for part in (50, 99):
            one = Sample(found[len(found) * part // 100] * 1e3)
            yield Row(f"POST to a Kafka consumer, {RATE:.0f} a second due: p{part}", "ms", [one])
