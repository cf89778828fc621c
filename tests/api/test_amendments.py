"""Amendments over REST: approval, activation, who is carried over, and which version governs."""

import asyncio
from typing import Any

import pytest

from services.carrying import CarryingOver
from tests.api.conftest import PROTOCOL, STUDY, Api, consented, event, referred

pytestmark = pytest.mark.anyio

AMENDED = {
    **PROTOCOL,
    "version": "3.0",
    "settings": {"reconsent": False, "approvals": ["ethics-committee"]},
}
BEGAN, APPROVED, ACTIVE = "2026-10-02", "2026-11-10", "2026-11-12"


def activation(version: str, at: str, site: str = "01") -> dict[str, Any]:
    return event("protocol-activated", at, site=site, protocol=version)


def approval(at: str, site: str = "01") -> dict[str, Any]:
    data = {"site": site, "protocol": "3.0", "by": "ethics-committee", "reference": "EC-114"}
    return event("protocol-approved", at, **data)


@pytest.fixture
async def amended(api: Api) -> Api:
    """Two sites under the first version, a participant at each, and version 3.0 published."""
    first = str(PROTOCOL["version"])
    for site in ("01", "02"):
        assert (await api.post("/events", activation(first, BEGAN, site))).status_code == 201
    for name, site in (("01-004", "01"), ("02-001", "02")):
        path = f"/participants/{name}/events"
        both = [referred(site), consented()]
        assert (await api.post(path, both)).status_code == 201
    answer = await api.send("PUT", f"/v1/studies/{STUDY}/protocols/3.0", AMENDED)
    assert answer.status_code == 201, answer.text
    return api


async def carry_over(api: Api) -> None:
    """The worker comes by, in a loop of its own as in its process."""

    def run() -> None:
        asyncio.run(CarryingOver(api.cairn.recording, lambda _error: None).step(STUDY))

    await asyncio.to_thread(run)


async def test_a_site_is_activated_after_its_approval_and_its_participants_follow(
    amended: Api,
) -> None:
    first = str(PROTOCOL["version"])
    refused = await amended.post("/events", activation("3.0", ACTIVE))
    assert (refused.status_code, refused.json()["rule"]) == (409, "order")
    assert (await amended.post("/events", approval(APPROVED))).status_code == 201
    done = await amended.post("/events", activation("3.0", ACTIVE))
    assert done.status_code == 201, done.text
    known_before = amended.head()
    await carry_over(amended)
    events = (await amended.get("/participants/01-004/events")).json()["items"]
    assert (events[-1]["type"], events[-1]["data"]["protocol"]) == (
        "protocol-version-assigned",
        "3.0",
    )
    found = (await amended.get("/participants/01-004/protocols")).json()
    assert [(one["protocol"], one["since"], one["until"]) for one in found["items"]] == [
        (first, None, ACTIVE),
        ("3.0", ACTIVE, None),
    ]
    assert found["items"][1]["by"]["type"] == "protocol-activated"
    for on, version in (("2026-11-11", first), (ACTIVE, "3.0"), ("2026-11-20T08:00:00Z", "3.0")):
        then = (await amended.get(f"/participants/01-004/protocols?on={on}")).json()["items"]
        assert [one["protocol"] for one in then] == [version]
    earlier = await amended.get(f"/participants/01-004/protocols?on={ACTIVE}&as_of=12")
    assert [one["protocol"] for one in earlier.json()["items"]] == [first]
    other = (await amended.get("/participants/02-001/protocols")).json()["items"]
    assert [one["protocol"] for one in other] == [first]
    summary = (await amended.get("/participants/01-004")).json()
    assert summary["protocol"] == "3.0"
    assert known_before < amended.head()


async def test_a_version_lists_its_sites_and_how_far_it_has_come(amended: Api) -> None:
    await amended.post("/events", approval(APPROVED))
    await amended.post("/events", activation("3.0", ACTIVE))
    sites = (await amended.get("/protocols/3.0/sites")).json()["items"]
    assert [(one["site"], len(one["active"]), len(one["approvals"])) for one in sites] == [
        ("01", 1, 1)
    ]
    assert (await amended.get("/protocols/3.0/sites?on=2026-11-11")).json()["items"] == []
    assert len((await amended.get(f"/protocols/3.0/sites?on={ACTIVE}")).json()["items"]) == 1
    first = str(PROTOCOL["version"])
    then = (await amended.get(f"/protocols/{first}/sites?on={ACTIVE}")).json()["items"]
    assert [one["site"] for one in then] == ["02"]
    before = sites[0]["active"][0]["position"] - 1
    for query, versions in (
        ("", [first, "3.0"]),
        ("?site=01&on=2026-11-11", [first]),
        (f"?site=01&on={ACTIVE}", ["3.0"]),
        (f"?site=02&on={ACTIVE}", [first]),
        (f"?on={ACTIVE}", [first, "3.0"]),
        (f"?site=01&on={ACTIVE}&as_of={before}", [first]),
    ):
        found = (await amended.get(f"/protocols{query}")).json()["items"]
        assert [one["version"] for one in found] == versions, query
    adopted = (await amended.get("/protocols/3.0/participants")).json()["items"]
    assert [(one["participant"], one["status"], one["since"]) for one in adopted] == [
        ("01-004", "in-force", ACTIVE)
    ]
    table = await amended.get("/protocols/3.0/participants", Accept="text/csv")
    assert table.text.splitlines()[1] == f'"01-004","01","in-force","3.0","{ACTIVE}"'
    assert (await amended.get("/protocols/9.0/participants")).status_code == 404


async def test_who_has_to_consent_anew_is_listed_until_the_consent(amended: Api) -> None:
    asking = {**AMENDED, "version": "4.0", "settings": {"reconsent": True}}
    assert (
        await amended.send("PUT", f"/v1/studies/{STUDY}/protocols/4.0", asking)
    ).status_code == 201
    await amended.post("/events", activation("4.0", ACTIVE))
    listed = (await amended.get("/protocols/4.0/participants?site=01")).json()["items"]
    assert [(one["participant"], one["status"]) for one in listed] == [("01-004", "awaits-consent")]
    waiting = (await amended.get("/participants/01-004/protocols")).json()["awaited"]
    assert waiting["protocol"] == "4.0"
    anew = {**consented(), "occurred_at": "2026-11-15"}
    answer = await amended.post("/participants/01-004/events", anew)
    kinds = [one["type"] for one in answer.json()["events"]]
    assert "protocol-version-assigned" in kinds
    listed = (await amended.get("/protocols/4.0/participants?site=01")).json()["items"]
    assert [(one["status"], one["since"]) for one in listed] == [("in-force", "2026-11-15")]


@pytest.mark.parametrize("query", ["on=CANARY", "as_of=CANARY"])
async def test_a_moment_that_is_none_is_refused(amended: Api, query: str) -> None:
    for path in ("/participants/01-004/protocols", "/protocols/3.0/sites", "/protocols"):
        answer = await amended.get(f"{path}?{query}")
        assert answer.status_code == 422
        assert "CANARY" not in answer.text
