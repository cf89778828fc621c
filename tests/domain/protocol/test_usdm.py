"""USDM 4.0 in and out."""

import csv
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.kernel import Problem
from domain.trial.protocol import Protocol
from domain.trial.reading import read
from domain.trial.usdm import Imported, exported, imported, visit_code
from domain.trial.usdm.words import days_of, marked_up, plain_text
from tests.domain.protocol.documents import GONE, VISITS_FILE, changed, lk, pilot, protocol

DESIGN = "/study/versions/0/studyDesigns/0"
MAIN = f"{DESIGN}/scheduleTimelines/0"

# code, kind, day, before, after, mode of the CDISC pilot study ("-": no window is stated)
PILOT = """
SCREENING-1  screening  -14  -  -  in-person
SCREENING-2  screening   -2  1  0  in-person
BASELINE     dosing       0  0  0  in-person
WEEK-2       follow-up   14  3  3  in-person
WEEK-4       follow-up   28  3  3  in-person
WEEK-6       follow-up   42  3  3  in-person
WEEK-8       follow-up   56  3  3  in-person
WEEK-10-T    follow-up   70  -  -  telephone
WEEK-12      follow-up   84  4  4  in-person
WEEK-14-T    follow-up   98  -  -  telephone
WEEK-16      follow-up  112  4  4  in-person
WEEK-18-T    follow-up  126  -  -  telephone
WEEK-20      follow-up  140  4  4  in-person
WEEK-22-T    follow-up  154  -  -  telephone
WEEK-24      follow-up  168  4  4  in-person
WEEK-26      end        182  3  3  in-person
"""


def read_pilot() -> Imported:
    found = imported(pilot(), study="CDISCPILOT01")
    assert isinstance(found, Imported), found
    return found


def test_the_pilot_study_has_its_encounters_with_days_and_windows() -> None:
    rows = []
    for visit in read_pilot().protocol.visits:
        if visit.day is not None:
            window = [str(visit.before), str(visit.after)] if visit.windowed else ["-", "-"]
            rows.append([visit.code, visit.kind, str(visit.day), *window, str(visit.mode)])
    assert rows == [line.split() for line in PILOT.strip().splitlines()]


def test_early_termination_and_unscheduled_visits_are_possible() -> None:
    unplanned = [one for one in read_pilot().protocol.visits if one.day is None]
    kinds = [(one.code, one.kind, len(one.procedures)) for one in unplanned]
    assert kinds == [("ET", "early-termination", 15), ("UNS", "unscheduled", 0)]


def test_a_study_from_elsewhere_has_no_gates() -> None:
    found = read_pilot().protocol
    assert (found.study, found.version, found.registry) == ("CDISCPILOT01", "2", "NCT12345678")
    assert (found.dose.authorisation, found.dose.single) == (False, False)
    assert (found.dose.visit, found.dose.product) == ("BASELINE", None), "it differs by arm"
    assert (found.accrual, found.toxicity, found.clocks) == (None, None, ())
    assert found.settings.day_numbering == "day-1"


def test_criteria_are_texts_without_rules_and_their_tags_are_resolved() -> None:
    criteria = read_pilot().protocol.criteria
    assert len(criteria) == 31
    assert [one.kind for one in criteria].count("inclusion") == 8
    assert all(one.rule is None for one in criteria)
    assert criteria[0].text == "Males and postmenopausal females at least 50 years of age."
    assert criteria[2].text == "MMSE score of 10 to 23."
    assert all("<" not in one.text.replace("<9", "") for one in criteria[:8])


def test_what_is_left_out_is_said() -> None:
    said = read_pilot().left_out
    for line in (
        "3 arms",
        "85 sections of narrative",
        "the timeline `Adverse Event Timeline`",
        "1 window limit(s) in parts of a day: rounded outward to whole days",
        "the planned enrolment: a plan, not a limit",
        "the logic of 31 criteria: they are texts, which people judge",
    ):
        assert line in said
    assert not any("Early Termination" in line for line in said)


