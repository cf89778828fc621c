"""One partition of a study's topic, as the worker that has it takes it in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.kafka.cursors import RelayCursor
from infra.ledger.types import Stored
from infra.projection.batch import Gap
from infra.projection.following import Following
from infra.projection.lane import Lane, Portion

Restore = Callable[[bytes, str], Stored | None]
"""A message's value (of a study) as the stored event it was made of, None when it is none; given by
who composes."""

HEADER = "position"

STALLED_SECONDS = 15.0
STALLED_LOOKS = 10
"""So long and so many looks nothing may come although the relay has sent more."""


@dataclass(slots=True)
class Share:
    """What is known of one partition, between its being given to us and taken away.

    The views' cursors in the database say how far it was taken in and from which offset to read
    on. An offset is trusted only when the message before it is one that was taken in: a topic that
    was made anew has other messages there. What it cannot be trusted for, and whatever is missing
    or unreadable, is read from the ledger instead.
    """

    study: str
    number: int
    following: Following
    is_open: bool = False
    """Whether its messages are read."""
    expected: int = 0
    """The offset of the next message that comes."""
    next_offset: int = 0
    """No event that is still to be taken in has a smaller offset."""
    catching_up: tuple[int, int] | None = field(default=None)
    """While it reads the ledger: up to which position, and the topic's offset from there on."""
    distrusted: bool = False
    """Whether something was missing: read the ledger before any more messages."""
    waiting: list[Any] = field(default_factory=list, repr=False)
    """Messages that the relay does not answer for yet."""
    _looks: int = 0
    """How often nothing came although there is more, and since when (monotonic)."""
    _since: float = 0.0

    @property
    def is_nowhere(self) -> bool:
        """Whether no view has a cursor for the partition."""
        return not self.following.lanes()

    def close(self) -> None:
        """Read no more messages; where it stands is read from the database again."""
        self.is_open, self.catching_up = False, None
        self.waiting.clear()
        self.following.forget()

    def front(self) -> Lane | None:
        """The views that messages are for: those which have come furthest, and are not halted."""
        flowing = self.following.flowing()
        return max(flowing, key=lambda lane: lane.position, default=None)

    def kept_offset(self) -> int | None:
        """From where to read on, None when that is not known: what holds for a view at some
        position holds for all that have come as far. Who has nothing begins at the beginning."""
        front = self.front()
        if front is None:
            return None
        known = [
            cursor.next_offset
            for lane in self.following.lanes()
            for cursor in lane.cursors
            if cursor.next_offset is not None and lane.position <= front.position
        ]
        return max(known, default=None if front.position else 0)

    def begin(self, offset: int) -> int:
        """Read on from an offset; the offset to begin at, where the message before tells whether
        the topic still is the one that was read."""
        self.next_offset, self.expected = offset, max(0, offset - 1)
        self.is_open, self.distrusted = True, False
        return self.expected

    def portion(
        self, records: Sequence[Any], relayed: RelayCursor | None, restore: Restore
    ) -> Portion | None:
        """What messages, and how far the relay has come, bring; None when that is nothing.

        No message is taken in before the relay's cursor has reached it: that stands in the same
        database as the ledger, so that after a restore nothing comes back which the ledger has
        forgotten. Raises Gap when a message is missing, unreadable or not the ledger's.
        """
        front = self.front()
        if front is None or relayed is None:
            return None
        self.waiting += records
        position, stored, taken = front.position, [], 0
        for record in self.waiting:
            told = _position(record.headers)
            if told > relayed.position:
                break
            taken += 1
            if record.offset != self.expected:
                raise Gap
            self.expected += 1
            if record.offset < self.next_offset:
                if told > front.position:
                    raise Gap
                continue
            self.next_offset = self.expected
            if told > position:
                stored.append(self._event(record.value, told, front, restore))
                position = told
        del self.waiting[:taken]
        if self._has_all(relayed, position):
            position = max(position, relayed.position)
        if position == front.position:
            return None
        return Portion(front, stored, position, self.next_offset)

    def is_stalled(
        self, records: Sequence[Any], relayed: RelayCursor | None, monotonic: float
    ) -> bool:
        """Whether the relay has sent more than was taken in, and for long none of it comes. A
        process that was stopped for a while has not looked meanwhile."""
        if records or not self._lacks(relayed):
            self._looks = 0
        elif self._looks == 0:
            self._looks, self._since = 1, monotonic
        else:
            self._looks += 1
        return self._looks > STALLED_LOOKS and monotonic > self._since + STALLED_SECONDS

    def _event(self, value: bytes, told: int, front: Lane, restore: Restore) -> Stored:
        event = restore(value, self.study)
        if event is None or event.position != told or not front.has(event.stream):
            raise Gap
        return event

    def _lacks(self, relayed: RelayCursor | None) -> bool:
        front, partition = self.front(), self.following.partition
        if front is None or partition is None or relayed is None:
            return False
        return relayed.partitions == partition.of and not self._has_all(relayed, front.position)

    def _has_all(self, relayed: RelayCursor, position: int) -> bool:
        """Whether nothing of the partition lies between the position and the relay's: the relay
        tells the last event that the partition acknowledged when it stood there."""
        partition = self.following.partition
        return (
            partition is not None
            and relayed.partitions == partition.of
            and relayed.sent[partition.number] <= position
        )


def _position(headers: Sequence[tuple[str, bytes]]) -> int:
    for name, value in headers:
        if name == HEADER and value.isdigit():
            return int(value)
    raise Gap
