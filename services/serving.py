"""Serving HTTP from this process: the address is taken first, and signals end it in order."""

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

LOOPBACK = "127.0.0.1"
BACKLOG_CONNECTIONS = 1_024
GRACE_SECONDS = 5
"""How long open requests may last once the end is asked for."""
KEEP_ALIVE_SECONDS = 75


class CannotListen(Exception):
    """The address cannot be taken; the message is one sentence for a person."""


class Ended(Exception):
    """A signal asks for the end while something is being prepared."""


def taken(host: str, port: int) -> socket.socket:
    """The address, taken from now on: whoever connects waits until it is served. CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(BACKLOG_CONNECTIONS)
    except (OSError, OverflowError):
        found.close()
        raise CannotListen(
            f"port {port} of {host} cannot be taken: another program uses it, or it is not ours;"
            " choose another with --port"
        ) from None
    return found


def serve(app: ASGIApp, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until SIGINT or SIGTERM; `ready` is called when the first can be answered."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _Server(config, ready).run(sockets=[listening])


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """SIGINT and SIGTERM raise Ended in the block, so that everything opened in it is closed.

    It is raised once: a second signal must not break off the closing.
    """
    asked = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if not asked:
            asked = True
            raise Ended

    before: dict[signal.Signals, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self._ready()
