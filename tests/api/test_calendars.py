"""Calendar feeds: strict output, stable names, changes count up, nothing is ever deleted; each has
a token of its own that opens nothing else and can be revoked."""

from datetime import date
from typing import Any

import pytest

from services.api import calendar
from tests.api import icalendar
from tests.api.conftest import event
from tests.api.icalendar import Calendar
from tests.api.test_views import BASE, STUDY, Trial, trial

pytestmark = pytest.mark.anyio

__all__ = ["trial"]

SECRETS = ("UC-MSC", "Fever", "clinician")


async def made(trial: Trial, **more: Any) -> Any:
    body = {name: more.pop(name) for name in ("site", "participant") if name in more}
    answer = await trial.api.send("POST", f"{BASE}/calendars", body, **more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def shown(trial: Trial, asked: str = "", **more: Any) -> Calendar:
    trial.project()
    answer = await trial.get(f"/schedule.ics{asked}", **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/calendar")
    assert not [word for word in SECRETS if word in answer.text]
    return icalendar.read(answer.content)


def uid(visit: str, who: str = "01-004") -> str:
    return f"{STUDY}/{who}/{visit}@cairn"


async def test_each_visit_is_its_window_in_whole_days(trial: Trial) -> None:
    found = await shown(trial)
    sixth, fifth = found.events[uid("V6")], found.events[uid("V5")]
    assert (sixth.first, sixth.last) == (date(2026, 11, 27), date(2026, 12, 3))
    assert (sixth.status, sixth.summary) == ("CONFIRMED", "01-004 V6 (target 2026-11-30)")
    assert (fifth.status, fifth.description) == ("CANCELLED", "Visit: Day 14\nMissed")
    assert found.name == STUDY


async def test_only_what_an_event_touched_counts_up(trial: Trial) -> None:
    before = await shown(trial)
    said = await trial.post(
        "01-004", event("visit-booked", "2026-11-10", visit="V5", at="2026-11-30")
    )
    after = await shown(trial)
    assert after.events[uid("V5")].sequence == said["position"]
    assert "Warning: booked for 2026-11-30" in after.events[uid("V5")].description
    assert {name for name, one in after.events.items() if one != before.events[name]} == {uid("V5")}


async def test_a_corrected_dose_moves_every_event_under_its_name(trial: Trial) -> None:
    before = await shown(trial)
    dosed = next(
        one["position"]
        for one in (await trial.get("/participants/01-004/events")).json()["items"]
        if one["type"] == "dosed"
    )
    corrected = event("corrected", position=dosed)
    corrected["data"]["occurred_at"] = "2026-11-04"
    await trial.post("01-004", {**corrected, "reason": "typing error"})
    after = await shown(trial)
    assert after.events.keys() == before.events.keys()
    for name, one in after.events.items():
        if name not in (uid("V0"), uid("V0", "02-001")):
            assert (one.first - before.events[name].first).days == 2, name
            assert one.sequence > before.events[name].sequence


async def test_what_is_off_is_cancelled_and_never_left_out(trial: Trial) -> None:
    before = await shown(trial)
    items = (await trial.get("/participants/01-004/events")).json()["items"]
    dosed = next(one["position"] for one in items if one["type"] == "dosed")
    retracted = {**event("retracted", position=dosed), "reason": "another participant"}
    await trial.post("01-004", retracted)
    after = await shown(trial)
    assert after.events.keys() >= before.events.keys()
    fifth = after.events[uid("V5")]
    assert (fifth.status, fifth.first) == ("CANCELLED", before.events[uid("V5")].first)
    assert fifth.sequence > before.events[uid("V5")].sequence
    await trial.post("01-004", event("visit-booked", "2026-11-20", visit="V1", at="2026-12-01"))
    again = await shown(trial)
    assert (again.events[uid("V5")].status, again.events[uid("V5")].first) == (
        "TENTATIVE",
        date(2026, 12, 12),
    )
    await trial.post("01-004", event("visit-cancelled", "2026-11-21", visit="V1"))
    await trial.post("01-004", event("died", "2026-11-21", on="2026-11-21"))
    last = await shown(trial)
    assert last.events.keys() >= again.events.keys()
    assert {one.status for name, one in last.events.items() if "/V0" not in name} == {"CANCELLED"}


async def test_a_site_that_a_participant_left_is_told_so(trial: Trial) -> None:
    before = await shown(trial, "?site=01")
    await trial.post("01-004", event("transferred", "2026-11-21", site="02"))
    old, new, whole = [await shown(trial, asked) for asked in ("?site=01", "?site=02", "")]
    assert old.events.keys() == before.events.keys()
    assert {one.status for one in old.events.values()} == {"CANCELLED"}
    assert new.events[uid("V6")].status == whole.events[uid("V6")].status == "CONFIRMED"
    assert old.events[uid("V6")].sequence > before.events[uid("V6")].sequence


async def test_two_attempts_at_screening_keep_their_names(trial: Trial) -> None:
    await trial.post("01-004", event("visit-completed", "2026-10-05", visit="V0", mode="in-person"))
    before = await shown(trial)
    await trial.post("01-004", event("screening-started", "2026-11-18"))
    after = await shown(trial)
    assert after.events[uid("V0")].first == before.events[uid("V0")].first
    assert after.events[uid("V0/2")].first == date(2026, 11, 18)


async def test_the_same_position_is_the_same_bytes_and_is_not_sent_again(trial: Trial) -> None:
    token = (await made(trial))["token"]
    first = await trial.get(f"/schedule.ics?token={token}", role=None)
    trial.api.clock.forward(days=40)
    again = await trial.get(f"/schedule.ics?token={token}", role=None)
    assert again.content == first.content
    tag = first.headers["etag"]
    kept = await trial.get(f"/schedule.ics?token={token}", role=None, If_None_Match=tag)
    assert (kept.status_code, kept.content) == (304, b"")
    await trial.post("01-004", event("visit-booked", "2026-11-10", visit="V5", at="2026-11-18"))
    trial.project()
    new = await trial.get(f"/schedule.ics?token={token}", role=None, If_None_Match=tag)
    assert new.status_code == 200


async def test_a_calendar_is_of_a_site_or_a_person(trial: Trial) -> None:
    whose = {
        "": {"01-004", "02-001"},
        "01": {"01-004"},
        "02": {"02-001"},
    }
    await trial.post("02-001", event("visit-booked", "2026-11-20", visit="V1", at="2026-12-01"))
    for site, wanted in whose.items():
        found = await made(trial, **({"site": site} if site else {}))
        assert found["url"].endswith(f"/v1/studies/{STUDY}/schedule.ics?token={found['token']}")
        read = await shown(trial, f"?token={found['token']}", role=None)
        assert {name.split("/")[1] for name in read.events} == wanted
    found = await made(trial, participant="02-001")
    for more in ("", "&participant=01-004", "&site=01"):
        read = await shown(trial, f"?token={found['token']}{more}", role=None)
        assert {name.split("/")[1] for name in read.events} <= {"02-001"}
    scope = {"site": "02"}
    own = await made(trial, role="coordinator", scope=scope)
    assert own["site"] == "02"
    for body in ({"site": "01"}, {"participant": "01-004"}):
        answer = await trial.api.send(
            "POST", f"{BASE}/calendars", body, role="coordinator", scope=scope
        )
        assert answer.status_code == 404, body


async def test_its_token_opens_nothing_else_and_no_other_token_stands_in_a_url(
    trial: Trial,
) -> None:
    token = (await made(trial))["token"]
    for path in ("", "/participants", "/schedule", "/log", "/calendars", "/participants/01-004"):
        answer = await trial.get(path, role=None, Authorization=f"Bearer {token}")
        assert answer.status_code == 401, path
        assert (await trial.get(f"{path}?token={token}", role=None)).status_code == 401
    other = trial.api.token("administrator")
    for wrong in (other, "x", token[:-1], token + "x", "cairnfeed1."):
        assert (await trial.get(f"/schedule.ics?token={wrong}", role=None)).status_code == 401
    assert (await trial.get("/schedule.ics", role=None)).status_code == 401
    assert (await trial.get("/schedule.ics", role="coordinator")).status_code == 200
    elsewhere = f"/v1/studies/S-9/schedule.ics?token={token}"
    assert (await trial.api.send("GET", elsewhere, role=None)).status_code == 401


async def test_a_revoked_calendar_opens_nothing_and_is_still_listed(trial: Trial) -> None:
    kept, gone = await made(trial, site="01"), await made(trial, site="02")
    path = f"{BASE}/calendars/{gone['calendar']}"
    scope = {"site": "01"}
    foreign = await trial.api.send("DELETE", path, role="coordinator", scope=scope)
    assert foreign.status_code == 404
    for _ in range(2):
        answer = await trial.api.send("DELETE", path)
        assert (answer.status_code, answer.json()["calendar"]) == (200, gone["calendar"])
    gone_too = await trial.get(f"/schedule.ics?token={gone['token']}", role=None)
    assert gone_too.status_code == 401
    still = await trial.get(f"/schedule.ics?token={kept['token']}", role=None)
    assert still.status_code == 200
    listed = await trial.get("/calendars")
    found = {one["calendar"]: one["revoked_at"] is not None for one in listed.json()["items"]}
    assert found == {kept["calendar"]: False, gone["calendar"]: True}
    assert kept["token"] not in listed.text
    own = await trial.get("/calendars", role="coordinator", scope={"site": "01"})
    assert [one["calendar"] for one in own.json()["items"]] == [kept["calendar"]]
    first = await trial.get("/calendars?limit=1")
    rest = await trial.api.send("GET", first.links["next"]["url"])
    assert [one["calendar"] for one in first.json()["items"] + rest.json()["items"]] == sorted(
        found
    )


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"site": "09"}, "/site"), ({"colour": "red"}, "/colour"), ({"site": 1}, "/site"), ([], "")],
)
async def test_a_calendar_of_nothing_is_refused(trial: Trial, body: Any, pointer: str) -> None:
    answer = await trial.api.send("POST", f"{BASE}/calendars", body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["problems"]] == [pointer]


def test_a_calendar_is_folded_and_escaped() -> None:
    entry = {
        "participant": "a;b,c\\d",
        "visit": "V" * 90,
        "name": "é" * 60 + "\r\nATTACH:x",
        "number": 1,
        "target": None,
        "first": "2026-12-31",
        "last": "2026-12-31",
        "state": "off",
        "settled": "missed",
        "completed_on": None,
        "booked_for": None,
        "warnings": [],
        "changed": {"position": 7, "at": "2026-12-31T23:00:00.000000Z"},
    }
    found = icalendar.read(calendar.feed("S; 1", "S", [entry]))
    (one,) = found.events.values()
    assert found.name == "S; 1"
    assert one.uid == f"S/a;b,c\\d/{'V' * 90}@cairn"
    assert (one.first, one.last, one.status, one.sequence) == (
        date(2026, 12, 31),
        date(2026, 12, 31),
        "CANCELLED",
        7,
    )
    assert one.summary == f"a;b,c\\d {'V' * 90}"
    assert one.description == f"Visit: {'é' * 60}\nATTACH:x\nMissed"
