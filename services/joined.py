"""Replies of one round of the event loop, sent together when the round is over.

uvicorn writes a reply's head and its body one after the other, and what was committed together is
answered one after the other. Each write would be a call of the system and wake the client, who
then wants the processor, between one answer and the next.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

HELD_BYTES_MAX = 65_536
"""So much waits for the end of a round on one connection; more leaves at once, so that the
connection itself can ask who writes to pause."""

WHOLE = "cairn.whole"
"""The extension of ASGI by which a reply that is known as a whole is taken: a `Whole`."""

Whole = Callable[[int, bytes, bytes], bool]
"""Called with status, header lines and body, of which the lines say the length; they are sent as
they are. False, and nothing is sent, when the messages of ASGI must be sent instead."""


class Outgoing:
    """What the connections of a server send when the round is over."""

    def __init__(self) -> None:
        self._waiting: deque[Joined] = deque()
        self._beginnings: dict[int, tuple[object, bytes]] = {}

    def beginning(self, status: int, of_all: list[tuple[bytes, bytes]]) -> bytes:
        """The first lines of a reply: its status, and the headers that the server gives to all; it
        makes a new list of them each second."""
        known = self._beginnings.get(status)
        if known is None or known[0] is not of_all:
            lines = [b"%s: %s\r\n" % (name.lower(), value) for name, value in of_all]
            known = of_all, b"".join([STATUS_LINE[status], *lines])
            self._beginnings[status] = known
        return known[1]

    def wait(self, one: "Joined") -> None:
        """Have a connection send what it holds after all that the event loop has in hand."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send)
        self._waiting.append(one)

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        try:
            while waiting:
                waiting.popleft().flush()
        finally:
            # A connection that fails is nobody else's trouble: the others send in the next round.
            for one in waiting:
                self.wait(one)


class Joined(asyncio.Transport):
    """A connection on which what is written within one round of the event loop is one write."""

    def __init__(self, transport: asyncio.Transport, outgoing: Outgoing) -> None:
        super().__init__()
        self._transport = transport
        self._outgoing = outgoing
        self._held: list[bytes] = []
        self._held_bytes = 0

    def write(self, data: Any) -> None:
        """Send when the round is over, with what else is written in it."""
        if not self._held:
            self._outgoing.wait(self)
        self._held.append(data if type(data) is bytes else bytes(data))
        self._held_bytes += len(data)
        if self._held_bytes > HELD_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Send what was written; nothing, when the connection is about to be closed."""
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))

    def close(self) -> None:
        """Send what was written, then close."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Take no more from the client for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on taking."""
        self._transport.resume_reading()


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which sends its replies with those of the others."""

    def __init__(self, outgoing: Outgoing, **of_the_server: Any) -> None:
        super().__init__(**of_the_server)
        self._outgoing = outgoing

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to answer a client."""
        super().connection_made(Joined(transport, self._outgoing))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        extensions: Any = {WHOLE: partial(self._whole, cycle)}
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)

    def _whole(self, cycle: RequestResponseCycle, status: int, lines: bytes, body: bytes) -> bool:
        """What uvicorn does for the two messages of such a reply, in one go."""
        if cycle.disconnected:
            return True
        if self.flow.write_paused or cycle.response_started or cycle.scope["method"] == "HEAD":
            return False
        beginning = self._outgoing.beginning(status, cycle.default_headers)
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"".join((beginning, lines, end, body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True
