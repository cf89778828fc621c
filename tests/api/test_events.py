"""Posting events: what comes back, what is kept, and what a repetition does."""

import base64
import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from domain.kernel import Sealed
from services.receipts import text
from tests.api.conftest import NOW, STUDY, Api, consented, event, referred

pytestmark = pytest.mark.anyio

EVENTS = "/participants/01-004/events"


async def test_an_event_comes_back_as_the_ledger_has_it(api: Api) -> None:
    await api.refer("01-004")
    sent = consented(id="EDC-1", source="urn:edc", recorded_at_source="2026-11-03T08:00:00+07:00")
    answer = await api.post(EVENTS, sent, role="coordinator", scope={"site": "01"})
    assert answer.status_code == 201
    said = answer.json()
    (recorded,) = said["events"]
    assert (said["participant"], said["version"], said["position"]) == ("01-004", 2, 6)
    assert answer.headers["etag"] == '"2"'
    at_location = await api.send("GET", answer.headers["location"])
    assert at_location.json()["items"] == [recorded]
    canonical = {name: value for name, value in recorded.items() if name != "hash"}
    stored = json.dumps(canonical, separators=(",", ":"), sort_keys=True).encode()
    assert hashlib.sha256(b"\x00" + stored).hexdigest() == recorded["hash"]
    assert canonical == {
        "position": 6,
        "participant": "01-004",
        "version": 2,
        "id": "EDC-1",
        "source": "urn:edc",
        "type": "consented",
        "schema": 1,
        "kind": "fact",
        "occurred_at": "2026-11-02",
        "recorded_at": "2026-11-22T10:00:00.000000Z",
        "recorded_at_source": "2026-11-03T08:00:00+07:00",
        "actor": {"id": "coordinator@01", "role": "coordinator"},
        "protocol": "1.0",
        "cause": None,
        "reason": None,
        "data": {"form_version": "1.0", "signed_by": "participant"},
        "previous": canonical["previous"],
    }
    assert NOW.isoformat().startswith(recorded["recorded_at"][:19])


async def test_conclusions_follow_their_event_and_version_and_position_are_the_last(
    api: Api,
) -> None:
    await api.refer("01-004")
    answer = await api.post(EVENTS, event("visit-completed", visit="UNS", mode="in-person"))
    said = answer.json()
    visit, *conclusions = said["events"]
    assert [one["type"] for one in conclusions] == ["deviation-detected"]
    assert {one["cause"] for one in conclusions} == {visit["position"]}
    assert conclusions[0]["data"]["evidence"] == [visit["position"]]
    assert said["version"] == conclusions[-1]["version"] == 3
    assert said["position"] == conclusions[-1]["position"]
    assert answer.headers["etag"] == '"3"'


async def test_a_receipt_is_signed_by_the_key_that_is_served(api: Api) -> None:
    answer = await api.refer("01-004")
    receipt = answer.json()["receipt"]
    assert receipt["hash"] == answer.json()["events"][-1]["hash"]
    served = (await api.get("/log/key", role="auditor")).text.strip()
    name, key_id, encoded = served.split("+", 2)
    body = base64.b64decode(encoded)
    assert key_id == hashlib.sha256(f"{name}\n".encode() + body).hexdigest()[:8]
    key = Ed25519PublicKey.from_public_bytes(body[1:])
    signed = text(STUDY, receipt["position"], receipt["hash"])
    key.verify(base64.b64decode(receipt["signature"]), signed)


async def test_decimals_are_kept_to_the_digit_whether_number_or_text(api: Api) -> None:
    await api.refer("01-004")
    for sent, kept in (("61.50", "61.50"), ('"61.5"', "61.5"), ("6.15e1", "61.5"), ("61", "61")):
        body = json.dumps(event("observation-recorded", code="egfr", unit="mL/min"))
        content = body.replace('"egfr"', f'"egfr", "value": {sent}').encode()
        answer = await api.post(EVENTS, content=content)
        assert answer.status_code == 201, answer.text
        assert answer.json()["events"][0]["data"]["value"] == kept
        assert Decimal(kept) == Decimal(sent.strip('"'))


