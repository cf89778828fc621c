"""Where benches run: an embedded PostgreSQL, durable, thrown away, with as many databases as asked.

`python -m bench` makes one for all of its parts, so that every contender has the same server.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.migrate import migrate

DURABLE = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "data_checksums")
ROUNDS = 3


@dataclass
class Setting:
    """What a part needs to know of the run."""

    folder: Path
    postgres: EmbeddedPostgres
    quick: bool
    rounds: int
    _databases: int = 0

    @property
    def keeper(self) -> int:
        """The process above all of PostgreSQL's."""
        return self.postgres.keeper

    def size(self, whole: int, quick: int) -> int:
        """How much there is to do: less where only a quick look is wanted."""
        return quick if self.quick else whole

    def size_of(self, whole: Sequence[int], quick: Sequence[int]) -> Sequence[int]:
        """The same for a row of sizes."""
        return quick if self.quick else whole

    def plain_database(self) -> str:
        """A fresh, empty database on the same server: how to connect."""
        self._databases += 1
        name = f"bench_{self._databases}"
        with psycopg.connect(self.postgres.conninfo, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return make_conninfo(self.postgres.conninfo, dbname=name)

    def database(self) -> str:
        """The same with Cairn's schema in it."""
        conninfo = self.plain_database()
        migrate(conninfo)
        return conninfo

    def durability(self) -> dict[str, str]:
        """What the server says of the settings that a confirmed event rests on."""
        with psycopg.connect(self.postgres.conninfo) as connection:
            rows = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(DURABLE)]
            ).fetchall()
        return {str(name): str(value) for name, value in sorted(rows)}


@contextlib.contextmanager
def setting(*, quick: bool, rounds: int = ROUNDS) -> Iterator[Setting]:
    """A server for the time of a run."""
    with (
        tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder,
        EmbeddedPostgres(Path(folder)) as postgres,
    ):
        yield Setting(Path(folder), postgres, quick, rounds)


def library_settings(conninfo: str, connections: int) -> dict[str, str]:
    """The same database as the eventsourcing library's environment, with so many connections."""
    parts = conninfo_to_dict(conninfo)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts.get("port", 5432)),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": "",
        "POSTGRES_POOL_SIZE": str(connections),
        "POSTGRES_MAX_OVERFLOW": str(connections),
    }
