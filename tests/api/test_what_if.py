"""What-if over REST: what it answers, to whom, and that nothing of it is kept."""

import asyncio
import json
from typing import Any

import psycopg
import pytest

from projections.catalogue import VIEWS
from tests.api.conftest import STUDY, Api, consented, event, referred

pytestmark = pytest.mark.anyio

PROTOCOL = {
    "study": STUDY,
    "version": "1.1",
    "title": "A study for tests",
    "accrual": 2,
    "dose": {"authorisation": False},
    "dictionary": {"egfr": {"name": "eGFR", "kind": "quantity", "unit": "mL/min"}},
    "visits": [
        {"code": "V0", "name": "Screening", "kind": "screening", "anchor": "screening", "day": 0},
        {"code": "V1", "name": "Dose", "kind": "dosing", "day": 0},
        {"code": "V2", "name": "Week 1", "day": 7, "before": 1, "after": 3},
    ],
    "criteria": [
        {
            "id": "I1",
            "kind": "inclusion",
            "text": "Of age.",
            "rule": {"rule": "age", "at_least": 18, "at_most": 80},
        }
    ],
}
DOSE = {"product": "X", "amount": "1", "unit": "mg", "route": "oral"}
ON = "2026-11-21"
NAME = "Wilhelmina"
"""Long enough not to be found in ciphertext by chance."""


def journey(site: str, born: str, week: str) -> list[dict[str, Any]]:
    return [
        referred(site, contact={"first_name": NAME}),
        consented(),
        event("screening-started", "2026-11-03"),
        event("demographics-recorded", "2026-11-03", birth_date=born, sex="female"),
        event("dosed", "2026-11-10", **DOSE),
        event("visit-completed", week, visit="V2", mode="in-person"),
    ]


PEOPLE = {
    "01-1": journey("01", "1950-06-15", "2026-11-17"),
    "01-2": journey("01", "1980-06-15", "2026-11-20"),
    "02-1": journey("02", "1950-06-15", "2026-11-20"),
}


@pytest.fixture
async def study(api: Api) -> Api:
    """The study under version 1.1 at both sites, with three people."""
    answer = await api.send("PUT", f"/v1/studies/{STUDY}/protocols/1.1", PROTOCOL)
    assert answer.status_code == 201, answer.text
    for site in ("01", "02"):
        active = event("protocol-activated", "2026-10-02", site=site, protocol="1.1")
        assert (await api.post("/events", active)).status_code == 201
    for name, events in PEOPLE.items():
        answer = await api.post(f"/participants/{name}/events", events)
        assert answer.status_code == 201, answer.text
    return api


def draft(*, at_most: int = 70, after: int = 1, **changes: Any) -> dict[str, Any]:
    """The protocol with another age limit and another window, as a client edits it."""
    found = json.loads(json.dumps(PROTOCOL))
    found["criteria"][0]["rule"]["at_most"] = at_most
    found["visits"][2]["after"] = after
    return {**found, "version": "1.2", **changes}


async def ask(api: Api, body: Any, path: str = "/what-if", **more: Any) -> Any:
    answer = await api.post(path + f"?on={ON}", body, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def whom(items: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["participant"], one["what"]) for one in items]


async def test_a_draft_is_told_of_the_whole_cohort(study: Api) -> None:
    found = await ask(study, draft())
    assert found["position"] == study.head()
    assert whom(found["visits"]["now_out"]) == [("01-2", "V2"), ("02-1", "V2")]
    assert whom(found["deviations"]["new"]) == [
        ("01-1", "dosed-ineligible"),
        ("01-2", "visit-window V2"),
        ("02-1", "dosed-ineligible"),
        ("02-1", "visit-window V2"),
    ]
    assert whom(found["eligibility"]["now_ineligible"]) == [
        ("01-1", "eligible becomes ineligible"),
        ("02-1", "eligible becomes ineligible"),
    ]
    first = found["eligibility"]["now_ineligible"][0]
    assert (first["today"], first["what_if"]) == (
        {"verdict": "eligible", "protocol": "1.1"},
        {"verdict": "ineligible", "protocol": "1.2"},
    )
    assert "76" in first["criteria"][0]["what_if"]["explanation"]
    assert found["protocols"] == {"today": ["1.0", "1.1"], "what_if": "1.2"}
    assert found["totals"]["participants"] == 3
    assert found["totals"]["visits"]["now_out"] == 2
    assert (found["failed"], found["truncated"]) == ([], False)


