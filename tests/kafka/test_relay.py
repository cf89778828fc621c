"""The relay on a real broker: everything the ledger has, in order, for a consumer that counts."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import orjson
import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, KafkaAdminClient, NewTopic

from infra.kafka.agreement import Reason
from infra.kafka.messages import Message
from infra.kafka.outlet import PRODUCER_BATCH_BYTES, Outlet
from infra.kafka.relay import CannotStartOver, Ports, start_over
from infra.kafka.topics import events_topic
from infra.ledger.postgres import PostgresLedger
from infra.ledger.types import Append, Appended
from infra.postgres.pool import Pool
from tests.kafka.relayed import (
    PARTITIONS,
    Study,
    consumed,
    draft,
    halted,
    ports_on,
    relaying,
    seen,
    sent,
    until,
)


@pytest.fixture
def ports(pool: Pool, broker: str) -> Iterator[Ports]:
    made = ports_on(pool, broker)
    with closing(made.ledger):
        yield made


def test_what_many_append_at_once_is_seen_once_and_in_order(
    ports: Ports, pool: Pool, broker: str, study: str
) -> None:
    Study(ports.ledger, study).append(None, None)

    def post(number: int) -> None:
        with closing(PostgresLedger(pool)) as ledger:
            mine = Study(ledger, study)
            for _ in range(40):
                mine.append(f"P{number}", f"Q{number}", f"P{number}")

    with relaying(ports):
        threads = [threading.Thread(target=post, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = Study(ports.ledger, study)
        assert ports.ledger.head(study) == 2 + 6 * 40 * 3
        until(lambda: sent(ports, whole), "all was sent")
        records = consumed(broker, study)
    assert seen(records) == whole.told()
    for stream in records.values():
        versions: dict[bytes, list[int]] = {}
        for record in stream:
            told = versions.setdefault(record.key, [])
            told.append(int(dict(record.headers)["ce_streamversion"]))
        assert all(told == list(range(1, len(told) + 1)) for told in versions.values())


def test_a_message_is_a_cloudevent_with_its_attributes_beside_it(
    ports: Ports, broker: str, study: str
) -> None:
    ledger = Study(ports.ledger, study)
    ledger.append("Z-._9")
    with relaying(ports):
        until(lambda: sent(ports, ledger), "it was sent")
    ((record,),) = [records for records in consumed(broker, study).values() if records]
    headers = {name: value.decode() for name, value in record.headers}
    assert record.key == b"Z-._9"
    assert headers == {
        "content-type": "application/cloudevents+json",
        "position": "1",
        "ce_specversion": "1.0",
        "ce_id": "Z-._9-1",
        "ce_source": "urn:test",
        "ce_type": "cairn.participant.consented.v1",
        "ce_subject": f"{study}/Z-._9",
        "ce_time": "2026-11-02T09:15:00-05:00",
        "ce_streamversion": "1",
    }
    document = orjson.loads(record.value)
    assert document["data"] == {"form_version": "1.0", "signed_by": "participant"}
    for name, value in headers.items():
        if name.startswith("ce_"):
            assert document[name.removeprefix("ce_")] == value


def test_large_events_are_sent_among_small_ones(ports: Ports, broker: str, study: str) -> None:
    """And never so many at once that the producer would make two batches of them."""
    ledger = Study(ports.ledger, study)
    ledger.append(None)
    for number in range(60):
        ledger.append("P1", reason="x" * 63_000)
        ledger.append(f"S{number}", "P1")
    at_once: list[int] = []

    class Weighed(Outlet):
        def hand_over(self, messages: Sequence[Message], partitions: int) -> None:
            super().hand_over(messages, partitions)
            weights = [0] * partitions
            for one in messages:
                for partition in one.goes_to(partitions):
                    weights[partition] += one.size
            at_once.append(max(weights))

    with relaying(replace(ports, outlet=Weighed)):
        until(lambda: sent(ports, ledger), "all was sent")
    assert seen(consumed(broker, study)) == ledger.told()
    assert 63_000 < max(at_once) < PRODUCER_BATCH_BYTES


@pytest.mark.parametrize("at_once", [40, 1])
def test_nothing_overtakes_what_the_broker_refuses(
    ports: Ports, broker: str, study: str, at_once: int
) -> None:
    """A batch that is too large is divided by the client library, a single message is refused."""
    ledger = Study(ports.ledger, study)
    ledger.append("P1")
    with relaying(ports):
        until(lambda: sent(ports, ledger), "it was sent")
        limit(broker, study, "40000")
        drafts = [draft("P1", 2), draft("P1", 3, "x" * 63_000)]
        drafts += [draft("P1", version) for version in range(4, 10)]
        for first in range(0, len(drafts), at_once):
            some = Append(tuple(drafts[first : first + at_once]))
            assert isinstance(ports.ledger.append_now(study, some), Appended)
            until(lambda: sent(ports, ledger) or halted(ports, study) is not None, "it tried")
        until(lambda: halted(ports, study) == Reason.TOPIC_LIMIT, "it halts")
    (told,) = [events for events in ledger.told().values() if events]
    (before,) = [events for events in seen(consumed(broker, study)).values() if events]
    assert before == told[: len(before)]
    assert len(before) < 3, "the large one was refused, so nothing after it may stand there"
    limit(broker, study, "1048588")
    with relaying(ports):
        until(lambda: sent(ports, ledger), "all was sent")
    assert seen(consumed(broker, study)) == ledger.told()


def test_a_new_study_is_taken_up(ports: Ports, broker: str, study: str) -> None:
    first, second = Study(ports.ledger, f"{study}-a"), Study(ports.ledger, f"{study}-b")
    first.append("P1")
    with relaying(ports):
        until(lambda: sent(ports, first), "the first was sent")
        second.append("P1", None)
        until(lambda: sent(ports, second), "the second was sent")
    assert seen(consumed(broker, second.name)) == second.told()


def test_a_relay_goes_on_where_the_last_one_ended(ports: Ports, broker: str, study: str) -> None:
    ledger = Study(ports.ledger, study)
    for count in (3, 5):
        ledger.append(*["P1"] * count, None)
        with relaying(ports):
            until(lambda: sent(ports, ledger), "all was sent")
    records = consumed(broker, study)
    assert seen(records) == ledger.told()
    assert sum(map(len, records.values())) == 8 + 2 * PARTITIONS, "nothing was sent twice"


def test_a_topic_that_was_deleted_is_written_again(ports: Ports, broker: str, study: str) -> None:
    ledger = Study(ports.ledger, study)
    ledger.append("P1", None, "P2")
    with relaying(ports):
        until(lambda: sent(ports, ledger), "all was sent")
    delete(broker, study)
    ledger.append("P3")
    with relaying(ports) as told:
        until(lambda: sent(ports, ledger), "all was sent again")
    assert seen(consumed(broker, study)) == ledger.told()
    assert "topic-behind" in [name for name, _ in told]


def test_a_restored_database_is_not_relayed(
    ports: Ports, pool: Pool, broker: str, study: str
) -> None:
    ledger = Study(ports.ledger, study)
    ledger.append("P1", "P2", None)
    with relaying(ports):
        until(lambda: sent(ports, ledger), "all was sent")
    restore(pool, study, 2)
    other = Study(ports.ledger, f"{study}-other")
    other.append("P1")
    with relaying(ports) as told:
        until(lambda: halted(ports, study) == Reason.LEDGER_BEHIND, "it halts")
        until(lambda: sent(ports, other), "the other study goes on")
    assert ("relay-halted", {"study": study, "reason": "ledger-behind", "position": 3}) in told
    before = consumed(broker, study)
    again = Study(ports.ledger, study, {"P1": 1, "P2": 1})
    again.append("P1", "P2", "P3")
    with relaying(ports):
        until(lambda: halted(ports, study) == Reason.LEDGER_DIFFERS, "it halts again")
    assert consumed(broker, study) == before, "nothing was sent"


def test_an_operator_lets_a_restored_study_start_over(
    ports: Ports, pool: Pool, broker: str, study: str
) -> None:
    ledger = Study(ports.ledger, study)
    ledger.append("P1", "P2")
    with relaying(ports):
        until(lambda: sent(ports, ledger), "all was sent")
        with pytest.raises(CannotStartOver, match="is at work"):
            start_over(ports, study)
    restore(pool, study, 1)
    again = Study(ports.ledger, study, {"P1": 1})
    again.append("P3")
    with pytest.raises(CannotStartOver, match="holds messages"):
        start_over(ports, study)
    delete(broker, study)
    start_over(ports, study)
    more = ports_on(pool, broker, partitions=PARTITIONS + 2)
    with closing(more.ledger), relaying(more):
        until(lambda: sent(more, again), "all was sent")
    assert seen(consumed(broker, study)) == again.told(PARTITIONS + 2)


def test_another_number_of_partitions_is_refused(
    ports: Ports, pool: Pool, broker: str, study: str
) -> None:
    ledger = Study(ports.ledger, study)
    ledger.append("P1")
    with relaying(ports):
        until(lambda: sent(ports, ledger), "it was sent")
    other = ports_on(pool, broker, partitions=PARTITIONS + 1)
    with closing(other.ledger), relaying(other):
        until(lambda: halted(ports, study) == Reason.PARTITIONS_CHANGED, "it halts")
    with relaying(ports):
        until(lambda: halted(ports, study) is None, "the old setting is taken up again")


def test_a_topic_with_other_partitions_is_refused(ports: Ports, broker: str, study: str) -> None:
    create(broker, study, PARTITIONS - 1)
    Study(ports.ledger, study).append("P1")
    with relaying(ports):
        until(lambda: halted(ports, study) == Reason.PARTITIONS_CHANGED, "it halts")


def test_a_topic_that_takes_small_messages_only_is_refused(
    ports: Ports, broker: str, study: str
) -> None:
    create(broker, study, PARTITIONS, {"max.message.bytes": "100000"})
    Study(ports.ledger, study).append("P1")
    with relaying(ports):
        until(lambda: halted(ports, study) == Reason.TOPIC_LIMIT, "it halts")


def test_somebody_elses_message_at_the_end_is_refused(
    ports: Ports, broker: str, study: str
) -> None:
    ledger = Study(ports.ledger, study)
    ledger.append("P1")
    with relaying(ports):
        until(lambda: sent(ports, ledger), "it was sent")
    with closing(KafkaProducer(bootstrap_servers=broker)) as stranger:
        stranger.send(events_topic(study), b"hello", partition=1).get(10)
    with relaying(ports):
        until(lambda: halted(ports, study) == Reason.FOREIGN_MESSAGE, "it halts")


def test_a_study_whose_name_no_topic_can_have_is_not_relayed(ports: Ports, study: str) -> None:
    Study(ports.ledger, f"{study}:1").append("P1")
    with relaying(ports):
        until(lambda: halted(ports, f"{study}:1") == Reason.TOPIC_NAME, "it halts")


def restore(pool: Pool, study: str, position: int) -> None:
    """What an older copy of the database has: the ledger up to a position, the cursor as well."""
    with pool.connection() as connection:
        connection.execute("RESET ROLE")
        connection.execute("SET session_replication_role = replica")
        values = {"study": study, "position": position}
        connection.execute(
            "DELETE FROM cairn.event WHERE study = %(study)s AND position > %(position)s", values
        )
        connection.execute(
            "UPDATE cairn.head SET position = %(position)s WHERE study = %(study)s", values
        )
        connection.execute(
            "UPDATE cairn.relay SET position = 0, hash = NULL, sent = array_fill(0::bigint,"
            " ARRAY[partitions]) WHERE study = %(study)s",
            values,
        )
        connection.execute("SET session_replication_role = origin")
        connection.execute("SET ROLE cairn_app")


def create(broker: str, study: str, partitions: int, configs: dict[str, str] | None = None) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
        admin.create_topics([NewTopic(events_topic(study), partitions, 1, topic_configs=configs)])


def limit(broker: str, study: str, bytes_max: str) -> None:
    """How large a batch of the topic may be from now on."""
    wanted = ConfigResource("topic", events_topic(study), configs={"max.message.bytes": bytes_max})
    with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
        admin.alter_configs([wanted])


def delete(broker: str, study: str) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
        admin.delete_topics([events_topic(study)])
        until(lambda: events_topic(study) not in admin.list_topics(), "the topic is gone")
