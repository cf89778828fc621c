"""Relays that are killed, paused and cut off: who keeps the position notices nothing."""

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

import psycopg
import pytest

from infra.kafka.relay import Ports
from infra.postgres.lease import LEASE_SECONDS, Lease
from infra.postgres.pool import Pool
from tests.kafka.cluster import Cluster
from tests.kafka.relay_process import POINTS, run
from tests.kafka.relayed import Study, consumed, ports_on, relaying, seen, sent, until

PEOPLE = [f"P{number}" for number in range(20)]
HANGING_SECONDS = 1.0
"""The lease of a relay that is to lose it."""
END_SECONDS_MAX = 20
TAKE_OVER_SECONDS_MAX = 8
"""About one where the machine is not busy; less than the lease, which only who hangs runs out."""
ROUNDS = 2

Start = Callable[..., ForkServerProcess]


@pytest.fixture
def ports(pool: Pool, broker: str) -> Iterator[Ports]:
    made = ports_on(pool, broker)
    with closing(made.ledger):
        yield made


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that need not load everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kafka.relay_process"])
    return context


@pytest.fixture
def start(processes: ForkServerContext, database: str, broker: str, study: str) -> Iterator[Start]:
    """Starts a relay of the study in a process that ends at a point of a batch."""
    started: list[ForkServerProcess] = []

    def begin(
        bootstrap: str, point: str = "never", batch: int = 0, seconds: float = LEASE_SECONDS
    ) -> ForkServerProcess:
        arguments = (database, bootstrap, study, point, batch, seconds)
        process = processes.Process(target=run, args=arguments, daemon=True)
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.join(END_SECONDS_MAX)
        process.close()


def some(ledger: Study, count: int) -> None:
    """So many events of several participants, now and then one of the study."""
    people: list[str | None] = random.choices(PEOPLE, k=count)
    ledger.append(None, *people)


def killed(process: ForkServerProcess) -> None:
    process.join(END_SECONDS_MAX)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("point", POINTS[1:])
def test_a_relay_that_dies_at_a_point_again_and_again_loses_and_doubles_nothing(
    ports: Ports, start: Start, broker: str, study: str, point: str
) -> None:
    ledger = Study(ports.ledger, study)
    deaths = 4
    for batch in range(deaths):
        some(ledger, 300)
        killed(start(broker, point, batch % 3))
        assert is_told_in_order(broker, ledger)
    some(ledger, 50)
    with relaying(ports):
        until(lambda: sent(ports, ledger), "all was sent")
    records = consumed(broker, study)
    assert seen(records) == ledger.told()
    if point == "acknowledged":
        told = sum(map(len, records.values()))
        assert told > sum(map(len, ledger.told().values())), "some of it was sent twice"


def is_told_in_order(broker: str, ledger: Study) -> bool:
    """Whether what a consumer has seen so far is how the ledger begins, in every partition."""
    told = ledger.told()
    so_far = seen(consumed(broker, ledger.name))
    return all(told[number][: len(events)] == events for number, events in so_far.items())


def test_another_relay_takes_over_within_seconds_of_a_kill(
    ports: Ports, start: Start, broker: str, study: str
) -> None:
    ledger = Study(ports.ledger, study)
    some(ledger, 10)
    first = start(broker)
    until(lambda: sent(ports, ledger), "the first relays")
    with relaying(ports):
        os.kill(first.pid or 0, signal.SIGKILL)
        began = time.monotonic()
        some(ledger, 10)
        until(lambda: sent(ports, ledger), "the second relays")
        assert time.monotonic() - began < TAKE_OVER_SECONDS_MAX
    assert seen(consumed(broker, study)) == ledger.told()


