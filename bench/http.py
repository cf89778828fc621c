"""POST of one event over HTTP, the whole path: Cairn beside what one would write without it.

Both on the same embedded PostgreSQL with everything durable, one worker process each, in turns, so
that the machine's mood falls on both; the clients run in a process of their own. Usage:
`python -m bench.http [--journeys 2] [--rounds 3] [--only cairn] [--rate 150] [--json file]`.
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from bench.journey import STUDY
from bench.load import Order, Seen
from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.migrate import migrate

CLIENTS = 64
ROUNDS = 3
JOURNEYS = 2
"""Whole journeys of every client in one measurement: twenty events each."""
RATE = 150.0
"""Requests per second of the open loop: what the service without Cairn can still answer."""
RATIO_MIN = 1.5
"""What holds today even where other programs want the processors too; six is what is wanted."""
READY_SECONDS_MAX = 60
TICK = os.sysconf("SC_CLK_TCK")

PATHS = {
    "cairn": f"/v1/studies/{STUDY}/participants/%s/events",
    "up": f"/v1/studies/{STUDY}/participants/%s/events",
    "peer": "/participants/%s/events",
    "bare": "/participants/%s/events",
}
"""`cairn` is the API alone, `up` has the projector and the clock worker in the same process, `peer`
is the service without Cairn, `bare` a route that stores nothing."""
MEASURED = ("bare", "peer", "cairn", "up")


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
    before = cpu_seconds(service.process.pid), tree_seconds(store)
    answer = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=True,
    )
    after = cpu_seconds(service.process.pid), tree_seconds(store)
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


def cpu_seconds(process: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def tree_seconds(root: int) -> float:
    """Processor time of a process and all below it that live, and of those they waited for."""
    total, found = 0.0, [root]
    for one in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / TICK
            children = Path(f"/proc/{one}/task/{one}/children").read_text()
            found += map(int, children.split())
    return total


def median(of: list[Figures]) -> Figures:
    """The median of every figure."""
    rows = [asdict(one) for one in of]
    return Figures(**{name: statistics.median(row[name] for row in rows) for name in rows[0]})


def main() -> None:
    """Measure in turns, print the table; exit 1 when the ratio is below what we promise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--journeys", type=int, default=JOURNEYS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=tuple(PATHS))
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    names = [asked.only] if asked.only else list(MEASURED)
    closed: dict[str, list[Figures]] = {name: [] for name in names}
    opened: dict[str, list[Figures]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder:
        data = Path(folder)
        with EmbeddedPostgres(data) as postgres:
            migrate(postgres.conninfo)
            for _ in range(asked.rounds):
                for name in names:
                    with serving(name, data, postgres.conninfo) as service:
                        keeper = postgres.keeper
                        measured(service, keeper, 1, clients=CLIENTS // 4)
                        closed[name].append(measured(service, keeper, asked.journeys))
                        if asked.rate:
                            opened[name].append(measured(service, keeper, 1, rate=asked.rate))
    report(closed, opened, asked.rate)
    if asked.json:
        told = {"closed": closed, "open": opened}
        asked.json.write_text(
            json.dumps(told, default=lambda one: asdict(one), indent=1, sort_keys=True) + "\n"
        )
    if len(names) > 1 and ratio_of(closed) < RATIO_MIN:
        sys.exit(1)


def ratio_of(closed: dict[str, list[Figures]]) -> float:
    """Cairn's median rate in the other's."""
    return median(closed["cairn"]).rate / median(closed["peer"]).rate


def report(closed: dict[str, list[Figures]], opened: dict[str, list[Figures]], rate: float) -> None:
    """Print what was measured."""
    print(f"POST of one event, {CLIENTS} keep-alive clients, one worker; processor ms per event")
    print(f"{'':28}{'events/s':>9}{'p50 ms':>8}{'p99 ms':>8}{'server':>8}{'store':>7}{'client':>8}")
    for title, figures in (("", closed), (f", {rate:.0f}/s due", opened)):
        for name, rounds in figures.items():
            lines = [(name, one) for one in rounds]
            if rounds:
                lines.append((f"{name}, median", median(rounds)))
            for kind, one in lines:
                print(
                    f"{kind + title:28}{one.rate:9,.0f}{one.p50_ms:8.1f}{one.p99_ms:8.1f}"
                    f"{one.server_ms:8.2f}{one.store_ms:7.2f}{one.client_ms:8.2f}"
                )
    if len(closed) > 1:
        print(f"ratio of the medians: {ratio_of(closed):.1f}x (promised: {RATIO_MIN}x, wanted: 6x)")


if __name__ == "__main__":
    main()
