"""`import sdtm` and `import ndjson`."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from domain.kernel import Actor
from domain.trial.study import zone_named
from services.bootstrap import Settings
from services.commands import console
from services.commands.options import (
    DataOption,
    DryRunOption,
    JsonOption,
    StudyOption,
    settings_of,
)
from services.commands.store import exists, opened
from services.commands.troubles import Trouble
from services.imports import ndjson
from services.imports.sdtm.run import ACTOR, SdtmImport, Summary, Survey, survey
from services.publishing import Draft, Published, Publishing, draft
from services.record import Recording, Terms
from services.rehearsal import rehearsal

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

SOURCE = "urn:cairn:import"
REJECTED_SHOWN_MAX = 50
CONTENT_TYPES = {
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}

Services = tuple[Recording, Publishing]


@app.command("sdtm")
def sdtm(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the datasets are.")],
    study: StudyOption,
    protocol: Annotated[
        Path | None,
        typer.Option(
            "--protocol",
            metavar="FILE",
            help="The study's protocol: YAML, JSON or USDM 4.0 JSON. Published when it is not yet;"
            " without it the study must exist.",
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="The protocol's version, where FILE has none.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(
            "--timezone",
            metavar="ZONE",
            help="The sites' IANA zone. Without it days are counted in UTC, and of a time of day"
            " without an offset the date is kept.",
        ),
    ] = None,
    dry_run: DryRunOption = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Turn SDTM datasets (CSV, XPT or Dataset-JSON) of DM, DS, SV, EX and AE into journeys.

    It can be broken off and run again: what was recorded before is recognised.
    """
    settings = settings_of(data)
    zone = None if timezone is None else _zone(timezone)
    found = survey(folder)
    read = None if protocol is None else _draft(protocol, study, version)
    with _services(settings, dry_run=dry_run) as (recording, publishing):
        published, summary = asyncio.run(
            _sdtm(recording, publishing, study, read, found, zone, json)
        )
    if json:
        protocol_item = None if published is None else published.as_item()
        console.say_json({"dry_run": dry_run, "protocol": protocol_item, **summary.document()})
        return
    _show_sdtm(summary, published, dry_run=dry_run)


@app.command("ndjson")
def ndjson_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One event a line.")],
    study: StudyOption,
    historical: Annotated[
        bool,
        typer.Option(
            "--historical",
            help="Its decisions were taken elsewhere, before: record them as history, ungated.",
        ),
    ] = False,
    dry_run: DryRunOption = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Record the events of a file, each with its `participant`, as if they were posted.

    Events with an id can be imported again: what was recorded before is recognised.
    """
    settings = settings_of(data)
    if not file.is_file():
        raise Trouble(f"{file} is not a file")
    terms = Terms(Actor(id="import", role="data-manager"), SOURCE, historical=historical)
    with (
        _services(settings, dry_run=dry_run) as (recording, _publishing),
        console.progress("Importing", file.stat().st_size, quiet=json) as advance,
    ):
        bulk = ndjson.NdjsonImport(recording, study, terms)
        summary = asyncio.run(bulk.run(ndjson.lines_of(file), advance))
    if json:
        console.say_json({"dry_run": dry_run, **summary.document()})
        return
    _show_counts(summary, dry_run=dry_run)
    rows = [(one.line, one.rule) for one in summary.rejected[:REJECTED_SHOWN_MAX]]
    console.table("Rejected", ("line", "rule"), rows)


async def _sdtm(
    recording: Recording,
    publishing: Publishing,
    study: str,
    read: Draft | None,
    found: Survey,
    zone: ZoneInfo | None,
    quiet: bool,
) -> tuple[Published | None, Summary]:
    published = None
    if read is not None:
        published = await publishing.publish_protocol(read, Terms(ACTOR, SOURCE))
    with console.progress("Importing", found.total, quiet=quiet) as advance:
        return published, await SdtmImport(recording, study, zone).run(found, advance)


def _draft(protocol: Path, study: str, version: str | None) -> Draft:
    kind = CONTENT_TYPES.get(protocol.suffix.lower())
    if kind is None or not protocol.is_file():
        raise Trouble(f"{protocol} is not a protocol file (.json, .yaml)")
    return draft(protocol.read_bytes(), kind, study=study, version=version)


def _zone(name: str) -> ZoneInfo:
    try:
        return zone_named(name)
    except (KeyError, ValueError, OSError):
        raise Trouble("--timezone is not an IANA time zone") from None


@contextlib.contextmanager
def _services(settings: Settings, *, dry_run: bool) -> Iterator[Services]:
    """Where events are recorded: the store, or for a dry run memory on top of it."""
    if dry_run and not exists(settings):
        found = rehearsal(None)
        yield found.recording, found.publishing
        return
    with opened(settings, create=True) as cairn:
        services = rehearsal(cairn) if dry_run else cairn
        yield services.recording, services.publishing


def _show_sdtm(summary: Summary, published: Published | None, *, dry_run: bool) -> None:
    if published is not None and published.created:
        for line in published.left_out:
            console.warn(f"not taken from the protocol: {line}")
    _show_counts(summary, dry_run=dry_run)
    visits = [(name, code, count) for (name, code), count in sorted(summary.visits.items())]
    console.table("Visits", ("VISIT", "recorded as", "rows"), visits)
    left = [(domain, reason, rows) for (domain, reason), rows in sorted(summary.left_out.items())]
    console.table("Left out", ("domain", "reason", "rows"), left)
    rejected = [
        (one.domain, one.row, one.participant, one.event, one.rule)
        for one in summary.rejected[:REJECTED_SHOWN_MAX]
    ]
    console.table("Rejected", ("domain", "row", "participant", "event", "rule"), rejected)
    corrected = [
        (one.domain, one.row, one.participant, one.event, ", ".join(one.fields))
        for one in summary.corrected[:REJECTED_SHOWN_MAX]
    ]
    columns = ("domain", "row", "participant", "event", "fields")
    console.table("Corrected since the last import", columns, corrected)
    gone = [(one.participant, one.event) for one in summary.gone[:REJECTED_SHOWN_MAX]]
    console.table("Recorded before, without a row now", ("participant", "event"), gone)


def _show_counts(summary: Summary | ndjson.Summary, *, dry_run: bool) -> None:
    names = sorted({*summary.recorded, *summary.known})
    rows: list[tuple[Any, ...]] = [
        (name, summary.recorded[name], summary.known[name]) for name in names
    ]
    rows.append(("(conclusions)", summary.conclusions, ""))
    now = "would be recorded" if dry_run else "recorded"
    console.table(f"Events of {summary.study}", ("type", now, "already there"), rows)
    console.say(f"{len(summary.rejected)} rejected.")
    if dry_run:
        console.say("A dry run: nothing was written.")
