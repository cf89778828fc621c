"""The views over REST: shapes, filters, pages, time axes, scope, tables, the calendar."""

import csv
import io
import json
from typing import Any

import pytest

from services.problems import URN
from services.terms import Terms
from tests.api.conftest import Api, consented, event, referred
from tests.api.schema import errors
from tests.api.test_openapi import _operation

pytestmark = pytest.mark.anyio

STUDY = "LK-23-01"
BASE = f"/v1/studies/{STUDY}"
LISTS = (
    *("participants", "eligibility", "schedule", "safety", "deviations", "enrolment", "worklist"),
    *("matrix", "workload", "adherence", "eligibility/missing", "eligibility/criteria"),
)
OF_ONE = ("", "/eligibility", "/schedule", "/safety")


class Trial:
    """LK-23-01 with sites 01 and 02 over REST."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def get(self, path: str, **more: Any) -> Any:
        return await self.api.send("GET", BASE + path, **more)

    async def post(self, name: str, *documents: dict[str, Any]) -> Any:
        answer = await self.api.send("POST", f"{BASE}/participants/{name}/events", list(documents))
        assert answer.status_code == 201, answer.text
        return answer.json()

    def project(self) -> int:
        return self.api.cairn.projector.catch_up(STUDY)


@pytest.fixture
async def trial(api: Api) -> Trial:
    """Participant 01-004 dosed on 2 November with an adverse event, 02-001 only referred."""
    from domain.kernel import Actor

    terms = Terms(actor=Actor(id="t", role="administrator"), source="urn:t")
    await api.cairn.publishing.publish_built_in(terms)
    found = Trial(api)
    for site, zone in (("01", "Asia/Jakarta"), ("02", "America/Lima")):
        body = event("site-opened", "2026-01-01", site=site, name="A", timezone=zone)
        assert (await api.send("POST", f"{BASE}/events", body)).status_code == 201
    await found.post(
        "01-004",
        {**referred("01"), "occurred_at": "2026-09-01"},
        {**consented(), "occurred_at": "2026-10-01"},
        event("screening-started", "2026-10-05"),
        event(
            "dosed", "2026-11-02", product="UC-MSC", amount=1, unit="10^6/kg", route="subcutaneous"
        ),
        event(
            "adverse-event-reported",
            "2026-11-05",
            ae="AE-1",
            term="Fever",
            onset="2026-11-05",
            aware_at="2026-11-05T10:00:00+07:00",
            grade=3,
            seriousness=["hospitalisation"],
            serious=False,
        ),
    )
    await found.post("02-001", {**referred("02"), "occurred_at": "2026-11-10"})
    found.project()
    return found


async def test_every_view_is_as_the_document_describes_it(trial: Trial) -> None:
    document = (await trial.api.send("GET", "/openapi.json")).json()
    paths = [f"/participants/01-004{path}" for path in OF_ONE] + [f"/{name}" for name in LISTS]
    for path in paths:
        answer = await trial.get(path)
        assert answer.status_code == 200, (path, answer.text)
        _, operation = _operation(document, "GET", BASE + path)
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert not errors(answer.json(), schema, document), path
        assert answer.headers["etag"].strip('"').isdecimal()


async def test_the_summary_says_where_the_journey_stands(trial: Trial) -> None:
    answer = await trial.get("/participants/01-004")
    said = answer.json()
    assert said["site"] == "01"
    assert said["stage"] == "follow-up"
    assert said["consent"] == {"status": "given", "form_version": "1.0", "on": "2026-10-01"}
    assert said["dosed_on"] == "2026-11-02"
    assert said["open_adverse_events"] == 1
    assert answer.headers["etag"] == f'"{said["version"]}"'
    listed = (await trial.get("/participants?stage=follow-up")).json()["items"]
    assert listed == [{**said, "position": listed[0]["position"]}]


async def test_the_schedule_counts_from_the_dose(trial: Trial) -> None:
    said = (await trial.get("/participants/01-004/schedule")).json()
    assert said["anchor"]["date"] == "2026-11-02"
    assert said["anchor"]["provisional"] is False
    listed = (await trial.get("/schedule?site=01&limit=1000")).json()["items"]
    assert {one["visit"] for one in listed} == {one["visit"] for one in said["visits"]}
    assert {one["participant"] for one in listed} == {"01-004"}
    days = [one["target"] or one["completed_on"] or "9999" for one in listed]
    assert days == sorted(days)
    some = (await trial.get("/schedule?from=2026-11-01&to=2026-11-30")).json()["items"]
    assert some
    assert {one["participant"] for one in some} == {"01-004"}
    assert all("2026-11-01" <= one["target"] <= "2026-11-30" for one in some)


async def test_safety_shows_what_contradicts_and_what_is_owed(trial: Trial) -> None:
    said = (await trial.get("/safety")).json()
    (found,) = said["items"]
    assert (found["participant"], found["ae"], found["serious"]) == ("01-004", "AE-1", True)
    assert found["contradictions"] == ["serious-not-flagged"]
    assert {one["clock"] for one in said["clocks"]} >= {"site-to-sponsor"}
    assert said["toxicity"]["dosed"] == 1
    assert said["contradictions"][0]["contradiction"] == "serious-not-flagged"


async def test_a_reader_waits_for_its_own_write_or_is_told_to_come_back(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await trial.post("02-001", {**consented(), "occurred_at": "2026-11-11"})
    own = await trial.get(f"/participants/02-001?wait_for={answer['position']}")
    assert own.json()["consent"]["status"] == "given"
    monkeypatch.setattr("services.views.reading.WAIT_SECONDS", 0.05)
    late = await trial.get(f"/participants?wait_for={answer['position']}")
    assert (late.status_code, late.json()["type"]) == (503, URN + "lagging")
    assert "retry-after" in late.headers
    trial.project()
    listed = await trial.get(f"/participants?wait_for={answer['position']}")
    assert listed.status_code == 200
    assert listed.json()["position"] >= answer["position"]


async def test_the_past_is_read_on_both_axes(trial: Trial) -> None:
    path = "/participants/01-004"
    position = trial.api.head(STUDY)
    await trial.post("01-004", event("died", "2026-11-20", on="2026-11-20"))
    assert (await trial.get(path)).json()["stage"] == "deceased"
    assert (await trial.get(f"{path}?as_of={position}")).json()["stage"] == "follow-up"
    assert (await trial.get(f"{path}?valid_at=2026-10-03")).json()["stage"] == "consented"
    assert (await trial.get(f"{path}?as_of=3")).status_code == 404
    assert (await trial.get(f"{path}?valid_at=2020-01-01")).status_code == 404
    assert (await trial.get(f"/participants?as_of={position}")).json()["position"] == position
    early = await trial.get("/participants/01-004/schedule?on=2026-11-03")
    late = await trial.get("/participants/01-004/schedule?on=2027-12-01&as_of=" + str(position))
    assert {one["status"] for one in early.json()["visits"]} >= {"upcoming"}
    assert "upcoming" not in {one["status"] for one in late.json()["visits"]}


WRONG = [
    # path                                    pointer
    ("/participants?as_of=yesterday", "/query/as_of"),
    ("/participants?valid_at=2026-13-01", "/query/valid_at"),
    ("/participants?on=now", "/query/on"),
    ("/participants?wait_for=-1", "/query/wait_for"),
    ("/participants?by=me", "/query/by"),
    ("/participants?limit=0", "/query/limit"),
    ("/participants?cursor=nonsense", "/query/cursor"),
    ("/schedule?from=tomorrow", "/query/from"),
]


@pytest.mark.parametrize(("path", "pointer"), WRONG)
async def test_a_parameter_that_cannot_be_read_is_named(
    trial: Trial, path: str, pointer: str
) -> None:
    answer = await trial.get(path)
    assert answer.status_code == 422
    assert pointer in {one["pointer"] for one in answer.json()["problems"]}


async def test_lists_are_read_in_pages_that_add_up(trial: Trial) -> None:
    for name in set(LISTS) - {"enrolment"}:
        whole = (await trial.get(f"/{name}?limit=1000")).json()["items"]
        found: list[Any] = []
        answer = await trial.get(f"/{name}?limit=1")
        while True:
            found += answer.json()["items"]
            if "next" not in answer.links:
                break
            answer = await trial.api.send("GET", answer.links["next"]["url"])
        assert found == whole, name
        assert found, name


async def test_lists_come_as_tables(trial: Trial) -> None:
    for name in LISTS:
        items = (await trial.get(f"/{name}?limit=1000")).json()["items"]
        table = await trial.get(f"/{name}?limit=1000", Accept="text/csv")
        assert table.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert len(rows) == len(items), name
        if items and "participant" in items[0]:
            assert [row["participant"] for row in rows] == [one["participant"] for one in items]


async def test_a_sites_token_sees_its_site_in_every_view(trial: Trial) -> None:
    scope: dict[str, Any] = {"role": "coordinator", "scope": {"site": "02"}}
    for path in OF_ONE:
        assert (await trial.get(f"/participants/01-004{path}", **scope)).status_code == 404
        assert (await trial.get(f"/participants/02-001{path}", **scope)).status_code == 200
    for name in LISTS:
        answer = await trial.get(f"/{name}", **scope)
        assert answer.status_code == 200, name
        assert "01-004" not in answer.text, name
        assert (await trial.get(f"/{name}?site=01", **scope)).status_code == 404
        past = await trial.get(f"/{name}?as_of={trial.api.head(STUDY)}", **scope)
        assert "01-004" not in past.text, name


async def test_a_system_reads_no_views(trial: Trial) -> None:
    for path in [f"/participants/01-004{path}" for path in OF_ONE] + [f"/{one}" for one in LISTS]:
        assert (await trial.get(path, role="system")).status_code == 403
        assert (await trial.get(path, role=None)).status_code == 401


async def test_the_matrix_is_a_row_of_states_for_each_participant(trial: Trial) -> None:
    said = (await trial.get("/matrix?on=2026-11-10")).json()
    assert said["visits"][:3] == ["V0", "V1", "V2"]
    first = next(one for one in said["items"] if one["participant"] == "01-004")
    of_one = (await trial.get("/participants/01-004/schedule?on=2026-11-10")).json()["visits"]
    assert [(code, cell["status"]) for code, cell in first["visits"].items()] == [
        (one["visit"], one["status"]) for one in of_one
    ]
    table = await trial.get("/matrix?on=2026-11-10", Accept="text/csv")
    (row,) = [r for r in csv.DictReader(io.StringIO(table.text)) if r["participant"] == "01-004"]
    assert list(row)[:4] == ["participant", "site", "V0", "V1"]
    assert row["V5"] == "upcoming 2026-11-16"


async def test_the_workload_counts_each_visit_in_its_week(trial: Trial) -> None:
    await trial.post("01-004", event("visit-booked", "2026-11-10", visit="V5", at="2026-11-18"))
    await trial.post("01-004", event("visit-completed", "2026-11-10", visit="V4", mode="in-person"))
    trial.project()
    path = "/workload?from=2026-11-09&to=2026-11-22&on=2026-11-12"
    items = (await trial.get(path)).json()["items"]
    found = [(one["week"], one["site"], one["visits"], one["booked"]) for one in items]
    assert found == [("2026-11-09", "01", 1, 0), ("2026-11-16", "01", 1, 1)]
    assert (items[0]["completed"], items[1]["upcoming"]) == (1, 1)
    assert (await trial.get("/workload?from=2000-01-01&to=2026-01-01")).status_code == 422


async def test_windows_kept_are_counted_by_visit_and_site(trial: Trial) -> None:
    for code, day in (("V2", "2026-11-03"), ("V3", "2026-11-03"), ("V4", "2026-11-14")):
        await trial.post("01-004", event("visit-completed", day, visit=code, mode="in-person"))
    trial.project()
    items = (await trial.get("/adherence?site=01")).json()["items"]
    sides = {one["visit"]: (one["in"], one["early"], one["late"]) for one in items}
    assert (sides["V2"], sides["V3"], sides["V4"]) == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert sum(one["held"] for one in items) == 3


async def test_a_booking_outside_its_window_warns_and_its_history_is_kept(trial: Trial) -> None:
    for at, made in (("2026-11-15", "2026-11-10"), ("2026-11-30", "2026-11-11")):
        await trial.post("01-004", event("visit-booked", made, visit="V5", at=at))
    visits = (await trial.get("/participants/01-004/schedule")).json()["visits"]
    (fifth,) = [one for one in visits if one["visit"] == "V5"]
    assert fifth["booked_outside_window"]
    assert fifth["warnings"] == [
        "booked for 2026-11-30, 11 days after the window closes on 2026-11-19"
    ]
    assert [(one["at"], one["state"]) for one in fifth["bookings"]] == [
        ("2026-11-15", "moved"),
        ("2026-11-30", "standing"),
    ]


async def test_the_worklist_takes_the_days_that_are_near(trial: Trial) -> None:
    async def tasks(on: str, within: int) -> set[tuple[str, str]]:
        items = (await trial.get(f"/worklist?on={on}&within={within}")).json()["items"]
        return {(one["task"], one["visit"]) for one in items if "visit" in one}

    assert await tasks("2026-11-29", 3) >= {("nothing-booked", "V6")}
    assert ("closing", "V6") not in await tasks("2026-11-29", 3)
    assert await tasks("2026-11-29", 4) >= {("closing", "V6"), ("nothing-booked", "V6")}
    assert ("nothing-booked", "V6") in await tasks("2026-11-13", 3)
    assert ("nothing-booked", "V6") not in await tasks("2026-11-12", 3)
    await trial.post("01-004", event("visit-booked", "2026-11-22", visit="V6", at="2026-12-01"))
    trial.project()
    assert ("nothing-booked", "V6") not in await tasks("2026-11-29", 4)
    assert ("today", "V6") in await tasks("2026-12-01", 0)


async def test_a_schedule_of_one_comes_as_a_table(trial: Trial) -> None:
    table = await trial.get("/participants/01-004/schedule", Accept="text/csv")
    visits = (await trial.get("/participants/01-004/schedule")).json()["visits"]
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["visit"] for row in rows] == [one["visit"] for one in visits]


async def test_readiness_tells_how_far_the_views_are_behind(trial: Trial) -> None:
    said = await trial.post("02-001", {**consented(), "occurred_at": "2026-11-11"})
    count = len(said["events"])
    trial.api.clock.forward(seconds=90)
    answer = await trial.api.send("GET", "/health/ready", role=None)
    assert answer.status_code == 200
    assert answer.json()["lag"]["schedule"][STUDY] >= 1
    figures = await trial.api.send("GET", "/metrics", role=None)
    behind = f'{{reader="schedule",study="{STUDY}"}} '
    assert f"cairn_lag_events{behind}{count}.0" in figures.text
    assert f"cairn_lag_seconds{behind}90.0" in figures.text
    assert "cairn_append_events_count" in figures.text
    trial.project()
    answer = await trial.api.send("GET", "/health/ready", role=None)
    assert answer.json()["lag"]["schedule"][STUDY] == 0
    assert json.loads(answer.text)["status"] == "ready"
