"""Turns: within one process, whoever writes to a stream waits for the one before.

Waiting is cheaper than losing a race at the ledger. Between processes the ledger decides.
"""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

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

    def of(self, study: str, streams: Iterable[str]) -> AbstractAsyncContextManager[None]:
        """Hold the streams. They are taken in one order everywhere, so nobody waits in a ring."""
        loop = asyncio.get_running_loop()
        return _Held(self._turns, [(loop, study, stream) for stream in sorted(set(streams))])


class _Held(AbstractAsyncContextManager[None]):
    """Some turns, taken one after the other."""

    __slots__ = ("_keys", "_taken", "_turns")

    def __init__(self, turns: dict[Key, _Turn], keys: list[Key]) -> None:
        self._turns = turns
        self._keys = keys
        self._taken: list[tuple[Key, _Turn]] = []

    async def __aenter__(self) -> None:
        try:
            for key in self._keys:
                await self._take(key)
        except BaseException:
            self._release()
            raise

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._release()

    async def _take(self, key: Key) -> None:
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = _Turn()
        turn.wanted += 1
        try:
            await turn.lock.acquire()
        except BaseException:
            self._leave(key, turn)
            raise
        self._taken.append((key, turn))

    def _release(self) -> None:
        while self._taken:
            key, turn = self._taken.pop()
            turn.lock.release()
            self._leave(key, turn)

    def _leave(self, key: Key, turn: _Turn) -> None:
        turn.wanted -= 1
        if not turn.wanted:
            del self._turns[key]
