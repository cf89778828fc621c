"""`replay`: a participant's history, version by version."""

from typing import Annotated

import typer

from domain.time import When
from services.bootstrap import Cairn
from services.commands import console
from services.commands.options import DataOption, JsonOption, settings_of
from services.commands.store import opened
from services.commands.troubles import Trouble
from services.replay import replay, replay_all
from services.replay_text import story, text
from services.state import NotFound, recorded


def replay_command(
    who: Annotated[str, typer.Argument(metavar="STUDY/PARTICIPANT")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="VERSION|TIME",
            help="A version, or an instant or date: the last version recorded by then.",
        ),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Replay a participant: every version in a line each, or one version whole with --at."""
    study, _, name = who.partition("/")
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
