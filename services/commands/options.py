"""Options that several commands take, and the settings that they make."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from services.bootstrap import NotConfigured, Settings

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="The data folder: keys, tokens and the embedded PostgreSQL (CAIRN_DATA; .cairn).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON, for machines.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Do everything in memory; write nothing.")
]
StudyOption = Annotated[str, typer.Option("--study", metavar="STUDY", help="The study.")]


def settings_of(data: Path | None) -> Settings:
    """What the environment and the option say. NotConfigured for what cannot be read or is half."""
    try:
        found = Settings() if data is None else Settings(data=data)
    except ValidationError as error:
        names = sorted({str(one["loc"][0]).upper() for one in error.errors(include_input=False)})
        raise NotConfigured(f"CAIRN_{', CAIRN_'.join(names)} cannot be read.") from None
    found.refuse_half()
    return found