def test_planned_visits_of_the_tabulation_have_the_protocols_codes() -> None:
    if not VISITS_FILE.exists():
        pytest.skip("the CDISC pilot study's tabulation is not beside the project")
    with VISITS_FILE.open(newline="") as file:
        names = {row["VISIT"] for row in csv.DictReader(file)}
    codes = set(read_pilot().protocol.visits_by_code)
    others = {name for name in names if visit_code(name) not in codes}
    assert {name for name in others if not name.startswith("UNSCHEDULED")} == {
        "AE FOLLOW-UP",
        "AMBUL ECG PLACEMENT",
        "AMBUL ECG REMOVAL",
        "RETRIEVAL",
    }


# --- out and in again -----------------------------------------------------------------------------


def again(one: Protocol) -> Protocol:
    found = imported(json.loads(json.dumps(exported(one))))
    assert isinstance(found, Imported), found
    return found.protocol


def test_the_built_in_protocol_survives_usdm() -> None:
    assert again(protocol()) == protocol()


def test_the_pilot_study_survives_usdm() -> None:
    found = read_pilot().protocol
    assert again(found) == found


VARIANTS: list[dict[str, Any]] = [
    {"/settings/day_numbering": "day-1"},
    {"/registry": "ISRCTN12345678"},
    {"/registry": GONE},
    {"/accrual": GONE, "/stagger": GONE, "/toxicity": GONE},
    {"/visits/0/day": 2},
    {"/visits/0/anchor": "dose", "/visits/0/day": -21},
    {"/visits/0": GONE, "/assumptions": {}},
    {"/visits/12": GONE, "/assumptions": {}},
    {"/visits/5/windowed": False, "/visits/5/before": 0, "/visits/5/after": 0},
    {"/visits/1/windowed": False},
    {"/visits/5/mode": GONE, "/visits/6/mode": "video", "/visits/7/mode": "telephone"},
    {"/visits/5/name": 'Visit 5 <b>&amp; "more"'},
    {"/criteria/0/text": "Two  spaces\n\n  and a blank line &lt; <p>5</p>"},
    {"/criteria": [], "/assumptions": {}},
    {"/visits/13/before": 1, "/visits/13/anchor": "screening"},
    {"/dose": {}, "/assumptions": {}},
    {"/visits/6/repeat": {"every": 10, "times": 2}, "/visits/6/after_previous": 3},
    {"/procedures/weight/after_results": [{"code": "igra", "interpretation": "indeterminate"}]},
    {"/procedures/weight/first": True, "/procedures/weight/sexes": ["female"]},
]


@pytest.mark.parametrize("edits", VARIANTS, ids=[", ".join(edits) for edits in VARIANTS])
def test_any_protocol_survives_usdm(edits: dict[str, Any]) -> None:
    changed_protocol = read(changed(lk(), edits))
    assert isinstance(changed_protocol, Protocol), changed_protocol
    assert again(changed_protocol) == changed_protocol


def test_what_another_tool_changed_natively_stands() -> None:
    document = exported(protocol())
    timings = document["study"]["versions"][0]["studyDesigns"][0]["scheduleTimelines"][0]["timings"]
    at = next(i for i, one in enumerate(timings) if one["value"] == "P14D")
    edited = changed(document, {f"{MAIN}/timings/{at}/windowUpper": "P1W"})
    found = imported(edited)
    assert isinstance(found, Imported)
    assert found.protocol.visits_by_code["V5"].after == 7


def test_a_node_that_returns_to_an_encounter_is_a_contact_of_its_own() -> None:
    whole = read(changed(lk(), {"/assumptions": {}}))
    assert isinstance(whole, Protocol)
    document = exported(whole)
    design = document["study"]["versions"][0]["studyDesigns"][0]
    clinic, call = {"code": "C175574"}, {"code": "C171537"}
    nodes = design["scheduleTimelines"][0]["instances"]
    at = [node["name"] for node in nodes].index("Day 84")
    edited = changed(
        document,
        {
            f"{DESIGN}/encounters/7/contactModes": [clinic, call],
            f"{MAIN}/instances/{at}/encounterId": design["encounters"][7]["id"],
        },
    )
    found = imported(edited)
    assert isinstance(found, Imported), found
    visits = found.protocol.visits
    around = [(one.code, one.name, one.day, one.mode) for one in visits[7:9]]
    assert around == [
        ("V7", "Day 56", 56, "in-person"),
        ("WEEK-12-T", "Week 12 (T)", 84, "telephone"),
    ]


