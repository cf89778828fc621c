"""Answering HTTP from this process, until a signal ends it in order."""

import socket
from collections.abc import Callable
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from infra.interpreter import looked_for_seldom
from services.joined import Connection, Outgoing

GRACE_SECONDS = 5
"""How long open requests may last once the end is asked for."""
KEEP_ALIVE_SECONDS = 75
GARBAGE_ALLOCATIONS = 20_000
"""Objects made between two looks for garbage: fewer than elsewhere, for a look holds every request
up, 8 to 20 ms by these and 34 to 43 by a hundred thousand (which cost 9 us an event less)."""


def serve(app: ASGIApp, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until SIGINT or SIGTERM; `ready` is called when the first can be answered."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=partial(Connection, Outgoing()),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _Server(config, ready).run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            looked_for_seldom(GARBAGE_ALLOCATIONS)
            self._ready()
