"""The gate: how many recordings may be under way before the next caller is asked to come back."""

from contextlib import AbstractContextManager
from types import TracebackType

from services.errors import TooMany

UNDER_WAY_MAX = 2_000


class Gate(AbstractContextManager[None]):
    """Counts what is under way; entering raises TooMany beyond the bound."""

    def __init__(self, most: int = UNDER_WAY_MAX) -> None:
        self._most = most
        self._inside = 0

    def __enter__(self) -> None:
        if self._inside >= self._most:
            raise TooMany
        self._inside += 1

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._inside -= 1