# --- what is wrong with a document ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "value", "pointer", "rule"),
    [
        ("/usdmVersion", "3.6.0", "/usdmVersion", "string-pattern-mismatch"),
        ("/study/versions", [], "/study/versions", "too-short"),
        (f"{DESIGN}/encounters/0/name", GONE, f"{DESIGN}/encounters/0/name", "required"),
        (f"{MAIN}/mainTimeline", False, f"{DESIGN}/scheduleTimelines", "not-one-main-timeline"),
        (f"{MAIN}/timings/3/value", "P1M", f"{MAIN}/timings/3", "duration-without-days"),
        (f"{MAIN}/timings/3/windowLower", "soon", f"{MAIN}/timings/3", "duration-without-days"),
        (
            f"{MAIN}/timings/3/relativeToScheduledInstanceId",
            "ScheduledActivityInstance_99",
            f"{MAIN}/timings/3",
            "dangling-timing",
        ),
        (
            f"{MAIN}/timings/3/relativeToScheduledInstanceId",
            "ScheduledActivityInstance_12",
            f"{MAIN}/timings/3",
            "circular-timing",
        ),
        (
            f"{MAIN}/instances/3/encounterId",
            "Encounter_99",
            f"{MAIN}/instances/3/encounterId",
            "dangling-encounter",
        ),
        (f"{MAIN}/timings/4/value", "P17D", f"{MAIN}/instances/4", "overlapping-windows"),
        (f"{DESIGN}/encounters/4/label", "Week 2", f"{MAIN}/instances/4", "duplicate-code"),
        (
            f"{DESIGN}/eligibilityCriteria/2/name",
            "IN01",
            f"{DESIGN}/eligibilityCriteria/2",
            "duplicate-code",
        ),
    ],
)
def test_a_problem_is_placed_in_the_usdm_document(
    place: str, value: Any, pointer: str, rule: str
) -> None:
    assert Problem(pointer, rule) in problems(changed(pilot(), {place: value}))


def problems(document: Any) -> list[Problem]:
    found = imported(document)
    assert not isinstance(found, Imported)
    return found


# --- durations and wording ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duration", "outward", "inward"),
    [
        ("P3D", 3, 3),
        ("P2W", 14, 14),
        ("P1W2D", 9, 9),
        ("PT0H", 0, 0),
        ("PT4H", 1, 0),
        ("PT24H", 1, 1),
        ("PT25H", 2, 1),
        ("P1DT1M", 2, 1),
        ("P0.5D", 1, 0),
        ("P1M", None, None),
        ("P1Y", None, None),
        ("P", None, None),
        ("PT", None, None),
        ("3D", None, None),
        ("-P3D", None, None),
        ("P" + "9" * 60 + "D", None, None),
    ],
)
def test_a_duration_is_whole_days_and_a_window_rounds_outward(
    duration: str, outward: int | None, inward: int | None
) -> None:
    assert days_of(duration, outward=True) == outward
    assert days_of(duration, outward=False) == inward


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("WEEK 10 (T)", "WEEK-10-T"),
        ("Screening 1", "SCREENING-1"),
        ("BASELINE", "BASELINE"),
        ("  Day -1 ", "DAY-1"),
        ("été", "T"),
        ("()", "X"),
    ],
)
def test_the_code_of_a_visit_comes_from_its_label(label: str, code: str) -> None:
    assert visit_code(label) == code


@settings(max_examples=200)
@given(st.lists(st.from_regex(r"[!-~]{1,8}( [!-~]{1,8}){0,4}", fullmatch=True), min_size=1))
def test_wording_in_paragraphs_reads_back(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert plain_text(marked_up(text)) == text


def test_lists_in_a_wording_become_lines() -> None:
    markup = "<p>Any of</p> <ol><li><p>one &gt; 2</p></li><li>two<br/>three</li></ol>"
    assert plain_text(markup) == "Any of\n- one > 2\n- two\nthree"
