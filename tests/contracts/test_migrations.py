"""Migrations: each once, in order, unaltered, whoever starts first."""

import re
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from infra.postgres.migrate import MigrationProblem, migrate, pending, shipped


@pytest.fixture
def empty(server):
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS unmigrated WITH (FORCE)")
        connection.execute("CREATE DATABASE unmigrated")
        yield server.conninfo("unmigrated")
        connection.execute("DROP DATABASE unmigrated WITH (FORCE)")


def test_processes_that_start_together_apply_each_migration_once(empty: str) -> None:
    with ThreadPoolExecutor(4) as starting:
        applied = list(starting.map(migrate, [empty] * 4))
    assert sorted(map(len, applied))[:-1] == [0, 0, 0]
    assert [names for names in applied if names] == [[one.name for one in shipped()]]
    assert migrate(empty) == []


def test_names_are_numbered_words_and_no_number_is_used_twice() -> None:
    names = [one.name for one in shipped()]
    assert all(re.fullmatch(r"\d{4}(_[a-z0-9]+)+\.sql", name) for name in names)
    assert len({name[:4] for name in names}) == len(names)


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        ("UPDATE cairn.migration SET sha256 = 'x' WHERE name = '0001_ledger.sql'", "changed"),
        ("INSERT INTO cairn.migration VALUES ('9999_later.sql', 'x')", "another version"),
    ],
)
def test_a_database_that_disagrees_with_the_files_is_refused(
    database: str, tamper: str, says: str
) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        assert pending(owner) == []
        owner.execute(tamper)
        with pytest.raises(MigrationProblem, match=says):
            migrate(database)


def test_the_program_cannot_put_a_temporary_table_in_the_way(empty: str) -> None:
    migrate(empty)
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("SET SESSION AUTHORIZATION cairn_app")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TEMPORARY TABLE event (x int)")


def test_a_plain_owner_without_superuser_can_migrate(server, empty: str) -> None:
    """The role of the application exists already, as where an administrator prepared the server."""
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS plain_owner")
        admin.execute("CREATE ROLE plain_owner LOGIN")
        admin.execute("GRANT cairn_app TO plain_owner")
        admin.execute("ALTER DATABASE unmigrated OWNER TO plain_owner")
    plain = psycopg.conninfo.make_conninfo(empty, user="plain_owner")
    assert migrate(plain) == [one.name for one in shipped()]
    with psycopg.connect(empty, autocommit=True) as admin:
        admin.execute("REASSIGN OWNED BY plain_owner TO CURRENT_USER")
        admin.execute("DROP OWNED BY plain_owner")
        admin.execute("DROP ROLE plain_owner")
