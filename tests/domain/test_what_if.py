"""What if: what a draft protocol, or a fact more, changes for one participant."""

from typing import Any

import pytest

from domain.time import When
from domain.trial.protocol import Protocol
from domain.what_if import LISTS, Change, Reading, changes, facts_alone, told, under
from tests.specs import (
    WHO,
    Said,
    Study,
    booked,
    consented,
    event,
    given,
    lk_23_01,
    open_protocol,
    protocol_but,
    referred,
    report,
    said,
    screened,
    screening,
    treated,
    visit,
)

NOW = When.parse("2027-02-01T12:00:00Z").earliest()
SERIOUS = {"seriousness": ["hospitalisation"]}
AWARE = "2026-12-10T15:00:00-05:00"
BORN = "1950-06-15"
demographics = said("demographics-recorded", "2026-11-23", birth_date=BORN, sex="male")


def age(name: str = "I1", **limits: int) -> dict[str, Any]:
    rule = {"rule": "age", **limits}
    return {"id": name, "kind": "inclusion", "text": "An age.", "rule": rule}


def visits(**windows: dict[str, Any]) -> list[Any]:
    """The visits, some with other windows or days; None drops one."""
    found = []
    for one in open_protocol().visits:
        fields = {name: getattr(one, name) for name in type(one).model_fields}
        found.append(type(one).model_validate({**fields, **windows.get(one.code, {})}))
    return found


def differ(study: Study, draft: Protocol, now: Any = NOW) -> list[Change]:
    facts = facts_alone(study.participant())
    today = told(Reading(study.trial, facts, now))
    return list(changes(today, told(Reading(under(study.trial, draft), facts, now))))


def names(found: list[Change]) -> list[tuple[str, str]]:
    return [(f"{one.part}.{one.kind}", one.what) for one in found]


def the(found: list[Change], name: str) -> Change:
    (one,) = [one for one in found if f"{one.part}.{one.kind}" == name]
    return one


def of(*saids: Said, protocol: Protocol | None = None, birth: str | None = None) -> Study:
    """A study with this history. A birth date is at hand where one is said."""
    study = Study(protocol or open_protocol())
    for one in saids:
        study.post(one, historical=True, birth=birth)
    return study


# --- nothing, and what is compared ----------------------------------------------------------------


def test_todays_protocol_as_a_draft_changes_nothing() -> None:
    study = given(*treated, visit("V5", "2026-12-30"), event("AE-1", AWARE, **SERIOUS)).study
    study.tick("2027-02-01T12:00:00Z")
    assert differ(study, open_protocol()) == []


def test_what_the_log_concluded_is_not_taken_for_a_fact() -> None:
    study = given(*treated).study
    study.tick("2027-02-01T12:00:00Z")
    with pytest.raises(ValueError, match="facts alone"):
        Reading(study.trial, study.participant(), NOW)


def test_every_change_stands_in_one_of_the_lists() -> None:
    draft = protocol_but(
        visits=visits(V5={"before": 0, "after": 0}, V7={"after": 30})[:-3],
        criteria=[age(at_least=18)],
        clocks=(),
        settings={"reconsent": True},
        version="3.0",
    )
    study = given(*treated, visit("V5", "2026-12-22"), event("AE-1", AWARE, **SERIOUS)).study
    found = differ(study, draft)
    assert len({one.part for one in found}) >= 5
    assert all(one.kind in LISTS[one.part] and one.why for one in found)
    known = {one.position for one in study.log}
    assert all(set(one.evidence) <= known for one in found)


GONE: dict[str, Any] = {
    "visits": (),
    "procedures": {},
    "criteria": (),
    "dictionary": {},
    "statements": {},
    "clocks": (),
    "toxicity": None,
    "steroids": (),
    "half_lives": {},
    "accrual": None,
    "stagger": None,
    "dose": {"visit": None},
}


