"""Every view on both time axes, as the OpenAPI document lists them: right, or refused by name.

What a view of the past must say is what a study says live that was told nothing else: a second
Cairn gets only the first part of the same events.
"""

import csv
import io
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.kernel import Actor
from services.bootstrap import Settings, open_cairn
from services.terms import Terms
from tests.api.conftest import Api, Clock, event, referred, served
from tests.conftest import Server

pytestmark = pytest.mark.anyio

STUDY = "LK-23-01"
BASE = f"/v1/studies/{STUDY}"
AXES = ("as_of", "by", "valid_at", "on", "wait_for")
ONE = "01-004"

Step = tuple[str, str, dict[str, Any]]
"""Who, on which day, what. Each is recorded by its source on the day after."""

DOSE = {"product": "UC-MSC", "amount": 1, "unit": "10^6/kg", "route": "subcutaneous"}
SERIOUS = {"grade": 3, "seriousness": ["hospitalisation"], "serious": False}

STEPS: list[Step] = [
    (ONE, "2026-09-01", referred("01")),
    ("02-001", "2026-09-03", referred("02")),
    (ONE, "2026-10-01", event("consented", form_version="1.0", signed_by="participant")),
    (ONE, "2026-10-05", event("screening-started")),
    (ONE, "2026-10-06", event("visit-completed", visit="V0", mode="in-person")),
    (ONE, "2026-11-02", event("dosed", **DOSE)),
    (ONE, "2026-11-05", event("adverse-event-reported", ae="AE-1", term="Fever", **SERIOUS)),
    # what follows is not known at the moments that are asked for, and was not true then
    (ONE, "2026-11-09", event("visit-completed", visit="V4", mode="in-person")),
    (ONE, "2026-11-10", event("adverse-event-updated", ae="AE-1", outcome="recovered", grade=4)),
    ("02-001", "2026-11-11", event("consented", form_version="1.0", signed_by="participant")),
    ("01-009", "2026-11-12", referred("01")),
    (ONE, "2026-11-13", event("transferred", site="02")),
    (ONE, "2026-11-14", event("died", on="2026-11-14")),
]
KNOWN = 7
"""So many steps lie before the moments that are asked for."""
DAY = "2026-11-07"

SAME: list[dict[str, str]] = [
    {"as_of": "POSITION"},
    {"as_of": "2026-11-07T12:00:00Z"},
    {"as_of": DAY},
    {"as_of": DAY, "by": "source"},
    {"as_of": "2026-11-07T12:00:00Z", "by": "source"},
    {"valid_at": DAY},
    {"valid_at": "2026-11-07T12:00:00+00:00"},
    {"valid_at": DAY, "as_of": "POSITION"},
    {"valid_at": DAY, "as_of": "HEAD"},
    {"valid_at": DAY, "as_of": "2026-11-12", "by": "source"},
    {"as_of": "POSITION", "wait_for": "3"},
]
"""Each asks for the same past."""

