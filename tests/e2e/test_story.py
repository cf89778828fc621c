"""One participant of LK-23-01 from the referral to the end of the study, told over REST.

The day of the dose is 2026-12-07, whose calendar was worked out by hand before this program.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.kernel import Actor
from services.bootstrap import Settings, open_cairn
from services.terms import Terms
from tests.api.conftest import Api, Clock, served

STUDY = "/v1/studies/LK-23-01"
WHO = "01-001"
PATH = f"{STUDY}/participants/{WHO}"

CALENDAR = {
    # visit: (target, earliest, latest), worked out by hand
    "V1": ("2026-12-07", "2026-12-07", "2026-12-07"),
    "V2": ("2026-12-08", "2026-12-08", "2026-12-08"),
    "V3": ("2026-12-10", "2026-12-09", "2026-12-11"),
    "V4": ("2026-12-14", "2026-12-12", "2026-12-16"),
    "V5": ("2026-12-21", "2026-12-18", "2026-12-24"),
    "V6": ("2027-01-04", "2027-01-01", "2027-01-07"),
    "V7": ("2027-02-01", "2027-01-25", "2027-02-08"),
    "V8": ("2027-03-01", "2027-02-22", "2027-03-08"),
    "V9": ("2027-03-29", "2027-03-22", "2027-04-05"),
    "V10": ("2027-04-26", "2027-04-19", "2027-05-03"),
    "V11": ("2027-05-24", "2027-05-17", "2027-05-31"),
}
HELD = {**{visit: days[0] for visit, days in CALENDAR.items()}, "V5": "2026-12-26"}
"""Every visit on its target, but for V5: two days after its window closed."""

YES = {
    "able-to-follow-visits",
    "active-tuberculosis-ruled-out",
    "agrees-contraception",
    "medical-history-taken",
    "medication-history-taken",
}
RECHECKED = ("active-infection", "major-surgery-planned", "breast-feeding", "pregnancy-intended")


@dataclass
class Story:
    """Posts events as they happen, and keeps what the views said at every moment."""

    api: Api
    moments: list[tuple[int, datetime, dict[str, Any]]] = field(default_factory=list)

    async def post(
        self, role: str, at: str, *events: tuple[str, dict[str, Any]], **more: Any
    ) -> dict[str, Any]:
        """Several events of one moment; recorded five minutes after it."""
        self._move_to(at)
        occurred_at = more.pop("occurred_at", at)
        documents = [
            {"type": kind, "occurred_at": occurred_at, "data": data, **more}
            for kind, data in events
        ]
        answer = await self.api.send("POST", f"{PATH}/events", documents, role=role)
        assert answer.status_code == 201, answer.text
        await self._remember()
        return dict(answer.json())

    async def refused(self, role: str, at: str, kind: str) -> dict[str, Any]:
        """A decision that a rule blocks; nothing is recorded by it."""
        self._move_to(at)
        head = self.api.head("LK-23-01")
        body = {"type": kind, "occurred_at": at, "data": {}}
        answer = await self.api.send("POST", f"{PATH}/events", body, role=role)
        assert answer.status_code == 409, answer.text
        assert self.api.head("LK-23-01") == head
        return dict(answer.json())

    async def get(self, path: str = "", **query: str) -> dict[str, Any]:
        """A view, as it stands for the last event posted."""
        text = "&".join(f"{name}={value}" for name, value in query.items())
        answer = await self.api.send("GET", f"{PATH}{path}?{text}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def study(self, path: str, **query: str) -> dict[str, Any]:
        """A study's view after the projector has caught up."""
        self.api.cairn.projector.catch_up("LK-23-01")
        text = "&".join(f"{name}={value}" for name, value in query.items())
        answer = await self.api.send("GET", f"{STUDY}{path}?{text}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def _move_to(self, at: str) -> None:
        happened = datetime.fromisoformat(at).astimezone(UTC)
        self.api.clock.now = max(self.api.clock.now, happened)
        self.api.clock.forward(minutes=5)

    async def _remember(self) -> None:
        summary = await self.get()
        self.moments.append((summary["position"], self.api.clock.now, summary))


@pytest.fixture
async def story(anyio_backend: str, database: str, tmp_path: Path) -> AsyncIterator[Story]:
    """The built-in study with one site open and its consent form approved."""
    clock = Clock(datetime(2026, 11, 2, 12, tzinfo=UTC))
    cairn = open_cairn(Settings(data=tmp_path), conninfo=database, clock=clock)
    sponsor = Terms(Actor(id="sponsor", role="sponsor"), "urn:test")
    await cairn.publishing.publish_built_in(sponsor)
    async with served(cairn, clock) as api:
        opened = Story(api)
        for kind, data in (
            ("site-opened", {"site": "01", "name": "A", "timezone": "America/New_York"}),
            ("protocol-activated", {"site": "01", "protocol": "2.0"}),
            ("consent-form-approved", {"form_version": "1.0", "reconsent": False}),
        ):
            body = {"type": kind, "occurred_at": "2026-11-01", "data": data}
            answer = await api.send("POST", f"{STUDY}/events", body, role="sponsor")
            assert answer.status_code == 201, answer.text
        yield opened
    cairn.close()


@pytest.mark.anyio
async def test_from_referred_to_completed(story: Story) -> None:
    await _referred_and_consented(story)
    await _screened(story)
    await _confirmed_and_enrolled(story)
    await _dosed(story)
    await _followed_up(story)
    await _corrected(story)
    await _completed(story)
    await _the_views_are_right(story)
    await _every_version_replays(story)
    await _every_moment_can_be_seen_again(story)
    _live_equals_rebuilt(story)


async def _referred_and_consented(story: Story) -> None:
    contact = {"first_name": "Wilhelmina", "phone": "+1 555 0142"}
    referral = {"site": "01", "channel": "clinician", "contact": contact}
    await story.post("coordinator", "2026-11-10T10:00:00-05:00", ("referred", referral))
    assert (await story.get())["stage"] == "referred"
    await story.post("coordinator", "2026-11-12T14:00:00-05:00", ("prescreened", {"proceed": True}))
    assert (await story.get())["stage"] == "prescreening"
    blocked = await story.refused(
        "investigator", "2026-11-12T15:00:00-05:00", "eligibility-confirmed"
    )
    assert blocked["rule"] == "consent"
    signed = {"form_version": "1.0", "signed_by": "participant"}
    await story.post("investigator", "2026-11-23T09:05:00-05:00", ("consented", signed))
    assert (await story.get())["stage"] == "consented"


async def _screened(story: Story) -> None:
    at = "2026-11-23T09:30:00-05:00"
    await story.post("investigator", at, ("screening-started", {}))
    protocol = story.api.cairn.publishing.protocol("LK-23-01", "2.0")
    birth = {"birth_date": "1988-05-17", "sex": "female", "childbearing_potential": True}
    await story.post(
        "coordinator",
        at,
        ("demographics-recorded", birth),
        ("observation-recorded", {"code": "weight", "value": 64, "unit": "kg"}),
        _items("acr-1997", protocol, "malar-rash", "arthritis", "immunologic", "ana"),
        _items("slicc-2012", protocol, "synovitis", "ana", "anti-dsdna", "low-complement"),
        _items("sledai-2k", protocol, "arthritis", "rash", "low-complement"),
        ("medication-recorded", _hydroxychloroquine()),
    )
    answers = [
        ("attested", {"statement": statement, "answer": statement in YES})
        for statement in protocol.statements
    ]
    await story.post("investigator", at, *answers)
    await story.post("coordinator", "2026-11-23T11:30:00-05:00", _held("V0", protocol))
    pending = await story.get("/eligibility")
    assert pending["verdict"] == "pending"
    unknown = {
        one["id"]: one["missing"] for one in pending["criteria"] if one["outcome"] == "unknown"
    }
    assert {"I3", "I4", "E10", "E13"} <= unknown.keys()
    assert all(unknown.values()), "an unknown criterion says what would settle it"
    laboratory = [
        ("observation-recorded", {"code": code, "interpretation": "negative"})
        for code in ("hbsag", "anti-hbc", "anti-hcv", "hiv", "igra", "hcg-serum")
    ]
    await story.post(
        "coordinator",
        "2026-11-25T08:00:00-05:00",
        ("observation-recorded", {"code": "creatinine", "value": 0.9, "unit": "mg/dL"}),
        ("observation-recorded", {"code": "ana-titre", "value": "1:320"}),
        *laboratory,
        occurred_at="2026-11-23",
    )


async def _confirmed_and_enrolled(story: Story) -> None:
    blocked = await story.refused(
        "investigator", "2026-11-25T09:00:00-05:00", "eligibility-confirmed"
    )
    assert blocked["rule"] == "verdict"
    booked = {"visit": "V1", "at": "2026-12-07T09:00:00-05:00"}
    at = "2026-11-30T10:00:00-05:00"
    await story.post("coordinator", at, ("visit-booked", booked))
    eligibility = await story.get("/eligibility")
    assert eligibility["verdict"] == "eligible", [
        one for one in eligibility["criteria"] if one["outcome"] != "passed"
    ]
    provisional = {one["visit"]: one for one in (await story.get("/schedule"))["visits"]}
    assert provisional["V5"]["status"] == "provisional"
    assert provisional["V5"]["target"] == "2026-12-21"
    await story.post("investigator", "2026-11-30T16:00:00-05:00", ("eligibility-confirmed", {}))
    assert (await story.get())["stage"] == "eligible"
    blocked = await story.refused("investigator", "2026-12-01T08:00:00-05:00", "dose-authorised")
    assert blocked["rule"] == "order"
    await story.post("investigator", "2026-12-01T09:00:00-05:00", ("enrolled", {"number": "R01"}))
    assert (await story.get())["stage"] == "enrolled"


async def _dosed(story: Story) -> None:
    blocked = await story.refused("investigator", "2026-12-07T08:00:00-05:00", "dose-authorised")
    assert blocked["rule"] == "verdict", "day 0 asks again for what may have changed"
    rechecked = [("attested", {"statement": name, "answer": False}) for name in RECHECKED]
    await story.post(
        "investigator",
        "2026-12-07T08:30:00-05:00",
        *rechecked,
        ("observation-recorded", {"code": "hcg-urine", "interpretation": "negative"}),
    )
    await story.post("investigator", "2026-12-07T09:30:00-05:00", ("dose-authorised", {}))
    protocol = story.api.cairn.publishing.protocol("LK-23-01", "2.0")
    given = {
        "product": protocol.dose.product,
        "amount": 1,
        "unit": protocol.dose.unit,
        "route": protocol.dose.route,
        "lot": "LOT-7",
    }
    await story.post("investigator", "2026-12-07T10:10:00-05:00", ("dosed", given))
    summary = await story.get()
    assert (summary["stage"], summary["dosed_on"]) == ("follow-up", "2026-12-07")
    await story.post("coordinator", "2026-12-07T14:45:00-05:00", _held("V1", protocol))


async def _followed_up(story: Story) -> None:
    protocol = story.api.cairn.publishing.protocol("LK-23-01", "2.0")
    await story.post("coordinator", _noon("V2"), _held("V2", protocol))
    aware = "2026-12-09T16:00:00-05:00"
    event = {
        "ae": "AE-1",
        "term": "Pneumonia",
        "onset": "2026-12-09",
        "aware_at": aware,
        "grade": 2,
        "serious": False,
        "seriousness": ["hospitalisation"],
        "causality": "unlikely",
        "outcome": "recovering",
    }
    await story.post("investigator", aware, ("adverse-event-reported", event))
    safety = (await story.get("/safety"))["adverse_events"][0]
    assert safety["serious"] is True, "a seriousness criterion outweighs the flag"
    assert safety["serious_reported"] is False
    assert "serious-not-flagged" in safety["contradictions"]
    clock = safety["clocks"][0]
    assert (clock["clock"], clock["status"]) == ("site-to-sponsor", "running")
    assert datetime.fromisoformat(clock["due_at"]) == datetime(2026, 12, 10, 21, tzinfo=UTC)
    report = {
        "ae": "AE-1",
        "clock": "site-to-sponsor",
        "recipient": "sponsor",
        "submitted_at": "2026-12-10T09:00:00-05:00",
    }
    await story.post(
        "investigator", "2026-12-10T09:00:00-05:00", ("safety-report-submitted", report)
    )
    assert (await story.get("/safety"))["adverse_events"][0]["clocks"][0]["status"] == "met"
    for visit in ("V3", "V4", "V5", "V6", "V7", "V8", "V9", "V10"):
        await story.post("coordinator", _noon(visit), _held(visit, protocol))
    recovered = {"ae": "AE-1", "outcome": "recovered", "end": "2026-12-20"}
    await story.post(
        "investigator", "2027-04-27T09:00:00-04:00", ("adverse-event-updated", recovered)
    )
    # A late fact: a laboratory reports in April what it measured in December.
    late = ("observation-recorded", {"code": "weight", "value": "63.5", "unit": "kg"})
    await story.post("coordinator", "2027-04-28T09:00:00-04:00", late, occurred_at="2026-12-14")


async def _corrected(story: Story) -> None:
    events = (await story.get("/events", limit="1000"))["items"]
    reported = next(one for one in events if one["type"] == "adverse-event-reported")
    data = {**reported["data"], "serious": True, "grade": 3}
    answer = await story.post(
        "data-manager",
        "2027-04-29T09:00:00-04:00",
        ("corrected", {"position": reported["position"], "data": data}),
        reason="The source document says serious, grade 3.",
    )
    cleared = [one for one in answer["events"] if one["type"] == "contradiction-found"]
    assert [one["data"]["cleared"] for one in cleared] == [True]
    adverse = (await story.get("/safety"))["adverse_events"][0]
    assert (adverse["grade"], adverse["serious_reported"]) == (3, True)
    assert adverse["contradictions"] == []


async def _completed(story: Story) -> None:
    blocked = await story.refused("investigator", "2027-05-20T09:00:00-04:00", "completed")
    assert blocked["rule"] == "order", "the last visit comes first"
    protocol = story.api.cairn.publishing.protocol("LK-23-01", "2.0")
    await story.post("coordinator", _noon("V11"), _held("V11", protocol))
    await story.post("investigator", "2027-05-26T12:00:00-04:00", ("completed", {}))
    assert (await story.get())["stage"] == "completed"


async def _the_views_are_right(story: Story) -> None:
    schedule = {one["visit"]: one for one in (await story.get("/schedule"))["visits"]}
    planned = {
        visit: (schedule[visit]["target"], schedule[visit]["earliest"], schedule[visit]["latest"])
        for visit in CALENDAR
    }
    assert planned == CALENDAR
    assert {visit: schedule[visit]["completed_on"] for visit in HELD} == HELD
    assert {visit for visit in HELD if schedule[visit]["out_of_window"]} == {"V5"}
    assert schedule["V5"]["days_from_target"] == 5
    assert {schedule[visit]["status"] for visit in HELD} == {"completed"}
    assert schedule["V0"]["status"] == "completed"
    deviations = (await story.study("/deviations"))["items"]
    assert [(one["rule"], one["subject"]) for one in deviations] == [("visit-window", "V5")]
    eligibility = await story.get("/eligibility")
    assert eligibility["confirmed"]["status"] == "standing", "its validity ended with the dose"
    funnel = await story.study("/participants", stage="completed")
    assert [one["participant"] for one in funnel["items"]] == [WHO]
    slots = story.api.cairn.hot.trial("LK-23-01").slots
    assert list(slots) == [WHO]


async def _every_version_replays(story: Story) -> None:
    """Each step starts where the one before ended, and the last state is today's."""
    events = (await story.get("/events", limit="1000"))["items"]
    assert [one["version"] for one in events] == list(range(1, len(events) + 1))
    before: Any = None
    for event in events:
        step = await story.get("/replay", version=str(event["version"]))
        if before is not None:
            assert step["before"] == before
        assert step["event"]["hash"] == event["hash"]
        before = step["state"]
    text = json.dumps(events)
    assert "Wilhelmina" not in text
    assert "555 0142" not in text
    assert "1988-05-17" not in text


async def _every_moment_can_be_seen_again(story: Story) -> None:
    """What a view said then is what `as_of` says now, for every moment of the story."""
    assert len(story.moments) > 25
    for position, now, said in story.moments:
        on = now.isoformat().replace("+00:00", "Z")
        assert await story.get(as_of=str(position), on=on) == said
    await _both_calendars_of(story)


async def _both_calendars_of(story: Story) -> None:
    """Known then and true then differ: the late weight was true in December, known in April."""
    first = await story.get("/safety", as_of="2026-12-12T00:00:00Z")
    assert first["adverse_events"][0]["grade"] == 2
    assert (await story.get("/safety", valid_at="2026-12-08"))["adverse_events"] == []


def _live_equals_rebuilt(story: Story) -> None:
    projector = story.api.cairn.projector
    projector.catch_up("LK-23-01")
    for view in story.api.cairn.tables.views:
        live = projector.digest("LK-23-01", view)
        assert projector.rebuild("LK-23-01", view).same, view
        assert projector.digest("LK-23-01", view) == live


def _noon(visit: str) -> str:
    offset = "-04:00" if "2027-03-14" <= HELD[visit] < "2027-11-07" else "-05:00"
    return f"{HELD[visit]}T12:00:00{offset}"


def _held(visit: str, protocol: Any) -> tuple[str, dict[str, Any]]:
    """A visit with all that the protocol asks for."""
    done = [
        {"code": code, "done": True}
        for code in protocol.visits_by_code[visit].procedures
        if not protocol.procedures[code].optional
    ]
    return "visit-completed", {"visit": visit, "mode": "in-person", "procedures": done}


def _items(code: str, protocol: Any, *present: str) -> tuple[str, dict[str, Any]]:
    components = {
        item: "present" if item in present else "absent" for item in protocol.dictionary[code].items
    }
    return "observation-recorded", {"code": code, "components": components}


def _hydroxychloroquine() -> dict[str, Any]:
    return {
        "medication": "M1",
        "name": "hydroxychloroquine",
        "classes": ["antimalarial"],
        "indication": "SLE",
        "dose": "200",
        "unit": "mg",
        "per": "d",
        "route": "oral",
        "started_on": "2023",
    }
