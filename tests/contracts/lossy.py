"""A socket between a client and PostgreSQL that loses answers when it is told to."""

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
CHUNK_BYTES = 65_536
READY = b"Z\x00\x00\x00\x05I"
"""The server's word that it is done with a statement and in no transaction."""


class Lossy:
    """Passes everything on, except the answers that it is told to lose."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._losing: bytes | None = None
        self.lost = 0
        self._dying: bytes | None = None
        self.died = threading.Event()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / SOCKET))
        self._door.listen()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def lose_next_answer(self, holding: bytes) -> None:
        """When the server has finished a statement whose answer holds this, keep the answer and
        cut the connection."""
        self._losing = holding

    def die_at_next_question(self, last_word: bytes) -> None:
        """Leave the next question unread but for its beginning, say something and be gone."""
        self._dying = last_word

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for one in self._open:
            _cut(one)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            server = self._connected()
            self._open += [client, server]
            for run, args in ((self._ask, (client, server)), (self._answer, (server, client))):
                thread = threading.Thread(target=run, args=args)
                self._threads.append(thread)
                thread.start()

    def _connected(self) -> socket.socket:
        """To the server, by its Unix socket or over TCP, as the test run has it."""
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return server

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while client.recv(1, socket.MSG_PEEK):
                if self._dying is not None:
                    client.sendall(self._dying)
                    client.close()
                    self._dying = None
                    self.died.set()
                    break
                server.sendall(client.recv(CHUNK_BYTES))
        _cut(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(CHUNK_BYTES):
                if self._losing and self._losing in chunk and chunk.endswith(READY):
                    self._losing = None
                    self.lost += 1
                    break
                client.sendall(chunk)
        _cut(client)
        _cut(server)


@contextlib.contextmanager
def between(conninfo: str) -> Iterator[tuple[Lossy, str]]:
    """A lossy socket in front of a database, and how to connect through it."""
    known = conninfo_to_dict(conninfo)
    with tempfile.TemporaryDirectory(prefix="lossy-") as folder:
        lossy = Lossy(Path(folder), str(known["host"]), int(known.get("port") or PORT))
        try:
            yield lossy, make_conninfo(conninfo, host=folder, port=PORT)
        finally:
            lossy.close()


def _cut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
