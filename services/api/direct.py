"""The hot routes without the framework's detour: posts of events read raw bytes and answer raw
bytes, so nothing is injected, converted or validated on the way to them.

They are routes of the framework all the same, which documents them and answers every other method.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services import logs
from services.api.replies import Told
from services.api.watched import Measures, Watched

Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Request, Exception], Awaitable[Response]]

_PARAMETER = re.compile(r"\{([a-z]+)\}")


class Route(NamedTuple):
    """A path with parameters, as the figures of requests name it."""

    path: str
    endpoint: Endpoint
    pattern: re.Pattern[str]


class Fields(Headers):
    """The headers of a request, gone through once: each is asked for by name and seldom there."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        self._first = dict(reversed(self.raw))

    def get(self, name: str, default: Any = None) -> Any:
        """The first header of the name, which is in lower case."""
        found = self._first.get(name.encode("latin-1"))
        return default if found is None else found.decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.encode("latin-1") in self._first

    def getlist(self, name: str) -> list[str]:
        """Every header of the name, which is in lower case."""
        return super().getlist(name) if name in self else []


class Hot(Request):
    """A request of a hot route."""

    headers: Headers = Headers(raw=[])
    """Each request has its own; asked for often, they are not looked for each time."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.headers = Fields(scope)


class Direct:
    """Answers posts of the given paths; everything else goes on to the framework."""

    def __init__(
        self,
        app: FastAPI,
        endpoints: Mapping[str, Endpoint],
        refusals: tuple[type[Exception], ...],
        refused: Handler,
        measures: Measures,
    ) -> None:
        self._app = app
        self._routes = [Route(path, one, _pattern(path)) for path, one in endpoints.items()]
        self._refusals = refusals
        self._refused = refused
        self._watched = Watched(app, measures)

    async def answers(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer one request if it is one of these; whether it was."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
            return False
        path: str = scope["path"]
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match is not None:
                scope["app"], scope["route"] = self._app, route
                scope["path_params"] = match.groupdict()
                await self._answer(route.endpoint, scope, receive, send)
                return True
        return False

    async def _answer(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        response: ASGIApp
        status = 0
        try:
            request = Hot(scope, receive, send)
            try:
                response = await endpoint(request)
            except self._refusals as error:
                response = await self._refused(request, error)
            if isinstance(response, Told) and response.left(scope):
                status = response.status_code
        except BaseException as error:  # noqa: BLE001 - it meets the last wall, as any other does
            response = _raising(error)
        if status:
            # The reply leaves when the round of the event loop is over, and so does its line.
            seconds = time.perf_counter() - began
            self._watched.count(scope, status, seconds, logs.happened_often)
        else:
            await self._watched.answer(response, scope, receive, send, began)


def _raising(error: BaseException) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    return app


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", path))
