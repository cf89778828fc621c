"""What hashing and chaining add to an append: the ledger's function with and without them.

The variant is made in the bench's own database from the text of the real one: it stores zeros for
the hash, and is called in turns with it, batch by batch, as the writer calls.
"""

import asyncio
import itertools
import re
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from secrets import randbits
from uuid import uuid4

import psycopg

from bench.append import bodies, draft
from bench.measured import Row, Sample, in_turns, metered
from bench.setting import Setting
from infra.ledger.asking import Connections
from infra.ledger.batch import arguments, outcomes
from infra.ledger.postgres import SQL
from infra.ledger.types import Append, Appended
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
    hashing = SQL["append"]
    plain = hashing.replace("append_batch", PLAIN)
    batches = setting.size(BATCHES, 15)
    connect_here = partial(connect, conninfo)
    with (
        closing(Connections(hashing, connect_here)) as one,
        closing(Connections(plain, connect_here)) as other,
    ):
        ways = {
            name: partial(_appended, setting, name, connections, batches)
            for name, connections in (("hashing", one), ("plain", other))
        }
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


def _appended(setting: Setting, study: str, connections: Connections, batches: int) -> Sample:
    facts = bodies()
    run = uuid4().hex[:8]
    tokens = itertools.count(randbits(62))
    appends = []
    for number in range(batches):
        people = [f"{run}-{number // len(facts)}-{one}" for one in range(BATCH)]
        body, when = facts[number % len(facts)]
        version = number % len(facts) + 1
        appends.append([Append((draft(name, version, body, when),)) for name in people])

    async def append() -> int:
        for some in appends:
            rows = await connections.ask(arguments(study, list(zip(tokens, some, strict=False))))
            assert all(isinstance(outcome, Appended) for outcome in outcomes(some, rows))
        return batches * BATCH

    return metered(lambda: asyncio.run(append()), setting.keeper)
