"""Histories and the log as auditors read them: forms, pages, filters, scope, the live feed."""

import asyncio
import contextlib
import csv
import io
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.api import feed
from tests.api.conftest import STUDY, Api, consented, event, referred
from tests.api.serving import listening

pytestmark = pytest.mark.anyio

NDJSON = "application/x-ndjson"
EVENTS = "/participants/01-004/events"


@pytest.fixture
async def two(api: Api) -> Api:
    """Participant 01-004 of site 01 with five events, 02-001 of site 02 with two."""
    await api.post(EVENTS, [referred("01"), consented()])
    await api.post("/participants/02-001/events", [referred("02"), consented()])
    await api.post(EVENTS, [event("visit-completed", visit="UNS", mode="video"), consented("2")])
    lost = await api.post(EVENTS, event("lost-to-follow-up", attempts=5))
    assert lost.status_code == 201, lost.text
    return api


async def pages(api: Api, path: str, **more: Any) -> list[dict[str, Any]]:
    """All items, by following the links."""
    items: list[dict[str, Any]] = []
    answer = await api.get(path, **more)
    for _ in range(100):
        items += answer.json()["items"]
        if "next" not in answer.links:
            return items
        answer = await api.send("GET", answer.links["next"]["url"], **more)
    raise AssertionError("the pages do not end")


async def test_a_history_comes_in_every_form_and_says_the_same(two: Api) -> None:
    plain = (await two.get(EVENTS)).json()
    items = plain["items"]
    assert plain["position"] == two.head()
    assert [one["version"] for one in items] == list(range(1, len(items) + 1))
    lines = await two.get(EVENTS, Accept=NDJSON)
    assert lines.headers["content-type"] == NDJSON
    assert [json.loads(line) for line in lines.text.splitlines()] == items
    table = await two.get(EVENTS, Accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["hash"] for row in rows] == [one["hash"] for one in items]
    assert [row["actor.role"] for row in rows] == ["administrator"] * len(items)
    clouds = await two.get(EVENTS, Accept="application/cloudevents-batch+json")
    assert [one["leafhash"] for one in clouds.json()] == [one["hash"] for one in items]
    for previous, one in itertools.pairwise(items):
        assert one["previous"] == previous["hash"]


async def test_a_history_is_read_in_pages_and_by_kind(two: Api) -> None:
    whole = (await two.get(EVENTS)).json()["items"]
    assert await pages(two, EVENTS + "?limit=2") == whole
    for kind in ("fact", "decision", "conclusion"):
        wanted = [one for one in whole if one["kind"] == kind]
        assert await pages(two, f"{EVENTS}?limit=1&kind={kind}") == wanted
    after = await two.get(EVENTS + "?after=2")
    assert after.json()["items"] == whole[2:]
    assert (await two.get(EVENTS + "?kind=nonsense")).status_code == 422
    assert (await two.get(EVENTS + "?limit=0")).status_code == 422
    assert (await two.get(EVENTS + "?after=-1")).status_code == 422


async def test_the_log_is_dense_and_in_order(two: Api) -> None:
    items = await pages(two, "/log?limit=3")
    assert [one["position"] for one in items] == list(range(1, two.head() + 1))
    types = await pages(two, "/log?limit=1&types=consented,site-opened")
    assert [one["type"] for one in types] == ["site-opened"] * 2 + ["consented"] * 3
    assert (await two.get("/log?types=,")).status_code == 422


async def test_a_sites_token_sees_its_site_and_is_told_of_the_gaps(two: Api) -> None:
    scope: dict[str, Any] = {"role": "coordinator", "scope": {"site": "02"}}
    answer = (await two.get("/log", **scope)).json()
    assert answer["gaps"] is True
    named = {one["participant"] for one in answer["items"]}
    assert named == {None, "02-001"}
    assert "01-004" not in json.dumps(answer["items"])
    whole = (await two.get("/log", role="auditor")).json()
    assert "gaps" not in whole


