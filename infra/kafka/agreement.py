"""Whether a topic and a ledger tell the same story, and from where to go on telling it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from infra.kafka.cursors import RelayCursor


class Reason(StrEnum):
    """Why a relay does not go on before an operator has looked."""

    PARTITIONS_CHANGED = "partitions-changed"
    """The topic, or the setting, has another number of partitions than was begun with."""
    LEDGER_BEHIND = "ledger-behind"
    """More was sent than the ledger has: an older copy of the database was restored."""
    LEDGER_DIFFERS = "ledger-differs"
    """Something else was sent than the ledger has at that position: restored, and written on."""
    FOREIGN_MESSAGE = "foreign-message"
    """The topic's last message is none of a relay: somebody else writes there."""
    TOPIC_NAME = "topic-name"
    """The study's name has characters that a topic's name cannot have."""
    TOPIC_LIMIT = "topic-limit"
    """The topic takes smaller messages than the relay sends: its `max.message.bytes`."""


class Halted(Exception):
    """The relay of a study does not go on by itself: it would lose or forge something."""

    def __init__(self, reason: Reason, position: int | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.position = position
        """The event at which the two disagree, where it is one."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a partition."""

    partition: int
    end: int
    """The offset that the next record gets."""
    position: int | None = None
    """Of the last record's event; None when the partition holds no record."""
    hash: str | None = None


def resumed(
    cursor: RelayCursor,
    tails: Iterable[Tail],
    head: int,
    hash_at: Callable[[int], str],
) -> int:
    """The position after which the ledger is to be sent, `head` being its last.

    That is the cursor's, unless the brokers lost what they had acknowledged: then it is what is
    still there, and more is sent twice. A partition that was emptied by age alone lost nothing.
    Raises Halted when the ledger is not the one that was sent.
    """
    claims = [(tail.position, tail.hash) for tail in tails if tail.position is not None]
    if cursor.position:
        claims.append((cursor.position, cursor.hash))
    for position, digest in sorted(claims):
        if position > head:
            raise Halted(Reason.LEDGER_BEHIND, position)
        if hash_at(position) != digest:
            raise Halted(Reason.LEDGER_DIFFERS, position)
    kept = [
        tail.position or 0
        for tail in tails
        if (tail.end == 0 or tail.position is not None)
        and (tail.position or 0) < cursor.sent[tail.partition]
    ]
    return min([cursor.position, *kept])
