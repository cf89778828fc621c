"""A reply that is handed over as a whole is the one that its messages would have been, to the byte,
and the connection goes on as after them."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.datastructures import Headers

from services.api.direct import Hot
from services.api.replies import Told
from services.joined import WHOLE, Connection, Outgoing

App = Callable[..., Awaitable[None]]
STEP_SECONDS = 0.001
POST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n%s\r\nbody"
NEW = POST % (b"new", b"")


async def read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def told(scope: Any, body: bytes) -> Told:
    """An answer as the routes give them, of what came."""
    again = scope["path"] == "/again"
    etag, more = (b"etag", b'"9"'), [(b"idempotent-replayed", b"true")] if again else []
    where = (b"location", b"/v1" + scope["raw_path"])
    return Told(200 if again else 201, b'{"was":"%s"}' % body, etag, where, *more)


async def whole(scope: Any, receive: Any, send: Any) -> None:
    reply = told(scope, await read(receive))
    # The answer to HEAD has no body: it goes by messages, which know that.
    assert reply.left(scope) is (scope["method"] != "HEAD")
    if scope["method"] == "HEAD":
        await reply(scope, receive, send)


async def by_messages(scope: Any, receive: Any, send: Any) -> None:
    await told(scope, await read(receive))(scope, receive, send)


async def until(so: Callable[[], bool]) -> None:
    for _ in range(int(10 / STEP_SECONDS)):
        if so():
            return
        await asyncio.sleep(STEP_SECONDS)
    raise TimeoutError


async def talk(app: App, say: Callable[[Any, Any], Awaitable[bytes]]) -> bytes:
    """What a client gets that says something to a server of the application."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        http: Any = partial(Connection, Outgoing())
        config = uvicorn.Config(
            app, loop="none", http=http, lifespan="off", log_config=None, server_header=False
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        try:
            answer = await asyncio.wait_for(say(reader, writer), 10)
        finally:
            writer.close()
            server.should_exit = True
            await serving
    return re.sub(rb"date: [^\r]*", b"date: -", answer)


def same(say: Callable[[Any, Any], Awaitable[bytes]]) -> bytes:
    answers = {asyncio.run(talk(app, say)) for app in (whole, by_messages)}
    assert len(answers) == 1
    return answers.pop()


@pytest.mark.parametrize(
    ("request_", "has"),
    [
        (POST % (b"new", b"Connection: close\r\n"), [b"201 Created", b"connection: close"]),
        (POST % (b"again", b"Connection: close\r\n"), [b"200 OK", b"idempotent-replayed: true"]),
        (POST.replace(b"1.1", b"1.0") % (b"new", b""), [b"201 Created", b"connection: close"]),
        (
            POST % (b"new", b"Expect: 100-continue\r\nConnection: close\r\n"),
            [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201"],
        ),
        (
            POST.replace(b"POST", b"HEAD") % (b"new", b"Connection: close\r\n"),
            [b"content-length: 14"],
        ),
    ],
)
def test_one_answer_is_the_same(request_: bytes, has: list[bytes]) -> None:
    async def say(reader: Any, writer: Any) -> bytes:
        writer.write(request_)
        answer: bytes = await reader.read()
        return answer

    answer = same(say)
    for part in has:
        assert part in answer
    assert answer.count(b"x-content-type-options: nosniff\r\n") == 1


def test_a_connection_goes_on_with_what_came_meanwhile() -> None:
    async def say(reader: Any, writer: Any) -> bytes:
        writer.write(NEW + POST % (b"again", b"") + NEW[:-2])
        first: bytes = await reader.readuntil(b"}")
        second: bytes = await reader.readuntil(b"}")
        writer.write(b"dy" + POST % (b"last", b"Connection: close\r\n"))
        rest: bytes = await reader.read()
        return first + second + rest

    answer = same(say)
    assert re.findall(rb"HTTP/1.1 ([0-9]+)", answer) == [b"201", b"200", b"201", b"201"]
    assert answer.count(b'{"was":"body"}') == 4


def test_what_must_not_be_sent_is_not_taken() -> None:
    taken: list[tuple[Any, ...]] = []

    def take(*reply: Any) -> bool:
        taken.append(reply)
        return True

    scope = {"extensions": {WHOLE: take}}
    assert not Told(201, b"{}", (b"location", b"/v1\r\nset-cookie: x")).left(scope)
    assert taken == []
    assert Told(201, b"{}", (b"location", b"/v1")).left(scope)
    assert [status for status, _, _ in taken] == [201]


def test_without_the_extension_nothing_is_handed_over() -> None:
    reply = Told(201, b"{}", (b"etag", b'"1"'))
    assert not reply.left({})
    assert not reply.left({"extensions": {WHOLE: lambda *_: False}})
    assert [name for name, _ in reply.raw_headers][:3] == [
        b"etag",
        b"content-length",
        b"content-type",
    ]


def test_a_reply_to_whom_is_gone_is_dropped() -> None:
    left: list[bool] = []

    async def late(scope: Any, receive: Any, send: Any) -> None:
        body = await read(receive)
        while (await receive())["type"] != "http.disconnect":
            pass
        left.append(told(scope, body).left(scope))

    async def say(reader: Any, writer: Any) -> bytes:
        writer.write(NEW)
        await writer.drain()
        writer.transport.abort()
        await until(lambda: bool(left))
        return b""

    assert asyncio.run(talk(late, say)) == b""
    assert left == [True]


def test_who_waits_for_more_learns_that_the_answer_is_given() -> None:
    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        body = await read(receive)
        more = asyncio.create_task(receive())
        await asyncio.sleep(STEP_SECONDS)
        assert told(scope, body).left(scope)
        assert (await asyncio.wait_for(more, 5))["type"] == "http.disconnect"
        ended.append(True)

    async def say(reader: Any, writer: Any) -> bytes:
        writer.write(NEW)
        answer: bytes = await reader.readuntil(b"}")
        await until(lambda: bool(ended))
        return answer

    ended: list[bool] = []
    assert asyncio.run(talk(waiting, say)).startswith(b"HTTP/1.1 201 ")


def test_the_fields_of_a_hot_request_are_what_its_headers_say() -> None:
    raw = [
        (b"prefer", b"handling=strict"),
        (b"host", b"x"),
        (b"prefer", b"wait=1"),
        (b"a", b"\xe9"),
    ]
    scope: Any = {"type": "http", "headers": raw}
    hot, plain = Hot(scope, None, None).headers, Headers(scope=scope)  # type: ignore[arg-type]
    for name in ("prefer", "host", "a", "content-type"):
        assert hot.get(name) == plain.get(name)
        assert hot.get(name, "-") == plain.get(name, "-")
        assert (name in hot) is (name in plain)
        assert hot.getlist(name) == plain.getlist(name)
    assert hot.raw == plain.raw == raw
