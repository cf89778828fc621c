"""Processes without an interface say on a small port how they are, in figures and in one word."""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.kafka.topics import inbound_topic
from services.bootstrap import Cairn
from tests.kafka.cluster import free_ports
from tests.kafka.posting import (
    PARTITIONS,
    Answers,
    Process,
    as_json,
    consented,
    make_topics,
    opened,
    referred,
    running,
    send,
)
from tests.kafka.relayed import until


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def cairn(database: str, tmp_path: Path, study: str) -> Iterator[Cairn]:
    with opened(database, tmp_path, study) as found:
        yield found


def asked(port: int, path: str) -> tuple[int, str]:
    """What the process answers; 0 while nobody does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def ready(port: int) -> tuple[int, dict[str, Any]]:
    status, text = asked(port, "/health/ready")
    return status, json.loads(text or "{}")


def figures(port: int) -> dict[str, float]:
    """Every figure, by its name and labels as they are written."""
    _, text = asked(port, "/metrics")
    return {
        name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", text, re.MULTILINE)
    }


@contextlib.contextmanager
def command(*words: str, database: str, folder: Path, broker: str, port: int) -> Iterator[None]:
    """`cairn ...` as a process of its own, watched on the port; ended afterwards."""
    environment = {
        **os.environ,
        "CAIRN_DATABASE_URL": database,
        "CAIRN_DATA": str(folder),
        "CAIRN_KAFKA_BOOTSTRAP": broker,
        "CAIRN_METRICS_PORT": str(port),
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *words], env=environment, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_inbound_says_what_it_answered_what_waits_and_how_far_behind_it_is(
    broker: str, cairn: Cairn, database: str, tmp_path: Path, study: str, port: int
) -> None:
    make_topics(broker, study)
    answers, topic = Answers(broker, study), inbound_topic(study)
    options = ("--role", "administrator", "--study", study, "--metrics-port", str(port))
    with running(Process(database, tmp_path, broker, options)):
        early = send(broker, topic, [as_json(consented("b", id="3"))])
        good = [as_json(referred("a", id="1")), as_json(consented("a", id="2"))]
        answers.wait(send(broker, topic, [*good, (b"c", b"{", ())]))
        answers.wait(early, final=False)
        until(lambda: lag(figures(port), topic) == 0, "it has answered all")
        found = figures(port)
        by_status = {
            status: found.get(f'cairn_inbound_answers_total{{status="{status}"}}')
            for status in (201, 202, 400)
        }
        assert by_status == {201: 2, 202: 1, 400: 1}
        assert found[f'cairn_inbound_parked_messages{{topic="{topic}"}}'] == 1
        assert found[f'cairn_partitions{{study="{study}"}}'] == PARTITIONS
        assert found["cairn_rebalances_total"] >= 1
        assert found["cairn_pulse_seconds"] < 30
        assert f'cairn_lag_events{{reader="relay",study="{study}"}}' in found
        assert asked(port, "/health/live") == (200, '{"status":"live"}')
        assert ready(port)[0] == 200
        assert asked(port, "/v1/studies")[0] == 404
    answers.close()


def lag(found: Mapping[str, float], topic: str) -> float | None:
    return found.get(f'cairn_inbound_lag_messages{{topic="{topic}"}}')


def test_inbound_without_brokers_is_alive_and_not_ready(
    cairn: Cairn, database: str, tmp_path: Path, study: str, port: int
) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    options = ("--study", study, "--metrics-port", str(port))
    with running(Process(database, tmp_path, nobody, options)):
        until(lambda: ready(port)[0] == 503, "it finds no brokers")
        assert ready(port)[1]["problems"] == ["the work waits: BrokersAway"]
        assert asked(port, "/health/live")[0] == 200
        assert figures(port)['cairn_interruptions_total{kind="BrokersAway"}'] >= 1


@pytest.mark.parametrize("what", ["relay", "worker"])
def test_relay_and_worker_say_what_is_theirs(
    what: str, broker: str, cairn: Cairn, database: str, tmp_path: Path, study: str, port: int
) -> None:
    with contextlib.ExitStack() as stack:

        def begin(*words: str, on: int) -> None:
            stack.enter_context(
                command(*words, database=database, folder=tmp_path, broker=broker, port=on)
            )

        begin("relay", on=port if what == "relay" else free_ports(1)[0])
        if what == "worker":
            begin("worker", "--from", "kafka", on=port)
        held = f'cairn_partitions{{study="{study}"}}'
        until(lambda: figures(port).get(held) == (1 if what == "relay" else 8), "its share is said")
        behind = f'cairn_lag_events{{reader="relay",study="{study}"}}'
        until(lambda: figures(port).get(behind) == 0, "all is relayed")
        until(lambda: ready(port)[0] == 200, "it is ready")
