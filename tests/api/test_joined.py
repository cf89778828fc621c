"""A reply leaves in one piece, whole and in order; what is written alone leaves alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from services.joined import Joined

LARGE = bytes(range(256)) * 40_000
"""More than a socket takes at once."""


class Server(asyncio.Protocol):
    """Writes to whoever connects."""

    def __init__(self, act: Callable[[Joined], Any]) -> None:
        self._act = act

    def connection_made(self, transport: Any) -> None:
        """Act on the joined connection."""
        self._act(Joined(transport, asyncio.get_running_loop()))


class Client(asyncio.Protocol):
    """Keeps what comes, piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Another piece."""
        self.pieces.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        """No more."""
        self.ended.set_result(error)


def received(act: Callable[[Joined], Any]) -> list[bytes]:
    """The pieces that a client got until the server closed."""

    async def talk() -> list[bytes]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Server(act), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            _, client = await loop.create_connection(Client, "127.0.0.1", port)
            await asyncio.wait_for(client.ended, 10)
            return client.pieces

    return uvloop.run(talk())


def later(step: Callable[[], Any]) -> None:
    asyncio.get_running_loop().call_later(0.05, step)


def test_head_and_body_come_together() -> None:
    def reply(on: Joined) -> None:
        on.write(b"head ")
        on.write(b"body")
        later(on.close)

    assert received(reply) == [b"head body"]


def test_what_is_written_alone_does_not_wait_for_a_second() -> None:
    def stream(on: Joined) -> None:
        on.write(b"first")
        later(lambda: (on.write(b"second"), later(on.close)))

    assert received(stream) == [b"first", b"second"]


def test_what_was_written_is_sent_before_the_end() -> None:
    def last(on: Joined) -> None:
        on.write(b"the last")
        on.close()

    assert received(last) == [b"the last"]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_nothing_overtakes_anything(count: int) -> None:
    parts = [b"%d:" % number + LARGE for number in range(count)]

    def all_at_once(on: Joined) -> None:
        for part in parts:
            on.write(part)
        later(lambda: ([on.write(part) for part in parts], on.close()))

    assert b"".join(received(all_at_once)) == b"".join(parts * 2)


def test_what_waits_when_the_client_is_gone_is_dropped() -> None:
    def gone(on: Joined) -> None:
        on.write(b"nobody reads it")
        on._transport.abort()

    assert received(gone) == []
