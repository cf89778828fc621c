"""`kill -9` of the server and of PostgreSQL under parallel posters loses and doubles nothing."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.harness import Poster, Server, posting, whole_log

POSTERS = 8
CYCLES = int(os.environ.get("CAIRN_FAULT_CYCLES", "5"))
SEED = int(os.environ.get("CAIRN_FAULT_SEED", "20261125"))
ACKNOWLEDGED_PER_CYCLE_MIN = 40
"""A kill counts only when work was under way; otherwise the cycle proves nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["server", "postgresql"])
def test_every_acknowledged_event_is_there_exactly_once_after_kills(
    victim: str, tmp_path: Path
) -> None:
    print(f"seed {SEED}, {CYCLES} kills of {victim}")
    choose = random.Random(f"{SEED}-{victim}")
    server = Server(tmp_path / "data")
    server.start()
    try:
        with posting(server, POSTERS, SEED) as posters:
            for _ in range(CYCLES):
                _work(posters, choose)
                if victim == "server":
                    server.kill()
                    server.start()
                else:
                    server.kill_postgres()
                    server.wait_ready()
            _work(posters, choose)
        _nothing_lost_or_doubled(server, posters)
    finally:
        server.stop()


def _work(posters: list[Poster], choose: random.Random) -> None:
    """Until enough was acknowledged since, then a random moment more."""
    before = sum(len(poster.acknowledged) for poster in posters)
    deadline = time.monotonic() + 60
    while sum(len(p.acknowledged) for p in posters) < before + ACKNOWLEDGED_PER_CYCLE_MIN:
        assert time.monotonic() < deadline, "the posters made no progress"
        time.sleep(0.01)
    time.sleep(choose.uniform(0, 0.3))


def _nothing_lost_or_doubled(server: Server, posters: list[Poster]) -> None:
    for poster in posters:
        assert poster.unexpected == []
    with server.client() as client:
        log = whole_log(client)
        assert [event["position"] for event in log] == list(range(1, len(log) + 1))
        kept = [
            (event["id"], event["position"])
            for event in log
            if event["source"] == "urn:test:poster"
        ]
        assert len(kept) == len({event for event, _ in kept}), "an event stands twice"
        acknowledged = {pair for poster in posters for pair in poster.acknowledged.items()}
        assert acknowledged <= set(kept), "an acknowledged event is gone or moved"
        client.get(
            "/v1/studies/LK-23-01/enrolment", params={"wait_for": len(log)}
        ).raise_for_status()
    _views_equal_a_rebuild(server)


def _views_equal_a_rebuild(server: Server) -> None:
    command = [sys.executable, "-m", "services.cli", "rebuild", "--json"]
    done = subprocess.run(
        [*command, "--data", str(server.data)], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rebuilt = json.loads(done.stdout)
    assert rebuilt
    assert [view for view in rebuilt if not view["same"]] == [], "a view drifted from the log"
