"""The demo's cohort: what is told of a correction is what recording it then brings, over REST."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest

from services.bootstrap import Cairn
from services.demo.cohort import STUDY, acts_of, add_cohort, demo_of, register
from tests.api.conftest import Api, Clock, served

pytestmark = pytest.mark.anyio

CORRECTIONS = 12
MOVED = ("dosed", "visit-completed", "screening-started", "consented", "adverse-event-reported")
"""Types of facts whose day is corrected."""


@pytest.fixture
async def cohort(anyio_backend: str, cairn: Cairn, clock: Clock) -> AsyncIterator[Api]:
    """LK-23-01 with the synthetic cohort."""

    def fill() -> None:
        register(cairn)
        add_cohort(cairn, acts_of(demo_of(cairn)), lambda _count: None)

    # In a thread: it runs a loop of its own.
    await asyncio.to_thread(fill)
    async with served(cairn, clock) as opened:
        yield opened


async def seen(api: Api, name: str) -> dict[str, Any]:
    """What coordinators see of a participant."""
    base = f"/v1/studies/{STUDY}"
    schedule = (await api.send("GET", f"{base}/participants/{name}/schedule")).json()
    eligibility = (await api.send("GET", f"{base}/participants/{name}/eligibility")).json()
    history = (await api.send("GET", f"{base}/participants/{name}/events?limit=1000")).json()
    standing: dict[tuple[str, str], str] = {}
    for one in history["items"]:
        if one["type"] == "deviation-detected":
            data = one["data"]
            key = (data["rule"], data.get("subject") or "")
            standing.pop(key, None)
            if not data.get("cleared"):
                standing[key] = data["explanation"]
    out = {
        one["visit"] if one["occurrence"] == 1 else f"{one['visit']} ({one['occurrence']})"
        for one in schedule["visits"]
        if one["out_of_window"]
    }
    return {
        "out": out,
        "verdict": eligibility["verdict"],
        "deviations": {" ".join(part for part in key if part) for key in standing},
    }


def events_of(answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["position"], one["version"], one["type"], one["data"]) for one in answer["events"]]


def whats(items: list[dict[str, Any]]) -> set[str]:
    return {one["what"] for one in items}


async def test_a_correction_tells_what_recording_it_brings(cohort: Api) -> None:
    chance = random.Random(20261125)
    base = f"/v1/studies/{STUDY}"
    log = (await cohort.send("GET", f"{base}/log?limit=1000")).json()["items"]
    facts = [one for one in log if one["type"] in MOVED and len(one["occurred_at"]) >= 10]
    told = 0
    for fact in chance.sample(facts, CORRECTIONS):
        name = fact["participant"]
        day = date.fromisoformat(fact["occurred_at"][:10]) + timedelta(chance.randint(-6, 6))
        correction = {
            "type": "corrected",
            "occurred_at": "2026-11-22",
            "reason": "typing error",
            "data": {"position": fact["position"], "occurred_at": day.isoformat()},
        }
        before, path = await seen(cohort, name), f"{base}/participants/{name}"
        found = (await cohort.send("POST", f"{path}/what-if", correction)).json()
        done = await cohort.send("POST", f"{path}/events", correction)
        if done.status_code != 201:
            assert found["would"]["refusal"] == done.json()
            continue
        told += 1
        assert events_of(found["would"]) == events_of(done.json())
        after = await seen(cohort, name)
        assert whats(found["visits"]["now_out"]) == after["out"] - before["out"]
        assert whats(found["visits"]["now_in"]) == before["out"] - after["out"]
        assert whats(found["deviations"]["new"]) == after["deviations"] - before["deviations"]
        assert whats(found["deviations"]["gone"]) == before["deviations"] - after["deviations"]
        verdict = f"{before['verdict']} becomes {after['verdict']}"
        moved = {
            what
            for kind in ("eligible", "ineligible", "pending")
            for what in whats(found["eligibility"][f"now_{kind}"])
        }
        assert moved == (set() if before["verdict"] == after["verdict"] else {verdict})
    assert told >= CORRECTIONS // 2
