"""Asking PostgreSQL from an event loop: connections, and one prepared statement on each.

The loop itself sends and reads: no thread is woken, and none wants the interpreter meanwhile. Only
a new connection is made in a thread, for that waits for names, sockets and the server.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from select import POLLIN, poll
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, adapt
from psycopg.abc import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

IDLE_SECONDS = 30.0
STATEMENT = b"append"

Connect = Callable[[], Connection[tuple[Any, ...]]]
Rows = list[tuple[Any, ...]]


@dataclass(slots=True)
class Asked:
    """A connection on which the statement is prepared, and what reads its answers."""

    connection: Connection[tuple[Any, ...]]
    answers: Transformer
    idle_since: float = 0.0

    async def ask(self, values: Sequence[bytes]) -> Rows:
        """Send the statement and await its rows; psycopg.Error, without an SQLSTATE when the
        connection was lost."""
        pgconn, loop = self.connection.pgconn, asyncio.get_running_loop()
        pgconn.send_query_prepared(STATEMENT, values, [Format.BINARY] * len(values), Format.BINARY)
        exchange = _Exchange(pgconn, loop)
        loop.add_reader(exchange.socket, exchange.readable)
        try:
            if pgconn.flush():
                # The batch is larger than what the socket takes at once.
                loop.add_writer(exchange.socket, exchange.writable)
            results = await exchange.answered
        finally:
            loop.remove_reader(exchange.socket)
            loop.remove_writer(exchange.socket)
        # The commit comes after the rows: when it fails, an error follows them.
        for result in results:
            _checked(result, ExecStatus.TUPLES_OK)
        self.answers.set_pgresult(results[0])
        rows = self.answers.load_rows(0, results[0].ntuples, tuple)
        self.answers.set_pgresult(None)
        return rows


class _Exchange:
    """A statement on its way: the loop sends and reads when the socket is ready for it."""

    def __init__(self, pgconn: PGconn, loop: asyncio.AbstractEventLoop) -> None:
        self._pgconn = pgconn
        self._loop = loop
        self._results: list[PGresult] = []
        self.socket = pgconn.socket
        self.answered: asyncio.Future[list[PGresult]] = loop.create_future()
        """Every result there is, once the server is ready for the next statement."""

    def readable(self) -> None:
        """Take what has come, and look again: when a server dies with a question unread, its last
        word and the socket's error come together, and libuv tells of a socket in error once."""
        self._take()
        while not self.answered.done() and self._more():
            self._take()

    def _take(self) -> None:
        try:
            self._pgconn.consume_input()
        except psycopg.Error as error:
            self._lost(error)
            return
        while not (self.answered.done() or self._pgconn.is_busy()):
            if (result := self._pgconn.get_result()) is not None:
                self._results.append(result)
            elif self._results:
                self.answered.set_result(self._results)
            else:
                self._lost(psycopg.OperationalError("the server answered nothing"))

    def writable(self) -> None:
        """Send what is left."""
        try:
            left = self._pgconn.flush()
        except psycopg.Error as error:
            self._lost(error)
            return
        if not left:
            self._loop.remove_writer(self.socket)

    def _more(self) -> bool:
        """Whether the socket has something now: more of the answer, its end, or an error."""
        now = poll()
        now.register(self.socket, POLLIN)
        return bool(now.poll(0))

    def _lost(self, error: psycopg.Error) -> None:
        # A lost socket is always ready: whoever waits is told once, and stops looking.
        if not self.answered.done():
            self.answered.set_exception(error)


class Connections:
    """Connections for one statement, for whichever event loop asks next.

    One belongs to a question while that is on its way and to nobody in between, so a loop that ends
    keeps none. May be used by several threads.
    """

    def __init__(self, statement: LiteralString, connect: Connect) -> None:
        self._statement = statement.encode()
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: list[Asked] = []
        """The last is taken first, so that those too many grow old."""
        self._sweep: threading.Timer | None = None
        self._closed = False

    async def ask(self, values: Sequence[bytes]) -> Rows:
        """What the statement answers; whatever is raised, as by `Asked.ask`, that connection is
        not used again."""
        while (asked := self._taken()) is None:
            await asyncio.to_thread(self._open)
        try:
            rows = await asked.ask(values)
        except BaseException:
            # What it might still say belongs to nobody: neither to this question nor to the next.
            asked.connection.close()
            raise
        self._left(asked)
        return rows

    def drop(self) -> None:
        """Close those that wait: when one was lost, the others mostly are as well."""
        with self._lock:
            idle, self._idle = self._idle, []
        for asked in idle:
            asked.connection.close()

    def close(self) -> None:
        """Close those that wait, and from now on each that comes back."""
        with self._lock:
            self._closed = True
            if self._sweep is not None:
                self._sweep.cancel()
        self.drop()

    def _taken(self) -> Asked | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _left(self, asked: Asked) -> None:
        asked.idle_since = time.monotonic()
        with self._lock:
            if not self._closed:
                self._idle.append(asked)
                if self._sweep is None:
                    self._sweep_later()
                return
        asked.connection.close()

    def _sweep_later(self) -> None:
        self._sweep = threading.Timer(IDLE_SECONDS, self._swept)
        self._sweep.daemon = True
        self._sweep.start()

    def _swept(self) -> None:
        """Close what nobody asked for a while, and look again as long as anything is left."""
        with self._lock:
            limit = time.monotonic() - IDLE_SECONDS
            old = [asked for asked in self._idle if asked.idle_since <= limit]
            self._idle = [asked for asked in self._idle if asked.idle_since > limit]
            self._sweep = None
            if self._idle and not self._closed:
                self._sweep_later()
        for asked in old:
            asked.connection.close()

    def _open(self) -> None:
        """One more for whoever takes it first: who asked for it may be gone by now."""
        connection = self._connect()
        try:
            prepared = connection.pgconn.prepare(STATEMENT, self._statement)
            _checked(prepared, ExecStatus.COMMAND_OK)
        except BaseException:
            connection.close()
            raise
        self._left(Asked(connection, adapt.Transformer(connection)))


def _checked(result: PGresult, status: ExecStatus) -> None:
    if result.status != status:
        raise psycopg.errors.error_from_result(result)
