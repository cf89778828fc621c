"""`cairn what-if` on a store that REST has filled: the same answer, for a person and a machine."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from services.cli import app
from services.commands.troubles import EXPECTED
from tests.api.conftest import STUDY, Api
from tests.api.test_what_if import ON, ask, correction, draft, study

pytestmark = pytest.mark.anyio
__all__ = ["study"]


class Command:
    """The command line on the test's database."""

    def __init__(self, database: str, folder: Path) -> None:
        self._database, self._folder = database, folder

    async def __call__(self, who: str, document: Any, *options: str) -> Result:
        file = self._folder / "supposed.json"
        file.write_text(json.dumps(document))
        arguments = ["what-if", who, str(file), "--data", str(self._folder), *options]
        settings = {"CAIRN_DATABASE_URL": self._database, "COLUMNS": "160"}
        return await asyncio.to_thread(CliRunner(env=settings).invoke, app, arguments)


@pytest.fixture
def command(database: str, tmp_path: Path) -> Command:
    return Command(database, tmp_path)


async def test_a_cohort_is_told_as_over_rest(study: Api, command: Command) -> None:
    done = await command(STUDY, draft(), "--json", "--on", ON)
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout) == await ask(study, draft())
    shown = await command(STUDY, draft(), "--on", ON)
    assert "3 compared, 3 would differ, 0 cannot be told" in shown.stdout
    assert "held on 2026-11-20, 2 days late, window 2026-11-16 to 2026-11-18" in shown.stdout
    then = await command(STUDY, draft(), "--json", "--as-of", "8", "--site", "01")
    assert json.loads(then.stdout)["totals"]["participants"] <= 1


async def test_a_participant_is_told_what_a_correction_would_record(
    study: Api, command: Command
) -> None:
    head = study.head()
    proposed = await correction(study, "01-2", "2026-11-08")
    shown = await command(f"{STUDY}/01-2", [proposed], "--on", ON)
    assert "would record corrected" in shown.stdout
    assert "V2" in shown.stdout
    enrol = {"type": "enrolled", "occurred_at": ON, "data": {}}
    refused = await command(f"{STUDY}/01-2", enrol)
    assert "refused by `verdict`" in refused.stdout
    assert study.head() == head


@pytest.mark.parametrize(
    ("who", "document", "options"),
    [
        ("S-9", draft(), ()),
        (f"{STUDY}/nobody", draft(), ()),
        (STUDY, {"study": STUDY}, ()),
        (STUDY, draft(), ("--on", "tomorrow")),
        (f"{STUDY}/01-1", [{"type": "enrolled", "occurred_at": ON}], ("--as-of", "3")),
    ],
)
async def test_what_cannot_be_answered_is_said_in_a_line(
    study: Api, command: Command, who: str, document: Any, options: tuple[str, ...]
) -> None:
    done = await command(who, document, *options)
    assert isinstance(done.exception, EXPECTED)
