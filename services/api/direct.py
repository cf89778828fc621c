"""The hot routes without the framework's detour: posts of events read raw bytes and answer raw
bytes, so nothing is injected, converted or validated on the way to them.

They are routes of the framework all the same, which documents them and answers every other method.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Request, Exception], Awaitable[Response]]

_PARAMETER = re.compile(r"\{([a-z]+)\}")


class Route(NamedTuple):
    """A path with parameters, as the figures of requests name it."""

    path: str
    endpoint: Endpoint
    pattern: re.Pattern[str]


class Direct:
    """Answers posts of the given paths; everything else goes on to the application."""

    def __init__(
        self,
        app: ASGIApp,
        endpoints: Mapping[str, Endpoint],
        refusals: tuple[type[Exception], ...],
        refused: Handler,
    ) -> None:
        self._app = app
        self._routes = [Route(path, one, _pattern(path)) for path, one in endpoints.items()]
        self._refusals = refusals
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = self._found(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await found.endpoint(request)
        except self._refusals as error:
            response = await self._refused(request, error)
        await response(scope, receive, send)

    def _found(self, scope: Scope) -> Route | None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
            return None
        path: str = scope["path"]
        for route in self._routes:
            match = route.pattern.fullmatch(path)
            if match is not None:
                parameters: dict[str, Any] = match.groupdict()
                scope["path_params"], scope["route"] = parameters, route
                return route
        return None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", path))
