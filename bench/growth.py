"""Growth: the same append and the same participant read with ever more events stored.

A database for each size, filled by SQL with rows like the ledger's own (the same bytes under other
names, twenty a participant), vacuumed, then measured in turns: reading first, since what appends
leave to be tidied up is done beside whatever comes next. Who is read was read once before.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial

import psycopg

from bench.append import CALLERS, STUDY, appended, journey
from bench.journey import FACTS
from bench.measured import Row, Sample, in_turns, metered
from bench.setting import Setting
from infra.ledger.postgres import PostgresLedger
from infra.ledger.types import Append
from infra.postgres.pool import open_pool

SIZES = (10_000, 100_000, 1_000_000)
READS = 2_000
READ = 50
"""Participants that are read, appended before the rest and so among the oldest."""
ROUNDS_MORE = 2
WANTED = 1 / 1.2

FILL = """
    INSERT INTO cairn.event (study, position, stream, version, topic, source, event_id,
                             fingerprint, append, recorded_at, body, hash)
    SELECT study, n, 'filler-' || md5((n / 20)::text), 1 + n %% 20, topic, source, 'filler-' || n,
        fingerprint, n, recorded_at, body, sha256(n::text::bytea)
    FROM generate_series(%(first)s::bigint, %(last)s) n
    JOIN cairn.event e ON e.study = %(study)s AND e.position = 1 + n %% 20
"""


def rows(setting: Setting) -> Iterator[Row]:
    """Each size beside the smallest."""
    sizes = SIZES[: setting.size(3, 2)]
    with ExitStack() as stack:
        ledgers = {}
        for size in sizes:
            pool = stack.enter_context(closing(open_pool(conninfo := setting.database())))
            ledgers[size] = stack.enter_context(closing(PostgresLedger(pool)))
            _filled(conninfo, ledgers[size], size)
        for ledger in ledgers.values():
            _read(setting, ledger)
        for what, unit, way in (
            ("reading a participant of 20 events", "reads/s", _read),
            (f"append, {CALLERS} callers", "events/s", _append),
        ):
            ways = {str(size): partial(way, setting, ledger) for size, ledger in ledgers.items()}
            found = in_turns(ways, setting.rounds * ROUNDS_MORE)
            smallest = found[str(sizes[0])]
            for size in sizes[1:]:
                yield Row(
                    f"{what}, {size:,} events stored",
                    unit,
                    found[str(size)],
                    f"the same with {sizes[0]:,}",
                    smallest,
                    ratio_min=round(WANTED, 2),
                )


def _filled(conninfo: str, ledger: PostgresLedger, size: int) -> None:
    for number in range(READ):
        ledger.append_now(STUDY, Append(tuple(journey(f"P-{number}"))))
    first = ledger.head(STUDY) + 1
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(FILL, {"study": STUDY, "first": first, "last": size})
        connection.execute("UPDATE cairn.head SET position = %s WHERE study = %s", [size, STUDY])
        connection.execute("VACUUM (ANALYZE) cairn.event")
        connection.execute("CHECKPOINT")


def _append(setting: Setting, ledger: PostgresLedger) -> Sample:
    return appended(ledger, CALLERS, setting.size(2, 1), [], setting.keeper)


def _read(setting: Setting, ledger: PostgresLedger) -> Sample:
    def read() -> int:
        for number in range(READS):
            assert len(ledger.stream(STUDY, f"P-{number % READ}")) == len(FACTS)
        return READS

    return metered(read, setting.keeper)
