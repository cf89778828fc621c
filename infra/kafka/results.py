"""Answering: results of inbound messages, given to the brokers and taken by them."""

from collections.abc import Sequence
from dataclasses import dataclass

from kafka import KafkaProducer
from kafka.errors import KafkaError

from infra.kafka.brokers import Brokers
from infra.kafka.inbound import BrokersAway

LINGER_MILLISECONDS = 5
BATCH_BYTES = 128 * 1024
ACKNOWLEDGED_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    """One result as a message."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class ResultProducer:
    """Sends results; made anew after any failure. Used by one thread at a time."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._producer: KafkaProducer | None = None

    def send(self, results: Sequence[Result]) -> None:
        """Send results and wait until the brokers have all of them. BrokersAway.

        Sent again after a failure some may stand twice: a result names its message, and the same
        message has the same result.
        """
        try:
            if self._producer is None:
                self._producer = KafkaProducer(
                    **self._brokers.options(), linger_ms=LINGER_MILLISECONDS, batch_size=BATCH_BYTES
                )
            sent = [
                self._producer.send(one.topic, one.value, key=one.key, headers=list(one.headers))
                for one in results
            ]
            self._producer.flush(timeout=ACKNOWLEDGED_SECONDS_MAX)
            for one in sent:
                one.get(timeout=ACKNOWLEDGED_SECONDS_MAX)
        except KafkaError as error:
            self.close()
            raise BrokersAway(type(error).__name__) from error

    def close(self) -> None:
        """Let go of the brokers; what they have not taken is not waited for."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            producer.close(timeout=0)
