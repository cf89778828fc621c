"""Inbound messages on a real Apache Kafka: messages a second, from a full topic to the last answer.

One broker, the embedded PostgreSQL, everything durable; each inbound process is one of its own.
`CAIRN_TESTS_KAFKA_BOOTSTRAP` names a broker, else one is started from Maven's jars.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import uuid4

from bench.journey import documents
from bench.kafka import broker
from bench.measured import Row, Sample, in_turns
from bench.processes import cpu_seconds, processor_seconds
from bench.setting import Setting
from infra.kafka.brokers import Brokers
from infra.kafka.inbound import BrokersAway, prepare
from infra.kafka.topics import inbound_topic, results_topic
from services.bootstrap import Settings, open_cairn
from services.publishing import Draft, built_in_protocol
from tests.kafka.posting import TERMS, Answers, Process, Sent, as_json, running, send

PEOPLE = 200
PARTITIONS = 8
PROCESSES = (1, 2)
WARM_PEOPLE = 8


def messages(people: int) -> list[Sent]:
    """Twenty routine facts of each, side by side, as many sites would send them."""
    lives = [
        [{**one, "participant": name} for one in documents(name)]
        for name in (f"P-{uuid4().hex[:8]}" for _ in range(people))
    ]
    return [as_json(one) for turn in zip(*lives, strict=True) for one in turn]


def measured(
    data: Path, conninfo: str, store: int, bootstrap: str, people: int, count: int
) -> Sample:
    """Messages a second from the first that is sent to the last answer."""
    study = f"B-{uuid4().hex[:8]}"
    protocol = built_in_protocol().model_copy(update={"study": study})
    with closing(open_cairn(Settings(data=data), conninfo=conninfo)) as cairn:
        asyncio.run(cairn.publishing.publish_protocol(Draft(protocol), TERMS))
    brokers = Brokers(tuple(bootstrap.split(",")), partitions=PARTITIONS)
    _prepared(brokers, study)
    options = ("--role", "system", "--study", study)
    processes = [Process(conninfo, data, bootstrap, options) for _ in range(count)]
    answers = Answers(bootstrap, study)
    with running(*processes):
        answers.wait(send(bootstrap, inbound_topic(study), messages(WARM_PEOPLE)))
        pids = [one.process.pid for one in processes if one.process is not None]
        before = sum(map(cpu_seconds, pids)) + processor_seconds(store)
        began = time.perf_counter()
        places = send(bootstrap, inbound_topic(study), messages(people))
        results = answers.wait(places)
        took = time.perf_counter() - began
        spent = sum(map(cpu_seconds, pids)) + processor_seconds(store) - before
    answers.close()
    assert {one["status"] for one in results} == {201}
    return Sample(len(places) / took, spent / len(places) * 1e6)


def _prepared(brokers: Brokers, study: str) -> None:
    while True:
        with contextlib.suppress(BrokersAway):  # a topic may be known a moment after it is made
            return prepare(brokers, (inbound_topic(study), results_topic(study)))


def rows(setting: Setting) -> Iterator[Row]:
    """One process, and two beside it."""
    conninfo, people = setting.database(), setting.size(PEOPLE, 30)
    with broker(setting.folder) as bootstrap:
        where = setting.folder, conninfo, setting.keeper, bootstrap, people
        ways = {str(count): partial(measured, *where, count) for count in PROCESSES}
        found = in_turns(ways, setting.rounds)
    what, unit = "inbound from Kafka, from the first message to the last answer", "messages/s"
    one, two = (found[str(count)] for count in PROCESSES)
    yield Row(what, unit, one)
    yield Row(f"{what}, two processes", unit, two, "one process", one)
