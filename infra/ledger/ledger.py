"""The ledger: one append-only log per study, positions dense and in commit order.

A reader that has seen position p never later finds an event at or below p. Reads block (a worker
thread may call them, the event loop may not); appends are awaited, and a reply means committed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import datetime

from infra.ledger.types import Append, Found, Outcome, Stored

PARTICIPANTS_PAGE = 1_000

Wake = Callable[[str], None]
"""Called with a study's name when something was appended to it; from any thread, at times in vain:
a hint, never a promise. It must not block or raise."""


Deaf = Callable[[], None]
"""Ends a listening; a wake-up that is on its way may still arrive."""


class Log(ABC):
    """Reads of every study's log, wherever a copy of it stands. All methods may raise StoreAway."""

    @abstractmethod
    def find(self, study: str, source: str, event_id: str) -> Found | None:
        """Where the event of a (source, id) stands, or None."""

    @abstractmethod
    def stream(
        self, study: str, stream: str, after: int = 0, up_to: int | None = None
    ) -> list[Stored]:
        """A stream's events after a version, up to and with a position of the log."""

    @abstractmethod
    def read(self, study: str, after: int, limit: int, up_to: int | None = None) -> list[Stored]:
        """At most `limit` events after a position, up to and with another, in order."""

    @abstractmethod
    def head(self, study: str) -> int:
        """The position of the last event; 0 when there is none."""

    @abstractmethod
    def studies(self) -> list[str]:
        """The studies that have events, by name."""

    @abstractmethod
    def participants(
        self, study: str, after: str = "", limit: int = PARTICIPANTS_PAGE
    ) -> list[str]:
        """Participants that have events, by name (code points), at most `limit` after one."""

    def histories(
        self, study: str, first: str = "", up_to: int | None = None, before: str | None = None
    ) -> Iterator[list[Stored]]:
        """Everybody's events up to and with a position, by name: from one on, before another.

        One participant after the other, so that whoever folds a study holds one of them at a time.
        """
        after, names = first, [first] if first else []
        while True:
            for name in names:
                if before is not None and name >= before:
                    return
                if events := self.stream(study, name, 0, up_to):
                    yield events
            if not (names := self.participants(study, after)):
                return
            after = names[-1]

    @abstractmethod
    def position_at(self, study: str, instant: datetime) -> int:
        """The last position recorded at or before an instant; 0 when there is none."""


class Ledger(Log):
    """Appends too. All methods may raise StoreAway."""

    @abstractmethod
    async def append(self, study: str, append: Append) -> Outcome:
        """Append all of it or nothing. Raises StoreAway or StoreFull; ValueError for an append that
        no ledger can take (no events, or too many)."""

    @abstractmethod
    def append_now(self, study: str, append: Append) -> Outcome:
        """The same for callers without an event loop; it blocks."""

    @abstractmethod
    def listen(self, wake: Wake) -> Deaf:
        """Be woken when events are appended, by whatever process; what is returned ends it."""

    @abstractmethod
    def close(self) -> None:
        """Append what is queued, then let go of threads and connections."""
