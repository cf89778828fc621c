"""The command line `cairn`."""

import os
import sys

import typer

from services.commands import (
    console,
    exporting,
    importing,
    inbound,
    relaying,
    replaying,
    serving,
    tokens,
    upkeep,
    what_if,
)
from services.commands.troubles import EXPECTED, sentence

app = typer.Typer(
    name="cairn",
    help="Cairn: the event-sourced record of a participant's journey through a clinical trial.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("up")(serving.up)
app.command("demo")(serving.demo)
app.command("api")(serving.api)
app.command("worker")(serving.worker)
app.command("relay")(relaying.relay)
app.command("inbound")(inbound.inbound)
app.command("token")(tokens.token)
app.command("replay")(replaying.replay_command)
app.command("what-if")(what_if.what_if)
app.command("doctor")(upkeep.doctor)
app.command("rebuild")(upkeep.rebuild)
app.add_typer(importing.app, name="import", help="Bring in what other systems recorded.")
app.add_typer(exporting.app, name="export", help="Take out what was recorded.")


def main() -> None:
    """Run a command; expected troubles are one line on standard error and exit code 1."""
    try:
        app()
    except EXPECTED as error:
        console.warn(f"cairn: {sentence(error)}")
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does; nothing is to be flushed to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
