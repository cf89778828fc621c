"""A server that is killed at random while clients post to it, and the books to judge it by."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

STUDY = "LK-23-01"
START_SECONDS_MAX = 60
SETTLE_SECONDS_MAX = 60
HEADERS = {"Content-Type": "application/json"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """`cairn up` as a process of its own, on a data folder that outlives it."""

    data: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    command: str = "up"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "services.cli", self.command]
        with (self.data.parent / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), "--data", str(self.data)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(
                    f"the server ended with {self.process.returncode}: {self.log()}"
                )
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/health/ready", timeout=2).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the server did not become ready: {self.log()}")

    def log(self) -> str:
        return (self.data.parent / "server.log").read_text()[-4_000:]

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_postgres(self) -> None:
        pid_file = next(self.data.rglob("postmaster.pid"))
        os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGKILL)

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)

    def client(self) -> httpx.Client:
        token = (self.data / "token").read_text().strip()
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=10
        )


class Poster(threading.Thread):
    """Posts numbered facts until told to stop; repeats each until it is acknowledged."""

    def __init__(self, server: Server, number: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.participant = f"P{number}"
        self.random = random.Random(seed * 1_000 + number)
        self.acknowledged: dict[str, int] = {}
        self.unexpected: list[str] = []
        self.halt = threading.Event()

    def run(self) -> None:
        with self.server.client() as client:
            count = 0
            while not self.halt.is_set():
                count += 1
                self._until_acknowledged(client, f"{self.participant}-{count}", count)

    def _until_acknowledged(self, client: httpx.Client, event: str, count: int) -> None:
        path = f"/v1/studies/{STUDY}/participants/{self.participant}/events"
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                answer = client.post(path, json=self._event(event, count))
            except httpx.HTTPError:
                time.sleep(self.random.uniform(0.01, 0.1))
                continue
            if answer.status_code in (200, 201):
                self.acknowledged[event] = answer.json()["events"][0]["position"]
                return
            if answer.status_code not in (503, 429):
                self.unexpected.append(f"{answer.status_code} {answer.text[:200]}")
                return
            time.sleep(self.random.uniform(0.01, 0.1))
        self.unexpected.append(f"{event} was never acknowledged")

    def _event(self, event: str, count: int) -> dict[str, Any]:
        if count == 1:
            body = {"type": "referred", "data": {"site": "01", "channel": "site"}}
        else:
            body = {
                "type": "medication-recorded",
                "data": {
                    "medication": f"M{count % 7}",
                    "name": "hydroxychloroquine",
                    "classes": ["antimalarial"],
                    "started_on": "2020-03",
                },
            }
        return {"id": event, "source": "urn:test:poster", "occurred_at": "2021-01-04", **body}


@contextlib.contextmanager
def posting(server: Server, posters: int, seed: int) -> Iterator[list[Poster]]:
    """So many posters at work; stopped and joined at the end."""
    threads = [Poster(server, number, seed) for number in range(posters)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.halt.set()
        for thread in threads:
            thread.join(timeout=SETTLE_SECONDS_MAX + 10)


def whole_log(client: httpx.Client) -> list[dict[str, Any]]:
    """Every event of the study, in the log's order."""
    events: list[dict[str, Any]] = []
    while True:
        after = events[-1]["position"] if events else 0
        page = client.get(f"/v1/studies/{STUDY}/log", params={"after": after, "limit": 1_000})
        page.raise_for_status()
        items = page.json()["items"]
        if not items:
            return events
        events += items
