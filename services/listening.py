"""The address that a process listens on, taken before anything else; and its end, in order."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Any

LOOPBACK = "127.0.0.1"
BACKLOG_CONNECTIONS = 1_024


class CannotListen(Exception):
    """The address cannot be taken; the message is one sentence for a person."""


class Ended(Exception):
    """A signal asks for the end while something is being prepared."""


def taken(host: str, port: int, option: str = "--port") -> socket.socket:
    """The address, taken from now on: whoever connects waits until it is served. CannotListen,
    which names the option to choose another with."""
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
            f" choose another with {option}"
        ) from None
    return found


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
