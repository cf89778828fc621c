"""`what-if`: what a draft protocol, or events that are not recorded, would change."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.kernel import Actor
from domain.time import When
from domain.what_if import LISTS
from services.bootstrap import Cairn
from services.commands import console
from services.commands.importing import CONTENT_TYPES
from services.commands.options import DataOption, JsonOption, settings_of
from services.commands.store import opened
from services.commands.troubles import Trouble
from services.terms import Terms
from services.views import Query
from services.what_if import Cohort, Report, draft_of, single, supposed

SOURCE = "urn:cairn:what-if"
ACTOR = Actor(id="command-line", role="administrator")
SHOWN_MAX = 20
"""Items of a list that are shown to a person; --json has all of them."""


def what_if(
    who: Annotated[str, typer.Argument(metavar="STUDY[/PARTICIPANT]")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A draft protocol (YAML, JSON, USDM); for a participant also an event, a list of"
            " them, or an object of `events` and `protocol`.",
        ),
    ],
    site: Annotated[str | None, typer.Option("--site", help="Only this site.")] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="POSITION|TIME", help="As known then; only with a draft alone."
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="TIME", help="The `now` of states: an instant or a date."),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Tell what would change for everybody, or for one participant. Nothing is written.

    A draft is judged as if it had been everybody's protocol from the start.
    """
    study, _, name = who.partition("/")
    query = Query(site=site, as_of=_position_or_time(as_of), on=_time("--on", on))
    body, sent = _read(file)
    with opened(settings_of(data)) as cairn:
        if name:
            _one(cairn, study, name, body, sent, query, json=json)
        else:
            _everybody(cairn, study, body, sent, query, json=json)


def _everybody(
    cairn: Cairn, study: str, body: bytes, sent: str, query: Query, *, json: bool
) -> None:
    draft = draft_of(body, sent, study)
    cairn.hot.trial(study)
    cohort = Cohort(cairn, study, draft.protocol, query, pause=lambda: None)
    report = Report()
    with console.progress("Comparing", cohort.size, quiet=json) as advance:
        told = 0
        for one in cohort:
            report.add(one)
            advance(cohort.looked_at - told)
            told = cohort.looked_at
    found = {**cohort.head(), **report.document()}
    if json:
        console.say_json(found)
        return
    console.say(
        f"{study} at position {found['position']}: protocol {found['protocols']['what_if']} against"
        f" {', '.join(found['protocols']['today'])}"
    )
    _show(found)


def _one(
    cairn: Cairn, study: str, name: str, body: bytes, sent: str, query: Query, *, json: bool
) -> None:
    supposing = supposed(body, sent, study, name)
    if supposing.posted and query.as_of is not None:
        raise Trouble("events are proposed now: --as-of goes with a draft alone")
    found = asyncio.run(single(cairn, study, name, supposing, Terms(ACTOR, SOURCE), query))
    if json:
        console.say_json(found)
        return
    console.say(f"{study}/{name} at position {found['position']}")
    for line in _would(found.get("would")):
        console.say(line)
    _show(found)


def _would(would: dict[str, Any] | None) -> Iterator[str]:
    if would is None:
        return
    if would["refusal"] is not None:
        refusal = would["refusal"]
        blocked = ", ".join(map(str, refusal["blocked_by"])) or "no event"
        yield f"refused by `{refusal['rule']}` ({blocked}): {refusal['detail']}"
    elif would["replayed"]:
        yield "known already: nothing would be recorded"
    else:
        yield from (f"would record {one['type']}" for one in would["events"])


def _show(found: dict[str, Any]) -> None:
    totals = found["totals"]
    console.say(
        f"{totals['participants']} compared, {totals['changed']} would differ,"
        f" {totals['failed']} cannot be told"
    )
    counts = [
        (f"{part} {kind.replace('_', ' ')}", totals[part][kind])
        for part, kinds in LISTS.items()
        for kind in kinds
        if totals[part][kind]
    ]
    console.table("What would differ", ("what", "how many"), counts)
    for part, kinds in LISTS.items():
        for kind in kinds:
            items = found[part][kind]
            rows = [(one["participant"], one["what"], one["why"]) for one in items[:SHOWN_MAX]]
            more = totals[part][kind] - len(rows)
            title = f"{part} {kind.replace('_', ' ')}" + (f" (and {more} more)" if more else "")
            console.table(title, ("participant", "what", "why"), rows)
    for one in found.get("failed", ()):
        console.say(f"{one['participant']}: {one['why']}")


def _read(file: Path) -> tuple[bytes, str]:
    sent = CONTENT_TYPES.get(file.suffix.lower())
    if sent is None:
        raise Trouble("FILE must end in .json, .yaml or .yml")
    try:
        return file.read_bytes(), sent
    except OSError:
        raise Trouble(f"{file} cannot be read") from None


def _position_or_time(text: str | None) -> int | When | None:
    """A position where there are only digits, as over REST."""
    if text is not None and text.isascii() and text.isdecimal():
        return int(text)
    return _time("--as-of", text)


def _time(option: str, text: str | None) -> When | None:
    if text is None:
        return None
    try:
        return When.parse(text)
    except ValueError:
        raise Trouble(f"{option} takes an instant with its offset, or a date") from None
