"""Writing behind: rows go to PostgreSQL while the next ones are computed.

PostgreSQL works in a process of its own, so that a computing process need not wait for it. One
piece of work at a time, in order; what failed is told at the next one, or at the end.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class Behind:
    """A thread for work that whoever computes need not wait for yet; none until there is some."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: Future[None] | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Begin it when the one before it is done. Raises what that one raised."""
        self.done()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "writing-behind")
        self._under_way = self._thread.submit(work)

    def done(self) -> None:
        """Wait until nothing is under way. Raises what the last one raised."""
        last, self._under_way = self._under_way, None
        if last is not None:
            last.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Nothing is under way afterwards, whatever has happened. Without another error, raises
        what the last one raised."""
        try:
            if error is None:
                self.done()
        finally:
            if self._thread is not None:
                self._thread.shutdown()