async def test_a_replay_says_the_same_bytes_whenever_it_is_asked_for(two: Api) -> None:
    path = "/participants/01-004/replay?version=2"
    first = await two.get(path)
    assert first.status_code == 200, first.text
    assert (first.json()["version"], first.json()["event"]["type"]) == (2, "consented")
    await two.post(EVENTS, consented("3"))
    two.clock.forward(days=40)
    assert (await two.get(path)).content == first.content
    newest = await two.get("/participants/01-004/replay")
    assert newest.json()["version"] > 2
    assert (await two.get("/participants/01-004/replay?version=99")).status_code == 404


async def test_formulas_in_a_table_are_inert(api: Api) -> None:
    for name, term in (("A", "=1+1"), ("B", "@x"), ("C", "-2"), ("D", "plain")):
        site = event("site-opened", site=name, name=term, timezone="UTC")
        assert (await api.post("/events", site)).status_code == 201
    table = await api.get("/log?after=4", Accept="text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["data.name"] for row in rows] == ["'=1+1", "'@x", "'-2", "plain"]
    assert rows[0]["position"] == "5"


class Feed:
    """A reader of the live feed over a socket."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, base: tuple[str, int], path: str, token: str, *headers: str
    ) -> AsyncIterator["Feed"]:
        reader, writer = await asyncio.open_connection(*base)
        more = "".join(f"{header}\r\n" for header in headers)
        writer.write(
            f"GET /v1/studies/{STUDY}{path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {token}\r\n{more}\r\n".encode()
        )
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert b"200 OK" in head
            assert b"text/event-stream" in head
            yield cls(reader)
        finally:
            writer.close()

    async def next(self) -> tuple[int, str, dict[str, Any]]:
        """The next event: its id, its name, its data; comments are passed over."""
        found: dict[bytes, bytes] = {}
        while True:
            line = (await asyncio.wait_for(self._reader.readline(), 10)).strip()
            name, colon, value = line.partition(b": ")
            if colon and name in (b"id", b"event", b"data"):
                found[name] = value
            if not line and found:
                return int(found[b"id"]), found[b"event"].decode(), json.loads(found[b"data"])


async def test_the_feed_brings_what_was_and_what_comes_and_resumes(two: Api) -> None:
    token = two.token("auditor")
    async with listening(two.cairn) as base:
        head = two.head()
        async with Feed.open(base, "/log", token) as first:
            before = [await first.next() for _ in range(head)]
            assert [position for position, _, _ in before] == list(range(1, head + 1))
            await two.post(EVENTS, consented("9"))
            position, name, data = await first.next()
            assert (position, name, data["position"]) == (head + 1, "consented", head + 1)
        async with Feed.open(base, "/log", token, f"Last-Event-ID: {head - 1}") as again:
            assert [(await again.next())[0] for _ in range(2)] == [head, head + 1]


async def test_a_filtered_feed_is_told_how_far_it_is(
    two: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "CHECKPOINT_EVENTS", 5)
    head = two.head()
    path, token = "/log?types=lost-to-follow-up", two.token("auditor")
    async with listening(two.cairn) as base, Feed.open(base, path, token) as found:
        assert (await found.next())[1] == "lost-to-follow-up"
        for turn in range(6):
            await two.post(EVENTS, consented(f"x{turn}"))
        position, name, data = await found.next()
        assert (name, data) == ("checkpoint", {})
        assert position >= head + 5


async def test_the_feed_of_a_site_leaves_the_others_out(two: Api) -> None:
    path, token = "/log?types=referred,consented", two.token("coordinator", site="02")
    async with listening(two.cairn) as base, Feed.open(base, path, token) as found:
        seen = [(await found.next())[2]["participant"] for _ in range(2)]
        assert seen == ["02-001", "02-001"]


async def test_a_feed_from_nowhere_and_one_too_many_are_refused(
    two: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = {"Accept": "text/event-stream"}
    answer = await two.get("/log", **stream, **{"Last-Event-ID": "x"})
    assert answer.status_code == 400
    monkeypatch.setattr(feed, "FEEDS_MAX", 0)
    answer = await two.get("/log", **stream)
    assert answer.status_code == 429
