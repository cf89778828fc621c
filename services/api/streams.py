"""NDJSON: a line in, a line out, however long; read and answered at the same time."""

import asyncio
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing
from typing import IO

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.api.replies import NDJSON
from services.batch import Item, Result
from services.door import Invalid, Malformed, Posted, TooLarge
from services.door.strict import EVENT_MAX_BYTES, document
from services.errors import problem_of

SPOOL_MEMORY_BYTES = 1024 * 1024
CHUNK_BYTES = 65_536

Read = Callable[[object], Posted]


class Disconnected(Exception):
    """The sender is gone."""


async def lines(receive: Receive) -> AsyncIterator[bytes | None]:
    """The lines of a request body, without their ends; None for one that is too long.

    Blank lines are skipped. Raises Disconnected.
    """
    rest = bytearray()
    skipping = False
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        more = message.get("more_body", False)
        rest += message.get("body", b"")
        *whole, last = rest.split(b"\n")
        rest = bytearray(last)
        for line in whole:
            if skipping or len(line) > EVENT_MAX_BYTES:
                skipping = False
                yield None
            elif line.strip():
                yield bytes(line)
        if len(rest) > EVENT_MAX_BYTES:
            # The rest of an overlong line is thrown away as it comes, not kept.
            skipping, rest = True, bytearray()
    if skipping:
        yield None
    elif rest.strip():
        yield bytes(rest)


async def items(receive: Receive, read: Read) -> AsyncIterator[Item]:
    """The items of an NDJSON body, in order, numbered from 0."""
    index = 0
    async for line in lines(receive):
        yield _item(index, line, read)
        index += 1


def _item(index: int, line: bytes | None, read: Read) -> Item:
    if line is None:
        return Item(index, problem=problem_of(TooLarge(EVENT_MAX_BYTES)))
    try:
        return Item(index, posted=read(document(line)))
    except (Malformed, Invalid) as error:
        return Item(index, problem=problem_of(error))


class Spool:
    """Result lines between the side that records and the side that sends.

    A sender that reads its answers only after it has sent everything must not stall the
    recording, and its answers must not fill the memory: beyond a bound they wait on disk.
    """

    def __init__(self) -> None:
        self._memory: deque[bytes] = deque()
        self._bytes = 0
        self._disk: IO[bytes] | None = None
        self._read_to = 0
        self._written_to = 0
        self._news = asyncio.Event()
        self._ended = False

    def put(self, line: bytes) -> None:
        """Add a line."""
        if self._disk is not None or self._bytes + len(line) > SPOOL_MEMORY_BYTES:
            if self._disk is None:
                self._disk = _disk()
            self._disk.seek(self._written_to)
            self._disk.write(line)
            self._written_to += len(line)
        else:
            self._memory.append(line)
            self._bytes += len(line)
        self._news.set()

    def end(self) -> None:
        """No line follows."""
        self._ended = True
        self._news.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """What was put, as it comes, until the end."""
        while True:
            await self._news.wait()
            self._news.clear()
            while chunk := self._next():
                yield chunk
            if self._ended:
                return

    def close(self) -> None:
        """Throw away what nobody took."""
        if self._disk is not None:
            self._disk.close()

    def _next(self) -> bytes:
        if self._memory:
            chunk = b"".join(self._memory)
            self._memory.clear()
            self._bytes = 0
            return chunk
        if self._disk is None or self._read_to == self._written_to:
            return b""
        self._disk.seek(self._read_to)
        chunk = self._disk.read(min(CHUNK_BYTES, self._written_to - self._read_to))
        self._read_to += len(chunk)
        if self._read_to == self._written_to:
            self._disk.close()
            self._disk, self._read_to, self._written_to = None, 0, 0
        return chunk


def _disk() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="cairn-results-")


class Answering(Response):
    """A response that reads the request while it is answered."""

    def __init__(
        self,
        results: Callable[[Receive], AsyncGenerator[Result, None]],
        gate: AbstractContextManager[None],
    ) -> None:
        super().__init__(media_type=NDJSON)
        self._results = results
        self._gate = gate

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Record the lines as they come and send the results as they become known."""
        with self._gate:
            await self._answer(receive, send)

    async def _answer(self, receive: Receive, send: Send) -> None:
        spool = Spool()
        recording = asyncio.create_task(self._record(receive, spool))
        headers = [(b"content-type", NDJSON.encode()), (b"cache-control", b"no-store")]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for chunk in spool.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await recording
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)
            spool.close()

    async def _record(self, receive: Receive, spool: Spool) -> None:
        try:
            async with aclosing(self._results(receive)) as results:
                async for result in results:
                    spool.put(orjson.dumps(result) + b"\n")
        except Disconnected:
            return
        finally:
            spool.end()