@pytest.mark.parametrize("gone", [*GONE, "everything"])
def test_whatever_a_draft_leaves_out_its_participants_can_be_told_of(gone: str) -> None:
    """The history goes on naming visits, codes and clocks that the draft does not have."""
    study = given(
        *treated,
        said(
            "observation-recorded", "2026-11-23", code="egfr", value="80", unit="mL/min/{1.73_m2}"
        ),
        said("attested", "2026-11-23", statement="breast-feeding", answer=False),
        visit("V2", "2026-12-09", procedures=[{"code": "blood-count", "done": False}]),
        booked("V5", "2026-12-21T09:00:00-05:00", "2026-12-08"),
        event("AE-1", AWARE, grade=4, causality="possible", **SERIOUS),
        report("AE-1", "site-to-sponsor", "2026-12-12T15:00:00-05:00"),
        said("discontinued", "2027-01-15", cause="other"),
        visit("ET", "2027-01-16"),
        study=Study(lk_23_01()),
    ).study
    fields = {name: getattr(lk_23_01(), name) for name in Protocol.model_fields}
    left_out = GONE if gone == "everything" else {gone: GONE[gone]}
    if gone == "dictionary":  # what criteria read must be there
        left_out["criteria"] = ()
    found = differ(study, Protocol.model_validate({**fields, **left_out, "version": "3.0"}))
    assert all(one.why for one in found)


# --- visits ---------------------------------------------------------------------------------------


def test_a_narrower_window_leaves_a_visit_outside_and_makes_its_deviation() -> None:
    held = visit("V5", "2026-12-23")
    study = given(*treated, held).study
    found = differ(study, protocol_but(visits=visits(V5={"after": 1})))
    assert names(found) == [("visits.now_out", "V5"), ("deviations.new", "visit-window V5")]
    out = found[0]
    assert out.why == "held on 2026-12-23, 1 day late, window 2026-12-18 to 2026-12-22"
    assert (out.today or {})["latest"] == "2026-12-24"
    assert (out.what_if or {})["days_outside_window"] == 1
    assert study.position(held) in out.evidence


def test_a_wider_window_takes_a_late_visit_in_and_its_deviation_away() -> None:
    study = given(*treated, visit("V5", "2026-12-26")).study
    found = differ(study, protocol_but(visits=visits(V5={"after": 5})))
    assert names(found) == [("visits.now_in", "V5"), ("deviations.gone", "visit-window V5")]


def test_a_visit_that_stays_outside_by_other_days_has_another_deviation() -> None:
    study = given(*treated, visit("V5", "2027-01-04")).study
    found = differ(study, protocol_but(visits=visits(V5={"after": 5})))
    assert names(found) == [("deviations.changed", "visit-window V5")]
    assert found[0].why == "V5 took place 9 days after its window closed on 2026-12-26"


def test_an_open_visit_moves_with_its_day_and_its_booking_may_fall_outside() -> None:
    study = given(*treated, booked("V5", "2026-12-21T09:00:00-05:00", "2026-12-08")).study
    now = When.parse("2026-12-10T12:00:00Z").earliest()
    found = differ(study, protocol_but(visits=visits(V5={"before": 3, "after": 0, "day": 12})), now)
    assert names(found) == [("visits.changed", "V5")]
    assert found[0].why == (
        "2026-12-21 (2026-12-18 to 2026-12-24) becomes 2026-12-19 (2026-12-16 to 2026-12-19); "
        "the booking for 2026-12-21 is outside its window"
    )


def test_a_window_that_would_still_be_open_makes_a_missed_visit_due() -> None:
    study = given(*treated).study
    now = When.parse("2026-12-25T12:00:00Z").earliest()
    found = differ(study, protocol_but(visits=visits(V5={"after": 5})), now)
    assert names(found) == [("visits.changed", "V5"), ("deviations.gone", "visit-missed V5")]
    assert found[0].why.startswith("overdue becomes due")


def test_visits_are_added_and_dropped() -> None:
    extra = type(open_protocol().visits[0]).model_validate(
        {"code": "V5B", "name": "Day 16", "day": 18}
    )
    kept = [one for one in visits() if one.code not in ("V6", "V7")]
    draft = protocol_but(visits=sorted([*kept, extra], key=lambda one: (one.day is None, one.day)))
    study = given(*treated, visit("V6", "2027-01-04")).study
    now = When.parse("2026-12-22T12:00:00Z").earliest()
    found = [one for one in differ(study, draft, now) if one.part == "visits"]
    assert names(found) == [
        ("visits.added", "V5B"),
        ("visits.dropped", "V6"),
        ("visits.dropped", "V7"),
    ]


