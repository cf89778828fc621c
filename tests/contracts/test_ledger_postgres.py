"""What only the PostgreSQL ledger has: batches, lost connections, trouble of the store, plans."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvloop

from infra.ledger import asking, writer
from infra.ledger.arrays import bigints
from infra.ledger.asking import Connections
from infra.ledger.batch import arguments, outcomes
from infra.ledger.postgres import SQL, PostgresLedger
from infra.ledger.types import (
    STUDY_STREAM,
    Append,
    Appended,
    Conflict,
    Duplicate,
    Outcome,
    StoreAway,
    StoreFull,
)
from infra.postgres.pool import connect, open_pool
from tests.contracts.lossy import between
from tests.contracts.test_ledger import appended, draft

WAIT_SECONDS = 30
WRITERS = """
SELECT pid FROM pg_stat_activity WHERE query LIKE '%append_batch%' AND pid <> pg_backend_pid()
    AND datname = current_database()
"""
WAITING_FOR_TURN = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
ROUNDS = 3
"""So many rounds of a loop are enough for an append to set out."""
LAST_WORD = b"E\x00\x00\x00\x1cSFATAL\x00C57P01\x00Mthe end\x00\x00"
"""An error as PostgreSQL sends it when an administrator ends a connection."""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def ledger(pool) -> Iterator[PostgresLedger]:
    made = PostgresLedger(pool)
    yield made
    made.close()


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.005)


def all_at_once(ledger: PostgresLedger, appends: list[Append]) -> list[Outcome | BaseException]:
    async def run() -> list[Outcome | BaseException]:
        sent = (ledger.append("S", append) for append in appends)
        return await asyncio.gather(*sent, return_exceptions=True)

    return asyncio.run(run())


def test_callers_who_wait_together_share_transactions(ledger, owner) -> None:
    got = all_at_once(ledger, [Append((draft(f"P{n}", 1),)) for n in range(600)])
    assert all(isinstance(outcome, Appended) for outcome in got)
    (transactions,) = owner.execute("SELECT count(DISTINCT xmin::text) FROM cairn.event").fetchone()
    assert transactions <= 60


@pytest.mark.parametrize(
    ("append", "told"),
    [
        (Append((draft("A", 2, "E4"),)), Conflict("A", 2)),
        (Append((draft("B", 1, "E3"),)), Duplicate(0, 3, "Z", 1, True)),
        (Append((draft("C", 1),), study_version=0), Conflict(STUDY_STREAM, 1)),
        (Append((draft("D", 1), draft("A", 3, judged_on="0" * 64))), Conflict("A", 2)),
    ],
)
def test_what_is_appended_while_a_batch_waits_for_its_turn_counts(
    ledger, owner, append: Append, told: Outcome
) -> None:
    """Another has the lock: the stream moves on, the event is recorded, the study changes."""
    appended(ledger, draft("A", 1, "E1"))
    faster = draft("A", 2, "E2"), draft("Z", 1, "E3"), draft(STUDY_STREAM, 1)
    values = arguments("S", [(number, Append((one,))) for number, one in enumerate(faster)])

    async def run() -> Outcome:
        with owner.transaction():
            owner.execute("SELECT pg_advisory_xact_lock(7241969, hashtext('S'))")
            sent = asyncio.ensure_future(ledger.append("S", append))
            await asyncio.to_thread(until, lambda: owner.execute(WAITING_FOR_TURN).fetchone())
            owner.pgconn.exec_params(SQL["append"].encode(), values, None, [1] * len(values), 1)
        return await sent

    assert asyncio.run(run()) == told
    assert ledger.head("S") == 4


def test_an_append_whose_answer_was_lost_is_answered_when_it_is_sent_again(database: str) -> None:
    """The first answer never arrives: the same tokens on a new connection give the same answer."""
    connections = Connections(SQL["append"], lambda: connect(database))
    appends = [
        Append((draft("A", 1), draft("B", 1, "E1", index=1))),
        Append((draft("A", 3),)),
        Append((draft("C", 1),)),
    ]
    values = arguments("S", list(zip((7, 8, 9), appends, strict=True)))

    def send() -> list[Outcome]:
        connections.drop()
        return outcomes(appends, asyncio.run(connections.ask(values)))

    first, second = send(), send()
    assert first == second
    assert first[1] == Conflict("A", 1)
    assert [one.position for one in first[0].stored] == [1, 2]
    values[1] = bigints([17, 18, 19])
    duplicate, _, conflict = send()
    assert duplicate.position == 2
    assert conflict == Conflict("C", 1)
    connections.close()


@pytest.mark.parametrize("event_id", [None, "E2"])
def test_a_commit_whose_answer_is_lost_is_appended_once_and_said_to_be(
    database: str, event_id: str | None
) -> None:
    with between(database) as (lossy, conninfo), open_pool(conninfo) as pool:
        ledger = PostgresLedger(pool)
        appended(ledger, draft("A", 1))
        lossy.lose_next_answer(holding=b"appended")
        second = appended(ledger, draft("A", 2, event_id), draft("B", 1, index=1))
        assert lossy.lost == 1
        assert ledger.read("S", 1, 10) == list(second.stored)
        ledger.close()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_server_that_dies_with_a_question_unread_is_noticed(database: str, loop: Any) -> None:
    """The socket has an error then, beside a last word: uvloop looks at it once and never again."""
    with between(database) as (lossy, conninfo), open_pool(conninfo) as pool:
        ledger = PostgresLedger(pool)

        async def run() -> Outcome:
            await ledger.append("S", Append((draft("A", 1),)))
            lossy.die_at_next_question(LAST_WORD)
            second = asyncio.ensure_future(ledger.append("S", Append((draft("A", 2),))))
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            # The question is out; the loop looks at the answer when the server has gone already.
            lossy.died.wait(WAIT_SECONDS)
            return await asyncio.wait_for(second, WAIT_SECONDS)

        with asyncio.Runner(loop_factory=loop) as runner:
            assert isinstance(runner.run(run()), Appended)
        ledger.close()


def test_killed_connections_neither_double_nor_lose_nor_deny_an_append(ledger, owner) -> None:
    """Without event ids: only the append's own token tells its work from another's."""
    over = threading.Event()
    killed = 0

    def kill() -> None:
        """Whenever the log has grown by some, so that there is progress between two kills."""
        nonlocal killed
        last = 0
        while not over.wait(0.001):
            (head,) = owner.execute("SELECT coalesce(max(position), 0) FROM cairn.head").fetchone()
            if head >= last + 40:
                last = head
                for (pid,) in owner.execute(WRITERS).fetchall():
                    killed += owner.execute("SELECT pg_terminate_backend(%s)", [pid]).rowcount

    async def caller(number: int) -> list[Outcome]:
        return [
            await ledger.append("S", Append((draft(f"P{number}", version),)))
            for version in range(1, 101)
        ]

    async def run() -> list[list[Outcome]]:
        return await asyncio.gather(*map(caller, range(20)))

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        got = [outcome for outcomes_ in asyncio.run(run()) for outcome in outcomes_]
    finally:
        over.set()
        killer.join()
    assert killed >= 5
    assert all(isinstance(outcome, Appended) for outcome in got)
    assert sorted(outcome.position for outcome in got) == list(range(1, 2_001))
    assert [one.position for one in ledger.read("S", 0, 5_000)] == list(range(1, 2_001))


OTHER_PROCESS = """
import asyncio, sys
from infra.ledger.postgres import SQL, PostgresLedger
from infra.ledger.types import Append, Appended, Conflict, Duplicate
from infra.postgres.pool import open_pool
from tests.contracts.lossy import between
from tests.contracts.test_ledger import draft

