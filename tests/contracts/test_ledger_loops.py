"""The PostgreSQL ledger and the event loops of its callers: they send and read by themselves."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import psycopg
import pytest
import uvloop

from infra.ledger.postgres import PostgresLedger
from infra.ledger.types import Append, Appended, Outcome, StoreAway
from tests.contracts.test_ledger import appended, draft
from tests.contracts.test_ledger_postgres import (
    WAIT_SECONDS,
    WRITERS,
    ledger,
    owner,
    until,
)

__all__ = ["ledger", "owner"]

RunOn = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run_on(request: pytest.FixtureRequest) -> RunOn:
    """Run a coroutine on a new loop, as `asyncio.run` does."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(work)

    return run


def test_what_is_appended_in_one_round_of_the_loop_is_one_transaction(run_on, pool) -> None:
    ledger = PostgresLedger(pool)

    async def judged(name: str) -> Outcome:
        # A read that lets other threads run: the first append must not set out meanwhile.
        assert ledger.head("S") == 0
        return await ledger.append("S", Append((draft(name, 1),)))

    async def run() -> list[Outcome]:
        return await asyncio.gather(*(judged(f"P{n}") for n in range(8)))

    assert all(isinstance(outcome, Appended) for outcome in run_on(run()))
    with pool.connection() as connection:
        row = connection.execute("SELECT count(DISTINCT xmin::text) FROM cairn.event").fetchone()
    assert row == (1,)
    ledger.close()


def test_closing_waits_for_what_the_loop_did_not_come_to_send(run_on, pool) -> None:
    ledger = PostgresLedger(pool)

    async def run() -> Outcome:
        sent = asyncio.ensure_future(ledger.append("S", Append((draft("P", 1),))))
        await asyncio.sleep(0)
        ledger.close()
        assert ledger.head("S") == 1
        return await sent

    assert isinstance(run_on(run()), Appended)


def test_closing_waits_for_what_its_own_loop_has_sent(run_on, ledger, owner, database) -> None:
    """It is sent once more by another loop: the token tells that it is the same."""

    async def run() -> Outcome:
        sent = asyncio.ensure_future(ledger.append("S", Append((draft("P", 1),))))
        with psycopg.connect(database, autocommit=True) as other:
            await asyncio.to_thread(until, lambda: other.execute(WRITERS).fetchall())
        threading.Timer(0.1, owner.execute, ["COMMIT"]).start()
        ledger.close()
        assert ledger.head("S") == 1
        return await sent

    owner.execute("BEGIN")
    owner.execute("LOCK TABLE cairn.head IN EXCLUSIVE MODE")
    assert isinstance(run_on(run()), Appended)


def test_closing_does_not_wait_for_ever(run_on, ledger, owner, monkeypatch) -> None:
    monkeypatch.setattr("infra.ledger.postgres.CLOSE_SECONDS", 0.05)

    async def run() -> Outcome:
        sent = asyncio.ensure_future(ledger.append("S", Append((draft("P", 1),))))
        await asyncio.sleep(0)
        ledger.close()
        owner.execute("COMMIT")
        return await sent

    owner.execute("BEGIN")
    owner.execute("LOCK TABLE cairn.head IN EXCLUSIVE MODE")
    with pytest.raises(StoreAway):
        run_on(run())


def test_what_is_queued_when_the_ledger_closes_is_still_appended(run_on, pool) -> None:
    ledger = PostgresLedger(pool)

    async def run() -> list[Outcome]:
        sent = [
            asyncio.ensure_future(ledger.append("S", Append((draft(f"P{n}", 1),))))
            for n in range(50)
        ]
        await asyncio.sleep(0)
        await asyncio.to_thread(ledger.close)
        return await asyncio.gather(*sent)

    assert all(isinstance(outcome, Appended) for outcome in run_on(run()))


def test_closing_waits_for_a_loop_of_another_thread(run_on, ledger, owner) -> None:
    begun = threading.Event()
    got: list[Outcome] = []

    async def run() -> None:
        sent = asyncio.ensure_future(ledger.append("S", Append((draft("A", 1),))))
        await asyncio.sleep(0.05)
        begun.set()
        got.append(await sent)

    with owner.transaction():
        owner.execute("LOCK TABLE cairn.head IN EXCLUSIVE MODE")
        runner = threading.Thread(target=lambda: run_on(run()))
        runner.start()
        assert begun.wait(WAIT_SECONDS)
        closer = threading.Thread(target=ledger.close)
        closer.start()
        closer.join(0.1)
        assert closer.is_alive()
    closer.join(WAIT_SECONDS)
    assert ledger.head("S") == 1
    runner.join()
    assert isinstance(got[0], Appended)


def test_a_loop_that_is_held_up_holds_up_no_other(run_on, ledger) -> None:
    held, over = threading.Event(), threading.Event()

    async def hold() -> Outcome:
        sent = asyncio.ensure_future(ledger.append("S", Append((draft("A", 1),))))
        await asyncio.to_thread(until, lambda: ledger.head("S"))
        # Committed, and perhaps not read: the second is queued behind it.
        second = asyncio.ensure_future(ledger.append("S", Append((draft("A", 2),))))
        held.set()
        over.wait(WAIT_SECONDS)
        await sent
        return await second

    got: list[Outcome] = []
    holder = threading.Thread(target=lambda: got.append(run_on(hold())))
    holder.start()
    assert held.wait(WAIT_SECONDS)
    try:
        assert isinstance(run_on(ledger.append("S", Append((draft("B", 1),)))), Appended)
        appended(ledger, draft("C", 1))
        assert not got
    finally:
        over.set()
        holder.join()
    assert isinstance(got[0], Appended)


def test_loops_that_come_and_go_share_a_connection(run_on, ledger, owner) -> None:
    for version in range(1, 21):
        outcome = run_on(ledger.append("S", Append((draft("A", version),))))
        assert isinstance(outcome, Appended)
    assert len(owner.execute(WRITERS).fetchall()) == 1
    assert len(ledger._writers) == 1


def test_a_loop_that_ends_too_early_leaves_a_ledger_that_works(run_on, ledger, owner) -> None:
    async def impatient(version: int) -> None:
        with owner.transaction():
            owner.execute("LOCK TABLE cairn.head IN EXCLUSIVE MODE")
            sent = asyncio.ensure_future(ledger.append("S", Append((draft("A", version),))))
            await asyncio.sleep(0.05)
            assert not sent.done()

    appended(ledger, draft("A", 1))
    for version in range(2, 5):
        run_on(impatient(version))
        # What had been sent is recorded: its caller has gone, its event has not.
        until(lambda version=version: ledger.head("S") == version)
    appended(ledger, draft("A", 5))
    until(lambda: len(owner.execute(WRITERS).fetchall()) <= 1)


def test_batches_and_answers_that_are_larger_than_a_socket_takes_go_through(run_on, ledger) -> None:
    large = [Append((draft(f"P{n}", 1, content="x" * 30_000),)) for n in range(100)]
    larger = [Append((draft(f"Q{n}", 1, content="y" * 3_000_000),)) for n in range(2)]

    async def run() -> list[Outcome]:
        return await asyncio.gather(*(ledger.append("S", one) for one in large + larger))

    got = run_on(run())
    stored = {one.position: one for outcome in got for one in outcome.stored}
    assert sorted(stored) == list(range(1, 103))
    assert [stored[one.position] for one in ledger.read("S", 0, 200)] == ledger.read("S", 0, 200)
