"""Connections to PostgreSQL: a pool of them, and single ones outside it, all as `cairn_app`.

The URL's own user owns the schema and may change it; the program at work may not. Every connection
therefore steps down to the application's role before it is used.
"""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolTimeout

from infra.ledger.types import StoreAway, StoreFull

ROLE = "cairn_app"
POOL_CONNECTIONS = 8
POOL_WAIT_SECONDS = 5.0
CONNECT_SECONDS = 5
STATEMENT_MILLISECONDS = 60_000
READ_WAIT_SECONDS = 1.0
"""How long a reader waits for a standby: whoever needs no standby must not wait behind those."""
READ_LIFE_SECONDS = 60.0
"""After so long a connection is made anew: one that leads to the primary, because the standby was
away, leads to the standby again."""
IDLE_IN_TRANSACTION_MILLISECONDS = 10_000

_OPTIONS = (
    f"-c statement_timeout={STATEMENT_MILLISECONDS}"
    f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MILLISECONDS}"
    " -c timezone=UTC -c search_path=pg_catalog"
)
_KEEPALIVE: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "cairn",
}

Pool = ConnectionPool[Connection[tuple[Any, ...]]]
"""A pool of connections that act as the application's role."""


def open_pool(conninfo: str, *, size: int = POOL_CONNECTIONS) -> Pool:
    """An open pool of at most `size` connections, made when they are needed."""
    return ConnectionPool(
        conninfo,
        kwargs={"options": _OPTIONS, **_KEEPALIVE},
        configure=_as_application,
        min_size=1,
        max_size=size,
        timeout=POOL_WAIT_SECONDS,
        check=_still_there,
        name="cairn",
        open=True,
    )


def conninfo_of(pool: Pool) -> str:
    """How the pool connects, for connections outside it."""
    return pool.conninfo if isinstance(pool.conninfo, str) else pool.conninfo()


def open_read_pool(conninfo: str, *, size: int = POOL_CONNECTIONS) -> Pool:
    """An open pool of a hot standby. Nothing can be written through it, wherever it leads: it may
    name the primary behind the standby, for the time when that is away."""
    return ConnectionPool(
        conninfo,
        kwargs={"options": f"{_OPTIONS} -c default_transaction_read_only=on", **_KEEPALIVE},
        configure=_as_application,
        min_size=0,
        max_size=size,
        timeout=READ_WAIT_SECONDS,
        max_lifetime=READ_LIFE_SECONDS,
        # Each try is short, so that the next one begins soon after the standby is back.
        reconnect_timeout=READ_WAIT_SECONDS,
        check=_still_there,
        name="cairn-reads",
        open=True,
    )


@contextmanager
def borrowed(pool: Pool) -> Iterator[Connection[tuple[Any, ...]]]:
    """A connection of the pool, in a transaction that commits at the end.

    Raises StoreAway instead of the driver's many ways to say that the store does not answer, and
    StoreFull when its disk is full.
    """
    try:
        with pool.connection() as connection:
            yield connection
    except psycopg.errors.DiskFull as error:
        raise StoreFull("the store's disk is full") from error
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise StoreAway("the store does not answer") from error


@contextmanager
def reading(pool: Pool) -> Iterator[Connection[tuple[Any, ...]]]:
    """A connection of the pool for one statement: it is not wrapped in a transaction, which would
    cost two more round trips. Raises StoreAway."""
    with borrowed(pool) as connection:
        connection.autocommit = True
        try:
            yield connection
        finally:
            if not connection.closed:
                connection.autocommit = False


def connect(conninfo: str) -> Connection[tuple[Any, ...]]:
    """A connection outside the pool, in autocommit; for a writer or a listener that keeps it."""
    connection = psycopg.connect(conninfo, autocommit=True, options=_OPTIONS, **_KEEPALIVE)
    _as_application(connection)
    return connection


def _still_there(connection: Connection[tuple[Any, ...]]) -> None:
    """Raises OperationalError when the connection was lost while nobody used it.

    A server that ends a connection, or dies, says so on the socket: while nothing has arrived on it
    there is nothing to ask, and no round trip before each use. (Where a network swallows even that,
    the statement itself finds out as late as a question before it would.)
    """
    arrived = select.poll()
    arrived.register(connection.fileno(), select.POLLIN)
    if arrived.poll(0):
        ConnectionPool.check_connection(connection)


def _as_application(connection: Connection[tuple[Any, ...]]) -> None:
    connection.execute(f"SET ROLE {ROLE}")
    if not connection.autocommit:
        connection.commit()