async def caller(ledger, number):
    '''Thirty events onto a stream that callers of both processes share.'''
    stream, version, done = f"P{number % 10}", 0, 0
    while done < 30:
        event = draft(stream, version + 1, f"{number}-{done}")
        match await ledger.append("S", Append((event,))):
            case Appended():
                version, done = version + 1, done + 1
            case Conflict(_, stands):
                version = stands
            case Duplicate():
                raise AssertionError("it was sent once")

async def run(ledger, first):
    await asyncio.gather(*(caller(ledger, first + n) for n in range(20)))

with open_pool(sys.argv[1], size=2) as pool:
    ledger = PostgresLedger(pool)
    asyncio.run(run(ledger, int(sys.argv[2])))
    ledger.close()
"""


def test_two_processes_on_one_study_leave_no_gap_and_no_reader_sees_one_appear_behind_it(
    ledger, database: str
) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, database, first], cwd=ROOT)
        for first in ("0", "20")
    ]
    seen: list[int] = []
    deadline = time.monotonic() + 2 * WAIT_SECONDS
    while len(seen) < 1_200 and time.monotonic() < deadline:
        seen += [one.position for one in ledger.read("S", seen[-1] if seen else 0, 1_000)]
    assert [process.wait(WAIT_SECONDS) for process in writers] == [0, 0]
    assert seen == list(range(1, 1_201))
    for number in range(10):
        stream = ledger.stream("S", f"P{number}")
        assert [one.version for one in stream] == list(range(1, 121))


def test_a_listener_is_woken_by_another_process(ledger, pool) -> None:
    other = PostgresLedger(pool)
    woken: list[str] = []
    deaf = other.listen(woken.append)
    version = 0

    def heard() -> bool:
        nonlocal version
        version += 1
        appended(ledger, draft("A", version))
        return "S" in woken

    until(heard)
    deaf()
    other.close()


def test_a_listener_that_raises_stops_nobody(ledger) -> None:
    woken: list[str] = []

    def fails(_study: str) -> None:
        raise RuntimeError("no loop any more")

    ledger.listen(fails)
    ledger.listen(woken.append)
    appended(ledger, draft("A", 1))
    appended(ledger, draft("A", 2))
    until(lambda: len(woken) >= 2)


TROUBLE = """
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'trouble' USING ERRCODE = '{sqlstate}';
END $$;
CREATE TRIGGER trouble BEFORE INSERT ON cairn.event FOR EACH ROW
    WHEN (NEW.stream = 'P13') EXECUTE FUNCTION trouble();
