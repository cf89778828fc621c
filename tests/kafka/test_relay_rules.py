"""What a relay concludes from what it finds, and how an event becomes a message: no broker."""

from typing import Any

import pytest

from infra.kafka.agreement import Halted, Reason, Tail, resumed
from infra.kafka.cursors import RelayCursor
from infra.kafka.messages import message, partition_of
from infra.kafka.topics import events_topic, is_topic
from infra.ledger.types import STUDY_STREAM, Stored

HASHES = {position: f"hash of {position}" for position in range(1, 11)}
HEAD = 10


def cursor(position: int, *sent: int) -> RelayCursor:
    return RelayCursor("S", position, HASHES.get(position), sent)


def tail(partition: int, position: int | None, *, end: int = 7) -> Tail:
    return Tail(partition, end, position, None if position is None else HASHES[position])


def after(at: RelayCursor, *tails: Tail) -> int:
    return resumed(at, tails, HEAD, HASHES.__getitem__)


def refusal(at: RelayCursor, *tails: Tail, head: int = HEAD) -> tuple[Reason, int | None]:
    with pytest.raises(Halted) as halted:
        resumed(at, tails, head, HASHES.__getitem__)
    return halted.value.reason, halted.value.position


def test_a_relay_that_never_was_begins_at_the_beginning() -> None:
    assert after(cursor(0, 0, 0), tail(0, None, end=0), tail(1, None, end=0)) == 0


def test_it_goes_on_after_the_cursor() -> None:
    assert after(cursor(8, 7, 8), tail(0, 7), tail(1, 8)) == 8


def test_what_was_written_beyond_the_cursor_is_sent_again() -> None:
    assert after(cursor(8, 7, 8), tail(0, 9), tail(1, 10)) == 8


def test_what_the_brokers_lost_is_sent_again() -> None:
    assert after(cursor(8, 7, 8), tail(0, 4), tail(1, 8)) == 4
    assert after(cursor(8, 7, 8), tail(0, None, end=0), tail(1, 8)) == 0


def test_a_partition_that_age_has_emptied_lost_nothing() -> None:
    assert after(cursor(8, 7, 8), tail(0, None, end=7), tail(1, 8)) == 8


def test_a_ledger_shorter_than_what_was_sent_is_not_relayed() -> None:
    sent = Tail(0, 7, 12, "hash of 12")
    assert refusal(cursor(8, 7, 8), sent, tail(1, 8)) == (Reason.LEDGER_BEHIND, 12)
    assert refusal(cursor(8, 7, 8), head=7) == (Reason.LEDGER_BEHIND, 8)


def test_a_ledger_with_another_event_than_was_sent_is_not_relayed() -> None:
    other = Tail(1, 7, 9, "another hash")
    assert refusal(cursor(8, 7, 8), tail(0, 7), other) == (Reason.LEDGER_DIFFERS, 9)
    moved = RelayCursor("S", 8, "another hash", (7, 8))
    assert refusal(moved, tail(0, 7), tail(1, 8)) == (Reason.LEDGER_DIFFERS, 8)


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)
def test_the_partition_of_a_key_is_the_one_that_every_client_computes(
    key: bytes, hashed: int
) -> None:
    """The hashes are those of Apache Kafka's own tests (UtilsTest.testMurmur2)."""
    for partitions in (1, 3, 8):
        assert partition_of(key, partitions) == (hashed & 0x7FFFFFFF) % partitions


def test_an_event_of_the_study_goes_to_every_partition_under_the_studys_name() -> None:
    def encode(_stored: Stored, _study: str) -> dict[str, Any]:
        return {"specversion": "1.0"}

    own = message(Stored(4, STUDY_STREAM, 1, "study.t.v1", b"", "h"), "S", 3, encode)
    assert (own.key, list(own.goes_to(3))) == (b"S", [0, 1, 2])
    other = message(Stored(5, "foobar", 1, "participant.t.v1", b"", "h"), "S", 8, encode)
    assert (other.key, list(other.goes_to(8))) == (b"foobar", [partition_of(b"foobar", 8)])


@pytest.mark.parametrize(
    ("study", "possible"), [("LK-23-01", True), ("a.b_c", True), ("a:b", False), ("a+b", False)]
)
def test_a_topic_is_named_after_its_study_where_that_is_possible(
    study: str, possible: bool
) -> None:
    assert is_topic(events_topic(study)) is possible
