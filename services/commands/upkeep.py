"""`doctor` and `rebuild`: whether the store may be trusted, and its views made anew."""

import contextlib
import os
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from typing import Annotated, Any

import psycopg
import typer

from infra.interpreter import set_to_fold
from infra.postgres import migrate
from infra.postgres import settings as store
from infra.postgres.migrate import MigrationProblem
from infra.postgres.pool import connect
from infra.projection.batch import Halted
from infra.projection.rebuilding import RebuildUnderWay, Rebuilt
from infra.projection.sharing import Beside
from services.bootstrap import Cairn, Settings, helpers, open_cairn
from services.commands import console
from services.commands.options import DataOption, JsonOption, settings_of
from services.commands.store import opened, reached
from services.commands.troubles import Trouble

PROCESSES_MAX = 64


def doctor(data: DataOption = None, json: JsonOption = False) -> None:
    """Check the store: its settings, its migrations, and how far behind its readers are.

    It changes nothing. The exit code is 1 when something is wrong.
    """
    settings = settings_of(data)
    with reached(settings) as conninfo:
        problems = _problems(conninfo)
        studies = [] if problems else _studies(settings, conninfo)
    if json:
        console.say_json({"problems": problems, "studies": studies})
    else:
        _show(problems, studies)
    if problems:
        raise typer.Exit(1)


def rebuild(
    view: Annotated[
        str | None, typer.Argument(metavar="VIEW", help="One view; without it, all of them.")
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", metavar="STUDY", help="One study; else all of them.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=PROCESSES_MAX, help="How many compute; all cores without it."),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Build views anew from the ledger, beside the ones that are read, and swap them.

    Readers go on meanwhile. It tells whether the rows kept live were those that the ledger gives;
    the exit code is 1 when they were not.
    """
    set_to_fold()
    with opened(settings_of(data)) as cairn:
        views = _named(view, tuple(cairn.tables.views), "view")
        studies = _named(study, tuple(cairn.ledger.studies()), "study")
        beside = helpers(cairn, min(processes or os.cpu_count() or 1, PROCESSES_MAX))
        found = [
            (one, each) for one in studies for each in _rebuilt(cairn, one, views, beside, json)
        ]
    built = [(one, each) for one, each in found if isinstance(each, Rebuilt)]
    if json:
        console.say_json([{"study": one, **asdict(each), "same": each.same} for one, each in built])
    else:
        rows = [
            (one, each.view, each.rows, each.position, "yes" if each.same else "NO")
            for one, each in built
        ]
        console.table("Rebuilt", ("study", "view", "rows", "position", "as kept live"), rows)
    for _, halted in found:
        if isinstance(halted, Halted):
            raise Trouble(
                f"{halted.cursor.view} cannot be built: an event up to {halted.position} cannot be"
                f" taken in ({halted.error})"
            )
    if not all(each.same for _, each in built):
        raise typer.Exit(1)


def _named(wanted: str | None, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    if wanted is None:
        return known
    if wanted not in known:
        raise Trouble(f"there is no such {what}; there are: {', '.join(known)}")
    return (wanted,)


def _rebuilt(
    cairn: Cairn, study: str, views: Sequence[str], beside: Beside, quiet: bool
) -> list[Rebuilt | Halted]:
    # What is kept live is compared with what is built: let it reflect all there is first.
    cairn.projector.catch_up(study)
    label = f"{study}: {', '.join(views)}"
    with console.progress(label, cairn.ledger.head(study), quiet=quiet) as advance:
        told = 0

        def progress(done: int, _all: int) -> None:
            nonlocal told
            advance(done - told)
            told = done

        try:
            return cairn.projector.rebuild_all(study, views, progress, beside)
        except BrokenProcessPool:
            raise Trouble(
                "a process that built views was killed; what is read is as before: start again"
            ) from None
        except RebuildUnderWay as under_way:
            raise Trouble(f"another process is rebuilding {under_way}") from None


def _problems(conninfo: str) -> list[str]:
    try:
        with contextlib.closing(connect(conninfo)) as connection:
            waiting = migrate.pending(connection)
            unsafe = store.problems(connection)
    except MigrationProblem as error:
        return [str(error)]
    except psycopg.errors.UndefinedTable:
        return ["the store holds no Cairn yet: `cairn up` makes it"]
    except psycopg.OperationalError:
        raise Trouble("the database does not answer, or its role cairn_app is missing") from None
    return [*unsafe, *(f"migration {one.name} is not applied" for one in waiting)]


def _studies(settings: Settings, conninfo: str) -> list[dict[str, Any]]:
    with contextlib.closing(open_cairn(settings, conninfo=conninfo)) as cairn:
        lag = cairn.lag()
        return [_study(cairn, study, lag) for study in cairn.ledger.studies()]


def _study(cairn: Cairn, study: str, lag: dict[str, dict[str, int]]) -> dict[str, Any]:
    behind = {reader: studies[study] for reader, studies in lag.items() if study in studies}
    return {"study": study, "position": cairn.ledger.head(study), "behind": behind}


def _show(problems: list[str], studies: list[dict[str, Any]]) -> None:
    if not problems:
        console.say("The store is safe for events, and of this version.")
    for problem in problems:
        console.say(f"- {problem}")
    rows = [
        (
            one["study"],
            one["position"],
            ", ".join(f"{reader} {count}" for reader, count in one["behind"].items() if count)
            or "nothing",
        )
        for one in studies
    ]
    console.table("Studies", ("study", "events", "behind"), rows)