def test_a_relay_that_hangs_loses_the_study_and_wakes_up_without_harm(
    ports: Ports, pool: Pool, start: Start, broker: str, study: str
) -> None:
    """It is stopped in the middle of its work, with messages handed over and on their way."""
    ledger = Study(ports.ledger, study)
    some(ledger, 10)
    hanging = start(broker, seconds=HANGING_SECONDS)
    until(lambda: sent(ports, ledger), "the first relays")
    some(ledger, 3_000)
    until(lambda: moved_beyond(ports, study, 11), "it is at work")
    os.kill(hanging.pid or 0, signal.SIGSTOP)
    with relaying(ports):
        some(ledger, 500)
        until(lambda: sent(ports, ledger), "the second took over and relays")
        os.kill(hanging.pid or 0, signal.SIGCONT)
        for _ in range(5):
            some(ledger, 20)
            until(lambda: sent(ports, ledger), "the second goes on")
    until(lambda: lease_is_free(ports, study), "nobody holds the study")
    assert seen(consumed(broker, study)) == ledger.told()


def test_relays_that_think_they_are_alone_do_no_harm(
    ports: Ports, pool: Pool, broker: str, study: str, monkeypatch: Any
) -> None:
    """The lease saves work; order does not rest on it. Here everybody gets it, all the time."""
    monkeypatch.setattr(Lease, "taken", classmethod(everybodys))
    ledger = Study(ports.ledger, study)
    some(ledger, 400)
    with relaying(ports), relaying(ports), relaying(ports):
        for _ in range(10):
            some(ledger, 200)
        until(lambda: sent(ports, ledger), "all was sent")
    assert seen(consumed(broker, study)) == ledger.told()


def test_a_relay_whose_connection_is_cut_takes_the_study_up_again(
    ports: Ports, pool: Pool, broker: str, study: str
) -> None:
    ledger = Study(ports.ledger, study)
    some(ledger, 10)
    with relaying(ports) as told:
        until(lambda: sent(ports, ledger), "it relays")
        with pool.connection() as connection:
            connection.execute("RESET ROLE")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            connection.execute("SET ROLE cairn_app")
        until(lambda: ("relay-interrupted", lost(study)) in told, "it noticed")
        some(ledger, 10)
        until(lambda: sent(ports, ledger), "it relays again")
    assert seen(consumed(broker, study)) == ledger.told()


@pytest.mark.slow
def test_relays_and_brokers_are_killed_at_random_under_load(
    pool: Pool, start: Start, brokers: Cluster, study: str
) -> None:
    """One of three brokers at a time, and relays that die in the middle of their work."""
    ports = ports_on(pool, brokers.bootstrap)
    with closing(ports.ledger):
        ledger, over = Study(ports.ledger, study), threading.Event()
        some(ledger, 10)
        with relaying(ports):
            until(lambda: sent(ports, ledger), "the topic is there: making it takes all brokers")

        def post() -> None:
            while not over.wait(0.02):
                some(ledger, 10)

        posting = threading.Thread(target=post)
        posting.start()
        try:
            for _ in range(ROUNDS):
                relays = [start(brokers.bootstrap, random.choice(POINTS), 3) for _ in range(2)]
                node = random.choice(brokers.nodes)
                brokers.kill(node)
                relays.append(start(brokers.bootstrap))
                before = ledger.ledger.head(study)
                until(lambda: moved_beyond(ports, study, before), "it goes on")  # noqa: B023
                for relay in relays:
                    relay.kill()
                brokers.start()
        finally:
            over.set()
            posting.join()
        start(brokers.bootstrap)
        until(lambda: sent(ports, ledger), "all was sent")
        assert seen(consumed(brokers.bootstrap, study)) == ledger.told()


def lost(study: str) -> dict[str, str]:
    return {"study": study, "kind": "LeaseLost"}


def moved_beyond(ports: Ports, study: str, position: int) -> bool:
    cursor = ports.cursors.find(study)
    return cursor is not None and cursor.position > position


def lease_is_free(ports: Ports, study: str) -> bool:
    lease = Lease.taken(ports.conninfo, f"relay {study}")
    if lease is None:
        return False
    with lease:
        return True


def everybodys(cls: type[Lease], conninfo: str, name: str, seconds: float) -> Lease:
    connection = psycopg.connect(conninfo, autocommit=True)
    return cls(connection)
