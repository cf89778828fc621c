"""Figures and readiness of a process that has no interface of its own: a small port on loopback.

`/health/live`, `/health/ready` and `/metrics`, as the interface answers them, with what the process
does for brokers beside it. One request at a time: who asks are a scraper and a supervisor.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from infra.kafka.activity import Activity
from services import pulse
from services.bootstrap import Cairn
from services.health import Lags, readiness
from services.listening import LOOPBACK, taken

REQUEST_SECONDS_MAX = 5.0
"""Who connects and says nothing does not keep others waiting for longer."""
JSON = "application/json"

More = Callable[[], Iterable[Metric]]
"""Figures of a process's own, as they are now."""


class _Watched:
    """What there is to say of the process."""

    def __init__(self, cairn: Cairn, activity: Activity | None, more: More) -> None:
        self._cairn = cairn
        self._activity = activity
        self._more = more
        self._registry = CollectorRegistry()
        self._lags = Lags(self._registry)
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The figures that are read from the work itself (Prometheus' collector)."""
        age = "How long ago the process's work last went round."
        yield GaugeMetricFamily("cairn_pulse_seconds", age, value=pulse.age_seconds())
        if self._activity is not None:
            yield from _of(self._activity)
        yield from self._more()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, media type and content."""
        match path.partition("?")[0]:
            case "/health/live":
                return 200, JSON, orjson.dumps({"status": "live"})
            case "/health/ready":
                content = self._readiness()
                return 503 if content["problems"] else 200, JSON, orjson.dumps(content)
            case "/metrics":
                self._lags.look(self._cairn)
                return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        return 404, JSON, orjson.dumps({"status": "not-found"})

    def _readiness(self) -> dict[str, Any]:
        """As of the interface; a process that cannot do its work is not ready for it either."""
        content = readiness(self._cairn)
        problems = list(content["problems"])
        if pulse.age_seconds() > pulse.HANGS_SECONDS:
            problems.append("the work does not go round")
        troubles = {} if self._activity is None else self._activity.troubles
        problems += [f"{of or 'the work'} waits: {kind}" for of, kind in sorted(troubles.items())]
        return {**content, "problems": problems, "status": "unready" if problems else "ready"}


def _of(activity: Activity) -> Iterator[Metric]:
    held = GaugeMetricFamily(
        "cairn_partitions",
        "Partitions of the study's topic that are this process's; 1 for a study that it relays.",
        labels=["study"],
    )
    for study, partitions in activity.held.items():
        held.add_metric([study], partitions)
    interruptions = CounterMetricFamily(
        "cairn_interruptions",
        "How often the work was broken off, and taken up again, by the kind of trouble.",
        labels=["kind"],
    )
    for kind, times in activity.interruptions.items():
        interruptions.add_metric([kind], times)
    changes = "How often the consumer group gave partitions to this process or took them away."
    yield held
    yield interruptions
    yield CounterMetricFamily("cairn_rebalances", changes, value=activity.rebalances)


class _Handler(BaseHTTPRequestHandler):
    """One request; what it says of itself is nobody's business."""

    timeout = REQUEST_SECONDS_MAX
    watched: _Watched

    def do_GET(self) -> None:
        """Answer it."""
        status, media_type, content = self.watched.answer(self.path)
        self.send_response_only(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the path is the asker's."""


class _Server(HTTPServer):
    """On an address that was taken before."""

    def handle_error(self, *_: object) -> None:
        """Nothing: whoever asked has gone, or asks again."""


@contextlib.contextmanager
def watched(
    cairn: Cairn,
    port: int,
    activity: Activity | None = None,
    more: More = tuple,
) -> Iterator[None]:
    """Answer who watches the process, while the block lasts. CannotListen."""
    handler = type("_Bound", (_Handler,), {"watched": _Watched(cairn, activity, more)})
    with contextlib.closing(taken(LOOPBACK, port, "--metrics-port")) as listening:
        server = _Server(listening.getsockname(), handler, bind_and_activate=False)
        server.socket.close()
        server.socket = listening
        thread = threading.Thread(target=server.serve_forever, name="watched", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(REQUEST_SECONDS_MAX)
