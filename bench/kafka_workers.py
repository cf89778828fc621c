"""Workers by Kafka: events a second with one, two and four of them, and how long after a post the
views show it, beside a worker that follows the ledger.

One broker, the embedded PostgreSQL, everything durable; API, relay, workers and clients are
processes of their own. `CAIRN_TESTS_KAFKA_BOOTSTRAP` names a broker, else one is started from
Maven's jars.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from bench.http import serving
from bench.journey import STUDY
from bench.kafka import JOURNEYS, broker, posted, relay_process
from bench.measured import Row, Sample
from bench.processes import cpu_seconds
from bench.setting import Setting
from bench.views import begun, filled
from bench.visible import Watch, reflected
from infra.documents import PostgresDocuments
from infra.kafka.brokers import Brokers
from infra.kafka.cursors import RelayCursors
from infra.kafka.relay import Ports, Relay
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import Pool, open_pool
from infra.projection.projector import Projector
from infra.projection.tables import ViewTables
from infra.vault.keyring import KeyRing, MemoryKeyStore
from projections.catalogue import VIEWS
from services.bootstrap import now
from services.concluding import Concluding
from services.door.cloudevents import written
from services.publishing import Publishing
from services.record import Recording
from services.state import HotState

PARTICIPANTS = 1_500
RATE = 200.0
WORKERS = (1, 2, 4)
ALONE = "one process that follows the ledger"
FIRST_PART = 0.1
"""Of the events, not counted: until all workers have their partitions."""
SETTLE_SECONDS_MAX = 300.0


class Figures(NamedTuple):
    """One measurement."""

    rate: float
    """Events a second."""
    cpu_ms: float
    """Processor time of the projecting processes per event, PostgreSQL's not included."""


@contextlib.contextmanager
def workers(
    data: Path, conninfo: str, bootstrap: str, count: int, origin: str
) -> Iterator[list[int]]:
    """So many `cairn worker --from ...`; their process ids."""
    more = {"CAIRN_DATABASE_URL": conninfo, "CAIRN_KAFKA_BOOTSTRAP": bootstrap}
    command = [sys.executable, "-m", "services.cli", "worker", "--from", origin]
    with (data / "workers.log").open("w") as log:
        processes = [
            subprocess.Popen(
                [*command, "--data", str(data)],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **more},
            )
            for _ in range(count)
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                process.stdout.readline()
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(SETTLE_SECONDS_MAX)


def done(tables: ViewTables, study: str, head: int) -> float:
    """The part of the work that is done: by partitions where the views are divided."""
    cursors = tables.partition_cursors(study) or tables.active(study).values()
    positions = [one.position for one in cursors]
    return sum(positions) / len(positions) / head if positions else 0.0


def rate(tables: ViewTables, study: str, head: int, processes: Sequence[int]) -> Figures:
    """Events a second, and processor time of the workers for one, without the first of them."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while (part := done(tables, study, head)) < FIRST_PART:
        assert time.monotonic() < deadline, "the workers do not work"
        time.sleep(0.01)
    began, before = time.perf_counter(), sum(map(cpu_seconds, processes))
    while reflected(tables, study) < head:
        assert time.monotonic() < deadline, "the workers do not end"
        time.sleep(0.01)
    events = head * (1 - part)
    spent = sum(map(cpu_seconds, processes)) - before
    return Figures(events / (time.perf_counter() - began), spent / events * 1e3)


def throughput(
    folder: Path, conninfo: str, bootstrap: str, pool: Pool, participants: int
) -> dict[str, Figures]:
    """Events a second of whole journeys in all views, in each way to take them in."""
    found = {}
    with closing(PostgresLedger(pool)) as ledger:
        documents = PostgresDocuments(pool)
        tables = ViewTables(pool, VIEWS)
        recording = Recording(
            ledger, KeyRing(bytes(32), MemoryKeyStore()), HotState(ledger, documents), now
        )
        asyncio.run(begun(recording, Publishing(recording, documents)))
        asyncio.run(filled(ledger, participants))
        concluded(recording, Projector(ledger, documents, tables))
        head = ledger.head(STUDY)
        afresh(pool)
        projector = Projector(ledger, documents, tables)
        began, before = time.perf_counter(), time.process_time()
        projector.catch_up(STUDY)
        seconds, spent = time.perf_counter() - began, time.process_time() - before
        found[ALONE] = Figures(head / seconds, spent / head * 1e3)
        with relayed(ledger, pool, conninfo, bootstrap, head):
            for count in WORKERS:
                afresh(pool)
                with workers(folder, conninfo, bootstrap, count, "kafka") as processes:
                    found[f"Kafka, workers: {count}"] = rate(tables, STUDY, head, processes)
    return found


def concluded(recording: Recording, projector: Projector) -> None:
    """Nothing is left for the clock workers in the processes that are measured."""
    clock = Concluding(recording, projector.tables, now)
    projector.catch_up(STUDY)
    while clock.step():
        projector.catch_up(STUDY)


@contextlib.contextmanager
def relayed(
    ledger: PostgresLedger, pool: Pool, conninfo: str, bootstrap: str, head: int
) -> Iterator[None]:
    """The whole ledger in its topic, and a relay that goes on: without one, whatever is recorded
    meanwhile makes the workers' projectors follow the ledger instead."""
    cursors = RelayCursors(pool)
    brokers = Brokers((bootstrap,))
    ports = Ports(ledger, cursors, conninfo, brokers, written, lambda *_, **__: None)
    relay, stop = Relay(ports, STUDY), threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    while (cursor := cursors.find(STUDY)) is None or cursor.position < head:
        time.sleep(0.01)
    try:
        yield
    finally:
        relay.stop(stop)
        thread.join()


