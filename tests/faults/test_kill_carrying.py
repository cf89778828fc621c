"""`kill -9` of the worker while it carries participants over to an amended protocol."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.faults.harness import SETTLE_SECONDS_MAX, STUDY, Server, whole_log

PARTICIPANTS = 400
"""Two parts of those that a worker looks at at once, so that it is killed within and between."""
KILLS = 2
SEED = 20261125
BASE = f"/v1/studies/{STUDY}"
ASSIGNED = "protocol-version-assigned"


@contextmanager
def worker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`cairn worker` as a process of its own; killed at the end, come what may."""
    command = [sys.executable, "-m", "services.cli", "worker", "--data", str(folder)]
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_everybody_is_carried_over_exactly_once_after_kills_of_the_worker(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"seed {SEED}, {KILLS} kills of the worker")
    choose = random.Random(SEED)
    monkeypatch.setenv("CAIRN_DATABASE_URL", database)
    folder = tmp_path / "data"
    folder.mkdir()
    server = Server(folder, command="api")
    server.start()
    try:
        with server.client() as client:
            names = _amended(client)
            carried = 0
            for _ in range(KILLS):
                with worker(folder) as running:
                    _until(client, running, carried + choose.randint(1, 60))
                carried = _carried(client)
                assert 0 < carried < PARTICIPANTS, "it was killed too late: the test proves nothing"
            with worker(folder) as running:
                _until(client, running, PARTICIPANTS)
            log = whole_log(client)
    finally:
        server.stop()
    assert [one["position"] for one in log] == list(range(1, len(log) + 1))
    said = [one for one in log if one["type"] == ASSIGNED]
    assert Counter(one["participant"] for one in said) == Counter(names)
    assert {(one["data"]["previous"], one["data"]["protocol"]) for one in said} == {("2.0", "3.0")}


def _amended(client: httpx.Client) -> list[str]:
    """A site with its participants, and an amendment that is activated there; who they are."""
    document = client.get(f"{BASE}/protocols/2.0").json()
    document["version"] = "3.0"
    client.put(f"{BASE}/protocols/3.0", json=document).raise_for_status()
    site = {"site": "01", "name": "One", "timezone": "UTC"}
    _post(client, _event("site-opened", "2021-01-01", site))
    _post(client, _event("protocol-activated", "2021-01-02", {"site": "01", "protocol": "2.0"}))
    names = [f"P-{number:04}" for number in range(PARTICIPANTS)]
    referred = _event("referred", "2021-01-04", {"site": "01", "channel": "site"})
    _post(client, *({**referred, "participant": name} for name in names))
    _post(client, _event("protocol-activated", "2021-02-01", {"site": "01", "protocol": "3.0"}))
    return names


def _event(kind: str, at: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "occurred_at": at, "data": data}


def _post(client: httpx.Client, *events: dict[str, Any]) -> None:
    lines = b"\n".join(map(orjson.dumps, events))
    headers = {"Content-Type": "application/x-ndjson"}
    answer = client.post(
        f"{BASE}/events", content=lines, headers=headers, timeout=SETTLE_SECONDS_MAX
    )
    answer.raise_for_status()
    results = map(orjson.loads, answer.content.splitlines())
    assert {one["status"] for one in results} == {201}


def _carried(client: httpx.Client) -> int:
    asked = {"types": ASSIGNED, "limit": 1_000}
    answer = client.get(f"{BASE}/log", params=asked)
    answer.raise_for_status()
    return len(answer.json()["items"])


def _until(client: httpx.Client, running: subprocess.Popen[bytes], count: int) -> None:
    """Wait until so many are carried over."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while _carried(client) < count:
        assert running.poll() is None, f"the worker ended with {running.returncode}"
        assert time.monotonic() < deadline, "the worker made no progress"
        time.sleep(0.01)
