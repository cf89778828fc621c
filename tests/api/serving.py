"""A real server on a loopback port, for what a client without a socket cannot show."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn

from services.api import create_app
from services.bootstrap import Cairn

READY_SECONDS_MAX = 10


class _Server(uvicorn.Server):
    """Says when it answers, and leaves the signals to the tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def listening(cairn: Cairn) -> AsyncIterator[tuple[str, int]]:
    """The interface behind a socket; its address."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        config = uvicorn.Config(
            create_app(cairn),
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[taken]))
        try:
            await asyncio.wait_for(server.ready.wait(), READY_SECONDS_MAX)
            yield taken.getsockname()
        finally:
            server.should_exit = True
            await serving
