"""Workers on a study that is relayed, as threads or as processes that end at named points."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from infra.documents import PostgresDocuments
from infra.kafka import workers
from infra.kafka.brokers import Brokers
from infra.kafka.cursors import RelayCursors
from infra.kafka.workers import Ports, Worker
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import Pool, open_pool
from infra.projection import lane
from infra.projection.folds import Folds
from infra.projection.tables import ViewTables, Writing
from projections.catalogue import VIEWS
from services.door.relayed import restored
from tests.kafka.relayed import PARTITIONS, ports_on, relaying
from tests.projections.watched import Watched

SETTLE_SECONDS_MAX = 60.0
SESSION_SECONDS = 2.0
POINTS = ("before-rows", "before-commit", "after-commit")

Told = list[tuple[str, dict[str, Any]]]


def worker_ports(
    pool: Pool, bootstrap: str, study: str, views: Sequence[Any] = VIEWS, **more: Any
) -> Ports:
    """What a worker works with; the group is named after the study, which is nobody else's."""
    ledger = PostgresLedger(pool)
    ports = Ports(
        brokers=Brokers((bootstrap,), PARTITIONS),
        ledger=ledger,
        relayed=RelayCursors(pool),
        folds=Folds(ledger, PostgresDocuments(pool)),
        tables=ViewTables(pool, views),
        restore=restored,
        notice=lambda _name, **_circumstances: None,
        group=f"projector-{study}",
        session_seconds=SESSION_SECONDS,
    )
    return replace(ports, **more)


@contextlib.contextmanager
def working(ports: Ports) -> Iterator[Told]:
    """A worker at work while the block lasts; what it told."""
    told: Told = []
    worker = Worker(
        replace(
            ports,
            notice=lambda name, **more: told.append((name, more)),
        )
    )
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join(SETTLE_SECONDS_MAX)
        ports.ledger.close()
        assert not thread.is_alive(), "the worker did not end"


def settled(study: Watched, seconds: float = SETTLE_SECONDS_MAX) -> bool:
    """Wait until all views reflect all events, by partitions; whether they do in time."""
    until(lambda: bool(study.tables.partition_cursors(study.name)), "divided", seconds)
    names = [view.name for view in study.views]
    return study.tables.wait(study.name, names, study.ledger.head(study.name), seconds)


def until(holds: Callable[[], bool], what: str, seconds: float = SETTLE_SECONDS_MAX) -> float:
    """Wait until it holds; how long that took. It fails when it is too long."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"in vain: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


@contextlib.contextmanager
def relayed(study: Watched, bootstrap: str) -> Iterator[None]:
    """The study's ledger goes to the topic while the block lasts."""
    ports = ports_on(study.pool, bootstrap)
    with contextlib.closing(ports.ledger), relaying(ports, study.name):
        yield


# --- processes ------------------------------------------------------------------------------------


@dataclass
class Process:
    """A worker as a process of its own; `point` and `batch` say where it ends like by `kill -9`."""

    database: str
    bootstrap: str
    study: str
    point: str = "never"
    batch: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __enter__(self) -> Self:
        arguments = (self.database, self.bootstrap, self.study, self.point, str(self.batch))
        code = "import sys; from tests.kafka.working import main; main(*sys.argv[1:])"
        self.process = subprocess.Popen([sys.executable, "-c", code, *arguments])
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    @property
    def is_over(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


def main(database: str, bootstrap: str, study: str, point: str, batch: str) -> None:
    """Work until the process ends, at the point of a batch or from outside."""
    lane.BATCH_EVENTS = workers.BATCH_EVENTS = 10
    _deadly(point, int(batch))
    pool = open_pool(database)
    Worker(worker_ports(pool, bootstrap, study)).run(threading.Event())


def _deadly(point: str, batch: int) -> None:
    """Make the process end at a point of its n-th batch."""
    left = batch

    def here(at: str) -> None:
        nonlocal left
        if at == point:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    move, writing = Writing.move, ViewTables.writing

    def moved(self: Writing, moves: Any) -> None:
        move(self, moves)
        here("before-rows")

    @contextlib.contextmanager
    def written(self: ViewTables, study: str) -> Iterator[Writing]:
        with writing(self, study) as found:
            yield found
            here("before-commit")
        here("after-commit")

    Writing.move = moved  # type: ignore[method-assign]
    ViewTables.writing = written  # type: ignore[method-assign]
