"""What a worker makes of the messages of a partition, without a broker between."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from infra.kafka.cursors import RelayCursor
from infra.kafka.messages import message
from infra.kafka.share import STALLED_LOOKS, STALLED_SECONDS, Share
from infra.ledger.types import STUDY_STREAM, Stored
from infra.postgres.pool import Pool
from infra.projection.batch import Gap
from infra.projection.following import Following
from infra.projection.lane import take_in
from infra.projection.partitions import Partition, divide, partition_of
from infra.projection.tables import Overtaken
from services.door.cloudevents import written
from services.door.relayed import restored
from tests import specs
from tests.projections.watched import STUDY, Watched, watched

PARTITIONS = 2
HERE = next(f"01-{n:03}" for n in range(99) if partition_of(f"01-{n:03}", PARTITIONS) == 0)
ELSEWHERE = next(f"01-{n:03}" for n in range(99) if partition_of(f"01-{n:03}", PARTITIONS) == 1)


@dataclass(frozen=True)
class Record:
    """What is read of a record of the client's."""

    offset: int
    value: bytes
    headers: list[tuple[str, bytes]]


@pytest.fixture
def work(pool: Pool) -> Iterator[Watched]:
    with watched(pool) as found:
        divide_all(found)
        yield found


def divide_all(work: Watched) -> None:
    work.tables.begin(STUDY)
    assert divide(work.tables, STUDY, PARTITIONS)


def share(work: Watched, offset: int = 0) -> Share:
    """The first partition, read from an offset."""
    following = Following(
        work.projector.folds, work.tables, STUDY, lambda *_, **__: None, Partition(0, PARTITIONS)
    )
    found = Share(STUDY, 0, following)
    found.begin(offset)
    return found


def log(work: Watched) -> list[Stored]:
    return work.ledger.read(STUDY, 0, 1_000)


def topic(work: Watched, events: Sequence[Stored] | None = None) -> list[Record]:
    """The first partition's records, from offset 0."""
    found = log(work) if events is None else events
    ours = [one for one in found if one.stream in (STUDY_STREAM, HERE)]
    messages = [message(one, STUDY, PARTITIONS, written) for one in ours]
    return [Record(n, one.value, one.headers) for n, one in enumerate(messages)]


def relay(work: Watched, position: int | None = None) -> RelayCursor:
    """The relay's cursor as it stands at a position, at the head by default."""
    events = [one for one in log(work) if position is None or one.position <= position]
    sent = [0] * PARTITIONS
    for one in events:
        own = one.stream == STUDY_STREAM
        for number in range(PARTITIONS) if own else [partition_of(one.stream, PARTITIONS)]:
            sent[number] = one.position
    return RelayCursor(STUDY, events[-1].position, events[-1].hash, tuple(sent))


def test_messages_are_taken_in_as_far_as_the_relay_answers_for_them(work: Watched) -> None:
    work.post(HERE, specs.referred, specs.consented)
    before = work.ledger.head(STUDY)
    work.post(HERE, specs.screened)
    one = share(work)
    portion = one.portion(topic(work), relay(work, before), restored)
    assert portion is not None
    assert (portion.to, portion.stored[-1].position) == (before, before)
    take_in([portion])
    assert one.portion([], relay(work, before), restored) is None
    rest = one.portion([], relay(work), restored)
    assert rest is not None
    assert [event.position for event in rest.stored] == [
        event.position for event in log(work) if event.position > before
    ]


def test_a_partition_that_has_all_it_gets_stands_where_the_relay_stands(work: Watched) -> None:
    one = share(work)
    first = one.portion(topic(work), relay(work), restored)
    assert first is not None
    take_in([first])
    head = work.post(ELSEWHERE, specs.referred)
    work.post(ELSEWHERE, specs.consented)
    portion = one.portion([], relay(work, head), restored)
    assert portion is not None
    assert (portion.stored, portion.to) == ([], head)


