"""Many messages, shuffled in windows and half of them twice, end as if delivered in order."""

import asyncio
import os
import random
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from infra.kafka.topics import inbound_topic
from services.bootstrap import Cairn, Settings, open_cairn
from services.demo.acts import Act
from services.inbound.message import received
from services.publishing import Draft
from services.terms import Terms
from tests.kafka import posting
from tests.kafka.posting import Answers, Process, make_topics, running, send
from tests.kafka.shuffled import lasting_protocol, message, picture, shuffled, told

COHORTS = int(os.environ.get("CAIRN_INBOUND_COHORTS", "1"))
"""Each is a study of its own, of some 710 events: ten of them are 10,000 messages."""
WINDOW_MESSAGES = 500
SEED = int(os.environ.get("CAIRN_INBOUND_SEED", "20261125"))


def test_shuffled_messages_half_of_them_twice_end_as_if_delivered_in_order(
    broker: str, database: str, tmp_path: Path, study: str
) -> None:
    print(f"seed {SEED}, {COHORTS} cohorts")
    choose, acts = random.Random(SEED), told(datetime.now(UTC))
    studies = [f"{study}-{number}" for number in range(COHORTS)]
    with closing(open_cairn(Settings(data=tmp_path), conninfo=database)) as cairn:
        expected = picture(cairn, in_order(cairn, f"{study}-ordered", acts))
        posted = {}
        for one in studies:
            publish(cairn, one)
            make_topics(broker, one)
            messages = shuffled([message(act) for act in acts], WINDOW_MESSAGES, choose)
            posted[one] = send(broker, inbound_topic(one), messages)
        with running(Process(database, tmp_path, broker)):
            for one, places in posted.items():
                answers = Answers(broker, one)
                results = answers.wait(places)
                answers.close()
                assert [result for result in results if result["status"] > 201] == []
                statuses = Counter(result["status"] for result in results)
                assert statuses == {201: len(acts), 200: len(places) - len(acts)}
        for one in studies:
            found = picture(cairn, one)
            assert found.keys() == expected.keys()
            for what, expects in expected.items():
                assert found[what] == expects, f"{what} in {one}"


def publish(cairn: Cairn, study: str) -> None:
    asyncio.run(cairn.publishing.publish_protocol(Draft(lasting_protocol(study)), posting.TERMS))


def in_order(cairn: Cairn, study: str, acts: list[Act]) -> str:
    """A study in which everything was recorded one by one, as it was told."""
    publish(cairn, study)
    terms = Terms(posting.CALLER.actor, "urn:test")

    async def record() -> None:
        for offset, act in enumerate(acts):
            key, value, _ = message(act)
            found = received(study, posting.as_message(study, offset, key, value), terms)
            assert found.posted is not None
            if act.participant is None:
                await cairn.recording.record_study(study, found.posted, terms)
            else:
                await cairn.recording.record(study, act.participant, [found.posted], terms)

    asyncio.run(record())
    return study
