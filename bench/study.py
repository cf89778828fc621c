"""A study that benches fill: LK-23-01 with its site, and participants with whole journeys."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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


def projector(cairn: Cairn) -> Projector:
    """A projector that remembers nothing, before tables that hold nothing of the study."""
    tables = cairn.tables
    tables.begin(STUDY)
    with cairn.pool.connection() as connection:
        for view in tables.views.values():
            connection.execute(f"DELETE FROM views.{view.name}_{view.version}".encode())
        connection.execute("DELETE FROM views.projection")
    return Projector(cairn.ledger, cairn.documents, tables)