def test_a_dropped_visit_that_nobody_expects_any_more_is_not_told() -> None:
    study = given(*treated, said("died", "2026-12-20", on="2026-12-20")).study
    kept = [one for one in visits() if one.code != "V7"]
    assert differ(study, protocol_but(visits=kept)) == []


# --- eligibility ----------------------------------------------------------------------------------


def old_enough(**limits: int) -> Protocol:
    return protocol_but(criteria=[age(**limits)])


def test_a_limit_that_moves_changes_the_verdict_and_says_why() -> None:
    today = old_enough(at_least=18, at_most=80)
    study = of(*screening, demographics, protocol=today, birth=BORN)
    found = differ(study, old_enough(at_least=18, at_most=75))
    assert names(found) == [("eligibility.now_ineligible", "eligible becomes ineligible")]
    (criterion,) = found[0].more["criteria"]
    assert (criterion["today"]["outcome"], criterion["what_if"]["outcome"]) == ("passed", "failed")
    assert "76" in criterion["what_if"]["explanation"]
    assert found[0].why.startswith("I1 passed becomes failed: ")
    assert study.position(demographics) in found[0].evidence
    (back,) = differ(
        of(*screening, demographics, protocol=old_enough(at_most=75), birth=BORN), today
    )
    assert back.kind == "now_eligible"


def test_a_new_criterion_without_facts_leaves_the_verdict_pending() -> None:
    study = of(*screening, protocol=protocol_but(criteria=[]))
    (found,) = differ(study, old_enough(at_least=18))
    assert (found.kind, found.more["criteria"][0]["today"]) == ("now_pending", None)
    assert found.why.startswith("I1 is new and unknown: ")


def test_a_criterion_that_is_dropped_is_told_also_where_the_verdict_stays() -> None:
    both = [age("I1", at_most=70), age("I2", at_most=60)]
    study = of(*screening, demographics, protocol=protocol_but(criteria=both), birth=BORN)
    (found,) = differ(study, protocol_but(criteria=both[:1]))
    assert (found.kind, found.what, found.why) == (
        "other_reasons",
        "ineligible",
        "I2 is not asked",
    )


def test_a_confirmation_does_not_outlive_its_protocol() -> None:
    confirmed = said("eligibility-confirmed", "2026-11-30T10:00:00-05:00", "investigator")
    study = given(*screening).when(confirmed).recorded_as_said().study
    now = When.parse("2026-12-01T12:00:00Z").earliest()
    found = differ(study, protocol_but(version="3.0"), now)
    assert names(found) == [
        ("eligibility.confirmation_stale", "eligibility-confirmed"),
        ("stages.changed", "stage"),
    ]
    assert found[0].why == "what was confirmed is the verdict under protocol 2.0"
    assert found[0].evidence == (study.position(confirmed),)
    assert found[1].why == "eligible becomes screening"
    assert differ(study, open_protocol(), now) == []


# --- clocks and safety ----------------------------------------------------------------------------


def clocks(*kept: str, **hours: int) -> list[Any]:
    found = []
    for one in open_protocol().clocks:
        name = one.clock.replace("-", "_")
        if one.clock in kept or name in hours:
            fields = {name: getattr(one, name) for name in type(one).model_fields}
            if name in hours:
                fields |= {"hours": hours[name], "days": None}
            found.append(type(one).model_validate(fields))
    return found


def test_a_shorter_limit_moves_a_clock_and_makes_a_report_late() -> None:
    sent = report("AE-1", "site-to-sponsor", "2026-12-11T13:00:00-05:00")
    study = given(*treated, event("AE-1", AWARE, causality="unrelated", **SERIOUS), sent).study
    found = differ(study, protocol_but(clocks=clocks(site_to_sponsor=12)))
    moved = the(found, "clocks.moved")
    assert moved.what == "AE-1 site-to-sponsor"
    assert moved.why == (
        "due 2026-12-11T15:00:00-05:00 becomes 2026-12-11T03:00:00-05:00; sent late"
    )
    late = the(found, "deviations.new")
    assert late.what == "safety-report-late AE-1 site-to-sponsor 1"


