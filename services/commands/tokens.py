"""`token`: local credentials."""

from datetime import timedelta
from typing import Annotated, cast, get_args

import typer

from services.auth import open_tokens
from services.bootstrap import now
from services.commands import console
from services.commands.options import DataOption, JsonOption, settings_of
from services.commands.troubles import Trouble
from services.roles import Role

ROLES = get_args(Role)
DAYS_MAX = 3_660


def token(
    role: Annotated[str, typer.Option("--role", help=f"One of: {', '.join(ROLES)}.")],
    site: Annotated[str | None, typer.Option("--site", help="The only site it opens.")] = None,
    study: Annotated[str | None, typer.Option("--study", help="The only study it opens.")] = None,
    identity: Annotated[
        str | None, typer.Option("--id", help="Who acts, as events will name them.")
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=DAYS_MAX, help="So long it is good.")
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Make a local token of a role, and print it alone.

    It is good for every Cairn on this data folder, running or not.
    """
    if role not in ROLES:
        raise Trouble(f"there is no such role; the roles are {', '.join(ROLES)}")
    settings = settings_of(data)
    expires = None if days is None else now() + timedelta(days=days)
    found = open_tokens(settings.data, now).issue(
        cast("Role", role), study=study, site=site, identity=identity, expires=expires
    )
    if json:
        console.say_json({"token": found, "role": role, "study": study, "site": site})
    else:
        console.say(found)
