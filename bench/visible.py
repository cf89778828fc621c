"""From a POST to the view: how long after it was due every view shows an event.

The service is `cairn up`'s process: API, projector and clock worker in one. Posts are due at fixed
times; a watcher looks at the views' positions, so what is told includes the pause between looks.
"""

import json
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from uuid import uuid4

from bench.http import CLIENTS, PATHS, Service, serving
from bench.journey import STUDY
from bench.load import Order, Seen
from bench.measured import Row, Sample
from bench.setting import Setting
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import open_pool
from infra.projection.tables import ViewTables
from projections.catalogue import VIEWS

RATE = 200.0
"""Posts a second."""
LOOK_SECONDS = 0.002
SETTLE_SECONDS_MAX = 300.0
JOURNEYS = 2
WANTED_MS = 50.0


def reflected(tables: ViewTables, study: str) -> int:
    """What every view reflects."""
    active = tables.active(study)
    return min((one.position for one in active.values()), default=0)


class Watch(threading.Thread):
    """Notes when the views reflected what."""

    def __init__(self, tables: ViewTables) -> None:
        super().__init__(daemon=True)
        self.positions: list[int] = [0]
        self.at: list[float] = [0.0]
        self.over = threading.Event()
        self._tables = tables

    def run(self) -> None:
        """Look until it is over."""
        while not self.over.wait(LOOK_SECONDS):
            position = reflected(self._tables, STUDY)
            if position > self.positions[-1]:
                self.positions.append(position)
                self.at.append(time.perf_counter())

    def when(self, position: int) -> float:
        """When an event was first seen to be reflected."""
        return self.at[bisect_left(self.positions, position)]


def posted(service: Service, rate: float, journeys: int) -> dict[str, float]:
    """Post, and give when each event's post was due, by the event's id."""
    run = f"{service.name}-{uuid4().hex[:6]}"
    path = PATHS[service.name]
    order = Order(service.port, path, service.token, CLIENTS, journeys, run, rate=rate)
    answer = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=True,
    )
    seen = Seen(**json.loads(answer.stdout))
    assert not seen.failed, seen.failed
    return seen.due


def latencies(ledger: PostgresLedger, watch: Watch, due: dict[str, float]) -> list[float]:
    """Seconds from when a post was due until every view showed its event, sorted."""
    positions, after = {}, 0
    while page := ledger.read(STUDY, after, 1_000):
        after = page[-1].position
        positions.update({json.loads(one.body)["id"]: one.position for one in page})
    return sorted(watch.when(positions[name]) - when for name, when in due.items())


def rows(setting: Setting) -> Iterator[Row]:
    """The median and the 99th part of a hundred."""
    conninfo = setting.database()
    p50, p99 = [], []
    with closing(open_pool(conninfo)) as pool, closing(PostgresLedger(pool)) as ledger:
        tables = ViewTables(pool, VIEWS)
        with serving("up", setting.folder, conninfo) as service:
            posted(service, RATE, 1)  # warms everything; does not count
            for _ in range(setting.rounds):
                _settled(tables, ledger)
                watch = Watch(tables)
                watch.start()
                due = posted(service, RATE, setting.size(JOURNEYS, 1))
                _settled(tables, ledger)
                watch.over.set()
                watch.join()
                found = latencies(ledger, watch, due)
                p50.append(Sample(found[len(found) // 2] * 1e3))
                p99.append(Sample(found[len(found) * 99 // 100] * 1e3))
    what = f"POST to visible in every view, {RATE:.0f} a second due"
    yield Row(f"{what}: p50", "ms", p50)
    yield Row(f"{what}: p99", "ms", p99, most=WANTED_MS)


def _settled(tables: ViewTables, ledger: PostgresLedger) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while reflected(tables, STUDY) < ledger.head(STUDY):
        assert time.monotonic() < deadline, "the views do not come along"
        time.sleep(0.05)
    time.sleep(0.1)  # the watch sees it too
