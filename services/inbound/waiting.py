"""What waits of one study's messages: at hand in memory, and known by place in the store."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from infra.kafka.inbound import Partition
from infra.parked import Parked
from services.inbound.message import Received

Place = tuple[str, int, int]

WAITING_MESSAGES_MAX = 10_000
WAITING_BYTES_MAX = 64 * 1024 * 1024
"""When more wait, what would have to wait is answered for good."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits."""

    received: Received
    parked: Parked


class WaitingRoom:
    """The messages of one study that wait in this process."""

    def __init__(self) -> None:
        self._waiting: dict[Place, Waiting] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, one: Waiting) -> None:
        """Let it wait."""
        self.take(one.received.message.place)
        self._waiting[one.received.message.place] = one
        self._bytes += one.received.size

    def take(self, place: Place) -> Waiting | None:
        """Take it out, None when it does not wait."""
        found = self._waiting.pop(place, None)
        if found is not None:
            self._bytes -= found.received.size
        return found

    def find(self, place: Place) -> Waiting | None:
        """Look at it, None when it does not wait."""
        return self._waiting.get(place)

    def has_room(self) -> bool:
        """Whether another may wait."""
        return len(self._waiting) < WAITING_MESSAGES_MAX and self._bytes < WAITING_BYTES_MAX

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Forget what waits of partitions that are another's now; the store knows it."""
        gone = set(partitions)
        for place in [one for one in self._waiting if one[:2] in gone]:
            self.take(place)

    def due(self, now: datetime) -> list[Received]:
        """Whose patience has ended."""
        return [one.received for one in self._waiting.values() if one.parked.until <= now]

    def next_due(self) -> datetime | None:
        """When the next patience ends."""
        return min((one.parked.until for one in self._waiting.values()), default=None)

    def touched(self, participants: Collection[str | None]) -> list[Received]:
        """What may be lifted by events of these participants; None stands for the study, and what
        the study does may lift anything."""
        everything = None in participants
        return [
            one.received
            for one in self._waiting.values()
            if everything or one.received.participant in participants
        ]
