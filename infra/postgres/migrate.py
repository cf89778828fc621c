"""Migrations: plain numbered SQL files, each applied once, in order, in a transaction of its own.

The database keeps the name and the SHA-256 of what was applied: an edited file is refused, and so
is a database that another version of the program has migrated.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg
from psycopg import Connection

from infra.postgres.statements import load

SQL = load("migrate")


class MigrationProblem(Exception):
    """The database cannot be brought to this program's schema; the text says why."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name (`0001_ledger.sql`), its statements and their digest."""

    name: str
    text: str

    @property
    def sha256(self) -> bytes:
        """Digest of the file's content."""
        return hashlib.sha256(self.text.encode()).digest()


def shipped() -> list[Migration]:
    """The migrations of this program, in order."""
    folder = resources.files("infra.postgres").joinpath("migrations")
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".sql")), key=_name)
    return [Migration(one.name, one.read_text("utf-8")) for one in files]


def migrate(conninfo: str) -> list[str]:
    """Bring the database to this program's schema; the names of what was applied now.

    Several processes may start together: they wait for each other. Raises MigrationProblem.
    """
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(SQL["lock"])
        try:
            connection.execute(SQL["prepare"])
            waiting = pending(connection)
            for migration in waiting:
                _apply(connection, migration)
        finally:
            connection.execute(SQL["unlock"])
    return [migration.name for migration in waiting]


def pending(connection: Connection[Any]) -> list[Migration]:
    """What is not applied yet; MigrationProblem when the database and the files disagree."""
    applied = {name: bytes(sha256) for name, sha256 in connection.execute(SQL["applied"])}
    ours = shipped()
    unknown = sorted(applied.keys() - {migration.name for migration in ours})
    if unknown:
        raise MigrationProblem(f"the database was migrated by another version: {unknown[0]}")
    for migration in ours:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise MigrationProblem(f"{migration.name} was changed after it had been applied")
    return [migration for migration in ours if migration.name not in applied]


def _apply(connection: Connection[Any], migration: Migration) -> None:
    # A crash before the commit leaves neither the change nor its record.
    with connection.transaction():
        connection.execute(migration.text)
        connection.execute(SQL["record"], {"name": migration.name, "sha256": migration.sha256})


def _name(file: Any) -> str:
    return str(file.name)
