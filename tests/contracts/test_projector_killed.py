"""The projector's process killed outright, again and again: the tables are those of the log."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from infra.postgres.pool import Pool
from tests.projections.watched import STUDY, Watched, fill, watched

KILLS = 8
SECONDS_MAX = 60

FOLLOW = """
import sys, threading
from infra.documents import PostgresDocuments
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import open_pool
from infra.projection import lane
from infra.projection.projector import Projector
from infra.projection.tables import ViewTables
from projections.catalogue import VIEWS
lane.BATCH_EVENTS = 3
pool = open_pool(sys.argv[1])
ledger = PostgresLedger(pool)
tables = ViewTables(pool, VIEWS)
tables.prepare()
print("ready", flush=True)
Projector(ledger, PostgresDocuments(pool), tables).run(threading.Event())
"""


@pytest.fixture
def study(pool: Pool) -> Iterator[Watched]:
    with watched(pool) as found:
        yield found


def test_killing_the_projector_loses_and_doubles_nothing(study: Watched, database: str) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    fill(study, seed, 250)
    head, deadline = study.ledger.head(STUDY), time.monotonic() + SECONDS_MAX
    midway = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", FOLLOW, database], stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            _await_progress(study, chance.randrange(1, head // KILLS), deadline)
            os.kill(process.pid, signal.SIGKILL)
        positions = {one.position for one in study.tables.active(STUDY).values()}
        assert len(positions) == 1
        (at,) = positions
        midway += at < head
        assert study.digests() == study.expected(at)
    assert midway
    study.another().catch_up(STUDY)
    assert study.digests() == study.expected()


def _await_progress(study: Watched, events: int, deadline: float) -> None:
    """Until the cursors have moved on by so many events, or there is nothing left."""

    def position() -> int:
        return min((one.position for one in study.tables.active(STUDY).values()), default=0)

    goal = min(position() + events, study.ledger.head(STUDY))
    while position() < goal:
        assert time.monotonic() < deadline
        time.sleep(0.005)
