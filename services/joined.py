"""Replies of one round of the event loop, sent together when the round is over.

uvicorn writes a reply's head and its body one after the other, and what was committed together is
answered one after the other. Each write would be a call of the system and wake the client, who
then wants the processor, between one answer and the next.
"""

import asyncio
from collections import deque
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HELD_BYTES_MAX = 65_536
"""So much waits for the end of a round on one connection; more leaves at once, so that the
connection itself can ask who writes to pause."""


class Outgoing:
    """What the connections of a server send when the round is over."""

    def __init__(self) -> None:
        self._waiting: deque[Joined] = deque()

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