async def test_the_protocol_as_it_is_read_back_changes_nothing(study: Api) -> None:
    read = await study.get("/protocols/1.1")
    found = await ask(study, None, content=read.content)
    assert found["totals"] == {
        **found["totals"],
        "participants": 3,
        "changed": 0,
        "failed": 0,
    }
    yaml = await study.get("/protocols/1.1", Accept="application/yaml")
    again = await ask(study, None, content=yaml.content, media="application/yaml")
    assert again["totals"]["changed"] == 0
    usdm = await study.get("/protocols/1.1?format=usdm")
    assert (await ask(study, None, content=usdm.content))["totals"]["participants"] == 3


async def test_a_draft_needs_no_version_and_may_have_a_published_one(study: Api) -> None:
    nameless = {name: value for name, value in draft().items() if name != "version"}
    assert (await ask(study, nameless))["protocols"]["what_if"] == "draft"
    same = await ask(study, draft(version="1.1"))
    assert same["totals"]["changed"] == 3


async def test_lines_tell_progress_then_items_then_totals(study: Api) -> None:
    whole = await ask(study, draft())
    accept = {"Accept": "application/x-ndjson"}
    answer = await study.post(f"/what-if?on={ON}", draft(), **accept)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    items = [one for one in lines if "list" in one]
    lists: dict[str, list[Any]] = {}
    for one in items:
        lists.setdefault(one.pop("list"), []).append(one)
    assert lists == {
        f"{part}.{kind}": found
        for part in ("visits", "eligibility", "deviations", "stages", "clocks", "reconsents")
        for kind, found in whole[part].items()
        if found
    }
    progress = [one["progress"] for one in lines if "progress" in one]
    assert progress[-1] == {"participants": 3, "percent": 100}
    assert lines[-1]["totals"] == whole["totals"]
    assert lines[-1]["position"] == whole["position"]


async def test_the_past_and_another_day_can_be_asked(study: Api) -> None:
    head = study.head()
    late = event("visit-completed", "2026-11-21", visit="UNS", mode="in-person")
    assert (await study.post("/participants/01-1/events", late)).status_code == 201
    then = await study.post(f"/what-if?as_of={head}", draft())
    assert then.json()["position"] == head
    first = await study.post("/what-if?as_of=8", draft())
    assert first.json()["totals"]["participants"] < 3
    early = await study.post("/what-if?valid_at=2026-11-12", draft())
    assert early.json()["totals"]["visits"]["now_out"] == 0
    assert early.json()["totals"]["eligibility"]["now_ineligible"] == 2
    ahead = await study.post(f"/what-if?wait_for={study.head() + 1}", draft())
    assert (ahead.status_code, ahead.headers["retry-after"]) == (503, "1")


# --- who may ask ----------------------------------------------------------------------------------


async def test_a_token_of_a_site_sees_its_own_participants_alone(study: Api) -> None:
    scope = {"study": STUDY, "site": "02"}
    found = await ask(study, draft(), role="coordinator", scope=scope)
    everything = json.dumps(found)
    assert "02-1" in everything
    assert "01-" not in everything
    assert found["totals"]["participants"] == 1
    other = await study.post("/what-if?site=01", draft(), role="coordinator", scope=scope)
    assert other.status_code == 404
    one = await study.post("/participants/01-1/what-if", draft(), role="coordinator", scope=scope)
    assert one.status_code == 404
    await ask(study, draft(), "/participants/02-1/what-if", role="coordinator", scope=scope)


