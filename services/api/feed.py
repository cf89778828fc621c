"""The live feed: server-sent events in ledger order, resumed by position."""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from infra.ledger.types import Stored
from services.api.replies import event_bytes
from services.bootstrap import Cairn
from services.door import Malformed
from services.errors import TooMany

MEDIA_TYPE = "text/event-stream"

FEEDS_MAX = 200
PAGE_EVENTS = 500
POLL_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 15.0
CHECKPOINT_EVENTS = 1_000
"""Events left out by a filter after which the reader is told how far it is all the same."""

Shown = Callable[[Stored], bool]


class Feeds:
    """Readers that wait for news; the ledger's hint wakes them, and they poll in any case."""

    def __init__(self, cairn: Cairn) -> None:
        self._open = 0
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        cairn.ledger.listen(self._wake)

    def enter(self) -> None:
        """Count one reader more; TooMany."""
        if self._open >= FEEDS_MAX:
            raise TooMany
        self._open += 1
        self._loop = asyncio.get_running_loop()

    def leave(self) -> None:
        """One reader fewer."""
        self._open -= 1

    async def news(self, study: str) -> None:
        """Wait until something may have been appended."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(study, set())
        waiting.add(event)
        try:
            await asyncio.wait_for(event.wait(), POLL_SECONDS)
        except TimeoutError:
            return
        finally:
            waiting.discard(event)

    def _wake(self, study: str) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._set, study)

    def _set(self, study: str) -> None:
        for event in self._waiting.get(study, ()):
            event.set()


async def answer(request: Request, cairn: Cairn, study: str, after: int, shown: Shown) -> Response:
    """The feed from a position on, until the reader leaves. Raises Malformed, TooMany."""
    sent = request.headers.get("last-event-id")
    if sent is not None:
        if not sent.isascii() or not sent.isdecimal() or len(sent) > 15:
            raise Malformed("last-event-id", "Last-Event-ID is not a position.")
        after = int(sent)
    feeds: Feeds = request.app.state.feeds
    feeds.enter()
    return StreamingResponse(
        _events(feeds, cairn, study, after, shown),
        media_type=MEDIA_TYPE,
        headers={"X-Accel-Buffering": "no"},
    )


async def _events(
    feeds: Feeds, cairn: Cairn, study: str, after: int, shown: Shown
) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    last, told, spoke = after, after, loop.time()
    try:
        yield b": cairn\n\n"
        while True:
            before = last
            page, last = await run_in_threadpool(_page, cairn, study, before, shown)
            for stored in page:
                yield _event(stored)
                told, spoke = stored.position, loop.time()
            if last - told >= CHECKPOINT_EVENTS:
                yield b"id: %d\nevent: checkpoint\ndata: {}\n\n" % last
                told, spoke = last, loop.time()
            if last == before:
                if loop.time() - spoke >= KEEP_ALIVE_SECONDS:
                    yield b": still here\n\n"
                    spoke = loop.time()
                await feeds.news(study)
    finally:
        feeds.leave()


def _page(cairn: Cairn, study: str, after: int, shown: Shown) -> tuple[list[Stored], int]:
    read = cairn.reads.log.read(study, after, PAGE_EVENTS)
    last = read[-1].position if read else after
    return [stored for stored in read if shown(stored)], last


def _event(stored: Stored) -> bytes:
    name = stored.topic.split(".")[1].encode()
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (stored.position, name, event_bytes(stored))
