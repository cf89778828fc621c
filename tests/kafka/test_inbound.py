"""Inbound on a real broker: every message is answered, and what waits survives a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from infra.kafka import inbound
from infra.kafka.brokers import Brokers
from infra.kafka.inbound import GROUP
from infra.kafka.topics import inbound_topic
from services.bootstrap import Cairn
from services.pulse import PULSE_FILE
from tests.kafka.posting import (
    Answers,
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
from tests.kafka.test_inbound_pure import POISON, SIGNED, binary


@pytest.fixture
def cairn(broker: str, database: str, tmp_path: Path, study: str) -> Iterator[Cairn]:
    make_topics(broker, study)
    with opened(database, tmp_path, study) as found:
        yield found


@pytest.fixture
def answers(broker: str, cairn: Cairn, study: str) -> Iterator[Answers]:
    found = Answers(broker, study)
    yield found
    found.close()


def test_every_message_is_answered_and_none_blocks_another(
    broker: str, cairn: Cairn, answers: Answers, database: str, tmp_path: Path, study: str
) -> None:
    topic = inbound_topic(study)
    good = [
        as_json(referred("a", id="1")),
        as_json(consented("a", id="2")),
        (b"a", SIGNED_BYTES, binary(subject=f"{study}/a", id="3")),
        as_json(consented("a", id="2")),
        as_json({**consented("a", id="2"), "occurred_at": "2025-11-04"}),
        as_json(event("hold-placed", None, "2025-11-04", scope="study", cause="safety")),
        as_json(event("visit-lapsed", "a", "2025-11-04", visit="V1")),
        as_json({**consented("a"), "occurred_at": "2999-01-01"}),
    ]
    poison = list(POISON)
    with running(Process(database, tmp_path, broker)):
        # The same partition, poison between the good ones.
        sent = [POISON[what][0] for what in poison[:10]] + good
        sent += [POISON[what][0] for what in poison[10:]]
        places = send(broker, topic, sent, partition=0)
        results = answers.wait(places)
        statuses = [one["status"] for one in results]
        expected = [POISON[what][1] for what in poison]
        assert statuses[:10] + statuses[10 + len(good) :] == expected
        assert statuses[10 : 10 + len(good)] == [201, 201, 201, 200, 409, 201, 422, 422]
        assert results[13]["position"] == results[11]["position"]
        assert [len(answers.of(place)) for place in places] == [1] * len(places)
        assert answers.keys[places[0]] == b"k"
        assert answers.headers[places[10]]["status"] == b"201"
        unreadable = send(broker, topic, [(b"k", b"{}", ((NoText("x"), b""),))], partition=0)
        after = send(broker, topic, [as_json(consented("a", id="9"))], partition=0)
        assert [one["status"] for one in answers.wait([*unreadable, *after])] == [400, 201]
        _all_committed(broker, topic, len(places) + 2)


class NoText(str):
    """A header's name that a careless client writes as other bytes than UTF-8."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff"


SIGNED_BYTES = str(SIGNED).replace("'", '"').encode()


def _all_committed(broker: str, topic: str, end: int) -> None:
    consumer = KafkaConsumer(bootstrap_servers=broker, group_id=GROUP, enable_auto_commit=False)
    try:
        for _ in range(100):
            if consumer.committed(TopicPartition(topic, 0)) == end:
                return
            consumer.end_offsets([TopicPartition(topic, 0)])
        raise AssertionError("the messages are answered but not committed")
    finally:
        consumer.close(autocommit=False)


def test_what_waits_survives_a_restart_and_what_the_topic_lost_is_answered(
    broker: str, cairn: Cairn, answers: Answers, database: str, tmp_path: Path, study: str
) -> None:
    topic = inbound_topic(study)
    process = Process(database, tmp_path, broker, patience="PT2M")
    with running(process):
        early = [as_json(consented("lost", id="1")), as_json(consented("a", id="2"))]
        places = send(broker, topic, early, partition=0)
        waiting = answers.wait(places, final=False)
        assert [one["status"] for one in waiting] == [202, 202]
        assert waiting[0]["problem"]["status"] == 404
        assert waiting[0]["until"] > "2026"
        assert process.stop() == 0, process.log[-2_000:]
        admin = KafkaAdminClient(bootstrap_servers=broker)
        admin.delete_records({TopicPartition(topic, 0): 1})
        admin.close()
        process.start()
        later = send(broker, topic, [as_json(referred("a", id="3"))], partition=1)
        lost, lifted, referral = answers.wait([*places, *later])
        assert (lost["status"], lifted["status"], referral["status"]) == (410, 201, 201)
        assert lifted["version"] == 2
        assert process.stop() == 0, process.log[-2_000:]


def test_a_correction_by_the_data_manager_changes_what_the_history_says(
    broker: str, cairn: Cairn, answers: Answers, database: str, tmp_path: Path, study: str
) -> None:
    topic = inbound_topic(study)
    pulse = tmp_path / "pulse"
    environment = {PULSE_FILE: str(pulse)}
    options = ("--role", "data-manager")
    with running(Process(database, tmp_path, broker, options, environment=environment)):
        facts = [as_json(referred("a", id="1")), as_json(consented("a", id="2"))]
        told = answers.wait(send(broker, topic, facts, partition=0))
        signed = told[1]["position"]
        again = {"form_version": "1.0", "signed_by": "representative"}
        changes = [
            {"position": signed, "data": again, "occurred_at": "2025-11-03"},
            {"position": signed, "occurred_at": "2999-01-01"},
            {"position": 10_000},
        ]
        corrected = [
            as_json(
                {**event("corrected", "a", "2025-11-05", id=str(n), reason="slip"), "data": one}
            )
            for n, one in enumerate(changes, 3)
        ]
        retracted = event("retracted", "a", "2025-11-05", position=told[0]["position"], id="9")
        sent = send(broker, topic, [*corrected, as_json(retracted)], partition=0)
        statuses = [one["status"] for one in answers.wait(sent)]
    assert pulse.exists(), "whoever watches the process sees no sign of life"
    assert statuses == [201, 422, 409, 422]  # in the future, nothing there, no reason given
    consent = cairn.recording.hot.participant(study, "a", fresh=True).consent
    assert [(str(one.when), one.body.signed_by) for one in consent.given] == [
        ("2025-11-03", "representative")
    ]


def test_a_partition_that_the_client_no_longer_asks_for_makes_the_member_join_anew(
    broker: str, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "STALLED_SECONDS", 0.0)
    monkeypatch.setattr(inbound, "STALLED_READS", 2)
    make_topics(broker, study)
    topic = inbound_topic(study)
    member = inbound.Inbox(Brokers((broker,)), f"group-{study}")
    try:
        member.follow([topic])
        while not member.read(0.5).gained:
            pass
        for _ in range(6):  # nothing there: nothing is amiss
            assert not member.read(0.05).messages
        monkeypatch.setattr(member._consumer, "poll", lambda **_: {})  # as kafka-python 3.0.12 did
        send(broker, topic, [as_json(referred("a"))])
        with pytest.raises(inbound.BrokersAway, match="stalled"):
            list(map(member.read, [0.05] * 6))
    finally:
        member.close()
