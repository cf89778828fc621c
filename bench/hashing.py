"""What hashing and chaining add to an append: the ledger's function with and without them.

The variant is made in the bench's own database from the text of the real one: it stores zeros for
the hash, and is called in turns with it, batch by batch, as the writer calls.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any, LiteralString, cast
from uuid import uuid4

import psycopg
from psycopg import Connection

from bench.append import bodies, draft
from bench.measured import Row, Sample, in_turns, metered
from bench.setting import Setting
from infra.ledger.arrays import register
from infra.ledger.postgres import SQL
from infra.ledger.types import Append, Appended
from infra.ledger.writer import Call, Waiting
from infra.postgres.pool import connect

BATCH = 256
BATCHES = 60
ROUNDS_MORE = 4
"""So many times the rounds of other parts: what is looked for is small."""
PLAIN = "append_batch_unhashed"


def rows(setting: Setting) -> Iterator[Row]:
    """With hashing beside without."""
    conninfo = setting.database()
    unhashed(conninfo)
    hashing = cast(LiteralString, SQL["append"])
    plain = cast(LiteralString, hashing.replace("append_batch", PLAIN))
    batches = setting.size(BATCHES, 15)
    with closing(_connected(conninfo)) as one, closing(_connected(conninfo)) as other:
        calls = {
            "hashing": Call("hashing", hashing, lambda: one),
            "plain": Call("plain", plain, lambda: other),
        }
        ways = {name: partial(_appended, setting, call, batches) for name, call in calls.items()}
        found = in_turns(ways, setting.rounds * ROUNDS_MORE)
    yield Row(
        f"append in batches of {BATCH}, hashed and chained",
        "events/s",
        found["hashing"],
        "the same function without",
        found["plain"],
        ratio_min=0.95,
    )


def unhashed(conninfo: str) -> None:
    """The variant in the database; AssertionError when the real function hashes in another way."""
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'append_batch'"
        ).fetchone()
        assert row is not None
        text, hashes = re.subn(
            r"sha256\('\\x00'::bytea \|\| \w+\)", "decode(repeat('00', 32), 'hex')", row[0]
        )
        text, chains = re.subn(r"encode\(chain\[s\], 'hex'\)", "repeat('0', 64)", text)
        assert (hashes, chains) == (1, 1), (hashes, chains)
        connection.execute(text.replace("append_batch", PLAIN, 1).encode())
        connection.execute(f"GRANT EXECUTE ON FUNCTION cairn.{PLAIN} TO cairn_app".encode())


def _connected(conninfo: str) -> Connection[tuple[Any, ...]]:
    connection = connect(conninfo)
    register(connection)
    return connection


def _appended(setting: Setting, call: Call, batches: int) -> Sample:
    facts = bodies()
    run = uuid4().hex[:8]
    appends = []
    for number in range(batches):
        people = [f"{run}-{number // len(facts)}-{one}" for one in range(BATCH)]
        body, when = facts[number % len(facts)]
        version = number % len(facts) + 1
        appends.append([Append((draft(name, version, body, when),)) for name in people])

    def append() -> int:
        for some in appends:
            waiting: Any = [Waiting(one, None, None) for one in some]  # type: ignore[arg-type]
            assert all(isinstance(outcome, Appended) for outcome in call(waiting))
        return batches * BATCH

    return metered(append, setting.keeper)
