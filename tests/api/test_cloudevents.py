"""CloudEvents in their three modes, and that they say the same as Cairn's own form."""

import json
from typing import Any

import pytest

from services.problems import URN
from tests.api.conftest import STUDY, Api, consented, event, referred

pytestmark = pytest.mark.anyio

EVENTS = "/participants/01-004/events"
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

OWN = consented(id="E-1", source="urn:edc", occurred_at="2026-11-02T09:15:00-05:00")


def cloud(own: dict[str, Any] = OWN, participant: str = "01-004", **more: Any) -> dict[str, Any]:
    """The same event in the other envelope."""
    found = {
        "specversion": "1.0",
        "id": own["id"],
        "source": own["source"],
        "type": f"cairn.participant.{own['type']}.v1",
        "subject": f"{STUDY}/{participant}",
        "time": own["occurred_at"],
        "datacontenttype": "application/json",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": own["data"],
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}


def binary(document: dict[str, Any]) -> dict[str, Any]:
    """The headers and the body of binary mode."""
    names = [name for name in document if name not in ("data", "datacontenttype")]
    headers = {f"ce-{name}": str(document[name]) for name in names}
    return {"content": json.dumps(document["data"]).encode(), **headers}


@pytest.mark.parametrize("path", [EVENTS, "/events"])
@pytest.mark.parametrize("mode", ["structured", "binary", "batch"])
async def test_each_mode_says_what_cairns_own_form_says(api: Api, path: str, mode: str) -> None:
    await api.refer("01-004")
    if mode == "structured":
        answer = await api.post(path, cloud(), media=STRUCTURED)
    elif mode == "batch":
        answer = await api.post(path, [cloud()], media=BATCHED)
    else:
        answer = await api.post(path, **binary(cloud()))
    if mode == "batch" and path == "/events":
        assert [one["status"] for one in answer.json()] == [201]
    else:
        assert answer.status_code == 201, answer.text
    head = api.head()
    again = await api.post(EVENTS, OWN)
    assert again.status_code == 200
    (recorded,) = again.json()["events"]
    assert recorded["id"] == "E-1"
    assert recorded["source"] == "urn:edc"
    assert recorded["occurred_at"] == OWN["occurred_at"]
    assert recorded["data"] == OWN["data"]
    assert api.head() == head


async def test_a_binary_attribute_may_be_percent_encoded(api: Api) -> None:
    await api.refer("01-004")
    sent = binary(cloud())
    sent["ce-source"] = "urn%3Aedc"
    assert (await api.post(EVENTS, **sent)).status_code == 201
    assert (await api.post(EVENTS, OWN)).status_code == 200


async def test_a_time_known_to_the_month_travels_as_an_extension(api: Api) -> None:
    await api.refer("01-004")
    answer = await api.post(EVENTS, cloud(time=None, occurredat="2026-11"), media=STRUCTURED)
    assert answer.status_code == 201, answer.text
    assert answer.json()["events"][0]["occurred_at"] == "2026-11"


async def test_reason_and_the_senders_recording_time_are_extensions(api: Api) -> None:
    await api.refer("01-004")
    more = {"reason": "late", "recordedatsource": "2026-11-03"}
    answer = await api.post(EVENTS, cloud(**more), media=STRUCTURED)
    (recorded,) = answer.json()["events"]
    assert (recorded["reason"], recorded["recorded_at_source"]) == ("late", "2026-11-03")


async def test_study_events_have_the_study_as_their_subject(api: Api) -> None:
    hold = event("hold-placed", "2026-11-03T00:00:00Z", scope="study", cause="x")
    document = cloud({**hold, "id": "1", "source": "urn:x"}, subject=STUDY)
    document["type"] = "cairn.study.hold-placed.v1"
    answer = await api.post("/events", document, media=STRUCTURED)
    assert answer.status_code == 201, answer.text


BROKEN = [
    # what is wrong                                                  pointer          rule
    ({"specversion": "0.3"}, "/specversion", "literal-error"),
    ({"type": "org.example.consented"}, "/type", "unknown-type"),
    ({"type": "cairn.participant.nothing.v1"}, "/type", "unknown-type"),
    ({"type": "cairn.study.consented.v1"}, "/subject", "not-for-study-events"),
    ({"subject": "S-2/01-004"}, "/subject", "differs-from-path"),
    ({"subject": STUDY}, "/subject", "required"),
    ({"subject": None}, "/subject", "required"),
    ({"time": None}, "/time", "required"),
    ({"time": "yesterday"}, "/time", "moment"),
    ({"data": {"form_version": "1.0"}}, "/data/signed_by", "required"),
    ({"data_base64": "e30="}, "/data_base64", "not-json"),
    ({"source": None}, "/source", "required"),
]


@pytest.mark.parametrize(("change", "pointer", "rule"), BROKEN)
async def test_what_is_wrong_is_named_as_the_sender_knows_it(
    api: Api, change: dict[str, Any], pointer: str, rule: str
) -> None:
    await api.refer("01-004")
    head = api.head()
    answer = await api.post(EVENTS, cloud(**change), media=STRUCTURED)
    assert (answer.status_code, answer.json()["type"]) == (422, URN + "invalid")
    assert {"pointer": pointer, "rule": rule} in answer.json()["problems"]
    assert api.head() == head


async def test_a_history_as_cloudevents_can_be_posted_to_another_study(api: Api) -> None:
    await api.post(EVENTS, [{**referred(), "id": "1"}, {**OWN, "occurred_at": "2026-11"}])
    answer = await api.get("/participants/01-004/events", Accept=BATCHED)
    assert answer.headers["content-type"] == BATCHED
    batch = answer.json()
    assert [one["type"] for one in batch] == [
        "cairn.participant.referred.v1",
        "cairn.participant.consented.v1",
    ]
    assert batch[1]["occurredat"] == "2026-11"
    assert "time" not in batch[1]
    for one in batch:
        assert all(name.isalnum() and name.islower() for name in one)
        one["subject"] = f"{STUDY}/copy"
        one["id"] += "-copy"
    copied = await api.post("/participants/copy/events", batch, media=BATCHED)
    assert copied.status_code == 201, copied.text
    assert [one["type"] for one in copied.json()["events"]] == ["referred", "consented"]
