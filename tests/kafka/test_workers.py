"""Workers by Kafka on a real broker: exactly once, and the same rows as the single machine."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.partitioner import murmur2

from infra.kafka import share
from infra.kafka.cursors import RelayCursors
from infra.kafka.topics import events_topic
from infra.postgres.pool import Pool
from infra.projection import projector
from infra.projection.partitions import partition_of
from infra.projection.tables import Overtaken
from projections import enrolment, safety
from projections.catalogue import VIEWS
from tests import specs
from tests.contracts.test_projector import poisoned
from tests.kafka.relayed import PARTITIONS, consumed
from tests.kafka.working import relayed, settled, until, worker_ports, working
from tests.projections.watched import Watched, fill, watched

JOURNEY = (specs.referred, specs.consented, specs.screened)


@pytest.fixture
def work(pool: Pool, study: str) -> Iterator[Watched]:
    with watched(pool, name=study) as found:
        yield found


def journeys(work: Watched, first: int, count: int) -> None:
    """So many new participants."""
    for number in range(first, first + count):
        work.post(f"01-{number:03}", *JOURNEY)


def in_partition(number: int) -> str:
    """A participant of a partition."""
    names = (f"01-{serial:03}" for serial in range(900, 999))
    return next(name for name in names if partition_of(name, PARTITIONS) == number)


def test_both_modes_give_the_same_rows_and_a_study_can_go_from_one_to_the_other(
    work: Watched, broker: str
) -> None:
    fill(work, 1, 60)
    work.projector.catch_up(work.name)
    with relayed(work, broker), working(worker_ports(work.pool, broker, work.name)) as told:
        assert settled(work)
        fill(work, 2, 60)
        assert settled(work)
    assert work.digests() == work.expected()
    assert told == []

    assert work.projector.join(work.name) == []
    assert work.tables.partition_cursors(work.name) == []
    journeys(work, 100, 3)
    assert work.projector.catch_up(work.name) == work.ledger.head(work.name)
    assert work.digests() == work.expected()

    with relayed(work, broker), working(worker_ports(work.pool, broker, work.name)):
        journeys(work, 110, 3)
        assert settled(work)
    assert work.digests() == work.expected()


def test_a_partition_without_messages_stands_where_the_others_do(
    work: Watched, broker: str
) -> None:
    with relayed(work, broker), working(worker_ports(work.pool, broker, work.name)):
        until(lambda: bool(work.tables.partition_cursors(work.name)), "divided")
        for _ in range(3):
            work.post(in_partition(1), specs.referred.but(site="01"))
            assert settled(work, 5)
        assert {one.position for one in work.tables.partition_cursors(work.name)} == {
            work.ledger.head(work.name)
        }


def test_what_stands_twice_in_the_topic_is_taken_in_once(work: Watched, broker: str) -> None:
    with relayed(work, broker):
        fill(work, 3, 40)
        with working(worker_ports(work.pool, broker, work.name)) as told:
            assert settled(work)
            head = work.ledger.head(work.name)
            producer = KafkaProducer(bootstrap_servers=broker)
            for number, records in consumed(broker, work.name).items():
                for record in records[len(records) // 2 :]:
                    producer.send(
                        record.topic, record.value, record.key, list(record.headers), number
                    )
            producer.close()
            journeys(work, 100, 4)
            assert settled(work)
            assert work.ledger.head(work.name) > head
    assert work.digests() == work.expected()
    assert told == []


@pytest.mark.parametrize("kind", ["unreadable", "forged"])
def test_a_message_that_is_not_the_ledgers_is_read_from_the_ledger_instead(
    work: Watched, broker: str, kind: str
) -> None:
    name = in_partition(0)
    with relayed(work, broker), working(worker_ports(work.pool, broker, work.name)) as told:
        work.post(name, *JOURNEY)
        assert settled(work)
        last = consumed(broker, work.name)[0][-1]
        later = str(work.ledger.head(work.name) + 1).encode()
        forged = last.value.replace(b"clinician", b"telephone").replace(b"01", b"02")
        producer = KafkaProducer(bootstrap_servers=broker)
        value = b"{" if kind == "unreadable" else forged
        producer.send(last.topic, value, last.key, [("position", later)], 0).get(10)
        producer.close()
        work.post(name, specs.visit("UNS", "2026-12-01"))
        assert settled(work)
    assert work.digests() == work.expected()
    assert told[0][0] == "messages-missing"


def test_what_the_brokers_lost_is_read_from_the_ledger(
    work: Watched, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, "STALLED_SECONDS", 0.5)
    with working(worker_ports(work.pool, broker, work.name)):
        with relayed(work, broker):
            work.post("01-001", *specs.screening)
            assert settled(work)
        work.post("01-001", specs.visit("UNS", "2026-12-01"))
        with work.pool.connection() as connection:
            # The relay says that they have it, and they have not.
            connection.execute(
                "UPDATE cairn.relay SET position = e.position, hash = e.hash,"
                " sent = array_fill(e.position, ARRAY[partitions])"
                " FROM cairn.event e WHERE e.study = cairn.relay.study AND cairn.relay.study = %s"
                " AND e.position = (SELECT max(position) FROM cairn.event WHERE study = %s)",
                [work.name, work.name],
            )
        assert settled(work)
    assert work.digests() == work.expected()


def test_a_topic_that_was_made_anew_is_not_trusted(work: Watched, broker: str) -> None:
    """Offsets of before mean nothing in it: the ledger is read until both agree again."""
    with relayed(work, broker), working(worker_ports(work.pool, broker, work.name)):
        journeys(work, 100, 6)
        assert settled(work)
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.delete_topics([events_topic(work.name)])
    admin.close()
    journeys(work, 200, 12)
    with relayed(work, broker):
        until(lambda: _is_relayed(work), "relayed anew")
        with working(worker_ports(work.pool, broker, work.name)):
            journeys(work, 300, 2)
            assert settled(work)
    assert work.digests() == work.expected()


def _is_relayed(work: Watched) -> bool:
    cursor = RelayCursors(work.pool).find(work.name)
    return cursor is not None and cursor.position == work.ledger.head(work.name)


# --- what cannot be projected ---------------------------------------------------------------------


def test_a_participant_that_cannot_be_projected_is_parked_and_the_others_flow(
    pool: Pool, broker: str, study: str
) -> None:
    views = (poisoned(enrolment.VIEW, "01-001"), safety.VIEW)
    with watched(pool, views, name=study) as work, relayed(work, broker):
        with working(worker_ports(pool, broker, study, views)):
            work.post("01-001", *JOURNEY)
            assert settled(work)
            bad = work.post("01-001", specs.visit("UNS", "2026-12-01"))
            journeys(work, 2, 6)
            assert settled(work)
            with work.tables.reading(study, ["enrolment"]) as reading:
                assert reading.stale("enrolment", ["01-001", "01-002"]) == {"01-001": bad}
        healthy = (enrolment.VIEW, safety.VIEW)
        with working(worker_ports(pool, broker, study, healthy)):
            work.post("01-001", specs.visit("V2", "2026-12-08"))
            assert settled(work)
        assert work.projector.digest(study, "enrolment") == work.folded(enrolment.VIEW)
        assert work.projector.digest(study, "safety") == work.folded(safety.VIEW)


def test_the_safety_view_halts_in_its_partition_and_goes_on_when_it_can(
    pool: Pool, broker: str, study: str
) -> None:
    poison = in_partition(2)
    views = (enrolment.VIEW, poisoned(safety.VIEW, poison))
    with watched(pool, views, name=study) as work, relayed(work, broker):
        with working(worker_ports(pool, broker, study, views)) as told:
            journeys(work, 1, 4)
            work.post(poison, *JOURNEY)
            assert settled(work)
            bad = work.post(poison, specs.visit("UNS", "2026-12-01"))
            journeys(work, 10, 6)
            head = work.ledger.head(study)
            assert work.tables.wait(study, ["enrolment"], head, 30)
            until(lambda: bool(told), "halted")
            until(
                lambda: (
                    {
                        one.position
                        for one in work.tables.partition_cursors(study)
                        if one.view == "safety" and one.partition != 2
                    }
                    == {head}
                ),
                "the other partitions go on",
            )
            active = work.tables.active(study)["safety"]
            assert (active.halted_at, active.error) == (bad, "ZeroDivisionError")
            assert active.position == bad - 1
        assert [name for name, _ in told] == ["view-halted"]
        healthy = (enrolment.VIEW, safety.VIEW)
        with working(worker_ports(pool, broker, study, healthy)):
            assert settled(work)
        assert work.tables.active(study)["safety"].halted_at is None
        assert work.projector.digest(study, "safety") == work.folded(safety.VIEW)


# --- beside others --------------------------------------------------------------------------------


def test_a_rebuild_beside_workers_swaps_a_generation_that_goes_on_with_them(
    work: Watched, broker: str
) -> None:
    with relayed(work, broker), ExitStack() as workers:
        for _ in range(2):
            workers.enter_context(working(worker_ports(work.pool, broker, work.name)))
        fill(work, 5, 40)
        assert settled(work)
        for number, view in enumerate(VIEWS):
            journeys(work, 100 + 10 * number, 4)
            assert work.projector.rebuild(work.name, view.name).same
        journeys(work, 300, 4)
        assert settled(work)
        generations = {one.generation for one in work.tables.partition_cursors(work.name)}
    assert generations == {2}
    assert work.digests() == work.expected()


def test_a_projector_stands_aside_while_workers_move_and_takes_over_when_they_do_not(
    work: Watched, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    projecting = work.another()
    with relayed(work, broker), working(worker_ports(work.pool, broker, work.name)):
        journeys(work, 100, 3)
        assert settled(work)
        behind = projecting._following(work.name)
        assert not projecting.step()
        assert behind.lanes() == []
    journeys(work, 200, 3)
    monkeypatch.setattr(projector, "STALLED_SECONDS", 0.0)
    until(lambda: not work.tables.partition_cursors(work.name) or projecting.step(), "joined")
    while projecting.step():
        pass
    assert projecting.lag(work.name) == {view.name: 0 for view in VIEWS}
    assert work.digests() == work.expected()


def test_a_projector_of_the_whole_that_is_late_finds_the_study_divided(
    work: Watched, broker: str
) -> None:
    late = work.another()
    late.catch_up(work.name)
    lane = late._following(work.name).lanes()[0]
    with relayed(work, broker), working(worker_ports(work.pool, broker, work.name)):
        journeys(work, 100, 3)
        assert settled(work)
    with pytest.raises(Overtaken):
        lane.step()
    assert work.digests() == work.expected()


def test_a_view_that_is_new_comes_along_by_the_ledger(pool: Pool, broker: str, study: str) -> None:
    few = (enrolment.VIEW,)
    with watched(pool, few, name=study) as work, relayed(work, broker):
        with working(worker_ports(pool, broker, study, few)):
            journeys(work, 1, 8)
            assert settled(work)
        more = (enrolment.VIEW, safety.VIEW)
        with watched(pool, more, begin=False, name=study) as now:
            with working(worker_ports(pool, broker, study, more)):
                journeys(now, 20, 4)
                names = ["enrolment", "safety"]
                assert now.tables.wait(study, names, now.ledger.head(study), 30)
            assert now.digests() == now.expected()


def test_partitions_are_those_of_every_client_of_kafka() -> None:
    for length in range(40):
        name = "Ä-._9x"[: length % 7] + "p" * length
        key = int(murmur2(name.encode()))
        for partitions in (1, 3, 8, 1_000):
            assert partition_of(name, partitions) == (key & 0x7FFFFFFF) % partitions