def afresh(pool: Pool) -> None:
    """No view has taken in anything."""
    with pool.connection() as connection:
        for view in VIEWS:
            connection.execute(f"DELETE FROM views.{view.name}_{view.version}".encode())
        connection.execute("DELETE FROM views.projection")


def latencies(
    folder: Path, conninfo: str, bootstrap: str, pool: Pool, rate: float, origin: str
) -> list[float]:
    """Seconds from when a post was due until every view showed it."""
    tables = ViewTables(pool, VIEWS)
    with (
        closing(PostgresLedger(pool)) as ledger,
        serving("cairn", folder, conninfo) as service,
        relay_process(folder, conninfo, bootstrap),
        workers(folder, conninfo, bootstrap, 2 if origin == "kafka" else 1, origin),
    ):
        posted(service, rate, 1)  # warms everything; does not count
        _await(tables, ledger, divided=origin == "kafka")
        watch = Watch(tables)
        watch.start()
        due = posted(service, rate, JOURNEYS)
        _await(tables, ledger, divided=origin == "kafka")
        watch.over.set()
        watch.join()
        positions = {}
        after = 0
        while page := ledger.read(STUDY, after, 1_000):
            after = page[-1].position
            for one in page:
                event = written(one, STUDY)
                positions[event["id"]] = one.position
        return sorted(watch.when(positions[name]) - when for name, when in due.items())


def _await(tables: ViewTables, ledger: PostgresLedger, *, divided: bool) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while reflected(tables, STUDY) < ledger.head(STUDY) or (
        divided and not tables.partition_cursors(STUDY)
    ):
        assert time.monotonic() < deadline, "the views do not come along"
        time.sleep(0.05)
    time.sleep(0.1)  # the watch sees it too


@contextlib.contextmanager
def fresh(setting: Setting) -> Iterator[tuple[str, str, Pool]]:
    """A broker that knows no topic, a database: the broker's address, how to connect, a pool."""
    conninfo = setting.database()
    with (
        tempfile.TemporaryDirectory(prefix="cairn-bench-") as kafka,
        broker(Path(kafka)) as bootstrap,
        closing(open_pool(conninfo)) as pool,
    ):
        yield bootstrap, conninfo, pool


def rows(setting: Setting) -> Iterator[Row]:
    """Rates beside one process that follows the ledger, then from POST to every view."""
    rates: dict[str, list[Sample]] = {}
    people = setting.size(PARTICIPANTS, 200)
    for _ in range(setting.rounds):
        with fresh(setting) as (bootstrap, conninfo, pool):
            for name, one in throughput(setting.folder, conninfo, bootstrap, pool, people).items():
                rates.setdefault(name, []).append(Sample(one.rate, one.cpu_ms * 1e3))
    alone = rates.pop(ALONE)
    for name, samples in rates.items():
        yield Row(f"all views, {name}", "events/s", samples, ALONE, alone)
    for origin in ("ledger", "kafka"):
        with fresh(setting) as (bootstrap, conninfo, pool):
            found = latencies(setting.folder, conninfo, bootstrap, pool, RATE, origin)
        for part in (50, 99):
            what = f"POST to all views by {origin}, {RATE:.0f} a second due: p{part}"
            yield Row(what, "ms", [Sample(found[len(found) * part // 100] * 1e3)])
