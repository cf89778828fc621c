"""`docker compose up --wait` gives a Cairn that records, keeps, shows and hands out."""

import contextlib
import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from kafka import KafkaConsumer, KafkaProducer

from tests.containers.conftest import ROOT
from tests.kafka import cluster

SECONDS_MAX = 600
ARRIVES_SECONDS_MAX = 60
STUDY = "/v1/studies/LK-23-01"
EVENTS = "cairn.LK-23-01.events"
PARTICIPANT = f"{STUDY}/participants/P-1"
EVENT = {
    "id": "CALL-1",
    "source": "urn:call-centre",
    "type": "referred",
    "occurred_at": "2026-11-02",
    "data": {"site": "01", "channel": "site"},
}


def free_ports() -> tuple[int, int]:
    """Two neighbouring ports: one for each API."""
    while True:
        with socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            with contextlib.suppress(OSError):
                next_one.bind(("127.0.0.1", port + 1))
                return port, port + 1


@dataclass(frozen=True)
class Stack:
    """One project of compose, under a name and ports of its own."""

    name: str
    ports: tuple[int, int]
    kafka_ports: tuple[int, ...]
    files: tuple[str, ...] = ()

    def compose(self, *arguments: str) -> str:
        environment = {
            "CAIRN_PORT": str(self.ports[0]),
            "CAIRN_PORT_LAST": str(self.ports[1]),
            "CAIRN_KAFKA_PORT": str(self.kafka_ports[0]),
            "CAIRN_KAFKA_PORT_2": str(self.kafka_ports[1]),
            "CAIRN_KAFKA_PORT_3": str(self.kafka_ports[2]),
        }
        files = [part for file in self.files for part in ("--file", file)]
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.name, *files, *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, f"compose {arguments}: {done.stderr[-4_000:]}"
        return done.stdout

    def client(self, which: int = 0) -> httpx.Client:
        """A client of one of the two APIs."""
        token = self.compose("exec", "-T", "api", "cairn", "token", "--role", "administrator")
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports[which]}",
            headers={"Authorization": f"Bearer {token.strip()}"},
            timeout=30,
        )

    def relayed(self, position: int) -> dict[str, Any]:
        """The event of a position, as it comes over the topic."""
        consumer = KafkaConsumer(
            EVENTS,
            bootstrap_servers=f"localhost:{self.kafka_ports[0]}",
            auto_offset_reset="earliest",
            consumer_timeout_ms=ARRIVES_SECONDS_MAX * 1_000,
        )
        with contextlib.closing(consumer):
            for message in consumer:
                if int(dict(message.headers)["position"]) == position:
                    return dict(json.loads(message.value))
        raise AssertionError(f"position {position} did not come over the topic")


@contextlib.contextmanager
def up(*files: str) -> Iterator[Stack]:
    """A stack that is up, gone afterwards with all that it kept."""
    kafka_ports = tuple(cluster.free_ports(3))
    stack = Stack(f"cairn-test-{uuid.uuid4().hex[:8]}", free_ports(), kafka_ports, files)
    try:
        stack.compose("up", "--wait", "--build", "--quiet-pull")
        yield stack
    finally:
        print(stack.compose("logs", "--no-color", "--tail", "50"))
        stack.compose("down", "--volumes", "--timeout", "20")


@pytest.fixture(scope="module")
def stack(engine: None) -> Iterator[Stack]:
    with up() as found:
        yield found


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


def test_what_one_api_recorded_the_other_knows_and_the_topic_hands_out(stack: Stack) -> None:
    with stack.client(0) as one, stack.client(1) as other:
        posted = one.post(f"{STUDY}/participants/P-3/events", json={**EVENT, "id": "CALL-3"})
        seen = other.get(
            f"{STUDY}/participants/P-3", params={"wait_for": posted.json()["position"]}
        )
        assert (seen.status_code, seen.json()["stage"]) == (200, "referred")
    event = stack.relayed(posted.json()["events"][0]["position"])
    assert (event["id"], event["subject"]) == ("CALL-3", "LK-23-01/P-3")


def test_what_is_posted_over_kafka_is_recorded(stack: Stack) -> None:
    producer = KafkaProducer(bootstrap_servers=f"localhost:{stack.kafka_ports[0]}")
    message = {**EVENT, "id": "CALL-4", "participant": "P-4"}
    producer.send("cairn.LK-23-01.inbound", json.dumps(message).encode(), key=b"P-4").get(30)
    producer.close()
    deadline = time.monotonic() + ARRIVES_SECONDS_MAX
    with stack.client() as client:
        while client.get(f"{STUDY}/participants/P-4").status_code != 200:
            assert time.monotonic() < deadline, "the message was not recorded"
            time.sleep(0.2)


def test_with_three_brokers_one_may_die(engine: None) -> None:
    with up("docker-compose.yml", "docker-compose.three-brokers.yml") as stack:
        stack.compose("kill", "--signal", "KILL", "kafka-2")
        with stack.client() as client:
            posted = client.post(f"{PARTICIPANT}/events", json=EVENT)
            in_view(client, posted.json()["position"])
        position = posted.json()["events"][0]["position"]
        assert stack.relayed(position)["id"] == EVENT["id"]


def in_view(client: httpx.Client, position: int) -> None:
    """The workers, who read the topic, have written what the position brought.

    They may be behind while other brokers take over what a dead one led; then one asks again.
    """
    deadline = time.monotonic() + ARRIVES_SECONDS_MAX
    while True:
        answer = client.get(f"{STUDY}/enrolment", params={"wait_for": position})
        if answer.status_code != 503 or time.monotonic() > deadline:
            break
        assert answer.json()["type"] == "urn:cairn:problem:lagging", answer.text
        assert "retry-after" in answer.headers
    assert answer.status_code == 200, answer.text


def stage(client: httpx.Client, position: int) -> str:
    answer = client.get(PARTICIPANT, params={"wait_for": position})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["stage"])


def test_the_workers_keep_the_views(stack: Stack) -> None:
    with stack.client() as client:
        posted = client.post(f"{STUDY}/participants/P-2/events", json={**EVENT, "id": "CALL-2"})
        in_view(client, posted.json()["position"])


@pytest.mark.parametrize("service", ["api", "worker", "relay", "inbound"])
def test_no_process_is_root_and_its_files_cannot_be_changed(stack: Stack, service: str) -> None:
    assert stack.compose("exec", "-T", service, "id", "-u").strip() == "10001"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.compose("exec", "-T", "--user", "0", service, "touch", "/opt/cairn/domain/kernel.py")


def test_the_database_is_not_published(stack: Stack) -> None:
    assert "->" not in stack.compose("ps", "postgres")
    published = {
        stack.compose("port", "--index", str(which), "api", "8000").strip() for which in (1, 2)
    }
    assert published == {f"127.0.0.1:{port}" for port in stack.ports}
