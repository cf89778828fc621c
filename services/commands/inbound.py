"""`inbound`: recording what other systems post over Kafka."""

import asyncio
import signal
from typing import Annotated, cast, get_args

import typer

from services import logs
from services.auth import Caller, Claims
from services.bootstrap import Cairn, inbound_ports
from services.commands import console
from services.commands.admission import admitted
from services.commands.options import DataOption, settings_of
from services.commands.store import opened
from services.commands.troubles import Trouble
from services.commands.watching import MetricsPortOption, watched_on
from services.roles import Role

ROLES = get_args(Role)
IDENTITY = "inbound"


def inbound(
    role: Annotated[
        str, typer.Option("--role", help="In whose role messages are recorded.")
    ] = "system",
    identity: Annotated[
        str, typer.Option("--id", help="Who records, as events will name it.")
    ] = IDENTITY,
    study: Annotated[
        str | None, typer.Option("--study", help="The only study; else all of them.")
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option("--topic", help="Read this topic of the study instead of its own."),
    ] = None,
    metrics_port: MetricsPortOption = None,
    data: DataOption = None,
) -> None:
    """Record what other systems post on the inbound topics, and answer every message.

    Who may write to a topic is for the brokers to say; whatever stands in it is recorded in the
    given role. Several of these share the work; a topic has one role.
    """
    if role not in ROLES:
        raise Trouble(f"there is no such role; the roles are {', '.join(ROLES)}")
    if topic is not None and study is None:
        raise Trouble("--topic needs --study: a topic is of one study")
    settings = settings_of(data)
    admitted(settings)
    logs.configure()
    caller = Caller(Claims(role=cast("Role", role), id=identity, study=study))
    with opened(settings) as cairn:
        if study is not None:
            cairn.hot.trial(study)
        asyncio.run(_until_ended(cairn, caller, study, topic, metrics_port))


async def _until_ended(
    cairn: Cairn, caller: Caller, study: str | None, topic: str | None, metrics_port: int | None
) -> None:
    ports = inbound_ports(cairn)
    from infra.kafka.topics import inbound_topic, is_topic
    from services.inbound.process import Inbound

    topics = None if study is None else {study: topic or inbound_topic(study)}
    for name in (topics or {}).values():
        if not is_topic(name):
            raise Trouble("a topic's name has letters, digits, dots, dashes and underscores only")
    process = Inbound(cairn, caller, ports, cairn.settings.kafka_inbound_patience, topics)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, process.end)
    figures = process.figures
    with watched_on(metrics_port, cairn, figures.activity, figures.families):
        console.say("Inbound messages are recorded. Ctrl-C ends it.")
        await process.run()
