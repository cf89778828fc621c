"""Replies of a round leave together, whole and in order; what is written alone leaves alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from services.joined import HELD_BYTES_MAX, Joined, Outgoing

LARGE = bytes(range(256)) * 40_000
"""More than a socket takes at once."""


class Server(asyncio.Protocol):
    """Writes to whoever connects."""

    def __init__(self, act: Callable[[Joined], Any], outgoing: Outgoing) -> None:
        self._act = act
        self._outgoing = outgoing

    def connection_made(self, transport: Any) -> None:
        """Act on the joined connection."""
        self._act(Joined(transport, self._outgoing))


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
    return received_by(1, act)[0]


def received_by(count: int, act: Callable[[Joined], Any]) -> list[list[bytes]]:
    """The pieces that each of several clients got until the server closed."""

    async def talk() -> list[list[bytes]]:
        loop = asyncio.get_running_loop()
        outgoing = Outgoing()
        server = await loop.create_server(lambda: Server(act, outgoing), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            clients = []
            for _ in range(count):
                _, client = await loop.create_connection(Client, "127.0.0.1", port)
                clients.append(client)
            await asyncio.wait_for(asyncio.gather(*(one.ended for one in clients)), 10)
            return [client.pieces for client in clients]

    return uvloop.run(talk())


def later(step: Callable[[], Any]) -> None:
    asyncio.get_running_loop().call_later(0.05, step)


def test_head_and_body_come_together() -> None:
    def reply(on: Joined) -> None:
        on.write(b"head ")
        on.write(b"body")
        later(on.close)

    assert received(reply) == [b"head body"]


def test_all_that_is_written_in_one_round_comes_together() -> None:
    def replies(on: Joined) -> None:
        for part in (b"one ", b"two ", b"three"):
            on.write(part)
        later(on.close)

    assert received(replies) == [b"one two three"]


class Counted:
    """A connection that tells what is written to it, and when the loop asked."""

    def __init__(self, seen: list[bytes], *, fails: bool = False) -> None:
        self._seen = seen
        self._fails = fails

    def is_closing(self) -> bool:
        """Never."""
        return False

    def write(self, data: bytes) -> None:
        """One more, or an error."""
        if self._fails:
            raise RuntimeError("a connection that fails")
        self._seen.append(data)


async def rounds(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_the_answers_of_a_round_leave_after_all_of_them_are_made() -> None:
    seen: list[bytes] = []

    async def answering() -> None:
        outgoing = Outgoing()
        ons = [Joined(Counted(seen), outgoing) for _ in range(3)]  # type: ignore[arg-type]
        for number, on in enumerate(ons):
            on.write(b"head ")
            on.write(b"%d" % number)
        assert seen == []
        await rounds(2)

    uvloop.run(answering())
    assert seen == [b"head 0", b"head 1", b"head 2"]


def test_a_connection_that_fails_keeps_no_answer_of_another() -> None:
    seen: list[bytes] = []
    told: list[dict[str, Any]] = []

    async def answering() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        outgoing = Outgoing()
        for fails in (False, True, False, True, False):
            on = Joined(Counted(seen, fails=fails), outgoing)  # type: ignore[arg-type]
            on.write(b"answer")
        await rounds(5)

    uvloop.run(answering())
    assert seen == [b"answer"] * 3
    assert [type(one["exception"]) for one in told] == [RuntimeError, RuntimeError]


def test_much_does_not_wait_for_the_end_of_the_round() -> None:
    seen: list[bytes] = []

    async def streaming() -> None:
        on = Joined(Counted(seen), Outgoing())  # type: ignore[arg-type]
        on.write(bytes(HELD_BYTES_MAX))
        assert seen == []
        on.write(b"more")
        assert [len(one) for one in seen] == [HELD_BYTES_MAX + 4]
        on.write(b"last")
        await rounds(3)

    uvloop.run(streaming())
    assert b"".join(seen) == bytes(HELD_BYTES_MAX) + b"morelast"


def test_every_client_gets_its_own() -> None:
    def reply(on: Joined) -> None:
        on.write(LARGE)
        on.write(b"end")
        later(on.close)

    for pieces in received_by(5, reply):
        assert b"".join(pieces) == LARGE + b"end"


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


@pytest.mark.parametrize("count", [1, 2, 3, 7])
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
