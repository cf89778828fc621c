"""Inbound messages on a real Apache Kafka: messages a second, from a full topic to the last answer.

One broker, the embedded PostgreSQL, everything durable; each inbound process is one of its own.
Usage: `python -m bench.kafka_inbound [--people 200] [--processes 1 2] [--rounds 3]`;
`CAIRN_TESTS_KAFKA_BOOTSTRAP` names a broker, else one is started from Maven's jars.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from bench.journey import documents
from bench.kafka import broker
from bench.processes import cpu_seconds, processor_seconds
from infra.kafka.brokers import Brokers
from infra.kafka.inbound import BrokersAway, prepare
from infra.kafka.topics import inbound_topic, results_topic
from infra.postgres.embedded import EmbeddedPostgres
from services.bootstrap import Settings, open_cairn
from services.publishing import Draft, built_in_protocol
from tests.kafka.posting import TERMS, Answers, Process, Sent, as_json, running, send

PEOPLE = 200
ROUNDS = 3
PARTITIONS = 8
WARM_PEOPLE = 8


def messages(people: int) -> list[Sent]:
    """Twenty routine facts of each, side by side, as many sites would send them."""
    lives = [
        [{**one, "participant": name} for one in documents(name)]
        for name in (f"P-{uuid4().hex[:8]}" for _ in range(people))
    ]
    return [as_json(one) for turn in zip(*lives, strict=True) for one in turn]


def measured(data: Path, conninfo: str, store: int, bootstrap: str, people: int, count: int) -> str:
    """One run; a line for the table."""
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
        before = sum(map(cpu_seconds, pids)), processor_seconds(store)
        began = time.perf_counter()
        places = send(bootstrap, inbound_topic(study), messages(people))
        sent = time.perf_counter() - began
        results = answers.wait(places)
        took = time.perf_counter() - began
        after = sum(map(cpu_seconds, pids)), processor_seconds(store)
    answers.close()
    assert {one["status"] for one in results} == {201}
    number = len(places)
    RATES.setdefault(count, []).append(number / took)
    return (
        f"{count:9}{number:9,}{number / sent:12,.0f}{number / took:12,.0f}"
        f"{(after[0] - before[0]) / number * 1e3:10.2f}{(after[1] - before[1]) / number * 1e3:8.2f}"
    )


def _prepared(brokers: Brokers, study: str) -> None:
    while True:
        with contextlib.suppress(BrokersAway):  # a topic may be known a moment after it is made
            return prepare(brokers, (inbound_topic(study), results_topic(study)))


RATES: dict[int, list[float]] = {}


def main() -> None:
    """Measure in turns and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--processes", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    print(f"Inbound, {PARTITIONS} partitions, {os.cpu_count()} cores; processor ms per message")
    print(
        f"{'processes':>9}{'messages':>9}{'sent/s':>12}{'answered/s':>12}{'inbound':>10}{'store':>8}"
    )
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cairn-bench-")))
        bootstrap = stack.enter_context(broker(folder))
        postgres = stack.enter_context(EmbeddedPostgres(folder))
        for _ in range(asked.rounds):
            for count in asked.processes:
                where = folder, postgres.conninfo, postgres.keeper, bootstrap
                print(measured(*where, asked.people, count), flush=True)
    medians = {count: round(statistics.median(rates)) for count, rates in RATES.items()}
    print(f"median answered/s: {json.dumps(medians)}")


if __name__ == "__main__":
    main()
