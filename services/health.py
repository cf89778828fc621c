"""Whether a process may be trusted with events, and how far the readers of the ledger are behind:
said by every process in the same words."""

from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from infra.ledger.types import StoreAway
from infra.postgres.migrate import MigrationProblem
from services.bootstrap import Cairn
from services.state import recorded


def readiness(cairn: Cairn) -> dict[str, Any]:
    """What `/health/ready` answers: ready unless there are `problems`."""
    try:
        problems = cairn.problems()
        lag = cairn.lag() if not problems else {}
        halted = cairn.halted() if not problems else {}
    except (StoreAway, MigrationProblem) as error:
        problems, lag, halted = [str(error)], {}, {}
    return {
        "status": "unready" if problems else "ready",
        "problems": problems,
        "lag": lag,
        # A standby that is away makes nothing unready: what is posted goes on.
        "reads": cairn.reads.place(),
        # The ledger and the views go on without brokers: what is not relayed makes nothing unready.
        "relay_halted": halted,
    }


class Lags:
    """How far the readers of the ledger are behind, for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Gauge(
            "cairn_lag_seconds",
            "How long ago the first event was recorded that a reader does not reflect yet.",
            ("reader", "study"),
            registry=registry,
        )
        self._events = Gauge(
            "cairn_lag_events",
            "How many events a reader of the ledger is behind, by study.",
            ("reader", "study"),
            registry=registry,
        )
        self._relay_halted = Gauge(
            "cairn_relay_halted",
            "1 for a study that is not relayed before an operator has looked, with the reason.",
            ("study", "reason"),
            registry=registry,
        )

    def look(self, cairn: Cairn) -> None:
        """Set them to what the store says now; without a store they stay as they were."""
        with suppress(StoreAway):
            lag, halted = cairn.lag(), cairn.halted()
            self._events.clear()
            self._seconds.clear()
            for reader, studies in lag.items():
                for study, events in studies.items():
                    self._events.labels(reader, study).set(events)
                    self._seconds.labels(reader, study).set(_seconds(cairn, study, events))
            self._relay_halted.clear()
            for study, reason in halted.items():
                self._relay_halted.labels(study, reason).set(1)


def _seconds(cairn: Cairn, study: str, events: int) -> float:
    """How old the oldest of a study's newest so many events is."""
    if not events:
        return 0.0
    (first,) = cairn.ledger.read(study, cairn.ledger.head(study) - events, 1)
    return max(0.0, (cairn.clock() - recorded(first).recorded_at).total_seconds())