"""


@pytest.mark.parametrize(
    ("sqlstate", "raised"),
    [("53100", StoreFull), ("53300", StoreAway), ("57P01", StoreAway), ("58030", StoreAway)],
)
def test_trouble_of_the_store_is_told_and_passes(
    ledger, owner, monkeypatch, sqlstate: str, raised: type[Exception]
) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", (0.0, 0.01))
    owner.execute(TROUBLE.format(sqlstate=sqlstate))
    with pytest.raises(raised):
        appended(ledger, draft("P13", 1))
    assert ledger.head("S") == 0
    owner.execute("DROP TRIGGER trouble ON cairn.event")
    appended(ledger, draft("P13", 1))


def test_what_the_database_rejects_fails_alone(ledger, owner) -> None:
    owner.execute(TROUBLE.format(sqlstate="22000"))
    got = all_at_once(ledger, [Append((draft(f"P{n}", 1),)) for n in range(100)])
    assert [n for n, outcome in enumerate(got) if not isinstance(outcome, Appended)] == [13]
    assert isinstance(got[13], psycopg.DataError)
    assert ledger.head("S") == 99


def test_a_store_that_does_not_answer_is_away(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", (0.0, 0.01))
    monkeypatch.setattr("infra.postgres.pool.POOL_WAIT_SECONDS", 0.1)
    with open_pool(f"host={tmp_path} dbname=none") as nowhere:
        away = PostgresLedger(nowhere)
        got = all_at_once(away, [Append((draft(f"P{n}", 1),)) for n in range(30)])
        assert [type(outcome) for outcome in got] == [StoreAway] * 30
        with pytest.raises(StoreAway):
            away.head("S")
        away.close()


def test_a_full_queue_and_a_closed_ledger_turn_callers_away(ledger, owner, monkeypatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_APPENDS_MAX", 3)

    async def run() -> tuple[int, list[Outcome | BaseException]]:
        sent = []
        with owner.transaction():
            # A writer is held up, so that the queue behind it fills.
            owner.execute("LOCK TABLE cairn.head IN EXCLUSIVE MODE")
            for number in range(9):
                sent.append(asyncio.ensure_future(ledger.append("S", one(f"P{number}"))))
                await asyncio.sleep(0)
            taken = [not one.done() for one in sent].count(True)
        return taken, await asyncio.gather(*sent, return_exceptions=True)

    def one(name: str) -> Append:
        return Append((draft(name, 1),))

    taken, got = asyncio.run(run())
    assert 3 <= taken <= 6
    assert all(isinstance(outcome, Appended) for outcome in got[:taken])
    assert all(isinstance(outcome, StoreAway) for outcome in got[taken:])
    ledger.close()
    with pytest.raises(StoreAway):
        appended(ledger, draft("A", 1))
    with pytest.raises(StoreAway):
        asyncio.run(ledger.append("S", one("A")))


def test_a_commit_that_fails_after_the_rows_is_not_an_append(ledger, owner) -> None:
    """The rows are answered before the commit: only what comes after it counts."""
    owner.execute(TROUBLE.format(sqlstate="53100").partition("CREATE TRIGGER")[0])
    owner.execute(
        "CREATE CONSTRAINT TRIGGER trouble AFTER INSERT ON cairn.event"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trouble()"
    )
    with pytest.raises(StoreFull):
        appended(ledger, draft("A", 1))
    assert ledger.head("S") == 0


def test_an_idle_writer_lets_go_of_its_connection(ledger, owner, monkeypatch) -> None:
    monkeypatch.setattr(asking, "IDLE_SECONDS", 0.01)
    appended(ledger, draft("A", 1))

    until(lambda: not owner.execute(WRITERS).fetchall())
    appended(ledger, draft("A", 2))


def test_look_ups_stay_look_ups_though_their_plans_were_made_on_an_empty_table(
    ledger, owner
) -> None:
    for start in range(0, 4_000, 500):
        drafts = [draft(f"P{n}", 1, f"E{n}") for n in range(start, start + 500)]
        all_at_once(ledger, [Append((one,)) for one in drafts])
    ledger.close()

    def read() -> tuple[int, int] | None:
        """Scans of the table and entries read from its indexes, once the writer has told."""
        scans, inserted = owner.execute(
            "SELECT seq_scan, n_tup_ins FROM pg_stat_user_tables WHERE relname = 'event'"
        ).fetchone()
        if inserted < 4_000:
            return None
        entries = owner.execute(
            "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'event'"
        ).fetchone()[0]
        return int(scans), int(entries)

    until(read)
    scans, entries = read()
    assert scans == 0
    assert entries <= 2 * 4_000
