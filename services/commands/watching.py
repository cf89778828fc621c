"""The port for who watches a process that has no interface of its own, where one is asked for."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from infra.kafka.activity import Activity
from services.bootstrap import Cairn

if TYPE_CHECKING:
    from services.watching import More

MetricsPortOption = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=1,
        max=65_535,
        envvar="CAIRN_METRICS_PORT",
        help="Answer /health/live, /health/ready and /metrics on this port of the loopback"
        " address; without it on none.",
    ),
]


@contextlib.contextmanager
def watched_on(
    port: int | None, cairn: Cairn, activity: Activity | None, more: "More" = tuple
) -> Iterator[None]:
    """Answer who watches the process, while the block lasts, if a port is named. CannotListen."""
    if port is None:
        yield
        return
    # What makes figures takes its time to load: only who shows some waits for it.
    from services.watching import watched

    with watched(cairn, port, activity, more):
        yield
