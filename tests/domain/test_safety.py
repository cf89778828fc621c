"""Adverse events: what is serious, what contradicts itself, what limits the dose."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from domain.journey.safety import lives_of, open_adverse_events
from domain.safety.adverse_event import AdverseEvent, Exposure
from domain.safety.events import AdverseEventReported, ContradictionFound
from domain.time import When
from tests.specs import (
    ZONE,
    Said,
    Study,
    assessed,
    cleared,
    concluded,
    dosed,
    event,
    given,
    on_study,
    protocol_but,
    said,
    standing,
    treated,
    update,
)

AWARE = "2026-12-10T15:00:00-05:00"
EXPOSURE = Exposure(dosed.when, ZoneInfo(ZONE))


def told(*saids: Said) -> Study:
    study = Study()
    given(*treated, *saids, study=study)
    return study


def known(*saids: Said, name: str = "AE-1") -> AdverseEvent:
    study = told(*saids)
    return lives_of(study.trial, study.participant())[name].event


def contradictions(study: Study) -> set[tuple[str, str | None]]:
    found = standing(study).values()
    return {(one.because, one.ae) for one in found if isinstance(one, ContradictionFound)}


# --- seriousness ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "because"),
    [
        ({}, ()),
        ({"serious": False, "grade": 4, "severity": "severe"}, ()),
        ({"serious": True}, ("reported",)),
        ({"seriousness": ["hospitalisation"]}, ("hospitalisation",)),
        ({"seriousness": ["hospitalisation"], "serious": False}, ("hospitalisation",)),
        ({"seriousness": ["important-medical-event"]}, ("important-medical-event",)),
        ({"outcome": "fatal"}, ("fatal",)),
        ({"outcome": "FATAL"}, ("fatal",)),
        ({"grade": 5, "serious": False}, ("grade-5",)),
        (
            {"seriousness": ["death", "life-threatening"], "serious": True, "outcome": "fatal"},
            ("death", "life-threatening", "fatal", "reported"),
        ),
        ({"seriousness": []}, ()),
    ],
)
def test_seriousness_is_derived_not_believed(data: dict[str, Any], because: tuple[str]) -> None:
    study = told(event("AE-1", AWARE, causality="unrelated", **data))
    found = standing(study).get(("serious", "AE-1"))
    assert getattr(found, "because", ()) == because


def test_the_flag_of_the_reporter_is_kept() -> None:
    assert known(event("AE-1", AWARE, serious=False, grade=5)).serious_reported is False


def test_an_upgrade_makes_an_event_serious_and_a_correction_takes_it_back() -> None:
    study = told(event("AE-1", AWARE, causality="unrelated"))
    worse = update("AE-1", "2026-12-10T18:00:00-05:00", seriousness=["hospitalisation"])
    outcome = given(study=study).when(worse)
    outcome.then(
        worse,
        concluded("serious-adverse-event-identified", because=("hospitalisation",)),
        concluded("safety-clock-started", clock="site-to-sponsor"),
    )
    mistaken = said("retracted", "2026-12-10T19:00:00-05:00", position=study.position(worse))
    given(study=study).when(mistaken).then(
        mistaken,
        cleared(concluded("serious-adverse-event-identified")),
        concluded(
            "safety-clock-closed",
            clock="site-to-sponsor",
            because="a correction took back what it rested on",
        ),
    )


# --- life -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("saids", "is_open"),
    [
        ([], True),
        ([{"outcome": "recovering"}], True),
        ([{"outcome": "not-recovered"}], True),
        ([{"end": "2026-12-11"}], False),
        ([{"outcome": "recovered", "end": "2026-12-11"}], False),
        ([{"outcome": "recovered-with-sequelae"}], False),
        ([{"outcome": "fatal"}], False),
        ([{"outcome": "unknown"}], False),
        ([{"outcome": "recovered", "end": "2026-12-11"}, {"outcome": "not-recovered"}], True),
    ],
)
def test_an_event_is_open_until_it_has_an_outcome_and_again_when_it_is_reopened(
    saids: list[dict[str, Any]], is_open: bool
) -> None:
    updates = [
        update("AE-1", f"2026-12-{12 + day}", **data) for day, data in enumerate(saids, start=1)
    ]
    study = told(event("AE-1", AWARE), *updates)
    assert open_adverse_events(study.trial, study.participant()) == int(is_open)


def test_an_update_says_what_changed_and_leaves_the_rest() -> None:
    found = known(
        event("AE-1", AWARE, grade=2, laboratory=True, causality="possible"),
        update("AE-1", "2026-12-12", grade=3, term="Neutropenia"),
    )
    assert (found.grade, found.term, found.laboratory) == (3, "Neutropenia", True)
    assert found.investigator == "possible"


def test_updates_count_by_when_they_happened_not_by_when_they_came() -> None:
    first = update("AE-1", "2026-12-12", grade=3)
    second = update("AE-1", "2026-12-13", grade=2)
    assert known(event("AE-1", AWARE), first, second).grade == 2
    assert known(event("AE-1", AWARE), second, first).grade == 2
    assert known(second, event("AE-1", AWARE), first).grade == 2


def test_an_update_of_an_event_nobody_reported_waits_for_the_report() -> None:
    early = update("AE-1", "2026-12-12", seriousness=["hospitalisation"])
    study = told(early)
    assert lives_of(study.trial, study.participant()) == {}
    report = event("AE-1", AWARE, causality="unrelated")
    outcome = given(study=study).when(report, now="2026-12-12T06:00:00Z")
    outcome.then(
        report,
        concluded("serious-adverse-event-identified", [report, early]),
        concluded("safety-clock-started", clock="site-to-sponsor"),
    )


# --- causality ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "investigator", "sponsor", "suspected"),
    [
        (None, None, None, True),
        ("unrelated", None, None, False),
        ("unlikely", None, None, False),
        ("possible", None, None, True),
        ("probable", None, None, True),
        ("definite", None, None, True),
        ("possible", None, "unrelated", True),
        ("unrelated", None, "possible", True),
        ("possible", "unrelated", None, False),
        ("unrelated", "possible", "unrelated", True),
        (None, None, "unlikely", False),
    ],
)
def test_either_suspicion_counts_and_the_sponsor_cannot_take_the_investigators_back(
    reported: str | None, investigator: str | None, sponsor: str | None, suspected: bool
) -> None:
    judged = []
    if investigator:
        judged.append(assessed("AE-1", "2026-12-11", "investigator", investigator))
    if sponsor:
        judged.append(assessed("AE-1", "2026-12-12", "sponsor", sponsor))
    found = known(event("AE-1", AWARE, causality=reported), *judged)
    assert found.suspected(EXPOSURE) is suspected
    assert found.sponsor == sponsor


def test_before_a_dose_nothing_unjudged_is_suspected() -> None:
    found = known(event("AE-1", AWARE, onset="2026-12-06"))
    assert not found.suspected(EXPOSURE)
    assert not found.suspected(None)
    assert known(event("AE-1", AWARE, onset="2026-12-07")).suspected(EXPOSURE)
    assert known(event("AE-1", AWARE, onset="2026-12")).suspected(EXPOSURE)
    before = known(event("AE-1", AWARE, onset="2026-12-07T09:59:00-05:00"))
    assert not before.suspected(EXPOSURE)


def test_the_day_of_the_dose_is_the_sites_day() -> None:
    that_day = known(event("AE-1", AWARE, onset="2026-12-07"))
    at_23_30 = Exposure(When.parse("2026-12-08T04:30:00Z"), ZoneInfo(ZONE))
    assert that_day.suspected(at_23_30)
    assert not that_day.suspected(Exposure(When.parse("2026-12-08"), ZoneInfo(ZONE)))


def test_a_judgement_needs_its_role_and_its_event() -> None:
    reported = (*treated, event("AE-1", AWARE))
    by_investigator = assessed("AE-1", "2026-12-11", "investigator", "possible")
    by_sponsor = assessed("AE-1", "2026-12-11", "sponsor", "possible")
    given(*reported).when(by_investigator).recorded_as_said()
    given(*reported).when(by_sponsor).recorded_as_said()
    given(*reported).when(by_sponsor.by("sponsor")).recorded_as_said()
    given(*reported).when(by_investigator.by("coordinator")).refused("signer")
    given(*reported).when(by_investigator.by("safety-officer")).refused("signer")
    given(*reported).when(by_sponsor.by("investigator")).refused("signer")
    given(*treated).when(by_investigator).refused("order")


@pytest.mark.parametrize(
    ("reported", "by_investigator", "by_sponsor", "expected"),
    [
        (None, None, None, None),
        (True, None, None, True),
        (True, False, None, False),
        (True, None, False, False),
        (False, None, True, True),
        (None, True, False, False),
    ],
)
def test_the_sponsor_judges_what_is_expected(
    reported: bool | None, by_investigator: bool | None, by_sponsor: bool | None, expected: bool
) -> None:
    found = known(
        event("AE-1", AWARE, expected=reported),
        assessed("AE-1", "2026-12-13", "investigator", "possible", expected=by_investigator),
        assessed("AE-1", "2026-12-12", "sponsor", "possible", expected=by_sponsor),
    )
    assert found.expected is expected


# --- contradictions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"serious": False, "seriousness": ["hospitalisation"]}, {"serious-not-flagged"}),
        ({"serious": False, "outcome": "fatal"}, {"serious-not-flagged"}),
        ({"serious": None, "seriousness": ["hospitalisation"]}, set()),
        ({"serious": True, "seriousness": ["hospitalisation"]}, set()),
        ({"serious": False, "grade": 4}, set()),
        ({"grade": 5}, {"grade-5-not-fatal"}),
        ({"grade": 5, "outcome": "recovered"}, {"grade-5-not-fatal"}),
        ({"grade": 5, "outcome": "fatal"}, set()),
        ({"grade": 5, "serious": False}, {"grade-5-not-fatal", "serious-not-flagged"}),
        ({"onset": "2026-12-10", "end": "2026-12-09"}, {"end-before-onset"}),
        ({"onset": "2026-12-10", "end": "2026-12-10"}, set()),
        ({"onset": "2026-12-10", "end": "2026-12"}, set()),
        ({"onset": "2026-12-10", "end": "2026-11"}, {"end-before-onset"}),
        (
            {"onset": "2026-12-10T10:00:00-05:00", "end": "2026-12-10T14:59:00Z"},
            {"end-before-onset"},
        ),
    ],
)
def test_what_cannot_both_be_right_is_found_and_left_as_it_is(
    data: dict[str, Any], found: set[str]
) -> None:
    study = told(event("AE-1", AWARE, **data))
    assert contradictions(study) == {(because, "AE-1") for because in found}


@pytest.mark.parametrize(
    ("events", "died_on", "found"),
    [
        ([], "2026-12-20", {("death-without-fatal-event", None)}),
        ([{"outcome": "recovered"}], "2026-12-20", {("death-without-fatal-event", None)}),
        ([{"outcome": "fatal"}], "2026-12-20", set()),
        ([{"outcome": "fatal", "end": "2026-12-20"}], "2026-12-20", set()),
        ([{"outcome": "fatal", "end": "2026-12"}], "2026-12-20", set()),
        ([{"outcome": "fatal", "end": "2026-12-19"}], "2026-12", set()),
        (
            [{"outcome": "fatal", "end": "2026-12-19"}],
            "2026-12-20",
            {("death-date-differs", "AE-1")},
        ),
        (
            [{"outcome": "fatal", "end": "2026-12-20"}, {"outcome": "fatal", "end": "2026-12-11"}],
            "2026-12-20",
            {("death-date-differs", "AE-2")},
        ),
    ],
)
def test_a_death_and_the_events_must_agree(
    events: list[dict[str, Any]], died_on: str, found: set[tuple[str, str | None]]
) -> None:
    reports = [event(f"AE-{n}", AWARE, **data) for n, data in enumerate(events, start=1)]
    study = told(*[one.on("2026-12-20T12:00:00-05:00") for one in reports])
    study.post(said("died", "2026-12-20", on=died_on))
    assert contradictions(study) == found


def test_a_contradiction_names_both_sides_and_goes_when_one_is_corrected() -> None:
    study = told()
    death = said("died", "2026-12-20", on="2026-12-20")
    report = event("AE-1", "2026-12-20T12:00:00-05:00", outcome="fatal", end="2026-12-19")
    found = concluded("contradiction-found", [death, report], because="death-date-differs")
    study.post(death)
    assert any(found.matches(one, study) for one in study.post(report))
    right = {**report.body.model_dump(mode="json", exclude_none=True), "end": "2026-12-20"}
    fix = said("corrected", "2026-12-21", position=study.position(report), data=right)
    gone = cleared(concluded("contradiction-found", because="death-date-differs"))
    assert any(gone.matches(one, study) for one in study.post(fix))


# --- dose-limiting toxicity -----------------------------------------------------------------------

LOCAL = {"term": "Injection site pain"}
LAB = {"term": "Neutropenia", "laboratory": True}


@pytest.mark.parametrize(
    ("data", "because"),
    [
        ({"grade": 2}, None),
        ({"grade": 3}, "grade-3"),
        ({"grade": 4}, "grade-4"),
        ({"grade": 4, "causality": "unlikely"}, None),
        ({"grade": 4, "causality": "possible"}, "grade-4"),
        ({"grade": 4, **LAB}, "grade-4"),
        ({"outcome": "fatal"}, "death"),
        ({"severity": "severe"}, None),
        # the window: 28 days from the dose of 7 December, both ends included
        ({"grade": 3, "onset": "2026-12-06"}, None),
        ({"grade": 3, "onset": "2026-12-07"}, "grade-3"),
        ({"grade": 3, "onset": "2026-12-07T09:59:00-05:00"}, None),
        ({"grade": 3, "onset": "2027-01-04"}, "grade-3"),
        ({"grade": 3, "onset": "2027-01-05"}, None),
        ({"grade": 3, "onset": "2027-01"}, "grade-3"),
        # grade 3 of the laboratory counts beyond 7 days
        ({"grade": 3, **LAB, "onset": "2026-12-09", "end": "2026-12-16"}, None),
        ({"grade": 3, **LAB, "onset": "2026-12-09", "end": "2026-12-17"}, "laboratory"),
        ({"grade": 3, **LAB, "onset": "2026-12-09", "end": "2026-12"}, "laboratory"),
        # grade 3 local reactions count beyond 72 hours
        ({"grade": 3, **LOCAL, "onset": "2026-12-09", "end": "2026-12-12"}, None),
        ({"grade": 3, **LOCAL, "onset": "2026-12-09", "end": "2026-12-13"}, "local-reaction"),
        (
            {
                "grade": 3,
                **LOCAL,
                "onset": "2026-12-09T10:00:00-05:00",
                "end": "2026-12-12T10:00:00-05:00",
            },
            None,
        ),
        (
            {
                "grade": 3,
                **LOCAL,
                "onset": "2026-12-09T10:00:00-05:00",
                "end": "2026-12-12T10:01:00-05:00",
            },
            "local-reaction",
        ),
        # categories of the protocol, at any grade and any time after the dose
        ({"grade": 1, "term": "Anaphylaxis"}, "anaphylaxis"),
        ({"grade": 1, "term": "Injection-site NECROSIS, left"}, "injection-site-necrosis"),
        ({"term": "Benign neoplasm of skin", "onset": "2027-01-20"}, "neoplasm"),
        ({"term": "Neoplasms feared"}, None),
        ({"term": "Anaphylaxis", "onset": "2026-12-01"}, None),
        ({"term": "Anaphylaxis", "causality": "unrelated"}, None),
        (
            {"coding": {"dictionary": "MedDRA", "version": "27.1", "code": "thromboembolism"}},
            "thromboembolism",
        ),
    ],
)
def test_what_limits_the_dose_is_the_protocols_definition(
    data: dict[str, Any], because: str | None
) -> None:
    study = told(event("AE-1", "2027-01-31T12:00:00-05:00", **{"onset": "2026-12-10", **data}))
    found = standing(study).get(("dose-limiting", "AE-1"))
    assert getattr(found, "because", None) == because


def test_without_a_dose_or_a_definition_nothing_limits_the_dose() -> None:
    worst = event("AE-1", AWARE, grade=4, causality="definite")
    undosed, undefined = Study(), Study(protocol_but(toxicity=None))
    given(*on_study, worst, study=undosed)
    given(*treated, worst, study=undefined)
    for study in (undosed, undefined):
        assert ("dose-limiting", "AE-1") not in standing(study)


def test_an_open_laboratory_event_limits_the_dose_when_its_time_is_over() -> None:
    study = told(event("AE-1", AWARE, onset="2026-12-09", grade=3, **LAB))
    key = ("dose-limiting", "AE-1")
    study.tick("2026-12-17T04:59:00Z")
    assert key not in standing(study)
    study.tick("2026-12-17T05:00:00Z")
    assert key in standing(study)
    study.post(update("AE-1", "2026-12-17T12:00:00-05:00", end="2026-12-16", outcome="recovered"))
    assert key not in standing(study)


# --- schema ---------------------------------------------------------------------------------------

REPORT = {
    "ae": "AE-1",
    "term": "Headache",
    "onset": "2026-12",
    "aware_at": "2026-12-10T15:00:00Z",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"aware_at": "2026-12-10"},
        {"aware_at": None},
        {"onset": "December"},
        {"grade": 0},
        {"grade": 6},
        {"grade": "3"},
        {"seriousness": ["very"]},
        {"causality": "certain"},
        {"outcome": "better"},
        {"term": ""},
        {"serious": "Y"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_report_is_strict(wrong: dict[str, Any]) -> None:
    AdverseEventReported.model_validate(REPORT)
    with pytest.raises(ValidationError):
        AdverseEventReported.model_validate({**REPORT, **wrong})
