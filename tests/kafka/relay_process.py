"""A relay in a process of its own, which ends at a named point as if its machine had failed."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from infra.kafka.brokers import Brokers
from infra.kafka.cursors import RelayCursor, RelayCursors
from infra.kafka.messages import Message
from infra.kafka.outlet import Outlet
from infra.kafka.relay import Relay
from infra.postgres.pool import Pool, open_pool
from tests.kafka.relayed import ports_on

POINTS = ("never", "before-send", "sent", "acknowledged", "moved")
SENT_SECONDS_MAX = 0.01
"""How long after a batch left the process ends at the latest; the brokers have all, some or none
of it then."""


def die() -> None:
    """As `kill -9` ends it: nothing is closed and nothing said."""
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """Counts batches, and ends the process at the point of the one that is asked for."""

    def __init__(self, point: str, batch: int) -> None:
        self._point = point
        self._left = batch

    def at(self, point: str, how: Callable[[], Any] = die) -> None:
        """Here is the point."""
        if point == self._point:
            if self._left == 0:
                how()
            self._left -= 1


class DeadlyOutlet(Outlet):
    """An outlet with three points."""

    def __init__(self, brokers: Brokers, topic: str, deadly: Deadly) -> None:
        super().__init__(brokers, topic)
        self._deadly = deadly

    def hand_over(self, messages: Sequence[Message], partitions: int) -> None:
        self._deadly.at("before-send")
        super().hand_over(messages, partitions)
        soon = random.uniform(0, SENT_SECONDS_MAX)
        self._deadly.at("sent", lambda: threading.Timer(soon, die).start())

    def acknowledged(self, seconds: float) -> bool:
        found = super().acknowledged(seconds)
        if found:
            self._deadly.at("acknowledged")
        return found


class DeadlyCursors(RelayCursors):
    """Cursors with one point."""

    def __init__(self, pool: Pool, deadly: Deadly) -> None:
        super().__init__(pool)
        self._deadly = deadly

    def move(
        self, cursor: RelayCursor, position: int, digest: str, sent: Sequence[int]
    ) -> RelayCursor:
        moved = super().move(cursor, position, digest, sent)
        self._deadly.at("moved")
        return moved


def said(name: str, **circumstances: Any) -> None:
    """What the relay tells, for the message of a test that fails."""
    print(f"{time.monotonic():.2f}", os.getpid(), name, circumstances, file=sys.stderr, flush=True)


def run(conninfo: str, bootstrap: str, study: str, point: str, batch: int, seconds: float) -> None:
    """Relay a study until the process ends, or the point of a batch is reached."""
    deadly = Deadly(point, batch)
    with closing(open_pool(conninfo)) as pool:
        ports = ports_on(
            pool,
            bootstrap,
            outlet=partial(DeadlyOutlet, deadly=deadly),
            cursors=DeadlyCursors(pool, deadly),
            lease_seconds=seconds,
            notice=said,
        )
        Relay(ports, study).run(threading.Event())
