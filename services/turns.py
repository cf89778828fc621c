"""Turns: within one process, whoever writes to a stream waits for the one before.

Waiting is cheaper than losing a race at the ledger. Between processes the ledger decides.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

Key = tuple[asyncio.AbstractEventLoop, str, str]


class _Turn:
    __slots__ = ("lock", "wanted")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0


class Turns:
    """A lock for every stream that somebody writes to, forgotten when nobody does."""

    def __init__(self) -> None:
        self._turns: dict[Key, _Turn] = {}

    @contextlib.asynccontextmanager
    async def of(self, study: str, streams: Iterable[str]) -> AsyncIterator[None]:
        """Hold the streams. They are taken in one order everywhere, so nobody waits in a ring."""
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            for stream in sorted(set(streams)):
                await stack.enter_async_context(self._held((loop, study, stream)))
            yield

    @contextlib.asynccontextmanager
    async def _held(self, key: Key) -> AsyncIterator[None]:
        turn = self._turns.setdefault(key, _Turn())
        turn.wanted += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[key]