def test_a_partition_that_lacks_a_message_does_not_pass_it(work: Watched) -> None:
    work.post(HERE, specs.referred)
    one = share(work)
    first = one.portion(topic(work)[:-1], relay(work), restored)
    assert first is not None
    take_in([first])
    assert first.to < work.ledger.head(STUDY)
    assert one.portion([], relay(work), restored) is None


def test_a_message_that_came_before_is_passed_over(work: Watched) -> None:
    work.post(HERE, specs.referred, specs.consented)
    records = topic(work)
    again = [replace(one, offset=len(records) + n) for n, one in enumerate(records[1:])]
    portion = share(work).portion([*records, *again], relay(work), restored)
    assert portion is not None
    assert [one.position for one in portion.stored] == sorted(
        {one.position for one in log(work) if one.stream != ELSEWHERE}
    )
    assert portion.next_offset == len(records) + len(again)


@pytest.mark.parametrize("how", ["skipped", "forged", "unmarked", "foreign"])
def test_what_is_missing_or_not_the_ledgers_is_a_gap(work: Watched, how: str) -> None:
    work.post(HERE, specs.referred)
    work.post(ELSEWHERE, specs.referred)
    records = topic(work)
    match how:
        case "skipped":
            records = [one for one in records if one.offset != 2]
        case "forged":
            records[-1] = replace(
                records[-1], value=records[-1].value.replace(b":cairn", b":raven")
            )
        case "unmarked":
            records[-1] = replace(records[-1], headers=[("position", b"first")])
        case _:
            theirs = message(log(work)[-1], STUDY, PARTITIONS, written)
            records.append(Record(len(records), theirs.value, theirs.headers))
    with pytest.raises(Gap):
        share(work).portion(records, relay(work), restored)


def test_an_offset_is_trusted_when_the_message_before_it_was_taken_in(work: Watched) -> None:
    work.post(HERE, specs.referred)
    records = topic(work)
    first = share(work).portion(records, relay(work), restored)
    assert first is not None
    take_in([first])
    work.post(HERE, specs.consented)
    more = topic(work)
    kept = share(work)
    offset = kept.kept_offset()
    assert offset == len(records)
    assert kept.begin(offset) == offset - 1
    portion = kept.portion(more[offset - 1 :], relay(work), restored)
    assert portion is not None
    assert len(portion.stored) == len(more) - len(records)


def test_an_offset_is_not_trusted_when_another_message_stands_before_it(work: Watched) -> None:
    work.post(HERE, specs.referred)
    one = share(work, offset=2)
    with pytest.raises(Gap):
        one.portion(topic(work)[1:], relay(work), restored)


def test_of_two_workers_at_one_position_the_second_finds_it_moved(work: Watched) -> None:
    work.post(HERE, specs.referred, specs.consented)
    first, second = share(work), share(work)
    ahead = first.portion(topic(work), relay(work), restored)
    late = second.portion(topic(work)[:-1], relay(work), restored)
    assert ahead is not None
    assert late is not None
    take_in([ahead])
    stand = work.tables.partition_cursors(STUDY)
    with pytest.raises(Overtaken):
        take_in([late])
    assert work.tables.partition_cursors(STUDY) == stand


def test_who_gets_nothing_for_long_though_the_relay_sent_more_has_stalled(work: Watched) -> None:
    found = share(work)
    work.post(HERE, specs.referred)
    times = [float(second) for second in range(STALLED_LOOKS + int(STALLED_SECONDS) + 2)]

    def told(looks: Sequence[float], records: Sequence[Record] = ()) -> bool:
        return [found.is_stalled(records, relay(work), at) for at in looks][-1]

    assert told(times)
    assert not told(times[-1:], topic(work)), "something came"
    assert not told(times[:STALLED_LOOKS]), "not for so long"
    found.is_stalled(topic(work), relay(work), 0.0)
    assert not told([0.0, 10 * STALLED_SECONDS]), "the process itself was stopped meanwhile"
    portion = found.portion(topic(work), relay(work), restored)
    assert portion is not None
    take_in([portion])
    assert not told(times), "there is no more for it"
    work.post(ELSEWHERE, specs.referred.but(site="02"))
    assert not told(times), "that is for another"
