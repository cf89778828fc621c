"""The past behind a socket: a reader that leaves, one too many, and who cannot be read."""

import asyncio
import csv
import threading
from typing import Any

import httpx
import psycopg
import pytest

from infra.ledger.types import Stored
from services.api import past
from services.problems import URN
from tests.api.conftest import STUDY, Api
from tests.api.serving import listening

pytestmark = pytest.mark.anyio

SECONDS_MAX = 20


class Endless:
    """Gives the same participant again and again, until somebody ends it."""

    def __init__(self, api: Api) -> None:
        self._history = api.cairn.ledger.stream(STUDY, "01-004")
        self.begun, self.ended = threading.Event(), threading.Event()

    def __call__(self, *_asked: Any, **_more: Any) -> Any:
        try:
            while True:
                yield self._next()
        finally:
            self.ended.set()

    def _next(self) -> list[Stored]:
        self.begun.set()
        return self._history


async def test_a_reader_that_leaves_ends_the_fold(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.refer("01-004")
    monkeypatch.setattr(past, "LOOK_SECONDS", 0.01)
    endless = Endless(api)
    monkeypatch.setattr(api.cairn.ledger, "histories", endless)
    headers = {"Authorization": f"Bearer {api.token()}"}
    async with listening(api.cairn) as (host, port):
        reading = asyncio.open_connection(host, port)
        _, writer = await reading
        lines = [f"GET /v1/studies/{STUDY}/schedule?as_of=100 HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join((*lines, "", "")).encode())
        await asyncio.to_thread(endless.begun.wait, SECONDS_MAX)
        assert endless.begun.is_set()
        assert not endless.ended.is_set()
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as other:
            body = {"type": "consented", "occurred_at": "2026-11-02"}
            body |= {"data": {"form_version": "1.0", "signed_by": "participant"}}  # type: ignore[dict-item]
            posted = await other.post(
                f"/v1/studies/{STUDY}/participants/01-004/events", json=body, headers=headers
            )
            assert posted.status_code == 201, "posts go on meanwhile"
        writer.close()
        await asyncio.to_thread(endless.ended.wait, SECONDS_MAX)
    assert endless.ended.is_set()


async def test_one_reader_too_many_is_asked_to_come_back(api: Api) -> None:
    await api.refer("01-004")
    app = api.http._transport.app  # type: ignore[attr-defined]
    app.state.folding = past.Folding(1)
    with app.state.folding.one():
        answer = await api.get("/schedule?as_of=100")
        assert (answer.status_code, answer.json()["type"]) == (429, URN + "too-many-requests")
        assert "retry-after" in answer.headers
        assert (await api.get("/participants/01-004?as_of=100")).status_code == 200
    assert (await api.get("/schedule?as_of=100")).status_code == 200


async def test_a_table_names_who_cannot_be_read_in_a_line_of_its_own(
    api: Api, database: str
) -> None:
    for name in ("01-004", "01-005"):
        await api.refer(name)
    spoiled = api.cairn.ledger.stream(STUDY, "01-004")[0].position
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE cairn.event SET body = '{}' WHERE position = %s", [spoiled])
    # Where it is the first event, not even the site is known.
    named = {"participant": "01-004", "site": None, "stale_since": spoiled}
    for path in ("/participants", "/matrix", "/safety", "/enrolment"):
        asked = f"{path}?as_of=100"
        answer = await api.get(asked)
        assert answer.status_code == 200
        assert answer.json()["left_out"] == [named], path
        table = (await api.get(asked, Accept="text/csv")).text
        lines = [one for one in csv.DictReader(table.splitlines()) if one.get("stale_since")]
        assert [(one["participant"], one["stale_since"]) for one in lines] == [
            ("01-004", str(spoiled))
        ]
    own = await api.get("/participants?as_of=100", role="coordinator", scope={"site": "01"})
    assert [one["participant"] for one in own.json()["items"]] == ["01-005"]
    assert "left_out" not in own.json(), "nobody knows whose participant this is"
