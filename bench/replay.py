"""How fast a study's log is checked: every byte, and every conclusion computed anew.

Participants post twenty routine facts each (`bench/journey.py`), one event a post and everybody in
turn, so that no two events of a participant stand side by side: the hardest log to check.
Usage: `python -m bench.replay [participants]`.
"""

import asyncio
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.journey import FACTS, STUDY
from domain.kernel import Actor
from infra.documents import PostgresDocuments
from infra.ledger.postgres import PostgresLedger
from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.migrate import migrate
from infra.postgres.pool import Pool, open_pool
from infra.vault.keyring import KeyRing, MemoryKeyStore
from services.door import posted
from services.publishing import Publishing
from services.record import Recording, Terms
from services.replay_bytes import Bytes
from services.replay_check import PAGE_EVENTS, ReplayCheck
from services.state import HotState

PARTICIPANTS = 3_000
AT_ONCE = 100
NOW = datetime(2027, 1, 1, tzinfo=UTC)
MILLION = 1_000_000


def main() -> None:
    """Print the rate of a check, and what a million events would take at it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PARTICIPANTS
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder)) as postgres,
    ):
        migrate(postgres.conninfo)
        pool = open_pool(postgres.conninfo)
        ledger = PostgresLedger(pool)
        asyncio.run(_recorded(pool, ledger, count))
        head = ledger.head(STUDY)
        print(f"{head} events of {count} participants")
        _bytes(ledger, head)
        _check(ledger, PostgresDocuments(pool), head)
        ledger.close()
        pool.close()


async def _recorded(pool: Pool, ledger: PostgresLedger, count: int) -> None:
    documents = PostgresDocuments(pool)
    hot = HotState(ledger, documents)
    recording = Recording(ledger, KeyRing(bytes(32), MemoryKeyStore()), hot, lambda: NOW)
    terms = Terms(Actor(id="bench", role="administrator"), "urn:bench")
    await Publishing(recording, documents).publish_built_in(terms)
    names = [f"P-{number:05}" for number in range(count)]
    for kind, when, data in FACTS:
        event = {"type": kind, "occurred_at": when, "data": data}
        for start in range(0, count, AT_ONCE):
            some = names[start : start + AT_ONCE]
            await asyncio.gather(
                *(
                    recording.record(STUDY, name, [posted(event, participant=name)], terms)
                    for name in some
                )
            )


def _bytes(ledger: PostgresLedger, head: int) -> None:
    began, cpu, after, reader = time.perf_counter(), time.process_time(), 0, Bytes(whole=True)
    while page := ledger.read(STUDY, after, PAGE_EVENTS, head):
        assert not list(reader.read(page))
        after = page[-1].position
    _print("bytes alone", head, began, cpu)


def _check(ledger: PostgresLedger, documents: PostgresDocuments, head: int) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    check = ReplayCheck(ledger, documents, STUDY)
    assert not list(check.findings())
    _print(f"whole check ({check.checked.conclusions} conclusions)", head, began, cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory of the process, recording included: {peak // 1024} MiB")


def _print(what: str, events: int, began: float, cpu: float) -> None:
    took, used = time.perf_counter() - began, time.process_time() - cpu
    print(
        f"{what:40} {events / took:9,.0f} events/s, a million in {took / events * MILLION:6,.0f} s"
        f" ({used / events * MILLION:6,.0f} s of processor time)"
    )


if __name__ == "__main__":
    main()
