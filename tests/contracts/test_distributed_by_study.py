"""Ready to be distributed by study (Citus, or a database a study): shown by PostgreSQL itself.

The tables are made as hash partitions by study, which PostgreSQL only does when every unique key
contains the study. Then one study lives its life, and the statistics tell which partitions were
read: only its own, or a statement crosses studies.
"""

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.postgres import migrate
from infra.projection.tables import statements
from projections.catalogue import VIEWS
from services.bootstrap import Settings, open_cairn
from tests.api.conftest import Api, Clock, begin, consented, event, served

PARTS = 16
TABLE = re.compile(
    r"CREATE TABLE (?:IF NOT EXISTS )?((?:cairn|views)\.\w+) \(\n"
    r"(    study text[^;]*?\n)\)(?: WITH \(fillfactor = \d+\))?;"
)
OTHERS = """
SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
"""
LISTS_STUDIES = "head"
"""The one table whose rows are asked for across studies: which studies are there at all."""


def distributed(text: str) -> str:
    """The same statements, with every table that has a study divided by it."""

    def divided(found: re.Match[str]) -> str:
        name, columns = found.groups()
        parts = "".join(
            f"CREATE TABLE {name}_p{n} PARTITION OF {name}"
            f" FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {n});\n"
            for n in range(PARTS)
        )
        return f"CREATE TABLE {name} (\n{columns}) PARTITION BY HASH (study);\n{parts}"

    # Migration 22 mends this key of migration 21.
    return TABLE.sub(divided, text.replace("UNIQUE (digest)", "UNIQUE (study, digest)"))


@pytest.fixture
def divided(server: Any) -> Iterator[str]:
    """A database whose tables are divided by study."""
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as admin:
        name = f"divided_{server.worker}"
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
    conninfo = server.conninfo(name)
    with psycopg.connect(conninfo, autocommit=True) as owner:
        owner.execute(migrate.SQL["prepare"])
        for one in migrate.shipped():
            owner.execute(distributed(one.text))
            owner.execute(migrate.SQL["record"], {"name": one.name, "sha256": one.sha256})
        for view in VIEWS:
            owner.execute(distributed(statements(view)["table"]))
            owner.execute(f"ALTER TABLE views.{view.name}_{view.version} OWNER TO cairn_app")
    with psycopg.connect(conninfo, autocommit=True) as owner:
        # Building an index scans its table, and a connection tells so when it has ended.
        while owner.execute(OTHERS).fetchall():
            time.sleep(0.01)
        owner.execute("SELECT pg_stat_reset()")
    yield conninfo
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_every_key_contains_the_study(database: str) -> None:
    with psycopg.connect(database) as owner:
        for view in VIEWS:
            owner.execute(statements(view)["table"])
        keys = owner.execute(
            """
            SELECT c.conrelid::regclass::text, c.conname, array_agg(a.attname::text)
            FROM pg_constraint c
            JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
            WHERE c.contype IN ('p', 'u', 'f') AND c.connamespace::regnamespace::text
                IN ('cairn', 'views')
            GROUP BY 1, 2
            UNION ALL
            SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text,
                array_agg(a.attname::text)
            FROM pg_index i
            JOIN pg_class t ON t.oid = i.indrelid
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indisunique AND t.relnamespace::regnamespace::text IN ('cairn', 'views')
            GROUP BY 1, 2
            """
        ).fetchall()
    assert len(keys) > 20
    without = [(table, key) for table, key, columns in keys if "study" not in columns]
    assert {table.removeprefix("cairn.") for table, _ in without} == {"migration"}, without


@pytest.mark.anyio
async def test_no_statement_of_a_study_reads_another_study(divided: str, tmp_path: Path) -> None:
    everything = TABLE.findall("".join(one.text for one in migrate.shipped()))
    assert {"cairn.event", "cairn.head", "views.projection"} <= {name for name, _ in everything}
    clock = Clock()
    # A connection tells what it read when it is closed.
    opened = open_cairn(Settings(data=tmp_path), conninfo=divided, clock=clock)
    with contextlib.closing(opened) as cairn:
        async with served(cairn, clock) as api:
            await _live(api)
    crossed, own = _read(divided)
    assert {"cairn.event", "views.schedule_2", "cairn.refusal"} <= own
    assert not crossed, f"read or written although they hold other studies: {sorted(crossed)}"


async def _live(api: Api) -> None:
    """What the append path and the read paths do, as a sender, a coordinator and an auditor."""
    await begin(api)
    for name in ("P-1", "P-2"):
        assert (await api.refer(name)).status_code == 201
    sent = consented(id="C-1", source="urn:edc")
    first = await api.post("/participants/P-1/events", sent)
    assert (first.status_code, (await api.post("/participants/P-1/events", sent)).status_code) == (
        *(201, 200),
    )
    refused = await api.post("/participants/P-1/events", event("enrolled"))
    assert refused.status_code == 409
    assert (await api.post("/calendars", {"site": "01"})).status_code == 201
    api.cairn.projector.catch_up("S-1")
    await api.cairn.concluding.conclude_due("S-1", api.clock.now)
    for path in (
        *("/participants", "/eligibility", "/schedule", "/safety", "/deviations", "/enrolment"),
        *("/worklist", "/matrix", "/workload", "/adherence", "/log", "/refusals", "/calendars"),
        *("/eligibility/missing", "/eligibility/criteria", "/participants?as_of=3"),
        *("/participants/P-1", "/participants/P-1/events", "/participants/P-1/replay?version=2"),
        *("/protocols", "/sites", "/participants?as_of=2026-11-22T10:30:00Z", ""),
    ):
        answer = await api.get(path)
        assert answer.status_code == 200, (path, answer.text)
    api.cairn.projector.rebuild("S-1", "schedule")


def _read(conninfo: str) -> tuple[set[str], set[str]]:
    """Tables with partitions of other studies that were scanned; and those with the own one."""
    with psycopg.connect(conninfo, autocommit=True) as owner:
        scanned = owner.execute(
            """
            SELECT s.schemaname || '.' || regexp_replace(s.relname, '_p\\d+$', ''),
                satisfies_hash_partition(p.inhparent, %s,
                    substring(s.relname FROM '_p(\\d+)$')::int, 'S-1'::text) AS ours,
                coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0) + s.n_tup_ins
            FROM pg_stat_all_tables s JOIN pg_inherits p ON p.inhrelid = s.relid
            """,
            [PARTS],
        ).fetchall()
    touched = [(table, ours) for table, ours, count in scanned if count]
    crossed = {table for table, ours in touched if not ours} - {f"cairn.{LISTS_STUDIES}"}
    return crossed, {table for table, ours in touched if ours}
