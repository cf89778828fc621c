"""What one would write without Cairn: FastAPI and the event store library, as its manual shows.

One aggregate per participant, one event per request, `save()` in the thread pool. It validates the
envelope and stores the event durably; it knows no token, no rule, no conclusion, no repetition.
"""

import asyncio
import json
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict


class Journey(Aggregate):
    """A participant's journey: what happened, in order."""

    @event("Opened")
    def __init__(self, participant: str) -> None:
        self.participant = participant
        self.happened: list[tuple[str, str, dict[str, Any]]] = []

    @staticmethod
    def create_id(participant: str) -> UUID:
        """The aggregate's id, from the participant's name."""
        return uuid5(NAMESPACE_URL, f"/participants/{participant}")

    @event("Recorded")
    def record(self, kind: str, occurred_at: str, data: dict[str, Any]) -> None:
        """One more thing happened."""
        self.happened.append((kind, occurred_at, data))


class Journeys(Application[UUID]):
    """The participants' journeys."""

    def post(self, participant: str, kind: str, occurred_at: str, data: dict[str, Any]) -> int:
        """Record one event; the journey's version after it."""
        try:
            journey: Journey = self.repository.get(Journey.create_id(participant))
        except AggregateNotFoundError:
            journey = Journey(participant)
        journey.record(kind, occurred_at, data)
        self.save(journey)
        return journey.version


class Posted(BaseModel):
    """An event as it is posted."""

    model_config = ConfigDict(extra="forbid")

    id: str
    type: str
    occurred_at: str
    data: dict[str, Any]


def create_app(settings: dict[str, str]) -> FastAPI:
    """The service; each request reads its aggregate's events, as the library does by default."""
    app = FastAPI()
    journeys = Journeys(env={"PERSISTENCE_MODULE": "eventsourcing.postgres", **settings})

    @app.post("/participants/{participant}/events", status_code=201)
    def post(participant: str, posted: Posted) -> dict[str, Any]:
        version = journeys.post(participant, posted.type, posted.occurred_at, posted.data)
        return {"participant": participant, "version": version}

    return app


class Shared:
    """One INSERT and one commit for all requests that wait: while it runs, the next ones gather."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._waiting: list[tuple[str, str, str, asyncio.Future[int]]] = []
        self._work: asyncio.Task[None] | None = None

    async def insert(self, participant: str, event_id: str, body: str) -> int:
        """Store an event; its position."""
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((participant, event_id, body, stored))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._insert())
        return await stored

    async def _insert(self) -> None:
        if self._connection is None:
            connect = psycopg.AsyncConnection.connect
            self._connection = await connect(self._conninfo, autocommit=True)
            await self._connection.execute(TABLE)
        while self._waiting:
            batch, self._waiting = self._waiting, []
            participants, ids, bodies, waiting = map(list, zip(*batch, strict=True))
            cursor = await self._connection.execute(INSERT, [participants, ids, bodies])
            for stored, (position,) in zip(waiting, await cursor.fetchall(), strict=True):
                stored.set_result(position)


TABLE = """
    CREATE TABLE IF NOT EXISTS happened (
        position bigserial PRIMARY KEY,
        participant text NOT NULL,
        id text NOT NULL UNIQUE,
        body text NOT NULL
    )
"""
INSERT = """
    INSERT INTO happened (participant, id, body)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])
    RETURNING position
"""


def create_shared_app(conninfo: str) -> FastAPI:
    """What sharing the commit alone brings: no domain, no order within a participant, no answer to
    a repetition. A ceiling for whoever stores each posted event durably from one worker."""
    app, shared = FastAPI(), Shared(conninfo)

    @app.post("/participants/{participant}/events", status_code=201)
    async def post(participant: str, posted: Posted) -> dict[str, Any]:
        body = json.dumps(posted.data)
        return {"position": await shared.insert(participant, posted.id, body)}

    return app


def create_bare_app() -> FastAPI:
    """A route that reads a body and answers: the framework and the sockets alone."""
    app = FastAPI()

    @app.post("/participants/{participant}/events", status_code=201)
    async def post(participant: str, posted: Posted) -> dict[str, Any]:
        return {"participant": participant, "version": len(posted.data)}

    return app
