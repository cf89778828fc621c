"""The ledger in PostgreSQL. Its rules stand in the database: see `append_batch`."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, LiteralString

from psycopg import Connection

from infra.ledger.asking import Connections
from infra.ledger.ledger import PARTICIPANTS_PAGE, Deaf, Ledger, Log, Wake
from infra.ledger.notices import Notices
from infra.ledger.own_loop import OwnLoop
from infra.ledger.types import Append, Found, Outcome, StoreAway, Stored, bounded
from infra.ledger.writer import CLOSE_SECONDS, Waiting, Writer
from infra.postgres.pool import Pool, connect, conninfo_of, reading
from infra.postgres.statements import load

SQL = load("ledger")

POSITION_MAX = 2**53 - 1
WRITERS_MAX = 1_000
HISTORIES_PAGE_EVENTS = 1_000
"""So many events are read at a time where everybody's are read one after the other."""
NAME_END = "\x7f"
"""After every name."""
_as_stored = partial(tuple.__new__, Stored)
"""A row as `Stored` has it: what the class itself does by a call of Python's own, which was a
tenth of what reading a page costs here."""


class PostgresLog(Log):
    """Every study's log in one database, read through the pool; a standby's copy as well."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def find(self, study: str, source: str, event_id: str) -> Found | None:
        """Where the event of a (source, id) stands, or None."""
        rows = self._rows("find", study=study, source=source, event_id=event_id)
        return Found(*rows[0]) if rows else None

    def stream(
        self, study: str, stream: str, after: int = 0, up_to: int | None = None
    ) -> list[Stored]:
        """A stream's events after a version, up to and with a position of the log."""
        last = POSITION_MAX if up_to is None else up_to
        return self._stored("stream", study=study, stream=stream, after=after, up_to=last)

    def read(self, study: str, after: int, limit: int, up_to: int | None = None) -> list[Stored]:
        """At most `limit` events after a position, up to and with another, in order."""
        last = POSITION_MAX if up_to is None else up_to
        return self._stored("read", study=study, after=after, up_to=last, limit=max(limit, 0))

    def head(self, study: str) -> int:
        """The position of the last event; 0 when there is none."""
        rows = self._rows("head", study=study)
        return int(rows[0][0]) if rows else 0

    def studies(self) -> list[str]:
        """The studies that have events, by name."""
        return [row[0] for row in self._rows("studies")]

    def participants(
        self, study: str, after: str = "", limit: int = PARTICIPANTS_PAGE
    ) -> list[str]:
        """Participants that have events, by name, at most `limit` after one."""
        if limit < 1:
            return []
        return [row[0] for row in self._rows("participants", study=study, after=after, limit=limit)]

    def histories(
        self, study: str, first: str = "", up_to: int | None = None, before: str | None = None
    ) -> Iterator[list[Stored]]:
        """Everybody's events up to and with a position, by name: from one on, before another.

        No connection is held between pages, so that a slow reader keeps nobody waiting.
        """
        last = POSITION_MAX if up_to is None else up_to
        events: list[Stored] = []
        stream, version = first, 0
        while True:
            page = self._stored(
                "histories",
                study=study,
                stream=stream,
                version=version,
                before=NAME_END if before is None else before,
                up_to=last,
                limit=HISTORIES_PAGE_EVENTS,
            )
            for one in page:
                if events and events[-1].stream != one.stream:
                    yield events
                    events = []
                events.append(one)
            if len(page) < HISTORIES_PAGE_EVENTS:
                break
            stream, version = page[-1].stream, page[-1].version
        if events:
            yield events

    def position_at(self, study: str, instant: datetime) -> int:
        """The last position recorded at or before an instant; 0 when there is none."""
        return int(self._rows("position_at", study=study, instant=instant)[0][0])

    def _stored(self, name: str, **values: Any) -> list[Stored]:
        return [
            _as_stored((position, stream, version, topic, body, digest.hex()))
            for position, stream, version, topic, body, digest in self._rows(name, **values)
        ]

    def _rows(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        statement: LiteralString = SQL[name]
        with reading(self._pool) as connection:
            return connection.execute(statement, values, binary=True).fetchall()


class PostgresLedger(PostgresLog, Ledger):
    """Every study's log in one database; appends by group commit, reads through the pool."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._connections = Connections(SQL["append"], self._connect)
        self._writers: dict[tuple[str, asyncio.AbstractEventLoop], Writer] = {}
        self._lock = threading.Lock()
        self._own_loop = OwnLoop("ledger")
        self._notices = Notices(self._connect)
        self._closed = False

    async def append(self, study: str, append: Append) -> Outcome:
        """Append all of it or nothing."""
        bounded(append)
        self._must_be_open()
        return await self._writer(study).submit(append)

    def append_now(self, study: str, append: Append) -> Outcome:
        """The same for callers without an event loop; it blocks."""
        self._must_be_open()
        return self._own_loop.run(self.append(study, append))

    def listen(self, wake: Wake) -> Deaf:
        """Be woken when events are appended, by whatever process."""
        return self._notices.listen(wake)

    def close(self) -> None:
        """Append what is queued, then let go of threads and connections; the pool stays open."""
        with self._lock:
            self._closed = True
            writers = list(self._writers.items())
        for (study, _), writer in writers:
            if left := writer.close():
                # A store that is away must not keep a process from its end.
                with contextlib.suppress(TimeoutError):
                    self._own_loop.run(self._finished(study, left), CLOSE_SECONDS)
        self._own_loop.stop(CLOSE_SECONDS)
        self._connections.close()
        self._notices.close()

    def _must_be_open(self) -> None:
        if self._closed:
            raise StoreAway("the ledger is closed")

    async def _finished(self, study: str, left: Sequence[Waiting]) -> None:
        await self._writer(study).finish(left)

    def _writer(self, study: str) -> Writer:
        """The study's writer for the loop that runs here."""
        loop = asyncio.get_running_loop()
        writer = self._writers.get((study, loop))
        if writer is None:
            with self._lock:
                self._forget_ended_loops()
                if len(self._writers) >= WRITERS_MAX:
                    raise StoreAway("too many studies are written to by one process")
                writer = Writer(study, loop, self._connections, self._notices.appended)
                self._writers[study, loop] = writer
        return writer

    def _forget_ended_loops(self) -> None:
        for one in [one for one in self._writers if one[1].is_closed()]:
            del self._writers[one]

    def _connect(self) -> Connection[tuple[Any, ...]]:
        return connect(conninfo_of(self._pool))
