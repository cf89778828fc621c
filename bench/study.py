"""A study that benches fill: LK-23-01 with its site, and participants with whole journeys."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from bench.journey import STUDY, documents
from bench.served import opened
from bench.setting import Setting
from domain.kernel import Actor
from infra.projection.projector import Projector
from services import logs
from services.bootstrap import Cairn, Settings, open_cairn
from services.door import Posted, posted
from services.record import Group, Terms

TERMS = Terms(Actor(id="bench", role="administrator"), "urn:bench")
AT_ONCE = 50
ERROR = 40

MULTIPLY = (
    """
    INSERT INTO cairn.event (study, position, stream, version, topic, source, event_id,
                             fingerprint, append, recorded_at, body, hash)
    SELECT study, copy * %(head)s + position, stream || '-' || copy, version, topic, source,
        event_id || '-' || copy, fingerprint, copy * %(head)s + append, recorded_at, body, hash
    FROM cairn.event CROSS JOIN generate_series(1, %(copies)s::bigint) copy
    WHERE study = %(study)s AND stream <> '$study'
    """,
    """
    UPDATE cairn.head SET position = (SELECT max(position) FROM cairn.event WHERE study = %(study)s)
    WHERE study = %(study)s
    """,
    """
    UPDATE views.projection SET position =
        (SELECT max(position) FROM cairn.event WHERE study = %(study)s)
    WHERE study = %(study)s
    """,
)


@contextmanager
def study(setting: Setting) -> Iterator[Cairn]:
    """Cairn on a database of its own, with the study open and nobody in it."""
    logs.configure(level=ERROR)
    cairn = open_cairn(Settings(data=setting.folder), conninfo=setting.database())
    try:
        asyncio.run(opened(cairn))
        yield cairn
    finally:
        cairn.close()


def journey(name: str) -> list[Posted]:
    """A participant's twenty events as they come through the door."""
    return [posted(one, participant=name) for one in documents(name)]


def names(count: int, prefix: str = "P") -> list[str]:
    """So many participants."""
    return [f"{prefix}-{number:06}" for number in range(count)]


def filled(cairn: Cairn, participants: Sequence[str]) -> None:
    """Whole journeys, one after the other: each participant's events stand side by side."""

    async def everybody() -> None:
        for start in range(0, len(participants), AT_ONCE):
            some = participants[start : start + AT_ONCE]
            posts = (cairn.recording.record(STUDY, name, journey(name), TERMS) for name in some)
            await asyncio.gather(*posts)

    asyncio.run(everybody())


def spread(cairn: Cairn, participants: Sequence[str]) -> None:
    """The same journeys with everybody in turn: no two events of a participant side by side."""

    async def everybody() -> None:
        lives = {name: journey(name) for name in participants}
        for number in range(len(lives[participants[0]])):
            for start in range(0, len(participants), AT_ONCE):
                some = participants[start : start + AT_ONCE]
                groups = [Group(name, (lives[name][number],)) for name in some]
                await cairn.recording.record_all(STUDY, groups, TERMS)

    asyncio.run(everybody())


def multiplied(cairn: Cairn, conninfo: str, events: int) -> None:
    """So many events at least: the same participants again and again under other names, by SQL.

    Their bytes are those of the first ones, and so are the positions that are named in them. The
    views stand at the end, though without rows of the new ones: a rebuild makes them.
    """
    cairn.projector.catch_up(STUDY)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        head = cairn.ledger.head(STUDY)
        values = {"study": STUDY, "head": head, "copies": max(0, -(-events // head) - 1)}
        for statement in MULTIPLY:
            connection.execute(statement, values)
        connection.execute("VACUUM (ANALYZE) cairn.event")
        connection.execute("CHECKPOINT")


def projector(cairn: Cairn) -> Projector:
    """A projector that remembers nothing, before tables that hold nothing of the study."""
    tables = cairn.tables
    tables.begin(STUDY)
    with cairn.pool.connection() as connection:
        for view in tables.views.values():
            connection.execute(f"DELETE FROM views.{view.name}_{view.version}".encode())
        connection.execute("DELETE FROM views.projection")
    return Projector(cairn.ledger, cairn.documents, tables)
