"""`replay`: a participant's history, version by version; `replay --check`: is it what follows?"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import orjson
import typer

from domain.time import When
from services.bootstrap import Cairn
from services.commands import console
from services.commands.options import DataOption, JsonOption, settings_of
from services.commands.store import opened
from services.commands.troubles import Trouble
from services.replay import replay, replay_all
from services.replay_check import ReplayCheck
from services.replay_text import in_a_line, in_a_sentence, story, text
from services.state import NotFound, recorded


def replay_command(
    who: Annotated[
        str,
        typer.Argument(metavar="STUDY/PARTICIPANT", help="With --check also a whole STUDY."),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="VERSION|TIME",
            help="A version, or an instant or date: the last version recorded by then.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Recompute every recorded conclusion from what preceded it, and list what differs"
            " (exit code 1). With --json a line each, and at the end what was looked at.",
        ),
    ] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Replay a participant: every version in a line each, or one version whole with --at."""
    study, _, name = who.partition("/")
    if check:
        if at is not None:
            raise Trouble("--check looks at a whole history: leave --at out")
        with opened(settings_of(data)) as cairn:
            _check(cairn, study, name or None, json=json)
        return
    if not study or not name:
        raise Trouble("name the participant as STUDY/PARTICIPANT")
    with opened(settings_of(data)) as cairn:
        if at is None:
            _all(cairn, study, name, json=json)
            return
        found = replay(cairn.hot, study, name, _version(cairn, study, name, at))
        if json:
            console.say_json(found.document())
        else:
            console.say(text(found).rstrip("\n"))


def _check(cairn: Cairn, study: str, name: str | None, *, json: bool) -> None:
    """Say each difference as it is found, then what was looked at."""
    with _progress(cairn, study, name, quiet=json) as check:
        for finding in check.findings():
            if json:
                console.say_bytes(orjson.dumps({"finding": finding.document()}) + b"\n")
            else:
                console.say(in_a_line(finding))
    if json:
        console.say_bytes(orjson.dumps({"checked": check.checked.document()}) + b"\n")
    else:
        console.say(in_a_sentence(check.checked))
    if check.checked.differences:
        raise typer.Exit(1)


@contextmanager
def _progress(cairn: Cairn, study: str, name: str | None, *, quiet: bool) -> Iterator[ReplayCheck]:
    check = ReplayCheck(cairn.ledger, cairn.documents, study, name)
    with console.progress(f"{study}: replay check", check.total(), quiet=quiet) as advance:
        check.progress = advance
        yield check


def _all(cairn: Cairn, study: str, name: str, *, json: bool) -> None:
    replays = replay_all(cairn.hot, study, name)
    if json:
        console.say_json([one.document() for one in replays])
        return
    for line in story(replays):
        console.say(line)


def _version(cairn: Cairn, study: str, name: str, at: str) -> int:
    """The version itself, or the last one recorded at or before a time."""
    if at.isdecimal() and len(at) != len("2026"):
        return int(at)
    history = cairn.hot.history(study, name)
    if at.isdecimal() and int(at) <= len(history):
        return int(at)
    try:
        by = When.parse(at).latest()
    except ValueError:
        raise Trouble("--at takes a version, an instant with its offset, or a date") from None
    versions = [one.version for one in history if recorded(one).recorded_at <= by]
    if not versions:
        raise NotFound("version: nothing was recorded by then")
    return versions[-1]
