"""One real Apache Kafka for the run: given by address, or started from Maven's jars.

Where neither can be had, the tests that need it do not run, and the end of the run says so loudly.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FOLDER, NOT_RUN
from tests.kafka.cluster import Cluster
from tests.kafka.jars import NoBroker

BOOTSTRAP = "CAIRN_TESTS_KAFKA_BOOTSTRAP"
"""The address of an Apache Kafka to test on, instead of one that the tests start."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that have brokers of their own, which no address can stand for."""
    for item in items:
        if "brokers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.brokers)


@pytest.fixture(scope="session")
def broker() -> str:
    """The address of a running Apache Kafka, one for the whole run; use topics of your own."""
    given = os.environ.get(BOOTSTRAP)
    if given:
        return given
    folder = Path(os.environ[FOLDER])
    with (folder / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shared = folder / "kafka-bootstrap"
        if not shared.exists():
            cluster = _cluster(folder / "kafka", nodes=1)
            cluster.start()
            cluster.leave()
            shared.write_text(cluster.bootstrap)
    return shared.read_text()


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Cluster]:
    """A single broker of one's own: for tests that kill it."""
    cluster = _cluster(tmp_path / "kafka", nodes=1)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Cluster]:
    """Three brokers of one's own, each topic kept by all of them: for tests that kill some."""
    cluster = _cluster(tmp_path / "kafka", nodes=3)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _cluster(folder: Path, nodes: int) -> Cluster:
    try:
        return Cluster(folder, nodes)
    except NoBroker as missing:
        pytest.skip(f"{NOT_RUN} Apache Kafka: {missing}")


@pytest.fixture
def study() -> str:
    """A name that no other test uses: topics are named after it."""
    return f"S-{uuid.uuid4().hex[:12]}"
