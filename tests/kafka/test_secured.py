"""A real broker behind TLS and SASL: relay, inbound and worker get in with the settings of an
operator, and say in one sentence why they do not."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from infra.kafka.admission import NotAdmitted, admitted
from infra.kafka.brokers import Brokers, SaslMechanism
from infra.kafka.topics import inbound_topic
from projections.catalogue import VIEWS
from services.bootstrap import Cairn
from tests.conftest import NOT_RUN
from tests.kafka.cluster import Cluster, free_ports
from tests.kafka.jars import NoBroker
from tests.kafka.posting import Answers, as_json, consented, make_topics, opened, referred, send
from tests.kafka.relayed import until
from tests.kafka.secured import MECHANISMS, USERNAME, Authority, secured

PASSWORD = "correct-horse-7f3a"
PARTITIONS = 2
SECONDS_MAX = 60


@dataclass(frozen=True)
class Secured:
    """The broker, and the files of an operator."""

    cluster: Cluster
    folder: Path

    @property
    def inside(self) -> str:
        """Its address for the tests' own clients, of which it asks nothing."""
        return f"127.0.0.1:{self.cluster.nodes[0].inside_port}"

    @property
    def brokers(self) -> Brokers:
        return Brokers(
            bootstrap=(self.cluster.bootstrap,),
            partitions=PARTITIONS,
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            username=USERNAME,
            password=PASSWORD,
            ca_file=self.folder / "believed.pem",
        )

    def settings(self, password: str = "password") -> dict[str, str]:
        """What an operator sets; the password is that of a file."""
        return {
            "CAIRN_KAFKA_BOOTSTRAP": self.cluster.bootstrap,
            "CAIRN_KAFKA_PARTITIONS": str(PARTITIONS),
            "CAIRN_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "CAIRN_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "CAIRN_KAFKA_USERNAME": USERNAME,
            "CAIRN_KAFKA_PASSWORD_FILE": str(self.folder / password),
            "CAIRN_KAFKA_CA_FILE": str(self.folder / "believed.pem"),
        }


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority.new("An authority of tests")
    authority.write(folder / "believed.pem")
    Authority.new("Another authority").write(folder / "other.pem")
    (folder / "none.pem").write_text("no certificate\n")
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "wrong").write_text("battery-staple\n")
    try:
        cluster = secured(folder / "kafka", authority.vouch(folder / "server.pem"), PASSWORD)
    except NoBroker as missing:
        pytest.skip(f"{NOT_RUN} Apache Kafka: {missing}")
    try:
        cluster.start()
        yield Secured(cluster, folder)
    finally:
        cluster.stop()


@pytest.fixture
def cairn(database: str, tmp_path: Path, study: str) -> Iterator[Cairn]:
    with opened(database, tmp_path, study) as found:
        yield found


def command(
    words: tuple[str, ...], database: str, folder: Path, settings: dict[str, str]
) -> "subprocess.Popen[str]":
    """`cairn ...` as a process of its own."""
    store = {"CAIRN_DATABASE_URL": database, "CAIRN_DATA": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", *words],
        env={**os.environ, **store, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def all_three(database: str, folder: Path, settings: dict[str, str]) -> Iterator[None]:
    """Relay, inbound and worker at work; they end in order."""
    commands = (("relay",), ("inbound", "--role", "administrator"), ("worker", "--from", "kafka"))
    processes = [command(words, database, folder, settings) for words in commands]
    try:
        yield
    finally:
        for one in processes:
            one.terminate()
        said = [one.communicate(timeout=SECONDS_MAX)[1] for one in processes]
        assert [one.returncode for one in processes] == [0, 0, 0], said
        assert PASSWORD not in "".join(said)


def test_a_message_goes_in_and_out_and_into_the_views_behind_tls_and_a_password(
    broker: Secured, cairn: Cairn, database: str, tmp_path: Path, study: str
) -> None:
    make_topics(broker.inside, study)
    with all_three(database, tmp_path, broker.settings()):
        posts = [as_json(referred("a", id="1")), as_json(consented("a", id="2"))]
        answers = Answers(broker.inside, study)
        told = answers.wait(send(broker.inside, inbound_topic(study), posts))
        answers.close()
        assert [one["status"] for one in told] == [201, 201]

        def taken_in() -> bool:
            cursors = cairn.tables.partition_cursors(study)
            head = cairn.ledger.head(study)
            return len(cursors) == PARTITIONS * len(VIEWS) and all(
                one.position == head for one in cursors
            )

        until(taken_in, "the worker takes in what the relay sent", SECONDS_MAX)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_lets_in_with_the_password_and_refuses_without(
    broker: Secured, mechanism: str
) -> None:
    right = replace(broker.brokers, sasl_mechanism=cast("SaslMechanism", mechanism))
    admitted(right)
    with pytest.raises(NotAdmitted, match="refuse the name and the password") as refused:
        admitted(replace(right, password="battery-staple"))
    assert "battery-staple" not in str(refused.value)


@pytest.mark.parametrize(
    ("believed", "sentence"),
    [
        ("other.pem", r"not to be believed by CAIRN_KAFKA_CA_FILE: .*certificate"),
        (None, r"not to be believed by CAIRN_KAFKA_CA_FILE: .*certificate"),
        ("none.pem", "CAIRN_KAFKA_CA_FILE holds no certificate"),
    ],
)
def test_a_broker_whom_nobody_vouches_for_gets_no_password(
    broker: Secured, believed: str | None, sentence: str
) -> None:
    path = None if believed is None else broker.folder / believed
    with pytest.raises(NotAdmitted, match=sentence):
        admitted(replace(broker.brokers, ca_file=path))


def test_a_certificate_for_another_name_is_not_believed(broker: Secured) -> None:
    port = broker.cluster.nodes[0].port
    with pytest.raises(NotAdmitted, match="mismatch"):
        admitted(replace(broker.brokers, bootstrap=(f"127.0.0.2:{port}", f"127.1:{port}")))


def test_a_port_without_tls_is_said_to_be_one(broker: Secured) -> None:
    with pytest.raises(NotAdmitted, match="does not speak TLS"):
        admitted(replace(broker.brokers, bootstrap=(broker.inside,)))


def test_brokers_that_are_away_are_waited_for_and_not_refused(broker: Secured) -> None:
    admitted(replace(broker.brokers, bootstrap=(f"127.0.0.1:{free_ports(1)[0]}",)))


@pytest.mark.parametrize("words", [("relay",), ("inbound",), ("worker", "--from", "kafka")])
def test_a_wrong_password_ends_the_command_with_one_sentence(
    broker: Secured, words: tuple[str, ...], database: str, tmp_path: Path
) -> None:
    process = command(words, database, tmp_path, broker.settings("wrong"))
    try:
        _, said = process.communicate(timeout=SECONDS_MAX)
    finally:
        process.kill()
    assert process.returncode == 1
    lines = [line for line in said.splitlines() if line.startswith("cairn: ")]
    refused = "refuse the name and the password of CAIRN_KAFKA_USERNAME and"
    assert lines == [f"cairn: The brokers {refused} CAIRN_KAFKA_PASSWORD_FILE."]
    assert "battery-staple" not in said
    assert "Traceback" not in said
