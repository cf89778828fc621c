"""Memory of `cairn up`'s process, PostgreSQL's not counted: at rest, and after work.

The work is events by NDJSON, projected as they come, and then a rebuild of every view, which is a
process of its own as with `cairn rebuild`.
"""

import time
from collections.abc import Iterator
from contextlib import closing

from bench.bulk import posted
from bench.http import serving
from bench.journey import STUDY
from bench.measured import Row, Sample
from bench.processes import memory_mib
from bench.rebuilt import rebuild_process
from bench.setting import Setting
from bench.visible import SETTLE_SECONDS_MAX, reflected
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import open_pool
from infra.projection.tables import ViewTables
from projections.catalogue import VIEWS

PEOPLE = 300
TIMES = 5
MIB_MAX = 400.0


def rows(setting: Setting) -> Iterator[Row]:
    """At rest, after each part of the events, and the most it ever had."""
    conninfo = setting.database()
    with closing(open_pool(conninfo)) as pool, closing(PostgresLedger(pool)) as ledger:
        tables = ViewTables(pool, VIEWS)
        with serving("up", setting.folder, conninfo) as service:
            process = service.process.pid
            yield _row("at rest", memory_mib(process))
            for _ in range(setting.size(TIMES, 2)):
                posted(service, setting.size(PEOPLE, 50))
                _settled(tables, ledger)
                yield _row(f"after {ledger.head(STUDY):,} events", memory_mib(process))
            peak = float(rebuild_process(setting.folder, conninfo, tables.views).stdout)
            yield _row("after a rebuild", memory_mib(process))
            yield _row("the most it ever had", memory_mib(process, "VmHWM"))
            yield Row("memory of the rebuilding process, at most", "MiB", [Sample(peak)])


def _row(when: str, mib: float) -> Row:
    return Row(f"memory of `cairn up`, {when}", "MiB", [Sample(mib)], most=MIB_MAX)


def _settled(tables: ViewTables, ledger: PostgresLedger) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while reflected(tables, STUDY) < ledger.head(STUDY):
        assert time.monotonic() < deadline, "the views do not come along"
        time.sleep(0.1)
