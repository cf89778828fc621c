"""An event of the ledger as a message: CloudEvents, structured, with the attributes as headers too.

The key is the participant, and the partition follows from it as every client of Kafka computes it.
The study's own events (protocols, sites, holds) belong to every participant: they go to each
partition, so that each by itself is a complete account of its participants, in the ledger's order.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from kafka.partitioner.default import murmur2

from infra.ledger.types import STUDY_STREAM, Stored

Encode = Callable[[Stored, str], dict[str, Any]]
"""A stored event of a study as a CloudEvent; given by who composes."""

CONTENT_TYPE = b"application/cloudevents+json"
HEADERS = ("specversion", "id", "source", "type", "subject", "time", "streamversion")
"""CloudEvents attributes that stand in headers too, as `ce_<name>`, where the event has them."""
RECORD_OVERHEAD_BYTES = 512
"""More than what a record's lengths and the names of its headers add to its key and value."""
PARTICIPANTS_REMEMBERED = 100_000


class Message(NamedTuple):
    """What is sent for one event."""

    position: int
    hash: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    partition: int | None
    """None: every partition."""

    def goes_to(self, partitions: int) -> Iterable[int]:
        """The partitions that it is sent to, of so many."""
        return range(partitions) if self.partition is None else (self.partition,)

    @property
    def size(self) -> int:
        """At most so many bytes go into a partition for it."""
        told = sum([len(value) for _, value in self.headers])
        return len(self.key) + len(self.value) + told + RECORD_OVERHEAD_BYTES


def message(stored: Stored, study: str, partitions: int, encode: Encode) -> Message:
    """The message of a stored event."""
    document = encode(stored, study)
    headers = [
        (f"ce_{name}", value.encode())
        for name in HEADERS
        if (value := document.get(name)) is not None
    ]
    headers.append(("position", str(stored.position).encode()))
    headers.append(("content-type", CONTENT_TYPE))
    own = stored.stream == STUDY_STREAM
    key = (study if own else stored.stream).encode()
    return Message(
        stored.position,
        stored.hash,
        key,
        orjson.dumps(document),
        headers,
        None if own else partition_of(key, partitions),
    )


@lru_cache(maxsize=PARTICIPANTS_REMEMBERED)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as every client of Kafka has it by default."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
