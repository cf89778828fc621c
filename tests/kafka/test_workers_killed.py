"""Workers that are killed, paused, added and taken away under load: nothing is lost or doubled."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from infra.postgres.pool import Pool
from tests import specs
from tests.kafka.working import (
    POINTS,
    SESSION_SECONDS,
    Process,
    relayed,
    settled,
    until,
    worker_ports,
    working,
)
from tests.projections.watched import Watched, fill, watched

pytestmark = pytest.mark.slow

EVENTS_PER_SECOND = 40
KILLS_PER_POINT = 2
MOVED_SECONDS_MAX = SESSION_SECONDS + 20.0
"""In which a partition has another worker: the session's time-out, and what joining takes, also
where many other programs run; a transaction that hangs is ended after ten."""


@pytest.fixture
def work(pool: Pool, study: str) -> Iterator[Watched]:
    with watched(pool, name=study) as found:
        yield found


@contextmanager
def load(work: Watched) -> Iterator[None]:
    """Somebody posts all the time."""
    over = threading.Event()
    names = [f"02-{number:03}" for number in range(12)]

    def post() -> None:
        number = 0
        while not over.wait(1 / EVENTS_PER_SECOND):
            name = names[number % len(names)]
            new = number < len(names)
            work.post(
                name, specs.referred.but(site="02") if new else specs.visit("UNS", _day(number))
            )
            number += 1

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _day(number: int) -> str:
    return f"2026-{11 + number % 2}-{1 + number % 28:02}"


def position(work: Watched) -> int:
    """What all partitions reflect."""
    return min((one.position for one in work.tables.active(work.name).values()), default=0)


def offered(work: Watched) -> int:
    return work.ledger.head(work.name)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_loses_and_doubles_nothing(
    work: Watched, database: str, broker: str, point: str
) -> None:
    with relayed(work, broker):
        fill(work, POINTS.index(point), 40)
        for batch in range(KILLS_PER_POINT):
            with Process(database, broker, work.name, point, 3 + 5 * batch) as process:
                until(lambda: process.is_over, f"killed {point}")
            work.post(f"01-8{batch:02}", specs.referred, specs.consented)
        with working(worker_ports(work.pool, broker, work.name)):
            assert settled(work)
    assert work.digests() == work.expected()


def test_workers_that_join_and_leave_under_load_share_and_lose_nothing(
    work: Watched, database: str, broker: str
) -> None:
    with relayed(work, broker), ExitStack() as stack:
        first = stack.enter_context(Process(database, broker, work.name))
        until(lambda: bool(work.tables.partition_cursors(work.name)), "divided")
        with load(work):
            others = [stack.enter_context(Process(database, broker, work.name)) for _ in range(2)]
            until(lambda: position(work) > 60, "all partitions move")
            first.signal(signal.SIGKILL)
            then = offered(work)
            seconds = until(lambda: position(work) >= then, "its partitions moved on")
            print(f"\nkilled: {seconds:.2f} s until all partitions are taken care of")
            assert seconds < MOVED_SECONDS_MAX
            others[0].signal(signal.SIGKILL)
            stack.enter_context(Process(database, broker, work.name))
            then = offered(work)
            seconds = until(lambda: position(work) >= then, "its partitions moved on")
            print(f"killed and another begun: {seconds:.2f} s")
        assert settled(work)
    assert work.digests() == work.expected()


def test_a_worker_that_was_paused_finds_that_others_went_on(
    work: Watched, database: str, broker: str
) -> None:
    with relayed(work, broker), Process(database, broker, work.name) as paused:
        until(lambda: bool(work.tables.partition_cursors(work.name)), "divided")
        with load(work):
            until(lambda: position(work) > 30, "it works")
            paused.signal(signal.SIGSTOP)
            with Process(database, broker, work.name):
                then = offered(work)
                until(lambda: position(work) >= then, "the other has its partitions")
                paused.signal(signal.SIGCONT)
                then = offered(work)
                until(lambda: position(work) >= then + EVENTS_PER_SECOND, "both go on")
        assert not paused.is_over
        assert settled(work)
    assert work.digests() == work.expected()


def test_partitions_come_and_go_without_a_pause_for_those_that_stay(
    work: Watched, broker: str
) -> None:
    """A worker that leaves in order is not waited for."""
    with relayed(work, broker), working(worker_ports(work.pool, broker, work.name)):
        until(lambda: bool(work.tables.partition_cursors(work.name)), "divided")
        with load(work):
            until(lambda: position(work) > 30, "it works")
            with working(worker_ports(work.pool, broker, work.name)):
                began = time.monotonic()
                then = offered(work)
                until(lambda: position(work) >= then + EVENTS_PER_SECOND, "both work")
            then = offered(work)
            until(lambda: position(work) >= then, "the one that stays has all")
            assert time.monotonic() - began < 2 * MOVED_SECONDS_MAX
        assert settled(work)
    assert work.digests() == work.expected()
