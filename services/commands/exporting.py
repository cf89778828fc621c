"""`export ndjson`: a study's ledger, event by event."""

from typing import Annotated

import typer

from services.commands import console
from services.commands.options import DataOption, StudyOption, settings_of
from services.commands.store import opened

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

EVENTS_PER_READ = 1_000


@app.callback()
def _export() -> None:
    """Take out what was recorded."""


@app.command("ndjson")
def ndjson(
    study: StudyOption,
    after: Annotated[int, typer.Option("--after", min=0, help="Begin after this position.")] = 0,
    data: DataOption = None,
) -> None:
    """Write the study's recorded events in order of position, one a line, each with its hash.

    Protected values stay sealed. A line without its `hash` is the text that was hashed.
    """
    with opened(settings_of(data)) as cairn:
        cairn.hot.trial(study)
        head = cairn.ledger.head(study)
        with console.progress("Exporting", max(head - after, 0)) as advance:
            while after < head:
                page = cairn.ledger.read(study, after, EVENTS_PER_READ, head)
                for stored in page:
                    console.say_bytes(
                        b'%s,"hash":"%s"}\n' % (stored.body[:-1], stored.hash.encode())
                    )
                after = page[-1].position
                advance(len(page))