async def test_a_correction_keeps_decimals_too(api: Api) -> None:
    await api.refer("01-004")
    data = {"code": "egfr", "value": 61.5, "unit": "mL/min"}
    first = await api.post(EVENTS, event("observation-recorded", **data))
    position = first.json()["events"][0]["position"]
    body = event("corrected", position=position, data={**data, "value": 62.25})
    answer = await api.post(EVENTS, {**body, "reason": "read again"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["events"][0]["data"]["data"]["value"] == "62.25"


async def test_protected_values_are_sealed_before_they_are_kept(api: Api) -> None:
    contact = {"first_name": "Xyzzy", "email": "xyzzy@example.org"}
    answer = await api.post(EVENTS, referred(contact=contact, message="Xyzzy asks"))
    data = answer.json()["events"][0]["data"]
    assert data["contact"].keys() == {"sealed", "key"}
    assert data["message"].keys() == {"sealed", "key"}
    assert "xyzzy" not in answer.text.lower()
    stored = api.cairn.ledger.stream(STUDY, "01-004")[0].body
    assert b"xyzzy" not in stored.lower()


async def test_an_erasure_destroys_the_key_and_nothing_but_the_whole_is_erased(api: Api) -> None:
    await api.post(EVENTS, referred(contact={"first_name": "Xyzzy"}, message="Xyzzy asks"))
    keys = api.cairn.keys
    stored = api.cairn.hot.participant(STUDY, "01-004").referral.referred[0].body.contact
    assert isinstance(stored, Sealed)
    assert keys.unseal(STUDY, "01-004", "referred.contact", stored) == {"first_name": "Xyzzy"}
    part = {**event("identity-erased", basis="participant-request", scope=["contact"])}
    answer = await api.post(EVENTS, {**part, "reason": "asked"}, role="privacy-officer")
    assert (answer.status_code, answer.json()["problems"]) == (
        422,
        [{"pointer": "/data/scope", "rule": "only-all"}],
    )
    whole = {**event("identity-erased", basis="participant-request", scope=["all"]), "reason": "x"}
    answer = await api.post(EVENTS, whole, role="privacy-officer")
    assert answer.status_code == 201, answer.text
    assert keys.unseal(STUDY, "01-004", "referred.contact", stored) is None
    again = await api.post(EVENTS, whole, role="privacy-officer")
    assert (again.status_code, again.json()["rule"]) == (409, "erased")
    history = (await api.get("/participants/01-004/events")).json()["items"]
    assert history[0]["data"]["contact"] == {"sealed": stored.sealed, "key": stored.key}


async def test_an_array_is_recorded_whole_or_not_at_all(api: Api) -> None:
    await api.refer("01-004")
    head = api.head()
    refused = await api.post(EVENTS, [consented(), event("enrolled"), consented("2.0")])
    assert refused.status_code == 409
    assert api.head() == head
    invalid = await api.post(EVENTS, [consented(), {"type": "consented"}, event("nothing")])
    assert invalid.status_code == 422
    pointers = [one["pointer"] for one in invalid.json()["problems"]]
    assert pointers == ["/1/occurred_at", "/2/type"]
    assert api.head() == head
    taken = await api.post(EVENTS, [consented(), event("prescreened", proceed=True)])
    assert taken.status_code == 201
    assert [one["type"] for one in taken.json()["events"]] == ["consented", "prescreened"]
    assert api.head() == head + 2


async def test_a_journey_may_begin_with_an_array(api: Api) -> None:
    answer = await api.post(EVENTS, [referred(), consented()])
    assert answer.status_code == 201
    assert answer.json()["version"] == 2


SAME = consented(id="E-1", source="urn:edc")

AGAIN: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("the same", SAME, {}),
    ("members in another order", dict(reversed(SAME.items())), {}),
    ("null for what is absent", {**SAME, "reason": None, "participant": None}, {}),
    ("the participant named", {**SAME, "participant": "01-004"}, {}),
    ("the id as a key", {n: v for n, v in SAME.items() if n != "id"}, {"Idempotency-Key": "E-1"}),
    ("a quoted key", {n: v for n, v in SAME.items() if n != "id"}, {"Idempotency-Key": '"E-1"'}),
    ("the old version as a condition", SAME, {"If-Match": '"1"'}),
]


@pytest.mark.parametrize(("_name", "body", "headers"), AGAIN, ids=[row[0] for row in AGAIN])
async def test_the_same_event_again_is_the_first_answer_again(
    api: Api, _name: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    await api.refer("01-004")
    first = await api.post(EVENTS, SAME)
    await api.post(EVENTS, event("prescreened", proceed=True))
    head = api.head()
    again = await api.post(EVENTS, body, **headers)
    assert again.status_code == 200, again.text
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert api.head() == head


async def test_a_repetition_brings_the_conclusions_of_the_first_time_again(api: Api) -> None:
    await api.refer("01-004")
    visit = event("visit-completed", visit="UNS", mode="in-person")
    first = await api.post(EVENTS, {**visit, "id": "V-1"})
    again = await api.post(EVENTS, {**visit, "id": "V-1"})
    assert again.status_code == 200
    assert again.json() == first.json()
    assert len(again.json()["events"]) == 2


async def test_an_array_sent_again_is_answered_again_and_a_longer_one_adds_the_rest(
    api: Api,
) -> None:
    await api.refer("01-004")
    one = event("visit-completed", visit="UNS", mode="in-person")
    two = event("prescreened", proceed=True)
    array = [{**one, "id": "A"}, {**two, "id": "B"}]
    first = await api.post(EVENTS, array)
    again = await api.post(EVENTS, array)
    assert again.status_code == 200
    assert again.json() == first.json()
    head = api.head()
    longer = await api.post(EVENTS, [*array, {**two, "id": "C"}])
    assert longer.status_code == 201
    assert [one["id"] for one in longer.json()["events"]] == ["A", None, "B", "C"]
    assert api.head() == head + 1


async def test_an_id_twice_in_an_array_is_one_event_or_a_reused_id(api: Api) -> None:
    await api.refer("01-004")
    head = api.head()
    twice = await api.post(EVENTS, [SAME, SAME])
    assert twice.status_code == 201
    assert api.head() == head + 1
    other = [consented(id="E-2"), consented("2.0", id="E-2")]
    assert (await api.post(EVENTS, other)).status_code == 409
    assert api.head() == head + 1


async def test_without_an_id_the_same_event_is_recorded_again(api: Api) -> None:
    await api.refer("01-004")
    first = await api.post(EVENTS, consented())
    second = await api.post(EVENTS, consented())
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json()["version"] == first.json()["version"] + 1


async def test_the_same_id_of_another_source_is_another_event(api: Api) -> None:
    await api.refer("01-004")
    first = await api.post(EVENTS, consented(id="1", source="urn:a"))
    second = await api.post(EVENTS, consented(id="1", source="urn:b"))
    third = await api.post(EVENTS, consented(id="1"), role="coordinator")
    fourth = await api.post(EVENTS, consented(id="1"), role="investigator")
    assert {one.status_code for one in (first, second, third, fourth)} == {201}


async def test_a_version_that_stands_is_accepted(api: Api) -> None:
    await api.refer("01-004")
    answer = await api.post(EVENTS, consented(), **{"If-Match": '"1"'})
    assert answer.status_code == 201
    answer = await api.post(EVENTS, consented(), **{"If-Match": "*"})
    assert answer.status_code == 201
    unknown = await api.post("/participants/nobody/events", referred(), **{"If-Match": "*"})
    assert unknown.status_code == 412


async def test_strict_handling_refuses_only_what_would_deviate(api: Api) -> None:
    await api.refer("01-004")
    head = api.head()
    visit = event("visit-completed", visit="UNS", mode="in-person")
    refused = await api.post(EVENTS, visit, Prefer="respond-async, handling=strict")
    assert refused.status_code == 409
    assert refused.json()["rules"] == ["consent-before-procedure"]
    assert api.head() == head
    assert (await api.post(EVENTS, consented(), Prefer="handling=strict")).status_code == 201
    assert (await api.post(EVENTS, visit, Prefer="handling=strict")).status_code == 201


async def test_cairn_chooses_a_name_where_the_sender_has_none(api: Api) -> None:
    first = await api.post("/participants", {**referred(), "id": "R-9"})
    assert first.status_code == 201
    name = first.json()["participant"]
    assert name.startswith("P-")
    assert first.json()["events"][0]["participant"] == name
    again = await api.post("/participants", {**referred(), "id": "R-9"})
    assert again.status_code == 200
    assert again.json() == first.json()
    other = await api.post("/participants", referred())
    assert other.json()["participant"] != name
    assert (await api.post(f"/participants/{name}/events", consented())).status_code == 201


async def test_a_study_event_is_answered_without_a_participant(api: Api) -> None:
    body = event("hold-placed", scope="study", cause="safety")
    first = await api.post("/events", {**body, "id": "H-1"})
    assert first.status_code == 201
    assert "participant" not in first.json()
    assert first.json()["events"][0]["participant"] is None
    again = await api.post("/events", {**body, "id": "H-1"})
    assert again.status_code == 200
    assert again.json() == first.json()
    version = first.json()["version"]
    release = event("hold-released", scope="study", cause="reviewed")
    late = await api.post("/events", release, **{"If-Match": f'"{version - 1}"'})
    assert late.status_code == 412
    assert (await api.post("/events", release, **{"If-Match": f'"{version}"'})).status_code == 201


async def test_one_object_for_the_study_is_answered_like_one_for_the_participant(
    api: Api,
) -> None:
    await api.refer("01-004")
    answer = await api.post("/events", {**consented(), "participant": "01-004"})
    assert answer.status_code == 201
    assert answer.json()["participant"] == "01-004"
    assert answer.json()["version"] == 2


async def test_every_answer_says_once_that_it_is_neither_sniffed_nor_kept_nor_referred(
    api: Api,
) -> None:
    await api.refer("01-004")
    answers = [
        await api.post(EVENTS, consented()),
        await api.post(EVENTS, {"type": "unknown"}),
        await api.send("GET", f"/v1/studies/{STUDY}/participants/01-004/events"),
    ]
    assert [one.status_code for one in answers] == [201, 422, 200]
    for answer in answers:
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
        assert answer.headers.get_list("cache-control") == ["no-store"]
