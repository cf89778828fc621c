"""How long the past takes: of one participant with two hundred events, and of whole studies.

Studies of a thousand and of ten thousand participants, each with a dozen facts, on the embedded
PostgreSQL; the same views at half of the log, and as true at a day. Each measurement is a process
of its own, so that its peak of memory is its own.
Usage: `python -m bench.as_of [participants...]`.
"""

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from bench.views import DOSE, NOW, STUDY, begun, filled, history
from domain.journey.consent import Consented
from domain.journey.referral import Referred
from domain.journey.screening import ObservationRecorded, ScreeningStarted
from domain.journey.treatment import Dosed
from domain.kernel import Event
from domain.safety.events import AdverseEventReported
from domain.time import When
from infra.documents import PostgresDocuments
from infra.ledger.postgres import PostgresLedger
from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.migrate import migrate
from infra.postgres.pool import open_pool
from infra.projection.tables import ViewTables
from infra.vault.keyring import KeyRing, MemoryKeyStore
from projections.catalogue import VIEWS
from services.publishing import Publishing
from services.record import Recording
from services.state import HotState
from services.views import Query, Views

PARTICIPANTS = (1_000, 10_000)
EVENTS_OF_ONE = 200
ROUNDS = 30
LISTS = ("participants", "safety", "enrolment", "criteria", "schedule")
DAY = When.parse("2026-09-01")
ALL = "P-ALL"
"""The participant with many events."""


def long_journey() -> list[tuple[Event, date]]:
    """Two hundred facts of one participant over a year."""
    start = date(2026, 1, 1)
    facts: list[tuple[Event, date]] = [
        (Referred(site="00", channel="clinician"), start),
        (Consented(form_version="1.0", signed_by="participant"), start + timedelta(days=2)),
        (ScreeningStarted(), start + timedelta(days=10)),
        (Dosed.model_validate(DOSE), start + timedelta(days=40)),
    ]
    for number in range(EVENTS_OF_ONE - len(facts)):
        day = start + timedelta(days=50 + number)
        facts.append((_fact(number, day), day))
    return facts


def _fact(number: int, day: date) -> Event:
    if number % 10:
        return ObservationRecorded.model_validate(
            {"code": "weight", "value": str(60 + number % 7), "unit": "kg"}
        )
    return AdverseEventReported.model_validate(
        {
            "ae": f"AE-{number}",
            "term": "Headache",
            "onset": When.on(day),
            "aware_at": When.parse(f"{day}T12:00:00Z"),
            "grade": 1 + number % 3,
        }
    )


def opened(conninfo: str) -> tuple[Views, PostgresLedger, closing[PostgresLedger]]:
    """The views of a store."""
    pool = open_pool(conninfo)
    ledger, documents = PostgresLedger(pool), PostgresDocuments(pool)
    hot = HotState(ledger, documents)
    views = Views(ledger, documents, hot, ViewTables(pool, VIEWS), lambda: NOW)
    return views, ledger, closing(ledger)


def prepared(conninfo: str, count: int) -> None:
    """A study with so many participants, and one with many events."""
    migrate(conninfo)
    pool = open_pool(conninfo)
    ledger, documents = PostgresLedger(pool), PostgresDocuments(pool)
    hot = HotState(ledger, documents)
    recording = Recording(ledger, KeyRing(bytes(32), MemoryKeyStore()), hot, lambda: NOW)
    asyncio.run(begun(recording, Publishing(recording, documents)))
    asyncio.run(filled(ledger, count))
    ledger.append_now(STUDY, history(ALL, long_journey()))
    ledger.close()
    pool.close()


def one(conninfo: str) -> None:
    """The past of one participant with two hundred events."""
    views, ledger, closes = opened(conninfo)
    with closes:
        head = ledger.head(STUDY)
        for axis, query in (
            ("as of a position", Query(as_of=head)),
            ("as of a moment", Query(as_of=When.at(NOW))),
            ("true at a day", Query(valid_at=DAY)),
        ):
            for view in ("summary", "safety"):
                waited, worked = [], time.process_time()
                for _ in range(ROUNDS):
                    start = time.perf_counter()
                    views.participant(STUDY, ALL, view, query)
                    waited.append((time.perf_counter() - start) * 1e3)
                cpu = (time.process_time() - worked) * 1e3 / ROUNDS
                print(
                    f"  {view:12} {axis:18} {statistics.median(waited):7.1f} ms"
                    f" ({cpu:5.1f} ms CPU), at most {max(waited):.1f} ms",
                    flush=True,
                )


def whole(conninfo: str, view: str, axis: str, count: int) -> None:
    """The past of a study, once."""
    views, ledger, closes = opened(conninfo)
    with closes:
        query = Query(as_of=ledger.head(STUDY)) if axis == "as-of" else Query(valid_at=DAY)
        views.participant(STUDY, ALL, "summary", query)
        start, worked = time.perf_counter(), time.process_time()
        views.study(STUDY, view, query)
        seconds, cpu = time.perf_counter() - start, time.process_time() - worked
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"  {view:14} {axis:9} {seconds:7.2f} s ({cpu:6.2f} s CPU)"
            f" {count / seconds:8.0f} participants/s   peak {peak:5.0f} MiB",
            flush=True,
        )


def main() -> None:
    """Fill stores and measure each question in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("participants", nargs="*", type=int, default=PARTICIPANTS)
    parser.add_argument("--store")
    parser.add_argument("--view")
    parser.add_argument("--axis", default="as-of")
    asked = parser.parse_args()
    if asked.view is not None:
        whole(asked.store, asked.view, asked.axis, asked.participants[0])
        return
    if asked.store is not None:
        one(asked.store)
        return
    for number, count in enumerate(asked.participants):
        with EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="cairn-bench-"))) as postgres:
            prepared(postgres.conninfo, count)
            again = [sys.executable, "-m", "bench.as_of", str(count), "--store", postgres.conninfo]
            if number == 0:
                print(f"one participant with {EVENTS_OF_ONE} events", flush=True)
                subprocess.run(again, check=True)
            print(f"a study of {count} participants, the first page of a hundred", flush=True)
            for view in LISTS:
                for axis in ("as-of", "valid-at"):
                    subprocess.run([*again, "--view", view, "--axis", axis], check=True)


if __name__ == "__main__":
    main()
