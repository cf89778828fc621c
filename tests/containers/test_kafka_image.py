"""What holds on the brokers that the tests start holds on the image of Apache Kafka too."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from tests.conftest import FOLDER
from tests.containers.conftest import ROOT
from tests.kafka.cluster import free_ports
from tests.kafka.conftest import BOOTSTRAP

IMAGE = "apache/kafka:4.1.1"
PORT = 9092
SECONDS_MAX = 900
OWN_BROKERS = "not brokers"
"""Tests with brokers of their own, which they kill, do not meet this one."""


class KafkaContainer(DockerContainer):
    """One node, which clients reach under a port of this machine."""

    def __init__(self) -> None:
        super().__init__(IMAGE)
        (port,) = free_ports(1)
        self.bootstrap = f"127.0.0.1:{port}"
        self.with_bind_ports(PORT, port)
        for name, value in {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENERS": f"PLAINTEXT://:{PORT},CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{self.bootstrap}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
            "KAFKA_HEAP_OPTS": "-Xmx512m",
        }.items():
            self.with_env(name, value)
        self.waiting_for(LogMessageWaitStrategy("Kafka Server started"))


@pytest.fixture
def kafka(engine: None) -> Iterator[str]:
    with KafkaContainer() as container:
        yield container.bootstrap


def test_relay_inbound_and_workers_do_on_the_image_what_they_do_elsewhere(kafka: str) -> None:
    environment = {**os.environ, BOOTSTRAP: kafka}
    environment.pop(FOLDER, None)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("tests/kafka", "-m", OWN_BROKERS),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    print(done.stdout[-8_000:])
    assert done.returncode == 0
    assert " passed" in done.stdout
    assert "NOT RUN" not in done.stdout
