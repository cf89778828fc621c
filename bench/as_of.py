"""How long the past takes: of one participant with two hundred events, and of whole studies.

Studies of a thousand and of ten thousand participants, each with a dozen facts, on the embedded
PostgreSQL; the same views at half of the log, and as true at a day. Each measurement of a study is
a process of its own, so that its peak of memory is its own: `python -m bench.as_of` with how to
connect, view and axis.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta

from bench.measured import Row, Sample
from bench.processes import memory_mib
from bench.setting import Setting
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


def one(conninfo: str) -> Iterator[Row]:
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
                waited = []
                for _ in range(ROUNDS):
                    start, worked = time.perf_counter(), time.process_time()
                    views.participant(STUDY, ALL, view, query)
                    cpu = (time.process_time() - worked) * 1e6
                    waited.append(Sample((time.perf_counter() - start) * 1e3, cpu))
                yield Row(f"{view} of {EVENTS_OF_ONE} events, {axis}", "ms", waited)


def whole(conninfo: str, view: str, axis: str) -> None:
    """The past of a study, once: seconds, processor time and peak of memory as JSON."""
    views, ledger, closes = opened(conninfo)
    with closes:
        query = Query(as_of=ledger.head(STUDY)) if axis == "as-of" else Query(valid_at=DAY)
        views.participant(STUDY, ALL, "summary", query)
        start, worked = time.perf_counter(), time.process_time()
        views.study(STUDY, view, query)
        seconds, cpu = time.perf_counter() - start, time.process_time() - worked
        told = {"seconds": seconds, "cpu": cpu, "mib": memory_mib(os.getpid(), "VmHWM")}
        print(json.dumps(told))


def rows(setting: Setting) -> Iterator[Row]:
    """One participant, then whole studies."""
    for number, count in enumerate(setting.size_of(PARTICIPANTS, (300,))):
        conninfo = setting.plain_database()
        prepared(conninfo, count)
        if number == 0:
            yield from one(conninfo)
        for view in LISTS:
            for axis in ("as-of", "valid-at"):
                again = [sys.executable, "-m", "bench.as_of", conninfo, view, axis]
                answer = subprocess.run(again, check=True, capture_output=True, text=True)
                told = json.loads(answer.stdout)
                sample = Sample(count / told["seconds"], told["cpu"] / count * 1e6)
                what = f"{view} of {count:,} participants, {axis}, a page of a hundred"
                note = f"peak memory {told['mib']:.0f} MiB"
                yield Row(what, "participants/s", [sample], note=note)


if __name__ == "__main__":
    whole(*sys.argv[1:4])
