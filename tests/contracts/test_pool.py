"""Connections of the pool: one that was lost meanwhile is not handed out, one that was not is asked
nothing."""

import select
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from infra.postgres.pool import Pool, open_pool, reading

WAIT_MILLISECONDS = 30_000
STATE = "SELECT state_change FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.fixture
def single(database: str) -> Iterator[Pool]:
    """A pool of one connection."""
    with closing(open_pool(database, size=1)) as found:
        yield found


def used(pool: Pool) -> tuple[int, Any]:
    """The server process behind the pool's connection, and its socket."""
    with reading(pool) as connection:
        ((pid,),) = connection.execute("SELECT pg_backend_pid()").fetchall()
        return pid, connection.fileno()


def test_a_connection_that_the_server_ended_is_replaced_unnoticed(
    owner: psycopg.Connection, single: Pool
) -> None:
    pid, socket = used(single)
    owner.execute("SELECT pg_terminate_backend(%s)", [pid])
    word = select.poll()
    word.register(socket, select.POLLIN)
    assert word.poll(WAIT_MILLISECONDS), "the server said nothing"
    after, _ = used(single)
    assert after != pid


def test_a_connection_that_is_there_is_handed_out_without_asking_the_server(
    owner: psycopg.Connection, single: Pool
) -> None:
    pid, _ = used(single)
    before = owner.execute(STATE, [pid]).fetchall()
    with reading(single):
        pass
    assert owner.execute(STATE, [pid]).fetchall() == before
    assert used(single)[0] == pid
