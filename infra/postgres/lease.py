"""A lease: of all processes that ask, one at a time holds it, by a session lock of PostgreSQL.

The holder keeps a connection of its own and has to be heard from: when it dies, hangs or cannot be
reached, the server ends the session, and another takes over within seconds. A lease saves work that
would be done twice; it must not be what correctness rests on, since a holder may be paused at any
instruction and wake up after it has lost it.
"""

from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import Connection

from infra.postgres.pool import connect
from infra.postgres.statements import load

SQL = load("relay")

LEASE_SECONDS = 12.0
"""Unheard for so long, a holder has lost it."""


class LeaseLost(Exception):
    """The lease is gone, or the server that would know is: stop, and ask for it again."""


class Lease:
    """What `taken` gives; ends with the block."""

    def __init__(self, connection: Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    @classmethod
    def taken(cls, conninfo: str, name: str, seconds: float = LEASE_SECONDS) -> "Lease | None":
        """The lease of that name, None while another holds it. Raises psycopg.Error."""
        connection = connect(conninfo)
        try:
            terms = {"milliseconds": str(round(seconds * 1_000))}
            connection.execute(SQL["lease_terms"], terms)
            row = connection.execute(SQL["lease_take"], {"name": name}).fetchone()
        except BaseException:
            connection.close()
            raise
        if row is not None and row[0]:
            return cls(connection)
        connection.close()
        return None

    def keep(self) -> None:
        """Be heard; to be called well within the lease's time. Raises LeaseLost."""
        try:
            self._connection.execute(SQL["lease_keep"])
        except psycopg.Error as error:
            raise LeaseLost from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
