"""Inbound messages that wait for others: where they stand and until when, never what they say."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from infra.postgres.pool import Pool, borrowed
from infra.postgres.statements import load

SQL = load("parked")


@dataclass(frozen=True, slots=True)
class Parked:
    """One message that waits."""

    study: str
    topic: str
    partition: int
    offset: int
    participant: str | None
    since: datetime
    until: datetime
    """When it is tried for the last time."""

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it stands: topic, partition, offset."""
        return self.topic, self.partition, self.offset


class ParkedMessages:
    """The messages that wait, in the ledger's database. All of it raises StoreAway, StoreFull."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def park(self, messages: Iterable[Parked]) -> None:
        """Keep them, all or none; one that waits already goes on waiting as it does."""
        rows = [
            {
                "study": one.study,
                "topic": one.topic,
                "partition": one.partition,
                "offset": one.offset,
                "participant": one.participant,
                "since": one.since,
                "until": one.until,
            }
            for one in messages
        ]
        with borrowed(self._pool) as connection, connection.cursor() as cursor:
            cursor.executemany(SQL["park"], rows)

    def release(self, messages: Iterable[Parked]) -> None:
        """Forget them: they are answered."""
        offsets: dict[tuple[str, str, int], list[int]] = defaultdict(list)
        for one in messages:
            offsets[one.study, one.topic, one.partition].append(one.offset)
        with borrowed(self._pool) as connection:
            for (study, topic, partition), some in offsets.items():
                named = {"study": study, "topic": topic, "partition": partition}
                connection.execute(SQL["release"], {**named, "offsets": some})

    def of_partition(self, study: str, topic: str, partition: int) -> list[Parked]:
        """What waits of one partition, by offset."""
        asked = {"study": study, "topic": topic, "partition": partition}
        with borrowed(self._pool) as connection:
            rows = connection.execute(SQL["of_partition"], asked).fetchall()
        return [Parked(study, topic, partition, *row) for row in rows]
