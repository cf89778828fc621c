"""How fast single events are appended by many callers: ours against the library's own recorder.

Both on the same embedded PostgreSQL with everything durable, in the same run, one after the other
and in turns, so that the machine's mood falls on both. Usage:
`python -m bench.append [seconds [callers]]`.
"""

import asyncio
import gc
import os
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from domain.journey.consent import Consented
from domain.kernel import PROVISIONAL, Actor, Recorded
from domain.time import When
from infra.ledger.envelope import template
from infra.ledger.postgres import PostgresLedger
from infra.ledger.types import Append, Appended, Draft
from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.migrate import migrate
from infra.postgres.pool import open_pool

CALLERS = 1_024
"""As many as wait when a study is busy; with 256 a batch is smaller and the ratio some 18 to 20."""
LIBRARY_THREADS = 32
"""More threads make the library's recorder no faster: they wait for its table lock."""
ROUNDS = 3
EACH_MAX = 300
"""Events made ready for each caller: like the library's, they are not part of what is measured."""
SECONDS = 2.0
RATIO_MIN = 20


def event(participant: str, version: int, number: int) -> Draft:
    """One event as a caller's request ends up: with an id, a source and its canonical bytes."""
    recorded = Recorded(
        body=Consented(form_version=f"1.{number % 10}", signed_by="participant"),
        position=PROVISIONAL,
        version=version,
        occurred_at=When.parse("2026-11-02T09:15:00-05:00"),
        recorded_at=datetime.now(UTC),
        actor=Actor(id="urn:bench", role="system"),
        participant=participant,
        source="urn:bench",
        id=f"B-{participant}-{version}",
        protocol="2.0",
    )
    return Draft(
        stream=participant,
        version=version,
        topic="participant.consented.v1",
        template=template(recorded),
        source=recorded.source,
        event_id=recorded.id,
        fingerprint=os.urandom(32),
    )


async def ours(ledger: PostgresLedger, seconds: float, callers: int) -> tuple[float, list[float]]:
    """Events a second and each append's latency, with so many callers that wait for their own."""
    latencies: list[float] = []
    run = uuid4().hex[:8]
    work = [
        [event(f"{run}-{caller}", version, version) for version in range(1, EACH_MAX + 1)]
        for caller in range(callers)
    ]
    gc.collect()
    gc.freeze()
    end = time.perf_counter() + seconds

    async def caller(drafts: list[Draft]) -> None:
        for draft in drafts:
            start = time.perf_counter()
            outcome = await ledger.append("bench", Append((draft,)))
            stop = time.perf_counter()
            latencies.append(stop - start)
            assert isinstance(outcome, Appended)
            if stop > end:
                return
        raise AssertionError("the callers ran out of events")

    start = time.perf_counter()
    await asyncio.gather(*map(caller, work))
    return len(latencies) / (time.perf_counter() - start), latencies


def theirs(recorder: PostgresApplicationRecorder, seconds: float) -> float:
    """Events a second of the library's recorder in its default, safe mode."""
    counts = [0] * LIBRARY_THREADS
    end = time.perf_counter() + seconds
    state = event("P", 1, 1).template

    def caller(number: int) -> None:
        originator, version = uuid4(), 0
        while time.perf_counter() < end:
            version += 1
            stored = StoredEvent(
                originator_id=originator,
                originator_version=version,
                topic="participant.consented.v1",
                state=state,
            )
            recorder.insert_events([stored])
            counts[number] += 1

    start = time.perf_counter()
    threads = [threading.Thread(target=caller, args=(n,)) for n in range(LIBRARY_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)


def library_recorder(conninfo: str) -> PostgresApplicationRecorder:
    """The library's own PostgreSQL recorder, with as many connections as it has callers."""
    parts = conninfo_to_dict(conninfo)
    datastore = PostgresDatastore(
        dbname=str(parts["dbname"]),
        host=str(parts["host"]),
        port=str(parts.get("port", 5432)),
        user=str(parts["user"]),
        password="",
        pool_size=LIBRARY_THREADS,
        max_overflow=LIBRARY_THREADS,
    )
    recorder = PostgresApplicationRecorder(datastore, events_table_name="library_events")
    recorder.create_table()
    return recorder


def main() -> None:
    """Measure in turns, print the rates and the ratio; exit 1 when it is below what we promise."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    callers = int(sys.argv[2]) if len(sys.argv) > 2 else CALLERS
    with (
        tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder,
        EmbeddedPostgres(Path(folder)) as postgres,
    ):
        migrate(postgres.conninfo)
        recorder = library_recorder(postgres.conninfo)
        pool = open_pool(postgres.conninfo)
        ledger = PostgresLedger(pool)
        asyncio.run(ours(ledger, 1, callers))
        theirs(recorder, 1)
        mine, library, latencies = [], [], []
        for _ in range(ROUNDS):
            library.append(theirs(recorder, seconds))
            rate, waited = asyncio.run(ours(ledger, seconds, callers))
            mine.append(rate)
            latencies += waited
        lone = asyncio.run(lonely(ledger))
        assert ledger.head("bench") == len(ledger_positions(ledger))
        ledger.close()
        pool.close()
        recorder.datastore.close()
    report(callers, mine, library, latencies, lone)


async def lonely(ledger: PostgresLedger) -> float:
    """The median latency of one caller that waits for nobody."""
    waited = []
    for version in range(1, 201):
        start = time.perf_counter()
        await ledger.append("bench", Append((event("lonely", version, version),)))
        waited.append(time.perf_counter() - start)
    return statistics.median(waited)


def ledger_positions(ledger: PostgresLedger) -> range:
    """Every position from 1 to the last, each read once."""
    last = 0
    while page := ledger.read("bench", last, 5_000):
        assert [one.position for one in page] == list(range(last + 1, last + 1 + len(page)))
        last = page[-1].position
    return range(1, last + 1)


def report(
    callers: int, mine: list[float], library: list[float], latencies: list[float], lone: float
) -> None:
    """Print what was measured."""
    ratio = statistics.median(mine) / statistics.median(library)
    latencies.sort()
    print(f"ours, {callers} callers:        " + "  ".join(f"{rate:9,.0f}/s" for rate in mine))
    print(f"library, {LIBRARY_THREADS} threads:      " + "  ".join(f"{r:9,.0f}/s" for r in library))
    print(
        f"ours, append p50 / p99:   {latencies[len(latencies) // 2] * 1e3:.1f} ms / "
        f"{latencies[len(latencies) * 99 // 100] * 1e3:.1f} ms; one lone caller {lone * 1e3:.2f} ms"
    )
    print(f"ratio of the medians:     {ratio:.1f}x (promised: {RATIO_MIN}x)")
    if ratio < RATIO_MIN:
        sys.exit(1)


if __name__ == "__main__":
    main()
