"""What one would write without Cairn: FastAPI and the event store library, as its manual shows.

One aggregate per participant, one event per request, `save()` in the thread pool. It validates the
envelope and stores the event durably; it knows no token, no rule, no conclusion, no repetition.
"""

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

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


def create_bare_app() -> FastAPI:
    """A route that reads a body and answers: the framework and the sockets alone."""
    app = FastAPI()

    @app.post("/participants/{participant}/events", status_code=201)
    async def post(participant: str, posted: Posted) -> dict[str, Any]:
        return {"participant": participant, "version": len(posted.data)}

    return app
