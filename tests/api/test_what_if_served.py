"""What-if where something goes on beside it: readers that leave, histories that cannot be read."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from domain.kernel import PROVISIONAL, Actor, Fact, Recorded
from domain.time import When
from infra.ledger.envelope import template
from infra.ledger.types import Append, Appended, Draft
from services.what_if import report
from tests.api.conftest import STUDY, Api
from tests.api.schema import errors
from tests.api.serving import listening
from tests.api.test_past_served import SECONDS_MAX, Endless
from tests.api.test_what_if import ON, ask, correction, draft, study

pytestmark = pytest.mark.anyio
__all__ = ["study"]


class Odd(Fact):
    """An event that this version does not know."""

    type: Literal["odd"] = "odd"


async def unreadable(api: Api, name: str) -> None:
    """A participant of whom another version of the program recorded something."""
    now = datetime(2026, 11, 20, tzinfo=UTC)
    odd = Recorded(Odd(), PROVISIONAL, 1, When.at(now), now, Actor(id="x", role="system"), name)
    wrote = template(odd, known_previous=None, in_same_append=False)
    done = Draft(name, 1, "participant.odd.v1", wrote, None, None, None)
    assert isinstance(await api.cairn.ledger.append(STUDY, Append((done,))), Appended)


async def test_a_history_that_cannot_be_read_is_named_and_the_others_are_told(study: Api) -> None:
    whole = await ask(study, draft())
    await unreadable(study, "01-0")
    found = await ask(study, draft())
    assert found["failed"] == [
        {"participant": "01-0", "site": None, "why": "the history cannot be read"}
    ]
    assert found["totals"] == {**whole["totals"], "participants": 4, "failed": 1}
    for part in ("visits", "eligibility", "deviations"):
        assert found[part] == whole[part]
    answer = await study.post(f"/what-if?on={ON}", draft(), Accept="application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["participant"] for one in lines if one.get("list") == "failed"] == ["01-0"]
    scope = {"study": STUDY, "site": "01"}
    narrowed = await ask(study, draft(), role="coordinator", scope=scope)
    assert narrowed["failed"] == [], "nobody knows whose site it is"


async def test_a_document_says_when_it_does_not_hold_everything(
    study: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await ask(study, draft())
    monkeypatch.setattr(report, "ITEMS_MAX", 2)
    found = await ask(study, draft())
    assert found["truncated"] is True
    assert found["totals"] == whole["totals"]
    kept = sum(
        len(items)
        for part in found.values()
        if isinstance(part, dict)
        for items in part.values()
        if isinstance(items, list) and items and isinstance(items[0], dict)
    )
    assert kept == 2


async def test_answers_are_as_they_are_described(study: Api) -> None:
    document = (await study.send("GET", "/openapi.json", role=None)).json()
    for path, body in (
        ("/what-if", draft()),
        ("/participants/{participant}/what-if", await correction(study, "01-1", "2026-11-08")),
        ("/participants/{participant}/what-if", {"type": "enrolled", "occurred_at": ON}),
        ("/participants/{participant}/what-if", draft()),
    ):
        operation = document["paths"][f"/v1/studies/{{study}}{path}"]["post"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        found = await ask(study, body, path.replace("{participant}", "01-1"))
        assert not errors(found, schema, document)


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
async def test_a_reader_that_leaves_ends_it_and_posts_go_on(
    study: Api, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    await study.refer("01-004")
    endless = Endless(study)
    monkeypatch.setattr(study.cairn.ledger, "histories", endless)
    body = json.dumps(draft()).encode()
    async with listening(study.cairn) as (host, port):
        _, writer = await asyncio.open_connection(host, port)
        lines = [
            f"POST /v1/studies/{STUDY}/what-if HTTP/1.1",
            f"Host: {host}",
            f"Authorization: Bearer {study.token()}",
            f"Accept: {accept}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        writer.write("\r\n".join((*lines, "", "")).encode() + body)
        await asyncio.to_thread(endless.begun.wait, SECONDS_MAX)
        assert not endless.ended.is_set()
        held: dict[str, Any] = {"type": "consented", "occurred_at": "2026-11-02"}
        held["data"] = {"form_version": "1.0", "signed_by": "participant"}
        assert (await study.post("/participants/01-004/events", held)).status_code == 201
        writer.close()
        await asyncio.to_thread(endless.ended.wait, SECONDS_MAX)
        assert endless.ended.is_set()
