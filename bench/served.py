"""The processes that are measured: `python -m bench.served <which> <data folder> <conninfo>`.

`cairn` is the API alone, `up` has the workers too; `peer`, `shared` and `bare` are without Cairn.
Prints its port, and for Cairn a token, as one JSON line; serves until it is told to end.
"""

import asyncio
import json
import os
import socket
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from bench.journey import STUDY
from bench.setting import library_settings
from domain.kernel import Actor
from services import logs
from services.bootstrap import Cairn, Settings, open_cairn
from services.door import posted
from services.serving import serve
from services.terms import Terms
from services.workers import Workers

SPONSOR = Terms(Actor(id="sponsor", role="sponsor"), "urn:bench")
OPENED_AT = "2025-10-01T09:00:00-04:00"
OPENING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("site-opened", {"site": "01", "name": "Synthetic Center", "timezone": "America/New_York"}),
    ("protocol-activated", {"site": "01"}),
    ("consent-form-approved", {"form_version": "1.0"}),
)


def listening() -> socket.socket:
    """A socket of the loopback address on any free port."""
    found = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def said(port: int, **more: str) -> None:
    """Tell whoever started this process that it is ready."""
    print(json.dumps({"port": port, "pid": os.getpid(), **more}), flush=True)


async def opened(cairn: Cairn) -> None:
    """The study with its site, unless an earlier run of the same store opened it."""
    await cairn.publishing.publish_built_in(SPONSOR)
    version = next(iter(cairn.hot.trial(STUDY).protocols))
    for kind, data in OPENING:
        if kind == "protocol-activated":
            data = {**data, "protocol": version}
        document = {"id": kind, "type": kind, "occurred_at": OPENED_AT, "data": data}
        await cairn.recording.record_study(STUDY, posted(document), SPONSOR)


def cairn(data: Path, conninfo: str, *, workers: bool) -> None:
    """Cairn's own server, as `cairn api` runs it, or with its workers as `cairn up` does."""
    from services.api.app import create_app

    logs.configure()
    with closing(open_cairn(Settings(data=data), conninfo=conninfo)) as found:
        asyncio.run(opened(found))
        token = found.tokens.issue("administrator")
        with closing(listening()) as on:
            ready = partial(said, on.getsockname()[1], token=token)
            if workers:
                with Workers(found):
                    serve(create_app(found), on, ready)
            else:
                serve(create_app(found), on, ready)


def peer(conninfo: str) -> None:
    """The service without Cairn, on the same server."""
    from bench.peer import create_app

    settings = library_settings(conninfo, 20)
    with closing(listening()) as on:
        serve(create_app(settings), on, partial(said, on.getsockname()[1]))


def shared(conninfo: str) -> None:
    """A route without a domain whose requests share the commit."""
    from bench.peer import create_shared_app

    with closing(listening()) as on:
        serve(create_shared_app(conninfo), on, partial(said, on.getsockname()[1]))


def bare() -> None:
    """A route that does nothing."""
    from bench.peer import create_bare_app

    with closing(listening()) as on:
        serve(create_bare_app(), on, partial(said, on.getsockname()[1]))


if __name__ == "__main__":
    which, folder, where = sys.argv[1:4]
    if which == "bare":
        bare()
    elif which == "peer":
        peer(where)
    elif which == "shared":
        shared(where)
    else:
        cairn(Path(folder), where, workers=which == "up")
