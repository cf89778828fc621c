"""Background loops beside the server: the projector, the worker by Kafka, and the clock worker.

They never end by themselves: when the store is away, or a defect shows, they say so and try again
later. What they do is safe to break off at any moment and to do twice.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

import psycopg

from infra.interpreter import set_to_fold
from infra.kafka.activity import Activity
from infra.ledger.types import StoreAway
from infra.postgres.lease import Lease
from infra.postgres.pool import conninfo_of as conninfo_of_pool
from services import logs
from services.bootstrap import Cairn, worker_ports
from services.pulse import beat

BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
STOP_SECONDS_MAX = 20.0
CLOCK_SECONDS = 15.0
"""How often the clock worker looks for windows that closed; at a reporting limit it is there."""
CLOCK_LEASE = "clock"
CLOCK_LEASE_SECONDS = 300.0
"""A process that hangs in one look for so long gives way; one that dies does so at once."""


class Loop:
    """Calls `step` in a thread of its own until halted: at once again while it answers that there
    is more to do, else after `pause()` seconds, and after a failure later each time."""

    def __init__(
        self, name: str, step: Callable[[], bool], pause: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.name = name
        self._step = step
        self._pause = pause
        self._halted = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def halt(self) -> None:
        """Ask it to end after the step at hand."""
        self._halted.set()

    def join(self) -> None:
        """Wait for its end, a bounded time."""
        self._thread.join(STOP_SECONDS_MAX)

    def _run(self) -> None:
        failures = 0
        while not self._halted.is_set():
            try:
                pause = 0.0 if self._step() else self._pause()
            except (StoreAway, psycopg.OperationalError) as error:
                logs.warned("store-away", loop=self.name, kind=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - one defect must not end the loop for good
                logs.defect(error)
            else:
                failures = 0
                self._halted.wait(pause)
                continue
            failures += 1
            self._halted.wait(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1])


class Workers:
    """The projector and the clock worker of one process; they start and end together.

    With `by_kafka` the process shares the views with others, as a member of a consumer group. Its
    projector then stands by: it follows the ledger when Kafka brings nothing any more.
    """

    def __init__(self, cairn: Cairn, *, by_kafka: bool = False) -> None:
        self._cairn = cairn
        self._over = threading.Event()
        self.activity: Activity | None = None
        """How the work by Kafka goes."""
        concluding = cairn.concluding
        self._loops = [
            Loop("projector", self._project),
            Loop("clock", self._conclude, lambda: concluding.pause(CLOCK_SECONDS)),
        ]
        self._by_kafka = by_kafka
        if by_kafka:
            ports = replace(worker_ports(cairn), beat=beat)
            from infra.kafka.workers import Worker

            self._worker = Worker(ports)
            self.activity = ports.activity
            self._loops.append(Loop("kafka-worker", self._take_in))

    def __enter__(self) -> Self:
        for loop in self._loops:
            loop.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for loop in self._loops:
            loop.halt()
        self._cairn.projector.stop(self._over)
        for loop in self._loops:
            loop.join()

    def wait(self) -> None:
        """Stay until a signal ends the process, which is theirs alone."""
        set_to_fold()
        self._over.wait()

    def _project(self) -> bool:
        """Follow the ledger until told to stop."""
        self._cairn.projector.run(self._over, stand_by=self._by_kafka)
        return False

    def _conclude(self) -> bool:
        """Conclude what is due, unless another process is at it: each would judge everybody whom
        time concerns, and the ledger take one's conclusions."""
        lease = Lease.taken(conninfo_of_pool(self._cairn.pool), CLOCK_LEASE, CLOCK_LEASE_SECONDS)
        if lease is None:
            return False
        with lease:
            return self._cairn.concluding.step()

    def _take_in(self) -> bool:
        """Take in what the group gives until told to stop."""
        self._worker.run(self._over)
        return False
