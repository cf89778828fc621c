"""How far each partition is done, though messages are done in another order than they came."""

import heapq
from collections.abc import Iterable

from infra.kafka.inbound import Partition


class Progress:
    """Offsets that were read and are not done, by partition."""

    def __init__(self) -> None:
        self._next: dict[Partition, int] = {}
        self._open: dict[Partition, list[int]] = {}
        self._done: dict[Partition, set[int]] = {}
        self._committed: dict[Partition, int] = {}

    def begin(self, partition: Partition, offset: int) -> None:
        """The partition is read from this offset on; whatever was known of it is forgotten."""
        self._next[partition] = self._committed[partition] = offset
        self._open[partition], self._done[partition] = [], set()

    def forget(self, partitions: Iterable[Partition]) -> None:
        """The partitions are another's."""
        for partition in partitions:
            for known in (self._next, self._open, self._done, self._committed):
                known.pop(partition, None)

    def partitions(self) -> set[Partition]:
        """The partitions that are ours."""
        return set(self._next)

    def read(self, partition: Partition, offset: int) -> bool:
        """Note that a message was read; False when it is not ours to do, or at hand already."""
        if offset < self._next.get(partition, offset + 1):
            return False
        self._next[partition] = offset + 1
        heapq.heappush(self._open[partition], offset)
        return True

    def done(self, partition: Partition, offset: int) -> None:
        """Note that a message is answered, or kept to be answered later."""
        waiting = self._open.get(partition)
        if waiting is None:
            return
        done = self._done[partition]
        done.add(offset)
        while waiting and waiting[0] in done:
            done.discard(heapq.heappop(waiting))

    def to_commit(self) -> dict[Partition, int]:
        """For each partition that moved on, the first offset that is not done."""
        return {
            partition: at
            for partition, waiting in self._open.items()
            if (at := waiting[0] if waiting else self._next[partition]) > self._committed[partition]
        }

    def committed(self, offsets: dict[Partition, int]) -> None:
        """Note what is kept."""
        for partition, offset in offsets.items():
            if partition in self._committed:
                self._committed[partition] = max(self._committed[partition], offset)
