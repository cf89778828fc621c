"""Corrections over REST: what is shown beside what was said, and what is never half-written."""

import csv
import io
import json
import re
from typing import Any

import pytest

from tests.api.conftest import STUDY, Api, consented, event, referred

pytestmark = pytest.mark.anyio

EVENTS = "/participants/01-004/events"
TRAIL = "/participants/01-004/audit-trail"
BIRTH = {"birth_date": "1971-03-09", "sex": "female"}


@pytest.fixture
async def told(api: Api) -> Api:
    """Referred, consented, a visit and a person whose birth date is known: positions 5 to 8."""
    await api.post(EVENTS, [referred(), consented()])
    held = event("visit-completed", "2026-11-05", visit="UNS", mode="video")
    answer = await api.post(EVENTS, [held, event("demographics-recorded", "2026-11-05", **BIRTH)])
    assert answer.status_code == 201, answer.text
    return api


async def position_of(api: Api, kind: str) -> int:
    """Where the last event of a type stands."""
    items = (await api.get(EVENTS)).json()["items"]
    return max(int(one["position"]) for one in items if one["type"] == kind)


async def change(
    api: Api, kind: str, about: int, /, reason: str = "typing error", **data: Any
) -> Any:
    body = {**event(kind, "2026-11-10"), "reason": reason, "data": {"position": about, **data}}
    return await api.post(EVENTS, body, role="data-manager")


async def shown(api: Api, position: int) -> dict[str, Any]:
    items = (await api.get(EVENTS)).json()["items"]
    found: dict[str, Any] = next(one for one in items if one["position"] == position)
    return found


def without_digests(text: str) -> str:
    """Without digests, ciphertext and fractions of seconds, in which any four digits are found
    sooner or later."""
    text = re.sub(r'"(hash|previous|sealed|key|receipt|id)":\s*"[^"]*"', "", text)
    return re.sub(r"(:\d\d)\.\d+(?=Z|[+-])", r"\1", text)


async def test_a_corrected_event_shows_how_it_reads_now_behind_what_was_hashed(told: Api) -> None:
    about = await position_of(told, "visit-completed")
    before = await shown(told, about)
    data = {"visit": "UNS", "mode": "telephone"}
    answer = await change(told, "corrected", about, data=data, occurred_at="2026-11-06")
    assert answer.status_code == 201, answer.text
    by = answer.json()["events"][0]["position"]
    assert await shown(told, about) == {
        **before,
        "corrected_by": by,
        "now": {"occurred_at": "2026-11-06", "data": data},
    }
    lines = (await told.get(EVENTS, Accept="application/x-ndjson")).text.splitlines()
    assert [json.loads(one) for one in lines] == (await told.get(EVENTS)).json()["items"]
    table = (await told.get(EVENTS, Accept="text/csv")).text
    row = next(one for one in csv.DictReader(io.StringIO(table)) if one["position"] == str(about))
    assert (row["data.mode"], row["now.data.mode"], row["corrected_by"]) == (
        "video",
        "telephone",
        str(by),
    )


async def test_what_was_taken_back_says_by_what_until_it_stands_again(told: Api) -> None:
    about = await position_of(told, "visit-completed")
    before = await shown(told, about)
    away = (await change(told, "retracted", about)).json()["events"][0]["position"]
    assert await shown(told, about) == {**before, "retracted_by": away, "now": None}
    await change(told, "retracted", away)
    assert await shown(told, about) == before


