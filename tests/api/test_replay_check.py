"""The replay check over REST: for the whole study, line by line, one at a time."""

import json
from typing import Any

import psycopg
import pytest

from services.api import replay_check
from tests.api.conftest import Api, consented, event

pytestmark = pytest.mark.anyio

NAME = "Wilhelmina"
"""Long enough not to be found in ciphertext by chance."""


@pytest.fixture
async def study(api: Api) -> Api:
    """Somebody who was seen before the consent, and somebody else."""
    await api.refer("01-1")
    await api.refer("02-1", site="02")
    for body in (
        consented(),
        event("visit-completed", "2026-11-01", visit="UNS", mode="video"),
        event("note-added", text=f"{NAME} called."),
    ):
        answer = await api.post("/participants/01-1/events", body)
        assert answer.status_code == 201, answer.text
    return api


def lines(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_an_honest_study_is_one_line(study: Api) -> None:
    (line,) = lines(await study.get("/replay-check", role="auditor"))
    assert (line["checked"]["participants"], line["checked"]["differences"]) == (2, 0)
    assert line["checked"]["position"] == line["checked"]["events"] == study.head()
    assert line["checked"]["conclusions"] > 0


async def test_what_differs_is_a_line_of_its_own(study: Api, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(
            "UPDATE cairn.event SET body = convert_to(replace(convert_from(body, 'UTF8'),"
            " 'important', 'minor'), 'UTF8') WHERE topic LIKE '%deviation-detected%'"
        )
    *found, last = lines(await study.get("/replay-check"))
    assert last["checked"]["differences"] == len(found) > 0
    told = {(one["finding"]["what"], one["finding"]["rule"]) for one in found}
    assert ("broken", "leaf-hash") in told
    assert any(what == "differs" for what, _ in told)
    whole = "".join(map(json.dumps, found))
    assert NAME not in whole


async def test_it_tells_how_far_it_has_come(study: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_check, "PULSE_SECONDS", 0.0)
    monkeypatch.setattr(replay_check, "SLICE_SECONDS", 0.0)
    *progress, last = lines(await study.get("/replay-check"))
    done = [one["progress"]["done"] for one in progress]
    assert done == sorted(done)
    assert progress[-1]["progress"] == {"done": 2 * study.head(), "of": 2 * study.head()}
    assert last["checked"]["differences"] == 0


async def test_it_is_for_those_who_audit_the_whole_study(study: Api) -> None:
    assert (await study.get("/replay-check", role="system")).status_code == 403
    of_a_site = await study.get("/replay-check", role="monitor", scope={"site": "01"})
    assert of_a_site.status_code == 403
    elsewhere = await study.get("/replay-check", role="auditor", scope={"study": "S-2"})
    assert elsewhere.status_code == 404
    assert (await study.get("/replay-check", role=None)).status_code == 401


async def test_one_is_checked_at_a_time(study: Api) -> None:
    gate = study.http._transport.app.state.replay_checks  # type: ignore[attr-defined]
    with gate:
        busy = await study.get("/replay-check")
    assert busy.status_code == 429
    assert "Retry-After" in busy.headers
    assert (await study.get("/replay-check")).status_code == 200
