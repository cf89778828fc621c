"""The application: routes, what becomes of errors, and what is measured around every request."""

from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.api import (
    amendments,
    audit,
    events,
    health,
    openapi,
    past,
    replay_check,
    schedules,
    studies,
    views,
    what_if,
)
from services.api.direct import Direct
from services.api.feed import Feeds
from services.api.gate import Gate
from services.api.replies import problem_reply
from services.api.watched import Measures, Watched
from services.bootstrap import Cairn
from services.door.refused import problems_of_request
from services.errors import OURS, problem_of
from services.problems import answered

PREFIX = "/v1"

_HOT = {
    f"{PREFIX}/studies/{{study}}/participants/{{participant}}/events": (
        events.post_participant_events
    ),
    f"{PREFIX}/studies/{{study}}/events": events.post_study_events,
}
"""Paths whose posts are answered without the framework's detour."""


class Interface(FastAPI):
    """The framework's application, with the hot routes before all of it."""

    direct: Direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not await self.direct.answers(scope, receive, send):
            await super().__call__(scope, receive, send)


def create_app(cairn: Cairn) -> FastAPI:
    """The REST interface of an open Cairn; whoever opened it closes it."""
    app = Interface(
        title="Cairn",
        version=version("cairn-trial"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.cairn = cairn
    app.state.gate = Gate()
    app.state.what_ifs = Gate(what_if.AT_ONCE_MAX)
    app.state.replay_checks = Gate(replay_check.AT_ONCE_MAX)
    app.state.folding = past.Folding()
    app.state.measures = Measures()
    cairn.recording.watch(app.state.measures.appended)
    app.state.feeds = Feeds(cairn)
    for part in (events, studies, amendments, views, schedules, audit, replay_check, what_if):
        app.include_router(part.router, prefix=PREFIX, dependencies=[Depends(past.of_the_present)])
    app.include_router(health.router)
    for kind in OURS:
        app.add_exception_handler(kind, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Watched, measures=app.state.measures)
    app.direct = Direct(app, _HOT, OURS, _refused, app.state.measures)
    openapi.install(app)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


async def _refused(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    assert problem is not None
    request.app.state.measures.refused(problem)
    return problem_reply(problem)


async def _http(_request: Request, error: Any) -> Response:
    """What the router itself answers: no such path, or not this method."""
    if error.status_code == 405:
        headers = dict(error.headers or {})
        return problem_reply(answered("method-not-allowed", "Not with this method.", headers))
    return problem_reply(answered("not-found", "There is nothing at this path."))


async def _invalid(_request: Request, error: Any) -> Response:
    listed = problems_of_request(error.errors())
    return problem_reply(answered("invalid", "The request is not valid.", problems=listed))
