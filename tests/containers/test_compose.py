"""`docker compose up --wait` gives a Cairn that records, keeps and shows, as a plain user."""

import os
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.containers.conftest import ROOT

SECONDS_MAX = 600
PARTICIPANT = "/v1/studies/LK-23-01/participants/P-1"
EVENT = {
    "id": "CALL-1",
    "source": "urn:call-centre",
    "type": "referred",
    "occurred_at": "2026-11-02",
    "data": {"site": "01", "channel": "site"},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Stack:
    """One project of compose, under a name and a port of its own."""

    name: str
    port: int

    def compose(self, *arguments: str) -> str:
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.name, *arguments],
            cwd=ROOT,
            env={**os.environ, "CAIRN_PORT": str(self.port)},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, f"compose {arguments}: {done.stderr[-4_000:]}"
        return done.stdout

    def client(self) -> httpx.Client:
        token = self.compose("exec", "-T", "api", "cairn", "token", "--role", "administrator")
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {token.strip()}"},
            timeout=30,
        )


@pytest.fixture(scope="module")
def stack(engine: None) -> Iterator[Stack]:
    stack = Stack(f"cairn-test-{uuid.uuid4().hex[:8]}", free_port())
    try:
        stack.compose("up", "--wait", "--build", "--quiet-pull")
        yield stack
    finally:
        print(stack.compose("logs", "--no-color", "--tail", "50"))
        stack.compose("down", "--volumes", "--timeout", "20")


def test_an_event_is_recorded_shown_and_kept_when_everything_is_killed(stack: Stack) -> None:
    with stack.client() as client:
        first = client.post(f"{PARTICIPANT}/events", json=EVENT)
        assert first.status_code == 201, first.text
        position = first.json()["position"]
        assert stage(client, position) == "referred"

    stack.compose("kill", "--signal", "KILL")
    stack.compose("up", "--wait")

    with stack.client() as client:
        assert stage(client, position) == "referred"
        again = client.post(f"{PARTICIPANT}/events", json=EVENT)
        assert (again.status_code, again.json()["position"]) == (200, position)


def stage(client: httpx.Client, position: int) -> str:
    answer = client.get(PARTICIPANT, params={"wait_for": position})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["stage"])


def test_the_worker_keeps_the_views(stack: Stack) -> None:
    with stack.client() as client:
        posted = client.post(
            "/v1/studies/LK-23-01/participants/P-2/events", json={**EVENT, "id": "CALL-2"}
        )
        answer = client.get(
            "/v1/studies/LK-23-01/enrolment", params={"wait_for": posted.json()["position"]}
        )
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("service", ["api", "worker"])
def test_no_process_is_root_and_its_files_cannot_be_changed(stack: Stack, service: str) -> None:
    assert stack.compose("exec", "-T", service, "id", "-u").strip() == "10001"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.compose("exec", "-T", "--user", "0", service, "touch", "/opt/cairn/domain/kernel.py")


def test_the_database_is_not_published(stack: Stack) -> None:
    assert "->" not in stack.compose("ps", "postgres")
    published = stack.compose("port", "api", "8000").strip()
    assert published == f"127.0.0.1:{stack.port}"
