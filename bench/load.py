"""Clients over HTTP/1.1 keep-alive, in a process of their own: a loop over raw sockets.

Closed loop: every client sends its next request when the last is answered. Open loop: requests
have fixed times, and a late answer counts from the time it was due (no coordinated omission).
Started as `python -m bench.load`, with an order as JSON on standard input; answers likewise.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

from bench.journey import documents


@dataclass
class Order:
    """What to send."""

    port: int
    path: str
    """`%s` stands for the participant."""
    token: str
    clients: int
    journeys: int
    """Of every client: whole ones, since their first events cost more than the later ones."""
    run: str
    """Part of every participant's name."""
    rate: float = 0.0
    """Requests per second of all clients together; 0: as fast as they are answered."""


@dataclass
class Seen:
    """What came of it."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of the clients' own process."""
    latencies: list[float] = field(default_factory=list)
    """Seconds, by answered request."""
    failed: dict[str, int] = field(default_factory=dict)
    """Answers other than 201, by status."""
    due: dict[str, float] = field(default_factory=dict)
    """When each answered request was sent, or due in an open loop, by the event's id; the clock is
    that of every process of the machine (`time.perf_counter`)."""


class Client(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Future[int] | None = None
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Ready to send."""
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever waits learns of it."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionError("the server closed"))

    def data_received(self, data: bytes) -> None:
        """Wake the sender when the answer is whole."""
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or self._waiting is None:
            return
        at = self._buffer.lower().find(b"content-length:", 0, head)
        end = self._buffer.index(b"\r\n", at)
        if len(self._buffer) >= head + 4 + int(self._buffer[at + 15 : end]):
            status, self._buffer = int(self._buffer[9:12]), b""
            self._waiting.set_result(status)

    def send(self, request: bytes) -> "asyncio.Future[int]":
        """The status of the answer."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting


def request(order: Order, participant: str, document: dict[str, Any]) -> bytes:
    """The bytes of one request."""
    body = json.dumps(document).encode()
    head = (
        f"POST {order.path % participant} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {order.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def one(order: Order, number: int, seen: Seen, start: float) -> None:
    """One client: journey after journey."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(Client, "127.0.0.1", order.port)
    step = order.clients / order.rate if order.rate else 0.0
    due = start + step * number / order.clients
    for journey in range(order.journeys):
        participant = f"{order.run}-{number}-{journey}"
        for document in documents(participant):
            wire = request(order, participant, document)
            if step:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            began = due if step else time.perf_counter()
            status = await client.send(wire)
            now = time.perf_counter()
            due += step
            if status == 201:
                seen.latencies.append(now - began)
                seen.due[document["id"]] = began
            else:
                seen.failed[str(status)] = seen.failed.get(str(status), 0) + 1


async def run(order: Order) -> Seen:
    """All clients at once."""
    seen, start = Seen(), time.perf_counter()
    cpu = time.process_time()
    await asyncio.gather(*(one(order, number, seen, start) for number in range(order.clients)))
    seen.seconds = time.perf_counter() - start
    seen.cpu_seconds = time.process_time() - cpu
    return seen


if __name__ == "__main__":
    found = uvloop.run(run(Order(**json.load(sys.stdin))))
    json.dump(asdict(found), sys.stdout)