WRONG = [
    ({"as_of": "yesterday"}, "as_of"),
    ({"as_of": "2026-13-01"}, "as_of"),
    ({"as_of": "2026-11-07T12:00:00"}, "as_of"),
    ({"as_of": "-1"}, "as_of"),
    ({"valid_at": "soon"}, "valid_at"),
    ({"valid_at": "17"}, "valid_at"),
    ({"on": "today"}, "on"),
    ({"by": "us", "as_of": DAY}, "by"),
    ({"by": "source"}, "by"),
    ({"by": "source", "as_of": "4"}, "by"),
    ({"by": "source", "valid_at": DAY}, "by"),
    ({"wait_for": "x"}, "wait_for"),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def begun(api: Api, steps: list[Step]) -> list[int]:
    """The study with the first steps, each recorded at noon of its day; the heads after them."""
    api.clock.now = datetime(2026, 8, 1, tzinfo=UTC)
    terms = Terms(actor=Actor(id="t", role="administrator"), source="urn:t")
    await api.cairn.publishing.publish_built_in(terms)
    for site, zone in (("01", "Asia/Jakarta"), ("02", "Asia/Jakarta")):
        body = event("site-opened", "2026-01-01", site=site, name="A", timezone=zone)
        assert (await api.send("POST", f"{BASE}/events", body)).status_code == 201
    heads = [await told(api, step) for step in steps[:KNOWN]]
    if len(heads) == KNOWN:
        # The clock worker comes by on the day that is asked for: what time brought is in the log.
        api.clock.now = datetime(2026, 11, 7, 11, tzinfo=UTC)
        for name in (ONE, "02-001"):
            await api.cairn.recording.conclude_time(STUDY, name)
        heads[-1] = api.head(STUDY)
    return [*heads, *[await told(api, step) for step in steps[KNOWN:]]]


async def told(api: Api, step: Step) -> int:
    """One more step; where the log ends then."""
    name, day, body = step
    at = datetime.fromisoformat(f"{day}T12:00:00+07:00")
    api.clock.now = max(api.clock.now, at)
    data = dict(body["data"])
    if body["type"] == "adverse-event-reported":
        data |= {"onset": day, "aware_at": at.isoformat()}
    sent = {**body, "occurred_at": day, "recorded_at_source": day, "data": data}
    answer = await api.send("POST", f"{BASE}/participants/{name}/events", sent)
    assert answer.status_code == 201, answer.text
    return api.head(STUDY)


@pytest.fixture(scope="module")
async def whole(
    anyio_backend: str, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Api, list[int]]]:
    """A study with all of the steps, and where its log ended after each."""
    with server.fresh() as database:
        clock, folder = Clock(), tmp_path_factory.mktemp("whole")
        with closing(open_cairn(Settings(data=folder), conninfo=database, clock=clock)) as cairn:
            async with served(cairn, clock) as api:
                heads = await begun(api, STEPS)
                cairn.projector.catch_up(STUDY)
                yield api, heads


@pytest.fixture(scope="module")
async def part(
    anyio_backend: str, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Api]:
    """A study that was told the first steps alone, at the end of the day that is asked for."""
    with server.fresh() as database:
        clock, folder = Clock(), tmp_path_factory.mktemp("part")
        with closing(open_cairn(Settings(data=folder), conninfo=database, clock=clock)) as cairn:
            async with served(cairn, clock) as api:
                await begun(api, STEPS[:KNOWN])
                cairn.projector.catch_up(STUDY)
                clock.now = datetime(2026, 11, 7, 17, tzinfo=UTC)
                yield api


async def operations(api: Api) -> dict[str, dict[str, Any]]:
    """Path below the study -> its GET, as the document has it."""
    document = (await api.send("GET", "/openapi.json")).json()
    return {
        path.replace("/v1/studies/{study}", "").replace("{participant}", ONE): methods["get"]
        for path, methods in document["paths"].items()
        if "get" in methods and path.startswith("/v1/studies/{study}")
    }


def parameters(operation: dict[str, Any]) -> set[str]:
    return {one["name"] for one in operation.get("parameters", ())}


async def views(api: Api) -> dict[str, dict[str, Any]]:
    """The operations that take both axes of time: views."""
    found = await operations(api)
    return {path: one for path, one in found.items() if "valid_at" in parameters(one)}


def url(path: str, asked: dict[str, str]) -> str:
    return str(httpx.URL(BASE + path, params=asked))


def without_places(value: Any) -> Any:
    """An answer without what names a place in the log: another log has other places."""
    places = ("position", "version", "changed", "uncertain", "recorded_at")
    if isinstance(value, dict):
        return {key: without_places(one) for key, one in value.items() if key not in places}
    return [without_places(one) for one in value] if isinstance(value, list) else value


def without_columns(text: str) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(text))
    places = ("position", "version", "changed", "uncertain", "recorded_at")
    return [
        {name: value for name, value in row.items() if name.partition(".")[0] not in places}
        for row in rows
    ]


async def test_every_view_takes_every_axis(whole: tuple[Api, list[int]]) -> None:
    found = await views(whole[0])
    assert len(found) == 16
    for path, operation in found.items():
        assert parameters(operation) >= set(AXES), path
        assert set(operation["responses"]["200"]["content"]) == {"application/json", "text/csv"}