async def test_who_may_read_may_ask_about_a_draft(study: Api) -> None:
    for role, status in (("auditor", 200), ("monitor", 200), ("sponsor", 200), ("system", 403)):
        for path in ("/what-if", "/participants/01-1/what-if"):
            assert (await study.post(path, draft(), role=role)).status_code == status, role


async def test_events_are_proposed_by_whoever_may_post_them(study: Api) -> None:
    path = "/participants/01-1/what-if"
    held = event("visit-completed", ON, visit="UNS", mode="in-person")
    assert (await study.post(path, held, role="monitor")).status_code == 403
    assert (await study.post(path, held, role="system")).status_code == 403
    assert (await study.post(path, held, role="coordinator")).status_code == 200
    assert (await study.post(path, held, role=None)).status_code == 401


# --- what is no draft -----------------------------------------------------------------------------


async def test_a_draft_that_is_not_whole_is_refused_with_every_place(study: Api) -> None:
    broken = draft()
    broken["visits"][2]["day"] = 0
    broken["criteria"][0]["rule"] = {"rule": "finding", "code": "no-such-code"}
    published = await study.send("PUT", f"/v1/studies/{STUDY}/protocols/1.2", broken)
    for path in ("/what-if", "/participants/01-1/what-if"):
        answer = await study.post(path, broken)
        assert answer.status_code == 422
        assert answer.json()["problems"] == published.json()["problems"]
        assert len(answer.json()["problems"]) >= 2
    both = await study.post("/participants/01-1/what-if", {"events": [], "protocol": broken})
    assert both.status_code == 422


UNREADABLE = [
    (b"{", "application/json", 400),
    (b"[1", "application/yaml", 400),
    (b"", "application/json", 422),
    (b"[]", "application/json", 422),
    (b"1", "application/json", 422),
    (b"{}", "text/plain", 415),
    (b'{"a": 1, "a": 1}', "application/json", 400),
    (b" " * (8 * 1024 * 1024 + 1), "application/json", 413),
    (b'{"events": [], "protocol": {}, "more": 1}', "application/json", 422),
    (b'{"study": "S-2", "version": "1", "title": "Another"}', "application/json", 422),
]


async def test_what_cannot_be_read_is_refused(study: Api) -> None:
    for path in ("/what-if", "/participants/01-1/what-if"):
        for content, media, status in UNREADABLE:
            answer = await study.post(path, content=content, media=media)
            assert answer.status_code == status, (path, content[:80], answer.text)
            assert answer.headers["content-type"] == "application/problem+json"


async def test_unknown_studies_and_participants_are_not_found(study: Api) -> None:
    answer = await study.send("POST", "/v1/studies/S-9/what-if", draft())
    assert answer.status_code == 404
    assert (await study.post("/participants/nobody/what-if", draft())).status_code == 404
    held = event("visit-completed", ON, visit="UNS", mode="in-person")
    assert (await study.post("/participants/nobody/what-if", held)).status_code == 404
    past = await study.post("/participants/01-1/what-if?as_of=3", held)
    assert (past.status_code, past.json()["problems"][0]["rule"]) == (422, "not-with-events")


# --- one participant ------------------------------------------------------------------------------


async def dose_of(api: Api, name: str) -> int:
    history = (await api.get(f"/participants/{name}/events")).json()["items"]
    return next(one["position"] for one in history if one["type"] == "dosed")


async def correction(api: Api, name: str, to: str) -> dict[str, Any]:
    position = await dose_of(api, name)
    says = {"position": position, "occurred_at": to}
    return {**event("corrected", ON), "data": says, "reason": "typing error"}


