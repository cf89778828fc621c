"""Other event stores from PyPI, each as its manual shows, with the settings that did best here."""

import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.setting import Setting

Events = Sequence[tuple[str, bytes]]
"""Topic and bytes of each event of a journey."""
READY_SECONDS_MAX = 20.0


class Absent(Exception):
    """A rival that is not measured, and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


class Rival(ABC):
    """Another store: whoever calls it appends whole journeys, one event a call."""

    name = ""
    callers = 256
    """With so many it did best."""
    events = 2_560
    """So many are appended in a round."""
    processes: tuple[int, ...] = ()
    """Servers of its own, whose processor time counts too."""

    @abstractmethod
    def run(self, callers: int, journeys: int, events: Events) -> int:
        """Append so many journeys of each caller; how many events that were."""

    @abstractmethod
    def close(self) -> None:
        """End what was started."""


class EventsourcePy(Rival):
    """eventsource-py's PostgreSQL store: asyncpg, a transaction for each append."""

    name = "eventsource-py"
    connections = 16
    """More make it slower here."""

    def __init__(self, conninfo: str) -> None:
        if any(
            importlib.util.find_spec(name) is None
            for name in ("eventsource", "asyncpg", "greenlet")
        ):
            raise Absent(self.name, "it is not installed")
        from eventsource.migrations import get_schema

        with psycopg.connect(conninfo) as connection:
            connection.execute(get_schema("events").encode())
        parts = conninfo_to_dict(conninfo)
        self._url = (
            f"postgresql+asyncpg://{parts['user']}@/{parts['dbname']}?host={parts['host']}"
            f"&port={parts.get('port', 5432)}"
        )

    def run(self, callers: int, journeys: int, events: Events) -> int:
        """Append, as many tasks as callers on one loop."""
        asyncio.run(self._run(callers, journeys, events))
        return callers * journeys * len(events)

    async def _run(self, callers: int, journeys: int, events: Events) -> None:
        from eventsource.adapters.postgresql.store import PostgreSQLEventStore
        from eventsource.domain import StreamId
        from eventsource.ports import ExpectedVersion
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine(self._url, pool_size=self.connections, max_overflow=0)
        store, kind = PostgreSQLEventStore(engine), _event_class()
        documents = [(topic, state.decode().replace("\x03", "")) for topic, state in events]

        async def caller() -> None:
            for _ in range(journeys):
                stream = StreamId(uuid4(), "participant")
                for version, (_topic, document) in enumerate(documents):
                    one = kind(
                        aggregate_id=stream.aggregate_id,
                        aggregate_version=version + 1,
                        document=document,
                    )
                    await store.append(stream, [one], ExpectedVersion.exact(version))

        await asyncio.gather(*(caller() for _ in range(callers)))
        await engine.dispose()

    def close(self) -> None:
        """Nothing: each run ends its connections."""


def _event_class() -> Any:
    """An event that carries our bytes, defined once: the library registers each class."""
    from eventsource.domain.event import DomainEvent

    if not _CLASSES:

        class Happened(DomainEvent):
            """What happened to a participant."""

            aggregate_type: str = "participant"
            document: str

        _CLASSES.append(Happened)
    return _CLASSES[0]


_CLASSES: list[Any] = []


class UmaDB(Rival):
    """UmaDB's server, which its Python package brings along, through its Python client.

    One client for all threads (one each made it half as fast), and a condition on each append: that
    nothing was appended under the participant's tag since. It stands for the version.
    """

    name = "UmaDB"
    events = 10_240

    def __init__(self, setting: Setting) -> None:
        if importlib.util.find_spec("umadb") is None:
            raise Absent(self.name, "it is not installed")
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        start = "from umadb.umadb_server_cli import main; main()"
        path = str(setting.folder / f"uma-{uuid4().hex[:6]}.db")
        log = (setting.folder / "umadb.log").open("w")
        self._server = subprocess.Popen(
            [sys.executable, "-c", start, "--listen", address, "--db-path", path],
            stdout=log,
            stderr=log,
            env={**os.environ},
        )
        self.processes = (self._server.pid,)
        self._client = self._connected(f"http://{address}")

    def _connected(self, url: str) -> Any:
        import umadb

        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline and self._server.poll() is None:
            try:
                client = umadb.Client(url)
                client.head()
            except umadb.TransportError:
                time.sleep(0.05)
            else:
                return client
        self.close()
        raise Absent(self.name, "its server does not start here")

    def run(self, callers: int, journeys: int, events: Events) -> int:
        """Append, in as many threads as callers."""
        threads = [
            threading.Thread(target=self._call, args=(journeys, events)) for _ in range(callers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return callers * journeys * len(events)

    def _call(self, journeys: int, events: Events) -> None:
        import umadb

        for _ in range(journeys):
            tag, last = uuid4().hex, None
            query = umadb.Query(items=[umadb.QueryItem(types=[], tags=[tag])])
            for topic, state in events:
                one = umadb.Event(topic, state, [tag], uuid4())
                last = self._client.append([one], umadb.AppendCondition(query, last))

    def close(self) -> None:
        """Stop the server."""
        self._server.send_signal(signal.SIGTERM)
        self._server.wait(READY_SECONDS_MAX)