@pytest.mark.parametrize("asked", SAME, ids=lambda one: "&".join(map("=".join, one.items())))
async def test_a_view_of_the_past_is_what_was_live_then(
    whole: tuple[Api, list[int]], part: Api, asked: dict[str, str]
) -> None:
    api, heads = whole
    places = {"POSITION": str(heads[KNOWN - 1]), "HEAD": str(heads[-1])}
    asked = {name: places.get(value, value) for name, value in asked.items()}
    exact = set(asked) <= {"as_of", "wait_for"}
    for path in await views(api):
        known = {**asked, "on": DAY}
        then, now = url(path, known), url(path, {"on": DAY})
        past, live = await api.send("GET", then), await part.send("GET", now)
        assert (past.status_code, live.status_code) == (200, 200), (path, past.text)
        left, right = past.json(), live.json()
        if exact:
            assert left == right, path
        assert without_places(left) == without_places(right), path
        table = await api.send("GET", then, Accept="text/csv")
        same = await part.send("GET", now, Accept="text/csv")
        assert table.headers["content-type"].startswith("text/csv")
        assert without_columns(table.text) == without_columns(same.text), path


async def test_the_now_of_the_past_is_the_moment_asked_for(whole: tuple[Api, list[int]]) -> None:
    api, _ = whole
    for path in await views(api):
        for asked in ({"as_of": DAY}, {"valid_at": DAY}, {"valid_at": DAY, "as_of": "2026-11-12"}):
            without = await api.send("GET", url(path, asked))
            settled = await api.send("GET", url(path, {**asked, "on": DAY}))
            assert without.json() == settled.json(), path


async def test_who_was_not_there_yet_is_absent(whole: tuple[Api, list[int]]) -> None:
    api, heads = whole
    before = (
        {"as_of": str(heads[0] - 2)},
        {"as_of": "2026-08-20"},
        {"as_of": "2026-08-31", "by": "source"},
        {"valid_at": "2026-08-31"},
    )
    for path in await views(api):
        for asked in before:
            answer = await api.send("GET", url(path, asked))
            if path.startswith(f"/participants/{ONE}"):
                assert answer.status_code == 404, (path, asked)
            else:
                assert answer.status_code == 200, (path, asked, answer.text)
                assert ONE not in answer.text
    nothing = {"as_of": "0"}
    for path in await views(api):
        assert (await api.send("GET", url(path, nothing))).status_code == 404


@pytest.mark.parametrize(("asked", "name"), WRONG)
async def test_what_cannot_be_answered_is_refused_by_name(
    whole: tuple[Api, list[int]], asked: dict[str, str], name: str
) -> None:
    api, _ = whole
    for path in await views(api):
        answer = await api.send("GET", url(path, asked))
        assert answer.status_code == 422, (path, answer.text)
        assert f"/query/{name}" in {one["pointer"] for one in answer.json()["problems"]}


async def test_where_no_moment_is_taken_none_is_ignored(whole: tuple[Api, list[int]]) -> None:
    api, _ = whole
    others = {
        path: operation
        for path, operation in (await operations(api)).items()
        if "valid_at" not in parameters(operation) and "{" not in path
    }
    assert {"/schedule.ics", f"/participants/{ONE}/events", "/log", "/sites"} <= others.keys()
    for path, operation in others.items():
        for name, value in (("as_of", "3"), ("valid_at", DAY), ("on", DAY), ("by", "source")):
            if name in parameters(operation):
                continue
            answer = await api.send("GET", url(path, {name: value}))
            assert answer.status_code == 422, (path, answer.status_code)
            (problem,) = answer.json()["problems"]
            assert problem == {"pointer": f"/query/{name}", "rule": "not-taken-here"}


async def test_dates_that_leave_it_open_are_named(api: Api) -> None:
    heads = await begun(api, STEPS[:KNOWN])
    vague = event("visit-completed", "2026-11", visit="UNS", mode="in-person")
    answer = await api.send("POST", f"{BASE}/participants/{ONE}/events", vague)
    position = answer.json()["position"]
    assert position > heads[-1]
    for path in await views(api):
        sure = (await api.send("GET", url(path, {"valid_at": "2026-11-30"}))).json()
        open_ = (await api.send("GET", url(path, {"valid_at": DAY}))).json()
        none = (await api.send("GET", url(path, {"valid_at": "2026-10-31"}))).json()
        if path.startswith("/participants/"):
            said = [one["uncertain"] for one in (none, open_, sure)]
            assert said == [[], [position], []], path
        elif "uncertain" in open_:
            assert [one["uncertain"] for one in (none, open_, sure)] == [0, 1, 0], path
        else:
            mine = [one for one in open_["items"] if one["participant"] == ONE]
            assert {tuple(one["uncertain"]) for one in mine} <= {(position,)}, path
            assert all(not one["uncertain"] for one in sure["items"]), path
    live = (await api.send("GET", f"{BASE}/participants/{ONE}")).json()
    assert "uncertain" not in live


