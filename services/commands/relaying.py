"""`relay`: hands the ledger to Apache Kafka."""

import contextlib
import threading
from typing import Annotated

import typer

from services import logs
from services.bootstrap import Cairn, relay_ports
from services.commands import console
from services.commands.admission import admitted
from services.commands.options import DataOption, settings_of
from services.commands.store import opened
from services.commands.troubles import Trouble
from services.commands.watching import MetricsPortOption, watched_on
from services.listening import Ended, ending_in_order
from services.relaying import relaying


def relay(
    study: Annotated[
        str | None, typer.Option("--study", metavar="STUDY", help="One study; else all of them.")
    ] = None,
    start_over: Annotated[
        bool,
        typer.Option(
            "--start-over",
            help="Forget how far --study was relayed, and end: the next relay writes its ledger"
            " from the beginning. Its topic has to be new or deleted, and its consumers begin anew"
            " as well; after a restored database, or to change the number of partitions.",
        ),
    ] = False,
    metrics_port: MetricsPortOption = None,
    data: DataOption = None,
) -> None:
    """Hand every study's events to Apache Kafka (CAIRN_KAFKA_BOOTSTRAP), until it is told to end.

    Any number may run: one at a time works for a study, and another takes over within seconds.
    """
    settings = settings_of(data)
    admitted(settings)  # before a store is opened in vain
    logs.configure()
    with contextlib.suppress(Ended), ending_in_order(), opened(settings) as cairn:
        if start_over:
            _start_over(cairn, study)
            return
        with (
            relaying(cairn, _known(cairn, study)) as activity,
            watched_on(metrics_port, cairn, activity),
        ):
            console.say("The relay runs. Ctrl-C ends it.")
            threading.Event().wait()


def _start_over(cairn: Cairn, study: str | None) -> None:
    ports = relay_ports(cairn)
    from infra.kafka.relay import TROUBLES, CannotStartOver, start_over

    if study is None:
        raise Trouble("name the study that starts over with --study")
    try:
        start_over(ports, _known(cairn, study) or study)
    except CannotStartOver as why:
        raise Trouble(str(why)) from None
    except TROUBLES as trouble:
        raise Trouble(f"brokers or database do not answer ({type(trouble).__name__})") from None
    console.say(f"{study} will be relayed from its beginning.")


def _known(cairn: Cairn, study: str | None) -> str | None:
    if study is not None and study not in cairn.ledger.studies():
        raise Trouble(f"there is no such study; there are: {', '.join(cairn.ledger.studies())}")
    return study
