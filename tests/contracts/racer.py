"""One of two processes that record at the same instant: own pool, own memory, one ledger."""

import asyncio
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from threading import Barrier
from typing import Any

from domain.kernel import Actor, Refused
from infra.documents import PostgresDocuments
from infra.ledger.postgres import PostgresLedger
from infra.postgres.pool import Pool, open_pool
from infra.vault.keyring import KeyRing, MemoryKeyStore
from services.door import posted
from services.record import Recording, Terms
from services.state import HotState

NOW = datetime(2027, 1, 4, 15, 0, tzinfo=UTC)
START_SECONDS_MAX = 60


@dataclass(frozen=True)
class Attempt:
    """An event that one of them tries to record."""

    study: str
    participant: str
    role: str
    document: dict[str, Any]


def recording_on(pool: Pool, ledger: PostgresLedger) -> Recording:
    """What a process of the API records with."""
    documents = PostgresDocuments(pool)
    keys = KeyRing(bytes(32), MemoryKeyStore())
    return Recording(ledger, keys, HotState(ledger, documents), lambda: NOW)


def race(conninfo: str, pipe: Connection, start: Barrier) -> None:
    """Try what the pipe brings, each time at the same instant as the other; until it brings None.

    Both have read the study and the participant before they start: each judges on the state in
    which its own act is still allowed.
    """
    with closing(open_pool(conninfo, size=4)) as pool:
        while (attempt := pipe.recv()) is not None:
            # A ledger keeps a connection for each study it writes to: with a hundred studies the
            # connections would run out.
            with closing(PostgresLedger(pool)) as ledger:
                recording = recording_on(pool, ledger)
                recording.trial(attempt.study)
                recording.participant(attempt.study, attempt.participant)
                start.wait(START_SECONDS_MAX)
                found = asyncio.run(_tried(recording, attempt))
            pipe.send(found)


async def _tried(recording: Recording, attempt: Attempt) -> str:
    """`recorded`, or the rule by which it was refused."""
    who = attempt.participant
    event = posted(attempt.document, participant=who)
    terms = Terms(Actor(id=f"a.{attempt.role}", role=attempt.role), "urn:race")
    try:
        await recording.record(attempt.study, who, [event], terms)
    except Refused as refused:
        return refused.rule
    return "recorded"