PAGED = [{"as_of": "POSITION"}, {"valid_at": "2026-11-20"}, {"as_of": "2027-01-01", "by": "source"}]


@pytest.mark.parametrize("asked", PAGED, ids=["as_of", "valid_at", "by=source"])
async def test_the_pages_of_a_list_show_one_past(api: Api, asked: dict[str, str]) -> None:
    heads = await begun(api, STEPS[: KNOWN + 3])
    asked = {name: value.replace("POSITION", str(heads[-1])) for name, value in asked.items()}
    lists = [path for path in await views(api) if not path.startswith("/participants/")]
    pages: dict[str, Any] = {}
    wholes = {}
    for path in lists:
        answer = await api.send("GET", url(path, {**asked, "limit": "1000", "on": DAY}))
        wholes[path] = answer.json()["items"]
        pages[path] = await api.send("GET", url(path, {**asked, "limit": "1", "on": DAY}))
    for step in STEPS[KNOWN + 3 :]:
        await told(api, step)
    for path in lists:
        items, answer = list(pages[path].json()["items"]), pages[path]
        while "next" in answer.links:
            answer = await api.send("GET", answer.links["next"]["url"])
            assert answer.status_code == 200, answer.text
            assert answer.json()["position"] == heads[-1]
            items += answer.json()["items"]
        assert items == wholes[path], path
    assert sum(map(len, wholes.values())) > len(lists)


async def test_a_cursor_of_the_present_leads_nowhere_in_the_past(api: Api, tmp_path: Path) -> None:
    await begun(api, STEPS)
    api.cairn.projector.catch_up(STUDY)
    live = await api.send("GET", url("/schedule", {"limit": "1"}))
    cursor = live.links["next"]["url"].partition("cursor=")[2]
    answer = await api.send(
        "GET", url("/schedule", {"limit": "1", "valid_at": DAY}) + f"&cursor={cursor}"
    )
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == "/query/cursor"


async def test_the_example_of_the_documents_is_true(api: Api) -> None:
    await begun(api, STEPS[:6])
    headache = {"ae": "AE-2", "term": "Headache", "seriousness": ["hospitalisation"]}
    heard = {"onset": "2026-12-09", "aware_at": "2026-12-12T09:00:00+07:00"}
    ended = {"ae": "AE-2", "end": "2026-12-15", "outcome": "recovered"}
    for day, body in (
        ("2026-12-12", event("adverse-event-reported", "2026-12-12", **headache, **heard)),
        ("2026-12-20", event("adverse-event-updated", "2026-12-20", **ended)),
    ):
        api.clock.now = datetime.fromisoformat(f"{day}T12:00:00+07:00")
        path = f"{BASE}/participants/{ONE}/events"
        assert (await api.send("POST", path, body)).status_code == 201

    async def told(**asked: str) -> tuple[str, str | None, bool] | None:
        found = await api.send("GET", url(f"/participants/{ONE}/safety", asked))
        events = found.json()["adverse_events"]
        return next(((one["status"], one["end"], bool(one["clocks"])) for one in events), None)

    assert await told(as_of="2026-12-10") is None
    assert await told(valid_at="2026-12-10") == ("open", None, False)
    assert await told(as_of="2026-12-18") == ("open", None, True)
    assert await told(valid_at="2026-12-18") == ("closed", "2026-12-15", True)
    assert await told(as_of="2026-12-18", valid_at="2026-12-10") == ("open", None, False)


async def test_a_position_or_moment_yet_to_come_is_the_end_of_the_log(api: Api) -> None:
    heads = await begun(api, STEPS[:KNOWN])
    for value in ("999999", "2999-01-01", (api.clock.now + timedelta(days=1)).date().isoformat()):
        answer = await api.send("GET", url("/participants", {"as_of": value}))
        assert answer.json()["position"] == heads[-1]
