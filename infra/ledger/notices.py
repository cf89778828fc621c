"""Wake-ups between processes: NOTIFY outside the append, coalesced, and LISTEN. Hints, no more.

Inside the append NOTIFY would make commits wait for each other. A wake-up may be lost with its
connection; every reader therefore also polls.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import Connection

from infra.ledger.ledger import Deaf, Wake
from infra.postgres.statements import load

SQL = load("ledger")

NOTIFY_SECONDS = 0.025
LISTEN_SECONDS = 0.2
RECONNECT_SECONDS = 1.0
CLOSE_SECONDS = 5.0

Connect = Callable[[], Connection[tuple[Any, ...]]]


class Notices:
    """Tells this process's listeners at once and other processes soon."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._wakes: list[Wake] = []
        self._changed: set[str] = set()
        self._some_changed = threading.Event()
        self._closing = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def appended(self, study: str) -> None:
        """Something was appended to the study by this process."""
        self._wake(study)
        with self._lock:
            self._changed.add(study)
        self._some_changed.set()
        self._start("ledger-notify", self._send)

    def listen(self, wake: Wake) -> Deaf:
        """Call `wake` for every study that any process appends to; what is returned ends it."""
        with self._lock:
            self._wakes = [*self._wakes, wake]
        self._start("ledger-listen", self._receive)

        def deaf() -> None:
            with self._lock:
                self._wakes = [one for one in self._wakes if one is not wake]

        return deaf

    def close(self) -> None:
        """Send what is due, then end the threads and their connections."""
        self._closing.set()
        self._some_changed.set()
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(CLOSE_SECONDS)

    def _start(self, name: str, run: Callable[[Connection[tuple[Any, ...]]], None]) -> None:
        with self._lock:
            if name not in self._threads and not self._closing.is_set():
                thread = threading.Thread(target=self._keep, args=(run,), name=name, daemon=True)
                self._threads[name] = thread
                thread.start()

    def _keep(self, run: Callable[[Connection[tuple[Any, ...]]], None]) -> None:
        """Run on a connection, and again on a new one when it is lost."""
        while not self._closing.is_set():
            with contextlib.suppress(psycopg.Error), self._connect() as connection:
                run(connection)
            self._closing.wait(RECONNECT_SECONDS)

    def _send(self, connection: Connection[tuple[Any, ...]]) -> None:
        while True:
            self._some_changed.wait()
            self._some_changed.clear()
            with self._lock:
                studies, self._changed = sorted(self._changed), set()
            if studies:
                connection.execute(SQL["notify"], {"studies": studies})
            if self._closing.wait(NOTIFY_SECONDS):
                return

    def _receive(self, connection: Connection[tuple[Any, ...]]) -> None:
        connection.execute(SQL["listen"])
        while not self._closing.is_set():
            for notice in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                self._wake(notice.payload)

    def _wake(self, study: str) -> None:
        for wake in self._wakes:
            # A hint that fails is lost, as any hint may be; it must not stop who gives it.
            with contextlib.suppress(Exception):
                wake(study)
