"""The way out: a producer that keeps order, and a reader of what a topic ends with."""

import contextlib
from collections.abc import Sequence
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from infra.kafka.agreement import Halted, Reason, Tail
from infra.kafka.brokers import ANSWER_MILLISECONDS, Brokers
from infra.kafka.messages import Message

PRODUCER_BATCH_BYTES = 900_000
"""Well above what is handed over at once for a partition, so that it is one batch."""
NEVER_MILLISECONDS = 10 * 365 * 24 * 3_600_000
CLOSE_SECONDS = 1.0


class Outlet:
    """Sends messages into a topic, so that nothing in a partition overtakes what failed.

    Of each partition at most one batch is under way: what was handed over leaves when it is
    flushed, and more is handed over only when all of it was acknowledged. The producer repeats a
    batch for as long as it takes, and the brokers know a repeated one (idempotence). When one is
    refused for good, nothing later of its partition exists that could be written in its stead:
    close it, and begin again from the cursor.
    """

    def __init__(self, brokers: Brokers, topic: str) -> None:
        self._topic = topic
        self._waiting: list[Any] = []
        self._producer = KafkaProducer(
            **brokers.options(),
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            batch_size=PRODUCER_BATCH_BYTES,
            linger_ms=NEVER_MILLISECONDS // 10,
            delivery_timeout_ms=NEVER_MILLISECONDS,
            max_block_ms=ANSWER_MILLISECONDS,
            bootstrap_timeout_ms=ANSWER_MILLISECONDS,
            metrics_enabled=False,
        )

    def hand_over(self, messages: Sequence[Message], partitions: int) -> None:
        """Queue messages, each partition's in their order; none is on its way yet."""
        send = self._producer.send
        for one in messages:
            for partition in one.goes_to(partitions):
                sent = send(self._topic, one.value, one.key, one.headers, partition)
                self._waiting.append(sent)

    def acknowledged(self, seconds: float) -> bool:
        """Let what is queued leave, and wait so long for the brokers to have all of it; whether
        they have. Raises KafkaError when some of it was refused for good."""
        with contextlib.suppress(KafkaTimeoutError):
            self._producer.flush(seconds)
        for one in self._waiting:
            if not one.is_done:
                return False
            if one.failed():
                raise one.exception
        self._waiting.clear()
        return True

    def close(self) -> None:
        """Let go of the brokers. What was not acknowledged may be written or not."""
        try:
            self._producer.close(CLOSE_SECONDS)
        except KafkaError:
            # The library gives up closing when brokers are away, and leaves its thread behind,
            # which would go on trying for ever.
            sender = self._producer._sender  # noqa: SLF001
            sender.force_close()
            sender.join(CLOSE_SECONDS)
            with contextlib.suppress(KafkaError):
                self._producer.close(0)


def tails(brokers: Brokers, topic: str) -> list[Tail]:
    """How each partition of the topic ends. Raises KafkaError; Halted for a foreign message."""
    consumer = KafkaConsumer(
        **brokers.options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=ANSWER_MILLISECONDS,
        metrics_enabled=False,
    )
    try:
        numbers = consumer.partitions_for_topic(topic) or set()
        places = [TopicPartition(topic, number) for number in sorted(numbers)]
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        filled = [place for place in places if ends[place] > begins[place]]
        last = _last(consumer, filled, ends)
        return [
            Tail(place.partition, ends[place], *(last.get(place) or (None, None)))
            for place in places
        ]
    finally:
        consumer.close(autocommit=False)


def _last(
    consumer: KafkaConsumer, places: Sequence[TopicPartition], ends: dict[TopicPartition, int]
) -> dict[TopicPartition, tuple[int, str]]:
    """Position and hash of each partition's last record."""
    found: dict[TopicPartition, tuple[int, str]] = {}
    consumer.assign(places)
    for place in places:
        consumer.seek(place, ends[place] - 1)
    while len(found) < len(places):
        polled = consumer.poll(ANSWER_MILLISECONDS)
        if not polled:
            raise KafkaTimeoutError("a partition's last record was not to be had in time")
        for place, records in polled.items():
            found[place] = _claim(records[-1].value)
    return found


def _claim(value: bytes | None) -> tuple[int, str]:
    try:
        document = orjson.loads(value or b"")
        return int(document["position"]), str(document["leafhash"])
    except (ValueError, KeyError, TypeError):
        raise Halted(Reason.FOREIGN_MESSAGE) from None
