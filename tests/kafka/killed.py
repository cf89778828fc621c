"""`cairn inbound`, which kills itself with -9 at a named moment: `python -m tests.kafka.killed`.

Its sessions are short, so that whoever comes after it need not wait long.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

from infra.kafka import inbound as adapter
from infra.ledger.postgres import PostgresLedger
from services import cli
from services.bootstrap import inbound_ports
from services.commands import inbound as command
from services.inbound.process import Ports

MOMENT = "CAIRN_TESTS_KILLED_AT"
MOMENTS = (
    "before append",
    "after append",
    "after parking",
    "after results",
    "after release",
    "after commit",
)


def dying(act: Callable[..., Any], *, before: bool = False) -> Callable[..., Any]:
    """The same, and the process is gone."""

    def last(*given: Any, **named: Any) -> Any:
        if not before:
            act(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return last


def armed(ports: Ports, moment: str) -> Ports:
    """The ports, one of which is deadly."""
    match moment:
        case "before append":
            PostgresLedger.append = dying(PostgresLedger.append, before=True)  # type: ignore[method-assign]
        case "after append":
            ports.results.send = dying(ports.results.send, before=True)  # type: ignore[method-assign]
        case "after results":
            ports.results.send = dying(ports.results.send)  # type: ignore[method-assign]
        case "after parking":
            ports.parked.park = dying(ports.parked.park)  # type: ignore[method-assign]
        case "after release":
            ports.parked.release = dying(ports.parked.release)  # type: ignore[method-assign]
        case "after commit":
            adapter.Inbox.commit = dying(adapter.Inbox.commit)  # type: ignore[method-assign]
        case _:
            pass
    return ports


def main() -> None:
    adapter.SESSION_MILLISECONDS, adapter.HEARTBEAT_MILLISECONDS = 2_000, 500
    moment = os.environ.get(MOMENT, "")
    command.inbound_ports = lambda cairn: armed(inbound_ports(cairn), moment)
    cli.main()


if __name__ == "__main__":
    main()