def test_clocks_start_and_no_longer_start() -> None:
    study = given(*treated, event("AE-1", AWARE, causality="unrelated", **SERIOUS)).study
    gone = the(differ(study, protocol_but(clocks=())), "clocks.gone")
    assert (gone.what, gone.what_if) == ("AE-1 site-to-sponsor", None)
    more = [*open_protocol().clocks, clock_like("site-to-board", hours=48)]
    new = the(differ(study, protocol_but(clocks=more)), "clocks.new")
    assert new.why == "serious, due 2026-12-12T15:00:00-05:00"


def clock_like(name: str, **limits: int) -> Any:
    first = open_protocol().clocks[0]
    fields = {one: getattr(first, one) for one in type(first).model_fields}
    return type(first).model_validate({**fields, "clock": name, **limits})


def test_another_definition_of_toxicity_finds_one_more() -> None:
    study = given(*treated, event("AE-1", AWARE, grade=2, causality="possible")).study
    draft = protocol_but(toxicity={"grade_any": 2})
    assert ("safety.new", "AE-1") in names(differ(study, draft))


# --- consent --------------------------------------------------------------------------------------


def test_a_draft_that_asks_for_it_is_signed_anew_by_whoever_still_takes_part() -> None:
    draft = protocol_but(version="3.0", settings={"reconsent": True})
    needed = the(differ(given(referred, consented, screened).study, draft), "reconsents.needed")
    assert needed.why == "protocol 3.0 asks for a new signature"
    ended = said("died", "2026-12-20", on="2026-12-20")
    failed = said("screen-failed", "2026-11-25", "investigator", criteria=[])
    withdrawn = said("consent-withdrawn", "2026-11-25", scope=["visits", "treatment"])
    for more in ((ended,), (screened, failed), (withdrawn,)):
        found = differ(given(referred, consented, *more).study, draft)
        assert [one for one in found if one.part == "reconsents"] == []
    assert differ(given(referred).study, draft) == []


def test_a_version_that_waits_for_a_signature_waits_under_its_own_draft_too() -> None:
    study = Study()
    first = said("protocol-activated", "2026-10-02", "sponsor", site="01", protocol="2.0")
    study.tell(first)
    given(referred, consented, screened, study=study)
    asking = protocol_but(version="3.0", settings={"reconsent": True})
    study.publish(asking, "2026-12-01")
    study.tell(said("protocol-activated", "2026-12-02", "sponsor", site="01", protocol="3.0"))
    assert [one for one in differ(study, asking) if one.part == "reconsents"] == []
    settled = the(differ(study, protocol_but(version="3.1")), "reconsents.settled")
    assert settled.what == "protocol 3.0"


# --- more facts -----------------------------------------------------------------------------------


def test_a_dose_on_another_day_moves_everything_that_counts_from_it() -> None:
    study = given(*treated, visit("V5", "2026-12-23")).study
    before = facts_alone(study.participant())
    dose = next(one for one in study.log if one.type == "dosed")
    earlier = said("corrected", "2027-01-02", position=dose.position, occurred_at="2026-12-05")
    study.post(earlier)
    after = facts_alone(study.participant())
    found = list(
        changes(told(Reading(study.trial, before, NOW)), told(Reading(study.trial, after, NOW)))
    )
    out = {one.what: one for one in found if one.kind == "now_out"}
    assert set(out) == {"V1", "V5"}, "the dosing visit is day 0 and has no window around it"
    fell = out["V5"].what_if or {}
    assert (fell["target"], fell["days_outside_window"]) == ("2026-12-19", 1)
    assert study.position(earlier) in out["V5"].evidence


def test_who_is_not_known_yet_can_be_told_of() -> None:
    study = Study()
    blank = facts_alone(given(referred, study=Study()).study.participant(WHO))
    nobody = type(blank)(WHO)
    sides = Reading(study.trial, nobody, NOW), Reading(study.trial, blank, NOW)
    assert list(changes(*map(told, sides))) == []
