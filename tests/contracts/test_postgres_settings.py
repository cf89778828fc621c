"""The server's settings: what would lose or alter confirmed events is named."""

import psycopg
import pytest
from psycopg import Connection

from infra.postgres.settings import problems


@pytest.fixture
def connection(database: str):
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened


def test_a_server_with_safe_settings_has_no_problem(connection: Connection) -> None:
    assert problems(connection) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("SET synchronous_commit = off", "synchronous_commit is off"),
        ("SET ignore_checksum_failure = on", "ignore_checksum_failure is on"),
        ("SET zero_damaged_pages = on", "zero_damaged_pages is on"),
    ],
)
def test_an_unsafe_setting_is_named(connection: Connection, change: str, named: str) -> None:
    connection.execute(change)
    (problem,) = problems(connection)
    assert named in problem
