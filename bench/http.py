"""POST of one event over HTTP, the whole path: Cairn beside what one would write without it.

One worker process each, started anew in each round, whole journeys from clients in a process of
their own. First as fast as they are answered, then at fixed times, where a late answer counts from
when it was due.
"""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from bench.journey import STUDY
from bench.load import Order, Seen
from bench.measured import Row, Sample
from bench.processes import cpu_seconds, processor_seconds
from bench.setting import Setting

CLIENTS = 64
JOURNEYS = 2
"""Whole journeys of every client in one measurement: twenty events each."""
RATE = 150.0
"""Requests per second of the open loop: what the service without Cairn can still answer."""
READY_SECONDS_MAX = 60

PATHS = {
    "cairn": f"/v1/studies/{STUDY}/participants/%s/events",
    "up": f"/v1/studies/{STUDY}/participants/%s/events",
    "peer": "/participants/%s/events",
    "shared": "/participants/%s/events",
    "bare": "/participants/%s/events",
}
"""`cairn` is the API alone, `up` has the projector and the clock worker in the same process, `peer`
is the service without Cairn, `shared` a route whose waiting requests share one INSERT and commit
and that knows no domain at all (the ceiling for Cairn), `bare` one that stores nothing."""
BESIDE = {
    "peer": "FastAPI and save()",
    "shared": "INSERT and commit shared by who waits",
    "bare": "a route that stores nothing",
}


@dataclass
class Figures:
    """One measurement."""

    rate: float
    """Answered events per second."""
    p50_ms: float
    p99_ms: float
    server_ms: float
    """Processor time of the service per event."""
    store_ms: float
    """Processor time of PostgreSQL per event."""
    client_ms: float
    """Processor time of the clients per event."""


@dataclass
class Service:
    """A process under measurement."""

    name: str
    process: "subprocess.Popen[str]"
    port: int
    token: str


@contextlib.contextmanager
def serving(name: str, data: Path, conninfo: str) -> Iterator[Service]:
    """The service, from its readiness to its end."""
    command = [sys.executable, "-m", "bench.served", name, str(data), conninfo]
    with (data / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError((data / f"{name}.log").read_text()[-2_000:])
            told = json.loads(line)
            yield Service(name, process, told["port"], told.get("token", ""))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(READY_SECONDS_MAX)


def measured(
    service: Service, store: int, journeys: int, *, clients: int = CLIENTS, rate: float = 0.0
) -> Figures:
    """One run of the clients against the service."""
    run = f"{service.name}-{uuid4().hex[:6]}"
    path = PATHS[service.name]
    order = Order(service.port, path, service.token, clients, journeys, run, rate=rate)
    before = cpu_seconds(service.process.pid), processor_seconds(store)
    answer = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=True,
    )
    after = cpu_seconds(service.process.pid), processor_seconds(store)
    seen = Seen(**json.loads(answer.stdout))
    assert not seen.failed, seen.failed
    count, sorted_ = len(seen.latencies), sorted(seen.latencies)
    return Figures(
        rate=count / seen.seconds,
        p50_ms=sorted_[count // 2] * 1e3,
        p99_ms=sorted_[count * 99 // 100] * 1e3,
        server_ms=(after[0] - before[0]) / count * 1e3,
        store_ms=(after[1] - before[1]) / count * 1e3,
        client_ms=seen.cpu_seconds / count * 1e3,
    )


def rows(setting: Setting) -> Iterator[Row]:
    """Every service in turns, closed loop and open loop."""
    stores = {name: setting.plain_database() for name in ("peer", "shared", "bare")}
    stores |= {name: setting.database() for name in ("cairn", "up")}
    closed: dict[str, list[Figures]] = {name: [] for name in PATHS}
    opened: dict[str, list[Figures]] = {name: [] for name in PATHS}
    journeys = setting.size(JOURNEYS, 1)
    for _ in range(setting.rounds):
        for name in PATHS:
            with serving(name, setting.folder, stores[name]) as service:
                keeper = setting.keeper
                measured(service, keeper, 1, clients=CLIENTS // 4)  # warms it; does not count
                closed[name].append(measured(service, keeper, journeys))
                opened[name].append(measured(service, keeper, 1, rate=RATE))
    yield from _closed(closed)
    yield from _opened(opened)


def _closed(seen: dict[str, list[Figures]]) -> Iterator[Row]:
    what = f"POST of one event, {CLIENTS} clients, one worker"
    rates = {name: [_rate(one) for one in figures] for name, figures in seen.items()}
    p99 = {name: [Sample(one.p99_ms) for one in figures] for name, figures in seen.items()}
    client = sum(one.client_ms for one in seen["cairn"]) / len(seen["cairn"]) * 1e3
    note = f"the clients cost {client:.0f} us more"
    ours, unit = rates["cairn"], "events/s"
    yield Row(what, unit, ours, BESIDE["peer"], rates["peer"], ratio_min=6.0, note=note)
    yield Row(f"{what}: p99", "ms", p99["cairn"], BESIDE["peer"], p99["peer"], True, ratio_min=1.0)
    yield Row(what, unit, ours, BESIDE["shared"], rates["shared"])
    yield Row(what, unit, ours, BESIDE["bare"], rates["bare"])
    yield Row(f"{what}, workers in it", unit, rates["up"], BESIDE["peer"], rates["peer"])


def _opened(seen: dict[str, list[Figures]]) -> Iterator[Row]:
    for part in ("p50", "p99"):
        found = {
            name: [Sample(getattr(one, f"{part}_ms"), _rate(one).cpu_us) for one in figures]
            for name, figures in seen.items()
        }
        what = f"POST at {RATE:.0f} a second due: {part}"
        for name, beside in BESIDE.items():
            yield Row(what, "ms", found["cairn"], beside, found[name], less=True)
        peer = found["peer"]
        yield Row(f"{what}, workers in it", "ms", found["up"], BESIDE["peer"], peer, less=True)


def _rate(one: Figures) -> Sample:
    return Sample(one.rate, (one.server_ms + one.store_ms) * 1e3)