async def test_a_correction_tells_what_recording_it_then_brings(study: Api) -> None:
    proposed = await correction(study, "01-2", "2026-11-08")
    found = await ask(study, proposed, "/participants/01-2/what-if")
    assert found["would"]["recorded"] is True
    assert [one["what"] for one in found["visits"]["now_out"]] == ["V2"]
    assert found["visits"]["now_out"][0]["what_if"]["target"] == "2026-11-15"
    done = await study.post("/participants/01-2/events", proposed)
    assert done.status_code == 201
    said = [
        (one["type"], one["version"], one["position"], one["data"]) for one in done.json()["events"]
    ]
    would = found["would"]["events"]
    assert [(one["type"], one["version"], one["position"], one["data"]) for one in would] == said
    (seen,) = [
        one
        for one in (await study.get("/participants/01-2/schedule")).json()["visits"]
        if one["visit"] == "V2"
    ]
    told = found["visits"]["now_out"][0]["what_if"]
    assert {name: seen[name] for name in ("target", "latest", "out_of_window", "why")} == {
        name: told[name] for name in ("target", "latest", "out_of_window", "why")
    }
    again = await ask(study, proposed, "/participants/01-2/what-if")
    assert again["totals"]["changed"] == 0


async def test_a_decision_that_a_rule_blocks_is_answered_with_the_rule(study: Api) -> None:
    enrol = event("enrolled", ON)
    found = await ask(study, enrol, "/participants/01-1/what-if", role="investigator")
    refused = await study.post("/participants/01-1/events", enrol, role="investigator")
    assert found["would"]["recorded"] is False
    assert found["would"]["refusal"] == refused.json()
    assert found["would"]["refusal"]["rule"] == "verdict"
    assert found["totals"]["changed"] == 0
    future = event("visit-completed", "2027-11-21", visit="V2", mode="in-person")
    impossible = await ask(study, future, "/participants/01-1/what-if")
    assert impossible["would"]["refusal"]["rule"] == "future"
    strict = await ask(
        study,
        event("visit-completed", "2026-11-22", visit="V1", mode="in-person"),
        "/participants/01-1/what-if",
        Prefer="handling=strict",
    )
    assert strict["would"]["refusal"]["rules"]


async def test_events_are_judged_by_a_draft_where_both_are_given(study: Api) -> None:
    held = event("visit-completed", "2026-11-20", visit="V3", mode="in-person")
    path = "/participants/01-1/what-if"
    alone = await ask(study, [held], path)
    assert alone["would"]["refusal"]["rule"] == "unknown-visit"
    more = draft(at_most=80, after=3)
    more["visits"].append({"code": "V3", "name": "Week 2", "day": 14, "before": 1, "after": 1})
    both = await ask(study, {"events": [held], "protocol": more}, path)
    assert both["would"]["recorded"] is True
    assert both["would"]["events"][0]["protocol"] == "1.2"
    rules = [one["data"].get("rule") for one in both["would"]["events"]]
    assert "visit-window" in rules
    assert [one["what"] for one in both["visits"]["now_out"]] == ["V3"]


async def test_an_event_that_is_not_valid_is_refused_with_its_place(study: Api) -> None:
    path = "/participants/01-1/what-if"
    answer = await study.post(path, {"events": [event("consented")]})
    assert answer.status_code == 422
    assert {one["pointer"] for one in answer.json()["problems"]} == {
        "/events/0/data/form_version",
        "/events/0/data/signed_by",
    }
    huge = event("consented", form_version="1.0", signed_by="participant", more="x" * 70_000)
    assert (await study.post(path, huge)).status_code == 413
    wrong = await correction(study, "01-1", "2026-11-08")
    wrong["data"]["data"] = {"product": "X"}
    assert (await study.post(path, wrong)).status_code == 422


