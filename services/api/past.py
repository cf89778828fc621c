"""Reads of the past: a study's only few at a time, and only as long as somebody waits for them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from anyio import from_thread
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from starlette.requests import Request

from services.door.refused import invalid
from services.errors import TooMany
from services.views import Query
from services.views.past import Pause, breathe

AT_ONCE_MAX = 4
"""So many studies are folded anew at a time; the next reader is asked to come back."""

LOOK_SECONDS = 0.25
"""How often it is looked whether the reader is still there."""

GONE = 499
"""Nobody receives it: whoever asked has left."""

AXES = ("as_of", "by", "valid_at", "on", "wait_for")


class Gone(Exception):
    """The reader is not there any more."""


class Folding:
    """Counts the studies that are folded anew; any thread may enter."""

    def __init__(self, most: int = AT_ONCE_MAX) -> None:
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place while a study is folded. Raises TooMany."""
        if not self._free.acquire(blocking=False):
            raise TooMany
        try:
            yield
        finally:
            self._free.release()


@contextmanager
def reading(request: Request, query: Query) -> Iterator[Pause]:
    """What a study's view is read with, in a worker thread. Raises TooMany; the pause raises Gone.

    The present comes from the tables and needs neither a place nor a pause.
    """
    if not query.past:
        yield breathe
        return
    folding: Folding = request.app.state.folding
    looked = time.monotonic()

    def pause() -> None:
        nonlocal looked
        breathe()
        if time.monotonic() - looked >= LOOK_SECONDS:
            if from_thread.run(request.is_disconnected):
                raise Gone
            looked = time.monotonic()

    with folding.one():
        yield pause


async def of_the_present(request: Request) -> None:
    """Refuse a moment where the path knows none: the answer would be that of the present.

    Raises Invalid.
    """
    asked = [name for name in AXES if name in request.query_params]
    if not asked:
        return
    route: APIRoute = request.scope["route"]
    taken = {one.alias for one in get_flat_params(route.dependant)}
    for name in asked:
        if name not in taken:
            raise invalid(f"/query/{name}", "not-taken-here")
