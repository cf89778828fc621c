"""Putting messages into the order in which their senders recorded them, as far as they are at hand.

Facts give the same state in whatever order they arrive, but a decision is judged on what is known.
While a topic holds more than was read, messages of a study are gathered, and the earliest of them
go on first; when nothing more is known to be there, all of them go on at once.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from infra.kafka.inbound import Partition
from services.inbound.message import Received

REACH_MESSAGES = 1_000
"""So far a message may have overtaken others of its partition and still be put right."""
HELD_MESSAGES_MAX = 16_000
HELD_BYTES_MAX = 32 * 1024 * 1024
"""Beyond these the earliest go on, whatever else may come."""

Order = tuple[datetime, datetime, Partition, int]

_FIRST = datetime.min.replace(tzinfo=UTC)


class Sequence:
    """What was read of one study and did not go on yet."""

    def __init__(self, reach: int = REACH_MESSAGES) -> None:
        self._reach = reach
        self._heap: list[tuple[Order, Received]] = []
        self._held: Counter[Partition] = Counter()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, received: Received) -> None:
        """Hold a message."""
        heapq.heappush(self._heap, (order_of(received), received))
        self._held[received.partition] += 1
        self._bytes += received.size

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forget what was read of partitions that are another's now."""
        gone = set(partitions)
        if gone.isdisjoint(self._held):
            return
        kept = [one for one in self._heap if one[1].partition not in gone]
        heapq.heapify(kept)
        self._heap = kept
        self._held = Counter(one.partition for _, one in kept)
        self._bytes = sum(one.size for _, one in kept)

    def full(self) -> set[Partition]:
        """Partitions of which enough is held."""
        return {partition for partition, held in self._held.items() if held > 2 * self._reach}

    def taken(self, behind: Mapping[Partition, int], most: int) -> list[Received]:
        """The messages that go on now, at most so many; `behind` says how many messages of each
        partition are known that were not read yet."""
        taken: list[Received] = []
        while self._heap and len(taken) < most and self._may_go_on(behind):
            _, received = heapq.heappop(self._heap)
            self._held[received.partition] -= 1
            self._bytes -= received.size
            taken.append(received)
        return taken

    def _may_go_on(self, behind: Mapping[Partition, int]) -> bool:
        if len(self._heap) > HELD_MESSAGES_MAX or self._bytes > HELD_BYTES_MAX:
            return True
        return all(
            not more or self._held[partition] > self._reach for partition, more in behind.items()
        )


def order_of(received: Received) -> Order:
    """When the sender recorded it, else when it happened; then as it came."""
    place, posted = (received.partition, received.message.offset), received.posted
    if posted is None:
        # It is answered without being recorded: it waits for nothing.
        return _FIRST, _FIRST, *place
    occurred, recorded = posted.occurred_at, posted.recorded_at_source or posted.occurred_at
    return recorded.earliest(), occurred.earliest(), *place
