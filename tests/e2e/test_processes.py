"""The processes one by one: an API, a worker beside it, and the loops that never give up."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from infra.ledger.types import StoreAway
from services.workers import Loop
from tests.e2e.test_cli import environment, free_port

SECONDS_MAX = 60
STUDY = "/v1/studies/LK-23-01"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=5).status_code == 200
    return False


@contextlib.contextmanager
def running(data: Path, database: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that stays, asked to end afterwards."""
    with (data.parent / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *arguments, "--data", str(data)],
            stdout=log,
            stderr=log,
            env=environment(CAIRN_DATABASE_URL=database),
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0, (data.parent / "log").read_text()[-2_000:]


def test_an_api_and_a_worker_share_a_database(database: str, tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    address = f"http://127.0.0.1:{port}"
    with running(data, database, "api", "--port", str(port)):
        until(lambda: answers(f"{address}/health/ready"))
        token = (data / "token").read_text().strip()
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}) as client:
            event = {
                "type": "referred",
                "occurred_at": "2026-11",
                "data": {"site": "01", "channel": "self"},
            }
            answer = client.post(f"{STUDY}/participants/P1/events", json=event)
            assert answer.status_code == 201
            position = answer.json()["position"]
            with running(data, database, "worker"):
                path = f"{STUDY}/participants?wait_for={position}"
                until(lambda: client.get(path, timeout=30).status_code == 200)
                assert [one["participant"] for one in client.get(path).json()["items"]] == ["P1"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_local_tokens_keep_to_the_loopback_address(tmp_path: Path, host: str) -> None:
    command = [sys.executable, "-m", "services.cli", "api", "--host", host]
    done = subprocess.run(
        [*command, "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        env=environment(),
        check=False,
    )
    assert done.returncode == 1
    assert "loopback" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_database_that_does_not_answer_is_said_in_a_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "worker", "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        env=environment(CAIRN_DATABASE_URL=f"postgresql://secret@127.0.0.1:{free_port()}/x"),
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("cairn: ")
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_loop_goes_on_after_whatever_goes_wrong() -> None:
    troubles: list[Exception | None] = [StoreAway("away"), RuntimeError("a defect"), None, None]
    done = threading.Event()

    def step() -> bool:
        trouble = troubles.pop(0)
        if trouble is not None:
            raise trouble
        if not troubles:
            done.set()
            return False
        return True

    loop = Loop("test", step, lambda: 3_600.0)
    loop.start()
    assert done.wait(SECONDS_MAX)
    loop.halt()
    loop.join()
    assert [one.name for one in threading.enumerate() if one.name == "test"] == []
