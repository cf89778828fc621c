"""The auditor's replay: state before and after every version, what changed and why."""

import asyncio
import re
from collections.abc import Iterable
from copy import deepcopy
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest

from domain.canonical import canonical
from domain.kernel import Actor
from domain.stage import stage
from services.demo.cohort import register
from services.door import Posted, posted
from services.publishing import built_in_protocol, draft_in, rendered
from services.record import Terms
from services.replay import Change, Replay, replay, replay_all
from services.replay_text import story, text
from services.state import NotFound, recorded
from tests import specs
from tests.golden.replayed import remembered
from tests.imports.conftest import Store
from tests.imports.test_demo import STUDY, begun


@pytest.fixture(scope="module")
def store() -> Store:
    """The demonstration's cohort: long histories with corrections and conclusions."""
    made = Store()
    register(made)  # type: ignore[arg-type]
    begun(made)
    return made


@pytest.fixture(scope="module")
def versions(store: Store) -> list[Replay]:
    """Every version of the participant who completed."""
    return list(replay_all(store.hot, STUDY, "01-001"))


def of_type(versions: list[Replay], kind: str) -> Replay:
    return next(one for one in versions if one.event["type"] == kind)


def test_every_version_is_replayed_once_and_begins_where_the_one_before_ended(store, versions):
    history = store.hot.history(STUDY, "01-001")
    assert [one.event["version"] for one in versions] == list(range(1, len(history) + 1))
    assert versions[0].before is None
    for earlier, later in pairwise(versions):
        assert later.before is not None
        assert later.before["facts"] == earlier.state["facts"]
        assert later.before["conclusions"] == earlier.state["conclusions"]


def test_the_last_state_is_the_participants(store, versions):
    participant = store.hot.participant(STUDY, "01-001")
    last = versions[-1].state
    assert last["stage"] == stage(store.hot.trial(STUDY), participant, store.now) == "completed"
    assert len(last["facts"]["visits"]["completed"]) == len(participant.visits.completed)
    assert len(last["conclusions"]) == len(participant.concluded)


