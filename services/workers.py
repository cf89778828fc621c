"""Background loops: each in a thread of its own, woken by the ledger, polling in any case.

A loop never ends by itself: when the store is away, or a defect shows, it says so and tries again
later. What it does is safe to break off at any moment and to do twice.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import psycopg

from infra.ledger.types import StoreAway
from services import logs
from services.bootstrap import Cairn

BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
STOP_SECONDS_MAX = 20.0
CLOCK_SECONDS = 15.0
"""How often the clock worker looks for windows that closed and limits that passed."""


class Loop:
    """Calls `step` again and again until stopped.

    `step` answers whether there is more to do at once; otherwise the loop waits for a wake, at
    most `poll` seconds.
    """

    def __init__(self, name: str, step: Callable[[], bool], poll: float) -> None:
        self.name = name
        self._step = step
        self._poll = poll
        self._woken = threading.Event()
        self._halted = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self, _study: str = "") -> None:
        """Look again soon; from any thread."""
        self._woken.set()

    def halt(self) -> None:
        """Ask it to end after the step at hand."""
        self._halted.set()
        self._woken.set()

    def join(self) -> None:
        """Wait for its end, a bounded time."""
        self._thread.join(STOP_SECONDS_MAX)

    def _run(self) -> None:
        failures = 0
        while not self._halted.is_set():
            self._woken.clear()
            try:
                more = self._step()
                failures = 0
            except (StoreAway, psycopg.OperationalError) as error:
                logs.warned("store-away", loop=self.name, kind=type(error).__name__)
                failures += 1
            except Exception as error:  # noqa: BLE001 - one defect must not end the loop for good
                logs.defect(error)
                failures += 1
            if failures:
                self._halted.wait(_backoff(failures))
            elif not more:
                self._woken.wait(self._poll)


class Workers:
    """The projector and the clock worker of one process; they start and end together."""

    def __init__(self, cairn: Cairn) -> None:
        self._cairn = cairn
        self._over = threading.Event()
        self._projector = threading.Thread(target=self._project, name="projector", daemon=True)
        self._clock = Loop("clock", cairn.concluding.step, CLOCK_SECONDS)

    def __enter__(self) -> Self:
        self._projector.start()
        self._clock.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cairn.projector.stop(self._over)
        self._clock.halt()
        self._projector.join(STOP_SECONDS_MAX)
        self._clock.join()

    def wait(self) -> None:
        """Stay until a signal ends the process."""
        self._over.wait()

    def _project(self) -> None:
        failures = 0
        while not self._over.is_set():
            try:
                self._cairn.projector.run(self._over)
            except Exception as error:  # noqa: BLE001 - the views must go on being kept
                logs.defect(error)
                failures += 1
                self._over.wait(_backoff(failures))


def _backoff(failures: int) -> float:
    return BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1]
