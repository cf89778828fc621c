"""The relay's cursors, in the ledger's database: how far each study was handed out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from infra.postgres.pool import Pool, borrowed, reading
from infra.postgres.statements import load

SQL = load("relay")


class Overtaken(Exception):
    """Another relay moved the cursor from the same position; nothing was written."""


@dataclass(frozen=True, slots=True)
class RelayCursor:
    """Every event up to `position` was acknowledged by the brokers."""

    study: str
    position: int
    hash: str | None
    """Leaf hash (hex) of the event at the position; None at 0."""
    sent: tuple[int, ...]
    """By partition, the position of the last event that it acknowledged; 0 when there is none."""
    halted: str | None = None
    """Why the relay does not go on."""

    @property
    def partitions(self) -> int:
        """Of the topic; fixed."""
        return len(self.sent)


class RelayCursors:
    """The cursors of all studies. All of it raises StoreAway."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def find(self, study: str) -> RelayCursor | None:
        """The study's cursor, None when it was never relayed."""
        with reading(self._pool) as connection:
            row = connection.execute(SQL["find"], {"study": study}).fetchone()
        return None if row is None else _cursor(row)

    def begin(self, study: str, partitions: int) -> RelayCursor:
        """The study's cursor; at the start of the log when there was none, with so many partitions
        then and for ever."""
        with borrowed(self._pool) as connection:
            connection.execute(SQL["begin"], {"study": study, "partitions": partitions})
            row = connection.execute(SQL["find"], {"study": study}).fetchone()
        assert row is not None
        return _cursor(row)

    def move(
        self, cursor: RelayCursor, position: int, digest: str, sent: Sequence[int]
    ) -> RelayCursor:
        """Move on from where the cursor was read. Raises Overtaken when it stands elsewhere."""
        moved = replace(cursor, position=position, hash=digest, sent=tuple(sent))
        row = {
            "study": cursor.study,
            "from": cursor.position,
            "position": position,
            "hash": digest,
            "sent": list(sent),
        }
        with borrowed(self._pool) as connection:
            if connection.execute(SQL["move"], row).rowcount != 1:
                raise Overtaken
        return moved

    def halt(self, study: str, reason: str | None) -> None:
        """Keep why the relay does not go on; None: it does."""
        with borrowed(self._pool) as connection:
            connection.execute(SQL["halt"], {"study": study, "reason": reason})

    def forget(self, study: str) -> None:
        """Let the study be relayed as if it never had been."""
        with borrowed(self._pool) as connection:
            connection.execute(SQL["forget"], {"study": study})


def _cursor(row: tuple[str, int, str | None, list[int], str | None]) -> RelayCursor:
    study, position, digest, sent, halted = row
    return RelayCursor(study, position, digest, tuple(sent), halted)
