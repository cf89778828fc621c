"""The relay beside the interface and as a command: what an operator sees, brokers or not."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.kafka.agreement import Reason
from services.bootstrap import Cairn, NotConfigured, Settings, open_cairn
from services.commands.relaying import relay
from services.commands.troubles import Trouble
from services.relaying import relaying
from tests.api.conftest import STUDY, Api, Clock, begin, served
from tests.kafka.cluster import Cluster
from tests.kafka.relayed import Study, consumed, seen, until
from tests.kafka.test_relay import create

SECONDS_MAX = 30


async def ready(api: Api) -> dict[str, Any]:
    """What readiness says; it is never less than ready here."""
    answer = await api.send("GET", "/health/ready", role=None)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def figures(api: Api) -> str:
    return (await api.send("GET", "/metrics", role=None)).text


def is_sent(cairn: Cairn, study: str = STUDY) -> bool:
    return cairn.lag()["relay"][study] == 0


@pytest.mark.anyio
async def test_with_the_broker_away_ledger_and_views_go_on_and_the_lag_is_seen(
    database: str, tmp_path: Path, lone: Cluster
) -> None:
    clock, settings = Clock(), Settings(data=tmp_path, kafka_bootstrap=lone.bootstrap)
    with contextlib.closing(open_cairn(settings, conninfo=database, clock=clock)) as cairn:
        async with served(cairn, clock) as api:
            await begin(api)
            with relaying(cairn):
                until(lambda: is_sent(cairn), "all was sent")
                lone.kill(lone.nodes[0])
                for name in ("P-1", "P-2", "P-3"):
                    assert (await api.refer(name)).status_code == 201
                clock.forward(seconds=60)
                position = cairn.projector.catch_up(STUDY)
                people = (await api.get(f"/participants?wait_for={position}")).json()["items"]
                assert [one["participant"] for one in people] == ["P-1", "P-2", "P-3"]
                found = await ready(api)
                assert (found["lag"]["relay"][STUDY], found["relay_halted"]) == (3, {})
                behind = f'{{reader="relay",study="{STUDY}"}} '
                assert f"cairn_lag_events{behind}3.0" in await figures(api)
                assert f"cairn_lag_seconds{behind}60.0" in await figures(api)
                lone.start()
                until(lambda: is_sent(cairn), "it catches up")
        told = Study(cairn.ledger, STUDY).told(settings.kafka_partitions)
        assert seen(consumed(lone.bootstrap, STUDY)) == told


@pytest.mark.anyio
async def test_a_halted_study_is_shown_with_its_reason_and_the_interface_stays_ready(
    database: str, tmp_path: Path, broker: str, study: str
) -> None:
    clock, settings = Clock(), Settings(data=tmp_path, kafka_bootstrap=broker)
    create(broker, study, partitions=2)
    with contextlib.closing(open_cairn(settings, conninfo=database, clock=clock)) as cairn:
        async with served(cairn, clock) as api:
            Study(cairn.ledger, study).append("P-1")
            with relaying(cairn):
                until(lambda: cairn.halted() != {}, "it halts")
            assert (await ready(api))["relay_halted"] == {study: Reason.PARTITIONS_CHANGED}
            halted = f'cairn_relay_halted{{reason="partitions-changed",study="{study}"}} 1.0'
            assert halted in await figures(api)


@pytest.mark.anyio
async def test_without_brokers_nothing_is_said_of_a_relay(database: str, tmp_path: Path) -> None:
    clock = Clock()
    opened = open_cairn(Settings(data=tmp_path), conninfo=database, clock=clock)
    with contextlib.closing(opened) as cairn:
        async with served(cairn, clock) as api:
            await begin(api)
            found = await ready(api)
            assert "relay" not in found["lag"]
            assert found["relay_halted"] == {}


def test_the_command_relays_until_it_is_told_to_end(
    database: str, tmp_path: Path, broker: str, study: str
) -> None:
    settings = Settings(data=tmp_path, kafka_bootstrap=broker)
    with contextlib.closing(open_cairn(settings, conninfo=database)) as cairn:
        ledger = Study(cairn.ledger, study)
        ledger.append("P-1", None)
        process = begun(tmp_path, database, broker)
        until(lambda: is_sent(cairn, study), "all was sent")
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0, errors
        assert b"The relay runs." in said
        assert b"relay-resumed" in errors
        assert seen(consumed(broker, study)) == ledger.told(settings.kafka_partitions)


def test_what_the_command_cannot_do_is_one_sentence(
    database: str, tmp_path: Path, broker: str, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAIRN_DATABASE_URL", database)
    with pytest.raises(NotConfigured, match="There are no brokers"):
        relay(data=tmp_path)
    monkeypatch.setenv("CAIRN_KAFKA_BOOTSTRAP", broker)
    with pytest.raises(Trouble, match="there is no such study"):
        relay(study=study, data=tmp_path)
    settings = Settings(data=tmp_path, kafka_bootstrap=broker)
    with contextlib.closing(open_cairn(settings, conninfo=database)) as cairn:
        Study(cairn.ledger, study).append("P-1")
        with relaying(cairn):
            until(lambda: is_sent(cairn, study), "it was sent")
    with pytest.raises(Trouble, match="name the study"):
        relay(start_over=True, data=tmp_path)
    with pytest.raises(Trouble, match="delete it first"):
        relay(study=study, start_over=True, data=tmp_path)


def begun(data: Path, database: str, broker: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """`cairn relay`."""
    more = {"CAIRN_DATABASE_URL": database, "CAIRN_KAFKA_BOOTSTRAP": broker}
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", "relay", "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **more},
    )
