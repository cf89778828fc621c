"""Views that several workers keep together: divided by participant, each partition with a cursor of
its own; and how they become one again.

A participant belongs to the partition that their messages have in the study's topic, so that a
worker which has a partition of the topic has all that its rows are made of. The events of the study
itself are in every partition, in order.
"""

from dataclasses import dataclass
from functools import lru_cache

from infra.projection.tables import Cursor, ViewTables, Writing

_NAMES_KEPT = 100_000
_SEED, _FACTOR, _WORD = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Partition:
    """Some of a study's participants: those whose number is this one, of so many."""

    number: int
    of: int

    def has(self, participant: str) -> bool:
        """Whether the participant is one of them."""
        return partition_of(participant, self.of) == self.number


@lru_cache(maxsize=_NAMES_KEPT)
def partition_of(participant: str, partitions: int) -> int:
    """The number that every client of Apache Kafka gives a message of this key."""
    return (_murmur2(participant.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """MurmurHash2 (Austin Appleby), 32 bits, with the seed that Apache Kafka's clients share."""
    whole = len(data) - len(data) % 4
    found = _SEED ^ len(data)
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _FACTOR & _WORD
        word = (word ^ word >> 24) * _FACTOR & _WORD
        found = (found * _FACTOR & _WORD) ^ word
    if rest := data[whole:]:
        found = (found ^ int.from_bytes(rest, "little")) * _FACTOR & _WORD
    found = (found ^ found >> 13) * _FACTOR & _WORD
    return found ^ found >> 15


def divide(tables: ViewTables, study: str, partitions: int) -> bool:
    """Divide every view of the study that is read and is not divided yet; whether there was one.

    Whoever followed a view as a whole finds its cursor gone.
    """
    whole = [one for one in tables.active(study).values() if one.partitions is None]
    if whole:
        with tables.writing(study) as writing:
            for cursor in sorted(whole, key=lambda one: one.view):
                divide_one(writing, cursor, partitions)
    return bool(whole)


def divide_one(writing: Writing, cursor: Cursor, partitions: int) -> None:
    """Give each partition a cursor, where the one for everybody stands; nothing is done twice."""
    row = writing.execute("divide", cursor, partitions=partitions).fetchone()
    if row is not None:
        writing.execute("begin_partitions", cursor, partitions=partitions, position=row[0])


def join(tables: ViewTables, study: str) -> list[str]:
    """Join the views whose partitions all stand at one position; those that stay divided."""
    divided = [one for one in tables.active(study).values() if one.partitions is not None]
    left = []
    with tables.writing(study) as writing:
        for cursor in sorted(divided, key=lambda one: one.view):
            held = writing.execute("held", cursor).fetchone()
            if held is None or held[1] is None:
                continue  # joined, or swapped, by another just now
            stand = {row[1] for row in writing.execute("held_partitions", cursor)}
            if len(stand) != 1:
                left.append(cursor.view)
                continue
            writing.execute("join", cursor, position=stand.pop())
            writing.execute("end_partitions", cursor)
    return left