async def test_if_match_and_known_ids_mean_what_they_mean_for_posts(study: Api) -> None:
    path = "/participants/01-1/what-if"
    held = event("visit-completed", ON, visit="UNS", mode="in-person")
    behind = await study.post(path, held, If_Match='"1"')
    assert behind.status_code == 412
    named = {**held, "id": "EDC-1"}
    assert (await study.post("/participants/01-1/events", named)).status_code == 201
    found = await ask(study, named, path)
    assert found["would"]["replayed"] is True
    assert found["totals"]["changed"] == 0
    reused = await study.post(path, {**named, "occurred_at": "2026-11-20"})
    assert reused.status_code == 409


async def test_somebody_new_can_be_supposed(study: Api) -> None:
    found = await ask(study, journey("01", "1950-01-01", "2026-11-25"), "/participants/new/what-if")
    assert found["would"]["refusal"]["rule"] == "future"
    found = await ask(study, journey("01", "1950-01-01", "2026-11-21"), "/participants/new/what-if")
    assert found["would"]["recorded"] is True
    assert ("visits.now_out" in found) is False
    assert [one["what"] for one in found["visits"]["now_out"]] == ["V2"]
    assert NAME not in json.dumps(found)
    assert (await study.get("/participants/new")).status_code == 404


# --- nothing is kept ------------------------------------------------------------------------------


def everything(api: Api, database: str) -> dict[str, Any]:
    """The ledger's head, the views' digests, and how many rows every table of the store has."""
    digests = {view.name: api.cairn.projector.digest(STUDY, view.name) for view in VIEWS}
    with psycopg.connect(database) as connection:
        names = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname IN ('cairn', 'views') ORDER BY 1"
        ).fetchall()
        rows = {
            name: connection.execute(
                f"SELECT count(*), md5(string_agg(md5(one::text), '' ORDER BY md5(one::text)))"
                f" FROM {name} AS one"
            ).fetchone()
            for (name,) in names
        }
    return {"head": api.head(), "digests": digests, "rows": rows}


async def test_nothing_is_written_whatever_is_asked(study: Api, database: str) -> None:
    await asyncio.to_thread(study.cairn.projector.catch_up, STUDY)
    before = await asyncio.to_thread(everything, study, database)
    kept = ("cairn.event", "cairn.document", "cairn.refusal", "cairn.participant_key")
    assert before["rows"].keys() > set(kept)
    assert any(name.startswith("views.") for name in before["rows"])
    path = "/participants/01-1/what-if"
    proposed: list[Any] = [
        await correction(study, "01-1", "2026-11-08"),
        {**event("retracted", ON, position=await dose_of(study, "01-1")), "reason": "error"},
        event("enrolled", ON),
        {**event("identity-erased", ON, basis="court-order", scope=["all"]), "reason": "asked"},
        event("note-added", ON, text=f"A note about {NAME}."),
        draft(),
        {"events": [event("visit-missed", ON, visit="V0")], "protocol": draft()},
    ]
    for body in proposed:
        answer = await study.post(path, body)
        assert answer.status_code == 200, answer.text
        assert NAME not in answer.text
    fresh = journey("01", "1950-01-01", "2026-11-21")
    assert (await study.post("/participants/new/what-if", fresh)).status_code == 200
    await ask(study, draft())
    await study.post("/what-if", draft(), Accept="application/x-ndjson")
    await asyncio.to_thread(study.cairn.projector.catch_up, STUDY)
    assert await asyncio.to_thread(everything, study, database) == before
    history = await study.get("/participants/01-1/events")
    assert len(history.json()["items"]) >= len(PEOPLE["01-1"])


async def test_only_so_many_are_under_way_at_once(study: Api) -> None:
    gate = study.http._transport.app.state.what_ifs  # type: ignore[attr-defined]
    with gate, gate:
        for path in ("/what-if", "/participants/01-1/what-if"):
            answer = await study.post(path, draft())
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        lines = await study.post("/what-if", draft(), Accept="application/x-ndjson")
        assert lines.status_code == 429
    assert (await study.post("/what-if", draft())).status_code == 200