async def test_the_audit_trail_tells_each_change_with_who_when_and_why(told: Api) -> None:
    about = await position_of(told, "visit-completed")
    data = {"visit": "UNS", "mode": "telephone"}
    first = await change(told, "corrected", about, data=data, occurred_at="2026-11-06")
    one = first.json()["events"][0]["position"]
    inner = {"position": about, "data": {**data, "mode": "in-person"}, "occurred_at": "2026-11-06"}
    await change(told, "corrected", one, reason="read again", data=inner)
    await change(told, "retracted", about, reason="another participant")
    away = await position_of(told, "retracted")
    await change(told, "retracted", away, reason="it was this one")
    items = (await told.get(TRAIL)).json()["items"]
    told_as = [
        (i["position"], i["how"], i["field"], i["was"], i["now"], i["reason"]) for i in items
    ]
    last = {"occurred_at": "2026-11-06", "data": {"visit": "UNS", "mode": "in-person"}}
    assert told_as == [
        (about, "corrected", "/occurred_at", "2026-11-05", "2026-11-06", "typing error"),
        (about, "corrected", "/data/mode", "video", "telephone", "typing error"),
        (about, "corrected", "/data/mode", "telephone", "in-person", "read again"),
        (about, "retracted", "", last, None, "another participant"),
        (about, "restored", "", None, last, "it was this one"),
    ]
    assert {i["changed_by"]["role"] for i in items} == {"data-manager"}
    assert {i["recorded_by"]["role"] for i in items} == {"administrator"}
    page = await told.get(f"{TRAIL}?limit=1")
    assert len(page.json()["items"]) == 2, "what one event changed stays together"
    rest = await told.send("GET", page.links["next"]["url"])
    assert [*page.json()["items"], *rest.json()["items"]] == items[:3]
    rows = list(csv.DictReader(io.StringIO((await told.get(TRAIL, Accept="text/csv")).text)))
    assert [row["field"] for row in rows] == [i["field"] for i in items]
    assert json.loads(rows[3]["was"]) == last


async def test_a_participant_without_corrections_has_an_empty_trail(told: Api) -> None:
    answer = await told.get(TRAIL)
    assert (answer.status_code, answer.json()["items"]) == (200, [])
    assert (await told.get("/participants/nobody/audit-trail")).status_code == 404


async def test_a_birth_date_is_sealed_in_a_correction_of_a_correction_too(told: Api) -> None:
    about = await position_of(told, "demographics-recorded")
    wrong = await change(told, "corrected", about, data={**BIRTH, "birth_date": "1972-03-09"})
    position = wrong.json()["events"][0]["position"]
    inner = {"position": about, "data": {**BIRTH, "birth_date": "1973-03-09"}}
    answer = await change(told, "corrected", position, data=inner)
    assert answer.status_code == 201, answer.text
    kept = [stored.body.decode() for stored in told.cairn.ledger.stream(STUDY, "01-004")]
    history = (await told.get(EVENTS)).text + (await told.get(TRAIL)).text
    assert not re.search("197[123]", without_digests("".join(kept) + history))
    nonsense = {"position": about, "data": {"birth_date": "1973-03-09", "sex": "CANARY"}}
    answer = await change(told, "corrected", position, data=nonsense)
    assert (answer.status_code, answer.json()["problems"][0]["pointer"]) == (
        422,
        "/data/data/data/sex",
    )
    assert "CANARY" not in answer.text


async def test_a_correction_of_what_took_a_screening_back_says_no_age(told: Api) -> None:
    started = await told.post(EVENTS, event("screening-started", "2026-11-06"))
    assert started.status_code == 201, started.text
    about = await position_of(told, "screening-started")
    assert (await change(told, "retracted", about)).status_code == 201
    away = await position_of(told, "retracted")
    answer = await change(told, "corrected", away, data={"position": about})
    assert answer.status_code == 201, answer.text
    assert answer.json()["events"][0]["data"]["data"] == {"position": about}
    again = await change(told, "corrected", away, occurred_at="2026-11-07")
    assert again.status_code == 201, again.text


async def test_a_protected_value_that_is_left_as_it_is_shown_was_not_changed(told: Api) -> None:
    about = await position_of(told, "demographics-recorded")
    kept = (await shown(told, about))["data"]["birth_date"]
    answer = await change(told, "corrected", about, data={"birth_date": kept, "sex": "male"})
    assert answer.status_code == 201, answer.text
    items = (await told.get(TRAIL)).json()["items"]
    assert [(i["field"], i["was"], i["now"]) for i in items] == [("/data/sex", "female", "male")]


@pytest.mark.parametrize(
    ("kind", "data", "status", "rule"),
    [
        ("visit-completed", {"occurred_at": "2030-01-01"}, 422, "future"),
        ("visit-completed", {"occurred_at": "1960-01-01"}, 422, "before-birth"),
        ("demographics-recorded", {"data": {**BIRTH, "birth_date": "2026-11-09"}}, 422, None),
        ("visit-completed", {}, 409, "order"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_written(
    told: Api, kind: str, data: dict[str, Any], status: int, rule: str | None
) -> None:
    about, head = await position_of(told, kind), told.head()
    answer = await change(told, "corrected", about, **data)
    assert (answer.status_code, answer.json().get("rule")) == (status, rule or "before-birth")
    assert told.head() == head
    assert (await told.get(TRAIL)).json()["items"] == []
