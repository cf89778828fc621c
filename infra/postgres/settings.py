"""Whether the server keeps what it confirms: read at start-up; readiness is refused when not."""

from typing import Any

from psycopg import Connection

from infra.postgres.pool import Pool, reading
from infra.postgres.statements import load

SQL = load("settings")

NEEDED: dict[str, frozenset[str]] = {
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
    "synchronous_commit": frozenset({"on", "local", "remote_write", "remote_apply"}),
    "data_checksums": frozenset({"on"}),
    "ignore_checksum_failure": frozenset({"off"}),
    "zero_damaged_pages": frozenset({"off"}),
    "server_encoding": frozenset({"UTF8"}),
}
"""Settings without which a confirmed event may be lost, altered or damaged unseen."""


def problems(connection: Connection[Any]) -> list[str]:
    """One sentence for each setting that is not safe, as this connection's role has it; none is
    well."""
    stands = dict(connection.execute(SQL["read"], {"names": list(NEEDED)}).fetchall())
    return [
        f"PostgreSQL's {name} is {stands.get(name, 'unknown')}: it must be {_one_of(allowed)}"
        for name, allowed in NEEDED.items()
        if stands.get(name) not in allowed
    ]


def same_cluster(primary: Pool, other: Pool) -> bool:
    """Whether two pools lead to one database or its physical copy. Raises StoreAway."""
    found = []
    for pool in (primary, other):
        with reading(pool) as connection:
            found.append(connection.execute(SQL["cluster"]).fetchone())
    return found[0] == found[1]


def _one_of(allowed: frozenset[str]) -> str:
    return " or ".join(sorted(allowed))
