"""`kill -9` of the inbound process at each moment, and members that come and go: nothing is lost,
nothing stands twice, and every message is answered as the ledger has it."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.kafka.topics import inbound_topic
from services.bootstrap import Cairn
from tests.kafka.killed import MOMENT, MOMENTS
from tests.kafka.posting import (
    Answers,
    Place,
    Process,
    as_json,
    consented,
    event,
    make_topics,
    opened,
    referred,
    running,
    send,
)

PEOPLE_PER_ROUND = 4
KILLED = -9


@pytest.fixture
def cairn(broker: str, database: str, tmp_path: Path, study: str) -> Iterator[Cairn]:
    make_topics(broker, study)
    with opened(database, tmp_path, study) as found:
        yield found


@pytest.fixture
def process(broker: str, database: str, tmp_path: Path) -> Process:
    return Process(database, tmp_path, broker, module="tests.kafka.killed", patience="PT4S")


def round_of(number: int) -> list[dict[str, Any]]:
    """Lives whose beginning comes last, twice; a decision that waits in vain; and poison."""
    found: list[dict[str, Any]] = []
    for name in (f"{number}-{one}" for one in range(PEOPLE_PER_ROUND)):
        found += [
            consented(name, id=f"{name}:2"),
            referred(name, id=f"{name}:1"),
            consented(name, id=f"{name}:2"),
        ]
    found.append(consented(f"nobody-{number}", id=f"{number}:n"))
    found.append(event("enrolled", f"{number}-0", "2025-11-03", id=f"{number}:e"))
    return [*found, {"type": f"unknown-{number}"}]


@pytest.mark.slow
def test_killed_at_each_moment_it_loses_and_doubles_nothing(
    broker: str, cairn: Cairn, process: Process, study: str
) -> None:
    sent: dict[Place, dict[str, Any]] = {}
    topic = inbound_topic(study)
    for number, moment in enumerate(MOMENTS):
        documents = round_of(number)
        # What waits comes first, so that there is something to park and to release.
        early = [one for one in documents if one["type"] != "referred"]
        late = [one for one in documents if one["type"] == "referred"]
        dying = replace(process, environment={MOMENT: moment})
        with running(dying):
            for some in (early, late):
                places = send(broker, topic, [as_json(one) for one in some])
                sent.update(zip(places, some, strict=True))
            assert dying.wait() == KILLED, f"{moment}: {dying.log[-2_000:]}"
    with running(process):
        one_to_one(broker, cairn, study, sent)
        assert process.stop() == 0, process.log[-2_000:]


@pytest.mark.slow
def test_members_come_and_go_and_nothing_is_lost_or_doubled(
    broker: str, cairn: Cairn, process: Process, study: str
) -> None:
    sent: dict[Place, dict[str, Any]] = {}
    answers = Answers(broker, study)

    def post(number: int) -> list[Place]:
        documents = [one for part in range(10) for one in round_of(number * 10 + part)]
        places = send(broker, inbound_topic(study), [as_json(one) for one in documents])
        sent.update(zip(places, documents, strict=True))
        return places

    with running(first := process, second := replace(process)):
        answers.wait(post(1), final=False)
        post(2)
        second.kill()
        answers.wait(post(3), final=False)
        second.start()
        post(4)
        assert first.stop() == 0, first.log[-2_000:]
        answers.wait(post(5), final=False)
        one_to_one(broker, cairn, study, sent)
    answers.close()


def one_to_one(broker: str, cairn: Cairn, study: str, sent: dict[Place, dict[str, Any]]) -> None:
    """Every message is answered, what is recorded is in the ledger once, and nothing else is."""
    answers = Answers(broker, study)
    results = dict(zip(sent, answers.wait(list(sent)), strict=True))
    answers.close()
    source = f"urn:kafka:{inbound_topic(study)}"
    stored = [orjson.loads(one.body) for one in cairn.ledger.read(study, 0, 100_000)]
    theirs = [one for one in stored if one["source"] == source]
    ledger = {one["id"]: one for one in theirs}
    assert len(ledger) == len(theirs), "an event stands twice"
    recorded = Counter[str]()
    for place, document in sent.items():
        result = results[place]
        name = document.get("id", "")
        if result["status"] in (200, 201):
            recorded[name] += 1
            assert ledger[name]["position"] == result["position"], json.dumps(result)
            assert ledger[name]["participant"] == result["participant"]
        else:
            assert name not in ledger
            expected = {"enrolled": 409, "consented": 404}.get(document["type"], 422)
            assert result["status"] == expected, json.dumps(result)
    assert recorded.keys() == ledger.keys()
    assert len(recorded) == sum(one["type"] == "referred" for one in sent.values()) * 2
