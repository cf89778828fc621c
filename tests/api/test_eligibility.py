"""The loop of eligibility over REST: facts, conclusions, the investigator's word, the dose; what
protocols and values are refused, with the place and the reason and without an echo."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from domain.trial.validation import RULES
from infra.postgres.pool import borrowed
from services.problems import URN
from services.terms import Terms
from tests.api.conftest import Api, event
from tests.domain.eligibility.charts import Fact, eligible, lab, without
from tests.domain.eligibility.test_day0 import fresh
from tests.domain.protocol.documents import changed, lk

pytestmark = pytest.mark.anyio

STUDY = "LK-23-01"
BASE = f"/v1/studies/{STUDY}"
WHO = f"{BASE}/participants/01-001"
POSITIVE = lab("hbsag", reads="positive", on="2026-11-27")


@pytest.fixture
async def trial(api: Api) -> Api:
    """LK-23-01 with one site in New York, on the afternoon of 30 November."""
    from domain.kernel import Actor

    terms = Terms(actor=Actor(id="t", role="administrator"), source="urn:t")
    await api.cairn.publishing.publish_built_in(terms)
    for body in (
        event("site-opened", "2026-01-01", site="01", name="A", timezone="America/New_York"),
        event("consent-form-approved", "2026-01-01", form_version="1.0", reconsent=False),
    ):
        assert (await api.send("POST", f"{BASE}/events", body)).status_code == 201
    api.clock.now = datetime(2026, 11, 30, 20, tzinfo=UTC)
    return api


def _sent(one: Fact) -> dict[str, Any]:
    data = dict(one.data)
    if one.type == "demographics-recorded":
        data = {"birth_date": "1985-04-12", "sex": "female", "childbearing_potential": True}
    return {"type": one.type, "occurred_at": one.at, "data": data}


async def _know(api: Api, *facts: Fact | Iterable[Fact]) -> dict[str, Any]:
    lines = [one for some in facts for one in ([some] if isinstance(some, Fact) else some)]
    answer = await api.send("POST", f"{WHO}/events", [_sent(one) for one in lines])
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _decide(api: Api, kind: str, at: str, role: str = "investigator") -> httpx.Response:
    return await api.send("POST", f"{WHO}/events", event(kind, at), role=role)


async def _log(api: Api, after: int) -> list[dict[str, Any]]:
    found = await api.send("GET", f"{BASE}/log?after={after}&limit=1000")
    return list(found.json()["items"])


async def _confirmed(api: Api) -> None:
    answer = await _decide(api, "eligibility-confirmed", "2026-11-30T10:00:00-05:00")
    assert answer.status_code == 201, answer.text


async def _blocked(answer: httpx.Response, rule: str) -> dict[str, Any]:
    assert answer.status_code == 409, answer.text
    assert (answer.json()["type"], answer.json()["rule"]) == (URN + "refused", rule)
    return dict(answer.json())


# --- facts and conclusions ------------------------------------------------------------------------


async def test_a_fact_and_its_conclusions_are_written_by_one_transaction(trial: Api) -> None:
    await _know(trial, without("creatinine"))
    before = trial.head(STUDY)
    await _know(trial, lab("creatinine", "0.8", "mg/dL"))
    fact, *followed = await _log(trial, before)
    assert [(one["type"], one["cause"]) for one in followed] == [
        ("criterion-passed", fact["position"]),
        ("eligibility-determined", fact["position"]),
    ]
    assert followed[0]["data"]["criterion"] == "I4"
    assert fact["position"] in followed[0]["data"]["evidence"]
    assert followed[1]["data"]["verdict"] == "eligible"
    with borrowed(trial.cairn.pool) as connection:
        written = connection.execute(
            "SELECT count(*), count(DISTINCT xmin::text) FROM cairn.event"
            " WHERE study = %s AND position > %s",
            (STUDY, before),
        ).fetchone()
    assert written == (3, 1)


async def test_a_correction_and_a_retraction_decide_again(trial: Api) -> None:
    await _know(trial, eligible)
    before = trial.head(STUDY)
    answer = await _know(trial, lab("creatinine", "4.4", "mg/dL", on="2026-11-28"))
    position = answer["events"][0]["position"]
    retracted = event("retracted", "2026-11-29", position=position)
    answer = await trial.send(
        "POST", f"{WHO}/events", {**retracted, "reason": "another person's sample"}
    )
    assert answer.status_code == 201, answer.text
    told = [
        (one["type"], one["data"].get("criterion") or one["data"].get("verdict"))
        for one in await _log(trial, before)
        if one["type"].startswith(("criterion", "eligibility"))
    ]
    assert told == [
        ("criterion-failed", "I4"),
        ("eligibility-determined", "ineligible"),
        ("criterion-passed", "I4"),
        ("eligibility-determined", "eligible"),
    ]


# --- the investigator's word ----------------------------------------------------------------------


async def test_only_an_eligible_participant_is_confirmed_and_by_an_investigator(
    trial: Api,
) -> None:
    await _know(trial, without("hiv"))
    at = "2026-11-30T10:00:00-05:00"
    await _blocked(await _decide(trial, "eligibility-confirmed", at), "verdict")
    await _know(trial, lab("hiv", reads="negative"))
    assert (await _decide(trial, "eligibility-confirmed", at, "coordinator")).status_code == 403
    await _confirmed(trial)
    shown = (await trial.send("GET", f"{WHO}/eligibility")).json()
    assert (shown["verdict"], shown["confirmed"]["status"]) == ("eligible", "standing")


async def test_without_current_consent_nobody_is_confirmed(trial: Api) -> None:
    await _know(trial, without("consented"))
    at = "2026-11-30T10:00:00-05:00"
    await _blocked(await _decide(trial, "eligibility-confirmed", at), "consent")


async def test_a_confirmation_goes_stale_by_a_late_result_and_blocks_what_rests_on_it(
    trial: Api,
) -> None:
    await _know(trial, eligible)
    await _confirmed(trial)
    late = (await _know(trial, POSITIVE))["events"][0]["position"]
    shown = (await trial.send("GET", f"{WHO}/eligibility")).json()
    assert (shown["verdict"], shown["confirmed"]["status"]) == ("ineligible", "stale")
    refused = await _blocked(await _decide(trial, "enrolled", "2026-11-30T11:00:00-05:00"), "stale")
    assert late in refused["blocked_by"]


@pytest.mark.parametrize(("days", "status"), [(21, 201), (22, 409)])
async def test_a_confirmation_ends_with_the_screenings_validity(
    trial: Api, days: int, status: int
) -> None:
    await _know(trial, eligible)
    await _confirmed(trial)
    trial.clock.now = datetime(2026, 11, 23, 20, tzinfo=UTC)
    trial.clock.forward(days=days)
    answer = await _decide(trial, "enrolled", "2026-12-14T09:00:00-05:00")
    assert answer.status_code == status, answer.text
    if status == 409:
        assert answer.json()["rule"] == "stale"


async def test_the_day_of_the_dose_asks_again(trial: Api) -> None:
    await _know(trial, eligible)
    await _confirmed(trial)
    trial.clock.now = datetime(2026, 12, 14, 16, tzinfo=UTC)
    assert (await _decide(trial, "enrolled", "2026-12-01T09:00:00-05:00")).status_code == 201
    at = "2026-12-14T09:00:00-05:00"
    refused = await _blocked(await _decide(trial, "dose-authorised", at), "verdict")
    assert "hcg-urine" in refused["detail"]
    await _know(trial, fresh())
    assert (await _decide(trial, "dose-authorised", at)).status_code == 201


# --- deviations -----------------------------------------------------------------------------------


async def test_dosing_somebody_ineligible_is_recorded_as_an_important_deviation(
    trial: Api,
) -> None:
    await _know(trial, eligible)
    late = (await _know(trial, POSITIVE))["events"][0]["position"]
    trial.clock.now = datetime(2026, 12, 14, 16, tzinfo=UTC)
    given = event(
        "dosed", "2026-12-14", product="UC-MSC", amount=60, unit="10*6", route="subcutaneous"
    )
    answer = await trial.send("POST", f"{WHO}/events", given)
    assert answer.status_code == 201, "what happened is recorded, whatever it means"
    found = await _deviation(trial, "dosed-ineligible")
    assert found["importance"] == "important"
    assert "E10" in found["explanation"]
    assert late in found["evidence"]


async def test_what_is_learned_after_entering_makes_the_entry_a_deviation(trial: Api) -> None:
    await _know(trial, eligible)
    await _confirmed(trial)
    assert (await _decide(trial, "enrolled", "2026-11-30T11:00:00-05:00")).status_code == 201
    await _know(trial, POSITIVE)
    found = await _deviation(trial, "enrolled-ineligible")
    assert found["importance"] == "important"


async def _deviation(api: Api, rule: str) -> dict[str, Any]:
    api.cairn.projector.catch_up(STUDY)
    items = (await api.send("GET", f"{BASE}/deviations")).json()["items"]
    (found,) = [one for one in items if one["rule"] == rule]
    return dict(found)


# --- protocols that do not publish ----------------------------------------------------------------

I3, I4 = "/criteria/2/rule", "/criteria/3/rule"
WEIGHT = {
    "rule": "value",
    "code": "weight",
    "at_least": "40",
    "within": {"anchor": "screening", "back": "P0D", "until": "before-day-0"},
}
REFUSED = [
    # what                    place                     value                 rule
    ("a misspelt code", f"{I3}/of/1/code", "anti-dsDNS", "unknown-observation"),
    ("no such unit", I4, {**WEIGHT, "unit": "stone"}, "unit-not-convertible"),
    ("no such anchor", f"{I3}/of/0/within/anchor", "baseline", "literal-error"),
    ("no day 0 at all", "/visits/1/kind", "follow-up", "no-day-0"),
    ("never decided", I4, {**WEIGHT, "unit": "g"}, "outside-range"),
    (
        "a statement nobody made",
        f"{I4}",
        {"rule": "attested", "statement": "x"},
        "unknown-statement",
    ),
]


@pytest.mark.parametrize(("what", "place", "value", "rule"), REFUSED)
async def test_a_protocol_that_cannot_be_evaluated_does_not_publish(
    trial: Api, what: str, place: str, value: Any, rule: str
) -> None:
    before = trial.head(STUDY)
    document = changed(lk(), {place: value, "/version": "9.0"})
    answer = await trial.send("PUT", f"{BASE}/protocols/9.0", document)
    assert answer.status_code == 422, what
    named = {one["rule"]: one for one in answer.json()["problems"]}
    assert rule in named, (what, named)
    if place != "/visits/1/kind":
        assert named[rule]["pointer"].startswith(place)
    assert named[rule].get("detail") == RULES.get(rule)
    assert trial.head(STUDY) == before
    assert (await trial.send("GET", f"{BASE}/protocols/9.0")).status_code == 404


# --- values that make no sense --------------------------------------------------------------------

SENSELESS = [
    # code        value         unit           rule
    ("weight", 3.1415926, "kg", "implausible"),
    ("weight", "3.1415926", "kg", "implausible"),
    ("creatinine", 3.1415926, "g/L", "unknown-unit"),
    ("creatinine", 31.415926, "mg/dL", "implausible"),
    ("creatinine", 88.31415926, None, "no-unit"),
    ("ana-titre", "1:0", None, "not-a-titre"),
    ("ana-titre", "1:31415926", None, "implausible"),
    ("weigth-31415926", 64, "kg", "unknown-code"),
]


@pytest.mark.parametrize(("code", "value", "unit", "rule"), SENSELESS)
async def test_a_value_that_makes_no_sense_is_refused_and_not_repeated(
    trial: Api, code: str, value: Any, unit: str | None, rule: str
) -> None:
    await _know(trial, without("weight", "creatinine", "ana-titre"))
    before = trial.head(STUDY)
    data = {"code": code, "value": value, **({} if unit is None else {"unit": unit})}
    body = event("observation-recorded", "2026-11-23", **data)
    answer = await trial.send("POST", f"{WHO}/events", body)
    assert answer.status_code == 422
    assert (answer.json()["type"], answer.json()["rule"]) == (URN + "impossible", rule)
    for echo in ("1415926", "1:0", "weigth", "g/L"):
        assert echo not in answer.text
    assert trial.head(STUDY) == before


async def test_nothing_is_converted_in_silence(trial: Api) -> None:
    await _know(trial, without("creatinine"))
    before = trial.head(STUDY)
    await _know(trial, lab("creatinine", "70.72", "umol/L"))
    fact = (await _log(trial, before))[0]
    assert (fact["data"]["value"], fact["data"]["unit"]) == ("70.72", "umol/L")
    shown = (await trial.send("GET", f"{WHO}/eligibility")).json()
    kidney = next(one for one in shown["criteria"] if one["id"] == "I4")
    assert kidney["outcome"] == "passed"
