"""Memory of `cairn up`'s process, PostgreSQL's not counted: at rest, and after work.

The work is events by NDJSON, projected as they come, and then a rebuild of every view, which is a
process of its own as with `cairn rebuild`. First with the room for participants that is set by
default, then with so little that it is filled several times over: from then on memory is flat.
"""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from bench.bulk import posted
from bench.http import Service, serving
from bench.journey import STUDY
from bench.measured import Row, Sample
from bench.processes import memory_mib
from bench.rebuilt import rebuild_process
from bench.setting import Setting
from bench.visible import SETTLE_SECONDS_MAX, reflected
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import open_pool
from infra.projection.tables import ViewTables
from infra.room import ROOM_MIB
from projections.catalogue import VIEWS

PEOPLE = 6_800
TIMES = 5
"""So many whole journeys, so many times, are a million events."""
LITTLE_PEOPLE = 300
LITTLE_MIB = 16
"""Room for the events of some 80 of those participants, for judging and for the views."""
MIB_MAX = 400.0


class Up(NamedTuple):
    """`cairn up` at work."""

    service: Service
    ledger: PostgresLedger
    tables: ViewTables
    conninfo: str

    def work(self, people: int) -> int:
        """Post whole journeys and wait until every view has them; the events that there are."""
        posted(self.service, people)
        deadline, head = time.monotonic() + SETTLE_SECONDS_MAX, self.ledger.head(STUDY)
        while reflected(self.tables, STUDY) < self.ledger.head(STUDY):
            assert time.monotonic() < deadline, "the views do not come along"
            time.sleep(0.1)
        return head

    def mib(self, what: str = "VmRSS") -> float:
        """What its process takes."""
        return memory_mib(self.service.process.pid, what)


def rows(setting: Setting) -> Iterator[Row]:
    """At rest, after each part of the events, and the most it ever had; then with little room."""
    people = setting.size(PEOPLE, 50)
    with _up(setting, ROOM_MIB) as up:
        yield _row("at rest", up.mib())
        for _ in range(setting.size(TIMES, 2)):
            yield _row(f"after {up.work(people):,} events", up.mib())
        peak = float(rebuild_process(setting.folder, up.conninfo, up.tables.views).stdout)
        yield _row("after a rebuild", up.mib())
        yield _row("the most it ever had", up.mib("VmHWM"))
        yield Row("memory of the rebuilding process, at most", "MiB", [Sample(peak)])
    people = setting.size(LITTLE_PEOPLE, 50)
    with _up(setting, LITTLE_MIB) as up:
        for _ in range(setting.size(TIMES, 4)):
            when = f"after {up.work(people):,} events, with room for {LITTLE_MIB} MiB"
            yield _row(when, up.mib())


@contextmanager
def _up(setting: Setting, room_mib: int) -> Iterator[Up]:
    """The service on a database of its own, with so much room for participants."""
    conninfo = setting.database()
    os.environ["CAIRN_MEMORY_MIB"] = str(room_mib)
    try:
        with (
            closing(open_pool(conninfo)) as pool,
            closing(PostgresLedger(pool)) as ledger,
            serving("up", setting.folder, conninfo) as service,
        ):
            yield Up(service, ledger, ViewTables(pool, VIEWS), conninfo)
    finally:
        del os.environ["CAIRN_MEMORY_MIB"]


def _row(when: str, mib: float) -> Row:
    return Row(f"memory of `cairn up`, {when}", "MiB", [Sample(mib)], most=MIB_MAX)
