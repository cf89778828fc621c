"""`doctor`: whether the store may be trusted with events, and how far its readers are."""

import contextlib
from typing import Any

import psycopg
import typer

from infra.postgres import migrate
from infra.postgres import settings as store
from infra.postgres.migrate import MigrationProblem
from infra.postgres.pool import connect
from services.bootstrap import Cairn, Settings, open_cairn
from services.commands import console
from services.commands.options import DataOption, JsonOption, settings_of
from services.commands.store import reached
from services.commands.troubles import Trouble


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
