"""The log cannot be altered: not by the program, and by its owner only against a trigger."""

import psycopg
import pytest
from psycopg import Connection

from infra.ledger.postgres import PostgresLedger
from tests.contracts.test_ledger import appended, draft

BY_THE_PROGRAM = [
    "UPDATE cairn.event SET body = 'x'",
    "UPDATE cairn.event SET hash = hash",
    "DELETE FROM cairn.event",
    "TRUNCATE cairn.event",
    "INSERT INTO cairn.event SELECT * FROM cairn.event",
    "INSERT INTO cairn.event SELECT * FROM cairn.event ON CONFLICT DO NOTHING",
    "MERGE INTO cairn.event e USING cairn.event o ON false WHEN MATCHED THEN DELETE",
    "COPY cairn.event FROM PROGRAM 'true'",
    "SELECT * FROM cairn.event FOR UPDATE",
    "LOCK TABLE cairn.event IN ACCESS EXCLUSIVE MODE",
    "ALTER TABLE cairn.event DISABLE TRIGGER ALL",
    "ALTER TABLE cairn.event ADD COLUMN x int",
    "DROP TABLE cairn.event",
    "DROP INDEX cairn.event_id",
    "CREATE RULE r AS ON INSERT TO cairn.event DO INSTEAD NOTHING",
    "CREATE TRIGGER t BEFORE INSERT ON cairn.event FOR EACH ROW EXECUTE FUNCTION cairn.never()",
    "UPDATE cairn.head SET position = 0",
    "INSERT INTO cairn.head VALUES ('T', 7, '')",
    "DELETE FROM cairn.head",
    "TRUNCATE cairn.head",
    "SELECT cairn.never()",
    "DROP FUNCTION cairn.append_batch",
    "ALTER FUNCTION cairn.append_batch SET search_path = public",
    "CREATE OR REPLACE FUNCTION cairn.never() RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE cairn.mine (x int)",
    "CREATE TABLE public.event (x int)",
    "CREATE SCHEMA mine",
    "SET session_replication_role = replica",
    "SET ROLE pg_execute_server_program",
    "UPDATE cairn.migration SET sha256 = 'x'",
    "DELETE FROM cairn.migration",
    "UPDATE cairn.document SET body = 'x'",
    "DELETE FROM cairn.document",
    "TRUNCATE cairn.document",
    "UPDATE cairn.participant_key SET wrapped = 'x'",
    "TRUNCATE cairn.participant_key",
]

BY_THE_OWNER = [
    "UPDATE cairn.event SET body = 'x'",
    "DELETE FROM cairn.event",
    "TRUNCATE cairn.event",
    (
        "INSERT INTO cairn.event SELECT * FROM cairn.event"
        " ON CONFLICT (study, position) DO UPDATE SET body = 'x'"
    ),
    "UPDATE cairn.head SET position = position - 1",
    "UPDATE cairn.head SET recorded_at = ''",
    "DELETE FROM cairn.head",
    "TRUNCATE cairn.head",
    "UPDATE cairn.document SET body = 'x'",
    "DELETE FROM cairn.document",
    "TRUNCATE cairn.document",
    "UPDATE cairn.participant_key SET wrapped = 'x'",
]

FILL = """
INSERT INTO cairn.document VALUES ('S', encode(sha256('x'), 'hex'), 'x');
INSERT INTO cairn.participant_key VALUES ('S', 'A', 'k', 'x');
"""


@pytest.fixture
def filled(pool) -> None:
    ledger = PostgresLedger(pool)
    appended(ledger, draft("A", 1, "E1"), draft("A", 2, index=1))
    ledger.close()
    with pool.connection() as connection:
        connection.execute(FILL)


def contents(database: str) -> list[object]:
    with psycopg.connect(database) as owner:
        return [
            owner.execute(f"SELECT * FROM cairn.{table} ORDER BY 1, 2").fetchall()
            for table in ("event", "head", "document", "participant_key", "migration")
        ]


def refused(connection: Connection, statements: list[str]) -> list[str]:
    let_through = []
    for statement in statements:
        try:
            with connection.transaction():
                connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            continue
        let_through.append(statement)
    return let_through


@pytest.mark.usefixtures("filled")
def test_the_program_may_append_and_read_and_nothing_else(pool, database: str) -> None:
    before = contents(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET SESSION AUTHORIZATION cairn_app")
        assert refused(connection, BY_THE_PROGRAM) == []
    assert contents(database) == before


@pytest.mark.usefixtures("filled")
def test_the_owner_is_stopped_too(database: str) -> None:
    before = contents(database)
    with psycopg.connect(database, autocommit=True) as owner:
        assert refused(owner, BY_THE_OWNER) == []
    assert contents(database) == before


@pytest.mark.usefixtures("filled")
def test_every_connection_of_the_program_has_stepped_down(pool, database: str) -> None:
    with pool.connection() as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("cairn_app",)