def named(value: Any) -> Any:
    """A state with the facts of its lists by position, and without what is empty."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        value = {str(one["position"]): one for one in value} if "position" in value[0] else value
    if not isinstance(value, dict):
        return value
    return {name: found for name, part in value.items() if (found := named(part)) not in ({}, [])}


def applied(state: dict[str, Any], changes: Iterable[Change]) -> dict[str, Any]:
    """The state with every change put in its place."""
    state = deepcopy(state)
    for change in changes:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in change.path.split("/")[1:]
        ]
        node = state
        for part in parents:
            node = node.setdefault(part, {})
        assert node.get(last) == (named(change.before) if change.before != [] else None)
        if change.after is None:
            del node[last]
        else:
            node[last] = named(change.after)
    return state


def test_the_changes_turn_the_state_before_into_the_state_after(store):
    for participant in ("01-001", "01-002", "02-002", "02-003"):
        for one in replay_all(store.hot, STUDY, participant):
            assert one.changes, "nothing is recorded that changes nothing"
            found = applied(named(one.before or {}), one.changes)
            assert named(found) == named(one.state)


def test_the_same_version_is_the_same_to_the_byte_whatever_came_later(store, versions):
    before = [canonical(one.document()) for one in versions]
    event = {"type": "note-added", "occurred_at": "2026-11-25", "data": {"text": "Archived."}}
    terms = Terms(Actor(id="t", role="coordinator"), "urn:t")
    note = posted(event, participant="01-001")
    asyncio.run(store.recording.record(STUDY, "01-001", [note], terms))
    fresh = Store(store.now)
    fresh.hot._ledger, fresh.hot._documents = store.ledger, store.documents
    again = list(replay_all(fresh.hot, STUDY, "01-001"))
    assert [canonical(one.document()) for one in again[: len(before)]] == before
    assert len(again) == len(before) + 1


def test_a_correction_shows_what_reads_otherwise_now(versions):
    one = of_type(versions, "corrected")
    target = one.event["data"]["position"]
    path = f"/facts/screening/observations/{target}"
    changes = {change.path: (change.before, change.after) for change in one.changes}
    assert changes == {
        f"{path}/value": ("46", "64"),
        f"{path}/corrected_by": (None, one.event["position"]),
    }
    assert one.why["reason"] == "The digits were transposed in the source worksheet."


def test_a_correction_tells_what_was_said_and_what_it_says_now(versions):
    why = of_type(versions, "corrected").why["corrects"]
    assert (why["type"], why["recorded"]["value"]) == ("observation-recorded", "46")
    assert (why["said"]["value"], why["says"]["value"]) == ("46", "64")
    assert of_type(versions, "consented").why["corrects"] is None


def test_a_retracted_correction_tells_what_counts_again() -> None:
    hot = remembered()
    told = [one for one in replay_all(hot, STUDY, "01-900") if one.why["corrects"] is not None]
    weights = [one.why["corrects"] for one in told if "value" in one.why["corrects"]["recorded"]]
    reads = [(one["said"]["value"], one["says"]["value"]) for one in weights]
    # Corrected, the correction taken back, and the taking back taken back.
    assert reads == [("64", "46"), ("46", "64"), ("64", "46")]
    assert {one["recorded"]["value"] for one in weights} == {"64"}
    assert len({one["position"] for one in weights}) == 1


def test_a_retraction_tells_that_nothing_counts_any_more() -> None:
    hot = remembered()
    one = next(one for one in replay_all(hot, STUDY, "01-081") if one.event["type"] == "retracted")
    assert one.why["corrects"]["type"] == "dosed"
    assert one.why["corrects"]["said"] is not None
    assert one.why["corrects"]["says"] is None
    assert "nothing: it does not count" in text(one)


def test_a_signature_tells_what_it_binds_and_whether_that_is_there() -> None:
    hot = remembered()
    signed = of_type(list(replay_all(hot, STUDY, "01-900")), "signed")
    found = signed.why["signature"]
    history = hot.history(STUDY, "01-900")
    assert (found["binds"], found["meaning"], found["up_to_version"]) == ("history", "review", 9)
    assert (found["hash"], found["holds"]) == (history[8].hash, True)
    assert "review of versions 1 to 9" in text(signed)


def test_a_confirmation_binds_the_verdict_that_was_seen(versions):
    found = of_type(versions, "eligibility-confirmed").why["signature"]
    assert (found["binds"], found["holds"]) == ("verdict", True)


def test_the_windows_that_were_applied_are_told(versions):
    criterion = next(
        one
        for one in versions
        if one.event["type"] == "criterion-passed" and one.event["data"]["criterion"] == "I3"
    )
    (window,) = criterion.why["windows"]
    screened = of_type(versions, "screening-started").event["occurred_at"][:10]
    first = date.fromisoformat(window["first"])
    assert (window["anchor"], window["on"], window["last"]) == ("screening", screened, None)
    # I3 asks for a positive result from six months before the screening visit on.
    assert (first.year * 12 + first.month + 6, first.day) == (
        date.fromisoformat(screened).year * 12 + date.fromisoformat(screened).month,
        date.fromisoformat(screened).day,
    )
    held = next(
        one
        for one in versions
        if one.event["type"] == "visit-completed" and one.event["data"]["visit"] == "V5"
    )
    (window,) = held.why["windows"]
    dosed = date.fromisoformat(of_type(versions, "dosed").event["occurred_at"][:10])
    assert date.fromisoformat(window["on"]) == dosed + timedelta(days=14)
    assert window["first"] < window["on"] < window["last"]
    assert "  window       V5 (" in text(held)


def test_a_conclusion_names_its_rule_its_evidence_and_what_led_to_it(store, versions):
    one = next(
        one
        for one in versions
        if one.event["type"] == "criterion-passed" and one.event["data"]["criterion"] == "I3"
    )
    evidence = {event["position"]: event["type"] for event in one.why["evidence"]}
    assert one.why["rule"] == "I3"
    assert set(one.event["data"]["evidence"]) == set(evidence)
    assert "observation-recorded" in evidence.values()
    cause = next(v for v in versions if v.event["position"] == one.why["cause"])
    assert one.event["position"] in {event["position"] for event in cause.why["followed_by"]}
    assert one.why["explanation"]


def test_the_stage_is_that_of_the_time_of_recording(store, versions):
    stages = [one.state["stage"] for one in versions]
    assert list(dict.fromkeys(stages)) == [
        "referred",
        "prescreening",
        "consented",
        "screening",
        "eligible",
        "enrolled",
        "follow-up",
        "completed",
    ]


def test_nothing_protected_is_in_it_in_clear(versions):
    whole = b"".join(canonical(one.document()) for one in versions)
    assert b"Synthetic" not in whole
    assert b"555 0100" not in whole
    without_digests = re.sub(rb'"(hash|previous|sealed|key)":"[^"]*"', b"", whole)
    assert b"1988" not in without_digests


def test_the_text_tells_the_event_the_change_and_the_reason(versions):
    told = text(of_type(versions, "corrected"))
    assert "LK-23-01 / 01-001, version" in told
    assert "The digits were transposed" in told
    assert "46 -> 64" in told
    passed = text(of_type(versions, "criterion-passed"))
    assert "  rule " in passed
    assert "  rests on     position" in passed


def test_the_story_has_a_line_for_each_version(versions):
    lines = list(story(versions))
    assert len(lines) == len(versions)
    assert lines[0].split()[0] == "1"
    assert "referred" in lines[0]
    assert lines[-1].split()[3:5] == ["completed", "completed"]


@pytest.mark.parametrize(
    ("participant", "version", "what"),
    [("01-001", 0, "version"), ("01-001", 10_000, "version"), ("nobody", 1, "participant")],
)
def test_what_is_not_there_is_not_found(store, participant, version, what):
    with pytest.raises(NotFound) as found:
        replay(store.hot, STUDY, participant, version)
    assert found.value.what == what


def test_the_event_is_shown_as_the_ledger_has_it(store, versions):
    stored = store.hot.history(STUDY, "01-001")[4]
    event = versions[4].event
    assert event["hash"] == stored.hash
    assert event["position"] == recorded(stored).position


def test_a_corrected_dose_shows_both_calendars() -> None:
    store, terms = Store(), Terms(Actor(id="t", role="administrator"), "urn:t", historical=True)
    asyncio.run(store.publishing.publish_built_in(terms))
    opened = specs.said(
        "site-opened", "2026-10-01", site="01", name="A", timezone="America/New_York"
    )
    asyncio.run(store.recording.record_study(STUDY, _posted(opened), terms))
    store.now = specs.When.parse("2026-12-09T12:00:00Z").earliest()
    for one in (*specs.treated, specs.visit("V2", "2026-12-08")):
        asyncio.run(store.recording.record(STUDY, "01-001", [_posted(one)], terms))
    dosed = store.hot.participant(STUDY, "01-001").treatment.dosed[0].position
    at = "2026-12-05T10:00:00-05:00"
    moved = specs.said("corrected", "2026-12-09", position=dosed, occurred_at=at)
    answer = asyncio.run(store.recording.record(STUDY, "01-001", [_posted(moved)], terms))
    one = replay(store.hot, STUDY, "01-001", answer.events[0].version)
    assert one.before is not None
    before, after = one.before["calendar"], one.state["calendar"]
    for code, days in {"V5": 14, "V6": 28, "V11": 168}.items():
        for calendar, day_0 in ((before, date(2026, 12, 7)), (after, date(2026, 12, 5))):
            assert calendar[code]["target"] == (day_0 + timedelta(days=days)).isoformat()
            assert f"after dose on {day_0}, position {dosed}" in calendar[code]["why"]
    assert before["V2"]["completed_on"] == after["V2"]["completed_on"] == "2026-12-08"
    paths = {change.path: (change.before, change.after) for change in one.changes}
    assert paths["/calendar/V5/target"] == ("2026-12-21", "2026-12-19")
    assert not [path for path in paths if path.endswith("completed_on")]
    assert "/calendar/V5/target" in text(one)


@pytest.mark.parametrize(
    ("follows", "why"),
    [
        (
            specs.said("protocol-activated", "2026-11-12", site="01", protocol="3.0"),
            "from 2026-11-12: the site activated it",
        ),
        (
            specs.said("transferred", "2026-11-20", site="02"),
            "from 2026-11-20: the participant moved to a site that works under it",
        ),
    ],
)
def test_the_text_tells_why_another_protocol_version_is_in_force(
    follows: specs.Said, why: str
) -> None:
    store, terms = Store(), Terms(Actor(id="t", role="administrator"), "urn:t", historical=True)
    asyncio.run(store.publishing.publish_built_in(terms))
    amended = {**orjson.loads(rendered(built_in_protocol(), "json")), "version": "3.0"}
    asyncio.run(store.publishing.publish_protocol(draft_in(amended), terms))
    for site, version in (("01", "2.0"), ("02", "3.0")):
        opened = {"site": site, "name": site, "timezone": "America/New_York"}
        for kind, data in (
            ("site-opened", opened),
            ("protocol-activated", {"site": site, "protocol": version}),
        ):
            one = _posted(specs.said(kind, "2026-10-01", **data))
            asyncio.run(store.recording.record_study(STUDY, one, terms))
    for one in (specs.referred, specs.consented):
        asyncio.run(store.recording.record(STUDY, "01-001", [_posted(one)], terms))
    if follows.body.type == "protocol-activated":
        asyncio.run(store.recording.record_study(STUDY, _posted(follows), terms))
        asyncio.run(store.recording.conclude_time(STUDY, "01-001"))
    else:
        asyncio.run(store.recording.record(STUDY, "01-001", [_posted(follows)], terms))
    found = of_type(list(replay_all(store.hot, STUDY, "01-001")), "protocol-version-assigned")
    assert f"  because      protocol 3.0 instead of 2.0 {why}\n" in text(found)


def _posted(one: specs.Said) -> Posted:
    who = None if one.body.type in ("site-opened", "protocol-activated") else "01-001"
    return Posted(
        body=one.body, occurred_at=one.when, source=one.source, reason=one.reason, participant=who
    )
