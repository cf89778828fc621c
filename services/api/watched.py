"""Around every request: its figures, one log line, and a plain problem when a defect shows."""

import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.ledger.types import Stored
from services import logs
from services.api.replies import SECURITY_HEADERS, problem_reply
from services.health import Lags
from services.problems import Answered, answered

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

BUCKETS_EVENTS = (1, 2, 3, 5, 10, 20, 50, 100, 1_000)


Log = Callable[..., None]
"""Logs something that happened: by its name, and circumstances by theirs."""


class Measures:
    """The figures of the REST interface, for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "cairn_http_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "cairn_http_request_seconds",
            "Time to answer, by route.",
            ("route",),
            buckets=BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        """Routes, methods and statuses are few; looking their figures up anew would cost more than
        counting."""
        self._refusals = Counter(
            "cairn_refusals",
            "Refusals by problem and rule.",
            ("problem", "rule"),
            registry=self.registry,
        )

        self._appends = Histogram(
            "cairn_append_events",
            "Events recorded together, conclusions included: how many appends of which size.",
            buckets=BUCKETS_EVENTS,
            registry=self.registry,
        )
        self.lags = Lags(self.registry)

    def appended(self, stored: Sequence[Stored]) -> None:
        """Count an append."""
        self._appends.observe(len(stored))

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        known = self._answers.get((route, method, status))
        if known is None:
            counter = self._requests.labels(route, method, str(status))
            known = self._answers[route, method, status] = counter, self._seconds.labels(route)
        known[0].inc()
        known[1].observe(seconds)

    def refused(self, problem: Answered) -> None:
        """Count a refusal by its rule; rules are a closed set, never something that was sent."""
        rule = str(problem.members.get("rule", ""))
        self._refusals.labels(problem.kind.type, rule).inc()


class Watched:
    """The outermost layer: nothing of a defect reaches the client or, beyond its kind, the log."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self.answer(self._app, scope, receive, send, time.perf_counter())

    async def answer(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, began: float
    ) -> None:
        """Answer one request, begun at a moment of `perf_counter`, by an application."""
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", ())
                secured = _secured(headers)
                if secured is not headers:
                    message = {**message, "headers": secured}
            await send(message)

        try:
            await app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - the last wall: a defect is logged, not shown
            logs.defect(error)
            if status == 0:
                problem = answered("internal", "A defect of the server; it is logged.")
                await problem_reply(problem)(scope, receive, watched)
        finally:
            self.count(scope, status, time.perf_counter() - began)

    def count(self, scope: Scope, status: int, seconds: float, log: Log = logs.happened) -> None:
        """Put a request that is answered among the figures and into the log."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._measures.answered(route, method, status, seconds)
        log(
            "request",
            route=route,
            method=method,
            status=status,
            milliseconds=round(seconds * 1000, 3),
        )


def _secured(headers: Sequence[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
    """The headers with those that every answer has."""
    if tuple(headers[-len(SECURITY_HEADERS) :]) == SECURITY_HEADERS:
        return headers
    sent = {name for name, _ in headers}
    return [*headers, *[pair for pair in SECURITY_HEADERS if pair[0] not in sent]]


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
