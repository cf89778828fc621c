"""`up`, `demo`, `api` and `worker`: the processes that stay."""

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from socket import socket
from typing import Annotated

import typer

from services import logs
from services.bootstrap import Cairn, NotConfigured, Settings, open_cairn
from services.commands import console
from services.commands.admission import admitted
from services.commands.options import DataOption, JsonOption, settings_of
from services.commands.store import opened, reached
from services.commands.watching import MetricsPortOption, watched_on
from services.demo.cohort import STUDY, acts_of, add_cohort, demo_of, register
from services.imports.sdtm.run import ACTOR
from services.listening import LOOPBACK, Ended, ending_in_order, taken
from services.record import Terms
from services.relaying import relaying
from services.workers import Workers

PORT = 8000
TOKEN_FILE = "token"  # noqa: S105 - the name of a file
SOURCE = "urn:cairn"

PortOption = Annotated[int, typer.Option("--port", min=1, max=65_535, help="The port of the API.")]


class Origin(StrEnum):
    """Where a worker's events come from."""

    LEDGER = "ledger"
    KAFKA = "kafka"


def up(port: PortOption = PORT, data: DataOption = None, json: JsonOption = False) -> None:
    """Serve everything from one process: PostgreSQL, API, views.

    Prints the address and an administrator's token (also kept in the data folder). Ctrl-C ends it
    in order.
    """
    _run(settings_of(data), port, json=json, demo=False)


def demo(port: PortOption = PORT, data: DataOption = None, json: JsonOption = False) -> None:
    """Serve everything, with a synthetic cohort of LK-23-01 in every stage of the journey.

    A second start finds the cohort and adds nothing.
    """
    _run(settings_of(data), port, json=json, demo=True)


def api(
    port: PortOption = PORT,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = LOOPBACK,
    behind_loopback: Annotated[
        bool,
        typer.Option(
            "--published-on-loopback",
            help="Allow another host: local tokens are for loopback, and whoever publishes this"
            " port (a container engine) does so on the loopback address only.",
        ),
    ] = False,
    data: DataOption = None,
) -> None:
    """Serve the API alone; `cairn worker` keeps the views."""
    settings = settings_of(data)
    if not (_is_loopback(host) or behind_loopback):
        raise NotConfigured(
            "Local tokens are good on the loopback address only: leave --host out, or say with"
            " --published-on-loopback that the port is published there and nowhere else."
        )
    logs.configure()
    with (
        _ended_in_order(),
        contextlib.closing(taken(host, port)) as listening,
        reached(settings) as conninfo,
        _prepared(settings, conninfo) as cairn,
    ):
        _write_token(cairn)
        _serve(cairn, listening, partial(_announce, cairn, host, port, json=False))


def worker(
    origin: Annotated[
        Origin,
        typer.Option(
            "--from",
            help="Where events come from: the ledger, or Kafka, which shares the participants"
            " among all workers that say so.",
        ),
    ] = Origin.LEDGER,
    metrics_port: MetricsPortOption = None,
    data: DataOption = None,
) -> None:
    """Keep the views up to date and conclude what only time brings, until it is told to end."""
    settings = settings_of(data)
    logs.configure()
    by_kafka = origin is Origin.KAFKA
    if by_kafka:
        admitted(settings)
    with (
        _ended_in_order(),
        opened(settings) as cairn,
        Workers(cairn, by_kafka=by_kafka) as workers,
        watched_on(metrics_port, cairn, workers.activity),
    ):
        console.say("The worker runs. Ctrl-C ends it.")
        workers.wait()


def _run(settings: Settings, port: int, *, json: bool, demo: bool) -> None:
    logs.configure()
    with (
        _ended_in_order(),
        contextlib.closing(taken(LOOPBACK, port)) as listening,
        reached(settings, create=True, alone=True) as conninfo,
        _prepared(settings, conninfo, demo=demo) as cairn,
    ):
        _write_token(cairn)
        relay = relaying(cairn) if settings.kafka_bootstrap else contextlib.nullcontext()
        with Workers(cairn), relay:
            _serve(cairn, listening, partial(_announce, cairn, LOOPBACK, port, json=json))


def _serve(cairn: Cairn, listening: socket, ready: Callable[[], None]) -> None:
    # The web framework takes its time to load: only the commands that serve wait for it.
    from services.api.app import create_app
    from services.serving import serve

    serve(create_app(cairn), listening, ready)


def _add_cohort(cairn: Cairn) -> None:
    acts = acts_of(demo_of(cairn))
    with console.progress("Making the cohort", len(acts)) as advance:
        added = add_cohort(cairn, acts, advance)
    cairn.projector.catch_up(STUDY)
    if added.refused:
        rules = ", ".join(sorted({rule for _, rule in added.refused}))
        console.warn(f"{len(added.refused)} events of the cohort were refused here ({rules})")


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    with contextlib.suppress(Ended), ending_in_order():
        yield


@contextlib.contextmanager
def _prepared(settings: Settings, conninfo: str, *, demo: bool = False) -> Iterator[Cairn]:
    """A Cairn whose store is safe and knows LK-23-01, for a demonstration with its cohort."""
    with contextlib.closing(open_cairn(settings, conninfo=conninfo)) as cairn:
        problems = cairn.problems()
        if problems:
            raise NotConfigured("The store is not safe for events: " + "; ".join(problems) + ".")
        if demo:
            register(cairn)
        asyncio.run(cairn.publishing.publish_built_in(Terms(ACTOR, SOURCE)))
        if demo:
            _add_cohort(cairn)
        yield cairn


def _write_token(cairn: Cairn) -> None:
    """Keep an administrator's token in the data folder, for its owner alone."""
    path = cairn.settings.data / TOKEN_FILE
    beside = path.with_name(f".{TOKEN_FILE}.{os.getpid()}")
    beside.touch(mode=0o600)
    beside.write_text(cairn.tokens.issue("administrator") + "\n")
    beside.replace(path)


def _announce(cairn: Cairn, host: str, port: int, *, json: bool) -> None:
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    path = cairn.settings.data / TOKEN_FILE
    if json:
        console.say_json({"address": address, "token_file": str(path), "process": os.getpid()})
        return
    console.say(f"Cairn is up at {address}")
    console.say(f"Token:  {Path(path).read_text().strip()}")
    console.say(f"        (an administrator's, also in {path})")
    console.say("Ctrl-C ends it; the data stays.")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
