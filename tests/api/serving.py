"""A real server on a loopback port, for what a client without a socket cannot show."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn

from services.api import create_app
from services.bootstrap import Cairn


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
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(server._serve(sockets=[taken]))
        try:
            async with asyncio.timeout(10):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield taken.getsockname()
        finally:
            server.should_exit = True
            await serving
