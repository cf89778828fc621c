"""`kill -9` of relay, inbound, workers and brokers, at random and under load: nothing is lost,
doubled, left unanswered or out of order, and both ways to the views give the same."""

import asyncio
import contextlib
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.journey import STUDY
from bench.served import opened as begun
from infra.kafka.topics import events_topic, inbound_topic, results_topic
from services.bootstrap import Cairn, Settings, open_cairn
from tests.faults.kafka_parts import (
    PARTITIONS,
    SETTLE_SECONDS_MAX,
    SOURCE,
    Everything,
    Followed,
    Messages,
    Part,
    await_copies,
    settled,
)
from tests.kafka.cluster import Cluster
from tests.kafka.conftest import brokers
from tests.kafka.relayed import Study, seen

__all__ = ["brokers"]

KILLS = int(os.environ.get("CAIRN_FAULT_KILLS", "8"))
"""Of processes and brokers, in all."""
RATE = int(os.environ.get("CAIRN_FAULT_RATE", "200"))
"""Messages a second."""
SEED = int(os.environ.get("CAIRN_FAULT_SEED", "20261125"))
TOPICS = (events_topic(STUDY), inbound_topic(STUDY), results_topic(STUDY))
PAUSE_SECONDS = (0.3, 1.2)


@pytest.mark.slow
def test_the_topic_the_answers_and_the_views_agree_with_the_ledger_after_kills(
    brokers: Cluster, database: str, tmp_path: Path
) -> None:
    print(f"seed {SEED}, {KILLS} kills, {RATE} messages/s")
    with prepared(database, tmp_path) as cairn:
        parts = _parts(brokers, database, tmp_path)
        all_of_it = Everything(brokers, parts, TOPICS, random.Random(SEED))
        messages = Messages(brokers.bootstrap, TOPICS[1], RATE, SEED)
        try:
            for one in parts:
                one.start()
            await_copies(brokers, TOPICS)
            messages.start()
            while sum(all_of_it.kills.values()) < KILLS:
                time.sleep(all_of_it.choose.uniform(*PAUSE_SECONDS))
                all_of_it.kill_some()
            messages.halt.set()
            messages.join(SETTLE_SECONDS_MAX)
            assert messages.errors == []
            print(f"kills {all_of_it.kills}; {messages.sent} messages in {messages.seconds:.0f} s")
            await_copies(brokers, TOPICS)
            _answers_match_the_ledger(cairn, brokers)
            _topic_matches_the_ledger(cairn, brokers)
            _views_match_a_rebuild(cairn)
        except BaseException:
            for one in parts:
                print(one.name, one.log)
            raise
        finally:
            messages.halt.set()
            for one in parts:
                one.stop()


@contextlib.contextmanager
def prepared(database: str, folder: Path) -> Iterator[Cairn]:
    with contextlib.closing(open_cairn(Settings(data=folder), conninfo=database)) as cairn:
        asyncio.run(begun(cairn))
        yield cairn


def _parts(brokers: Cluster, database: str, folder: Path) -> list[Part]:
    environment = {
        "CAIRN_DATABASE_URL": database,
        "CAIRN_DATA": str(folder),
        "CAIRN_KAFKA_BOOTSTRAP": brokers.bootstrap,
        "CAIRN_KAFKA_PARTITIONS": str(PARTITIONS),
    }
    commands = {
        "relay-1": ("relay",),
        "relay-2": ("relay",),
        "inbound-1": ("inbound", "--role", "administrator"),
        "inbound-2": ("inbound", "--role", "administrator"),
        "worker-1": ("worker", "--from", "kafka"),
        "worker-2": ("worker", "--from", "kafka"),
    }
    return [Part(name, command, environment, folder) for name, command in commands.items()]


def _answers_match_the_ledger(cairn: Cairn, brokers: Cluster) -> None:
    """One last word for each message; what it says is recorded is, and nothing else is."""
    with contextlib.closing(Followed(brokers.bootstrap, TOPICS[1])) as inbound:
        posted = {(one.partition, one.offset): one.value for one in inbound.more()}
    answers = _last_words(brokers, set(posted))
    recorded = {
        event["id"]: stored.position for stored, event in _log(cairn) if event["source"] == SOURCE
    }
    claimed = {}
    for place, message in posted.items():
        answer = answers[place]
        try:
            event = json.loads(message)
        except ValueError:
            assert answer["status"] == 400, answer
            continue
        assert answer["status"] in (200, 201), answer
        assert answer["position"] == recorded[event["id"]]
        claimed[event["id"]] = answer["position"]
    assert claimed == recorded, "the ledger holds what nobody posted"
    print(f"{len(posted)} messages, {len(recorded)} events recorded of them")


def _last_words(brokers: Cluster, places: set[tuple[int, int]]) -> dict[tuple[int, int], Any]:
    found: dict[tuple[int, int], Any] = {}
    waiting = set(places)

    def more() -> int:
        count = 0
        for record in answers.more():
            count += 1
            answer = json.loads(record.value)
            place = answer["partition"], answer["offset"]
            before = found.setdefault(place, answer)
            if before["status"] not in (200, 201):
                found[place] = answer
            elif answer["status"] in (200, 201):
                assert answer["position"] == before["position"], "recorded at two positions"
            if answer["status"] != 202:
                waiting.discard(place)
        return count

    with contextlib.closing(Followed(brokers.bootstrap, TOPICS[2])) as answers:
        settled(more, lambda: not waiting, lambda: f"not answered: {_ranges(waiting)}")
    assert found.keys() == places, "an answer to what nobody posted"
    return found


def _ranges(places: set[tuple[int, int]]) -> dict[int, str]:
    """Of each partition: how many, the first and the last."""
    found: dict[int, list[int]] = {}
    for partition, offset in sorted(places):
        found.setdefault(partition, []).append(offset)
    return {one: f"{len(these)} of {these[0]}-{these[-1]}" for one, these in found.items()}


def _topic_matches_the_ledger(cairn: Cairn, brokers: Cluster) -> None:
    """For who keeps the last position of each partition: every event once, in order."""
    told = Study(cairn.ledger, STUDY).told(PARTITIONS)
    found: dict[int, list[tuple[int, str]]] = {one: [] for one in told}

    def more() -> int:
        count = 0
        for record in topic.more():
            count += 1
            events, ((position, digest),) = found[record.partition], seen({0: [record]})[0]
            if not events or position > events[-1][0]:
                events.append((position, digest))
        return count

    with contextlib.closing(Followed(brokers.bootstrap, TOPICS[0])) as topic:
        settled(more, lambda: found == told, lambda: "the topic and the ledger differ")


def _views_match_a_rebuild(cairn: Cairn) -> None:
    """The workers' rows are those that folding the ledger gives."""
    names = list(cairn.tables.views)
    head = cairn.ledger.head(STUDY)
    stood: list[int] = [0]

    def more() -> int:
        stood.append(sum(one.position for one in cairn.tables.active(STUDY).values()))
        return stood[-1] - stood[-2]

    settled(more, lambda: cairn.tables.wait(STUDY, names, head, 1), lambda: "the views lag")
    live = {name: cairn.projector.digest(STUDY, name) for name in names}
    for name in names:
        cairn.projector.rebuild(STUDY, name)
    assert {name: cairn.projector.digest(STUDY, name) for name in names} == live


def _log(cairn: Cairn) -> Iterator[tuple[Any, dict[str, Any]]]:
    after = 0
    while page := cairn.ledger.read(STUDY, after, 1_000):
        after = page[-1].position
        yield from ((one, json.loads(one.body)) for one in page)
