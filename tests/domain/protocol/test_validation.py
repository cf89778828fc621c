"""Each way to break the built-in protocol is named, with its place."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.kernel import Problem
from domain.trial.protocol import Protocol
from domain.trial.reading import plain, read
from domain.trial.validation import RULES
from tests.domain.protocol.documents import GONE, changed, lk

I2, I3, I4, I6, E1, E3, E5, E9 = (f"/criteria/{n}/rule" for n in (1, 2, 3, 5, 8, 10, 12, 16))
SOON = {"anchor": "screening", "back": "P0D", "until": "before-day-0"}
EMPTY = {"anchor": "screening", "back": "P0D", "until": "day-before"}
DAY_0 = {"anchor": "day-0", "back": "P1D"}
WEIGHT = {"rule": "value", "code": "weight", "unit": "kg", "at_least": "40", "within": SOON}
LATER = {"code": "V12", "name": "Day 200", "day": 200}

# The visits by index: 0 V0, 1 V1, 2 V2 ... 11 V11, 12 ET, 13 UNS.
# place of the edit, value there, place of the problem, rule
BREAKS: list[tuple[str, Any, str, str]] = [
    ("/visits/1/procedures/0", "sf-63", "/visits/1/procedures/0", "unknown-procedure"),
    ("/visits/1/procedures/-", "sf-36", "/visits/1/procedures/23", "duplicate-code"),
    ("/visits/3/code", "V2", "/visits/3/code", "duplicate-code"),
    ("/visits/4/after", 4, "/visits/5", "overlapping-windows"),
    ("/visits/5/day", 9, "/visits/5", "overlapping-windows"),
    ("/visits/5/day", 7, "/visits/5/day", "visits-out-of-order"),
    ("/visits/6/day", GONE, "/visits/6/day", "visit-without-day"),
    ("/visits/12/day", 5, "/visits/12/day", "unplanned-visit-with-day"),
    ("/visits/1/day", 1, "/visits/1/day", "not-day-0"),
    ("/visits/1/after", 1, "/visits/1/day", "not-day-0"),
    ("/visits/2/kind", "dosing", "/visits/2/kind", "several-dosing-visits"),
    ("/visits/7/kind", "end", "/visits/11/kind", "several-end-visits"),
    ("/visits/11/kind", "follow-up", "", ""),
    ("/visits/12", LATER, "/visits/11/kind", "end-visit-not-last"),
    ("/visits/1/kind", "follow-up", "/visits/2/anchor", "no-dosing-visit"),
    ("/visits/6/after_previous", 21, "/visits/6/after_previous", "impossible-window"),
    ("/visits/6/after_previous", 20, "", ""),
    ("/visits/0/after_previous", 1, "/visits/0/after_previous", "no-previous-visit"),
    ("/visits/6/repeat", {"every": 10, "times": 2}, "", ""),
    ("/visits/6/repeat", {"every": 6, "times": 2}, "/visits/6", "overlapping-windows"),
    ("/visits/7/repeat", {"every": 28, "times": 2}, "/visits/8/day", "visits-out-of-order"),
    ("/visits/7/repeat", {"every": 28, "times": 1}, "/visits/7/repeat/times", "greater-than-equal"),
    ("/visits/11/repeat", {"every": 28, "times": 2}, "/visits/11/repeat", "cannot-repeat"),
    (
        "/procedures/hepatitis-pcr/after_results/0/code",
        "hbsac",
        "/procedures/hepatitis-pcr/after_results/0/code",
        "unknown-observation",
    ),
    ("/visits/9/windowed", False, "/visits/9/windowed", "impossible-window"),
    ("/visits/9/before", -1, "/visits/9/before", "greater-than-equal"),
    ("/visits/9/kind", "follow up", "/visits/9/kind", "literal-error"),
    ("/visits/9/colour", "red", "/visits/9/colour", "extra-forbidden"),
    ("/dose/visit", "V99", "/dose/visit", "unknown-visit"),
    ("/dose/visit", "V2", "/dose/visit", "not-a-dosing-visit"),
    ("/dose/unit", GONE, "/dose/amount", "dose-amount-without-unit"),
    ("/dose/amount", "0", "/dose/amount", "greater-than"),
    ("/clocks/0/hours", GONE, "/clocks/0", "clock-without-limit"),
    ("/clocks/0/days", 1, "/clocks/0", "clock-with-two-limits"),
    ("/clocks/1/days", 0, "/clocks/1/days", "greater-than-equal"),
    ("/clocks/2/clock", "sponsor-7-day", "/clocks/2/clock", "duplicate-code"),
    ("/clocks/2/timezone", "Europe/Atlantis", "/clocks/2/timezone", "unknown-time-zone"),
    ("/clocks/2/starts", "report", "/clocks/2/after", "clock-after-itself"),
    ("/clocks/2/after", "sponsor-7-day", "/clocks/2/after", "clock-after-itself"),
    ("/criteria/3/id", "I3", "/criteria/3/id", "duplicate-code"),
    ("/criteria/3/source", "hearsay", "/criteria/3/source", "unknown-source"),
    ("/criteria/3/text", "", "/criteria/3/text", "string-too-short"),
    (
        "/settings/sponsor_timezone",
        "Mars/Olympus",
        "/settings/sponsor_timezone",
        "unknown-time-zone",
    ),
    ("/dictionary/weight/unit", GONE, "/dictionary/weight", "quantity-without-unit"),
    ("/dictionary/weight/units/0/unit", "kg", "/dictionary/weight/units/0/unit", "duplicate-unit"),
    ("/dictionary/weight/units/0/factor", "0", "/dictionary/weight/units/0/factor", "greater-than"),
    ("/dictionary/weight/plausible/low", "301", "/dictionary/weight/plausible", "impossible-range"),
    ("/dictionary/weight/loinc", "29463", "/dictionary/weight/loinc", "string-pattern-mismatch"),
    (
        "/dictionary/slicc-2012/groups/clinical/0",
        "rash",
        "/dictionary/slicc-2012/groups/clinical/0",
        "unknown-item",
    ),
    ("/dictionary/sledai-2k/items", {}, "/dictionary/sledai-2k", "no-items"),
    # criteria by index: 1 I2 (items), 2 I3 (titre), 3 I4 (eGFR), 4 I5, 5 I6 (score), 8 E1, 10 E3
    (f"{I3}/of/1/code", "anti-dsDNS", f"{I3}/of/1/code", "unknown-observation"),
    (f"{I3}/of/0/code", "anti-dsdna", f"{I3}/of/0/code", "wrong-kind"),
    (f"{I3}/of/1/code", "sledai-2k", f"{I3}/of/1/code", "wrong-kind"),
    (f"{I3}/of/0/at_least", "1:0", f"{I3}/of/0/at_least", "string-pattern-mismatch"),
    (f"{I3}/of/0/within/anchor", "baseline", f"{I3}/of/0/within/anchor", "literal-error"),
    (f"{I3}/of/0/within/back", "6 months", f"{I3}/of/0/within/back", "string-pattern-mismatch"),
    (f"{I3}/of/0/within", EMPTY, f"{I3}/of/0/within", "window-is-empty"),
    (f"{I3}/of/0/within/anchor", "lifetime", f"{I3}/of/0/within", "window-of-a-lifetime"),
    (f"{E1}/within/back", GONE, f"{E1}/within", "window-without-start"),
    (f"{E3}/within", {"anchor": "lifetime"}, f"{E3}/within", "window-without-start"),
    (f"{I3}/of/0/rule", "titer", f"{I3}/of/0", "union-tag-invalid"),
    (f"{I3}/of", [], f"{I3}/of", "too-short"),
    (f"{I4}/at_least", GONE, f"{I4}", "no-limit"),
    (f"{I4}/less_than", "30", f"{I4}", "impossible-limits"),
    (f"{I4}/at_most", "29", f"{I4}", "impossible-limits"),
    (f"{I4}/at_most", "30", "", ""),
    (f"{I4}/creatinine", "kreatinin", f"{I4}/creatinine", "unknown-observation"),
    (f"{I4}/creatinine", "platelets", f"{I4}/creatinine", "unit-not-convertible"),
    (I4, {"rule": "egfr", "at_least": "30", "within": SOON}, I4, "no-observation"),
    (I4, {**WEIGHT, "unit": "stone"}, f"{I4}/unit", "unit-not-convertible"),
    (I4, {**WEIGHT, "unit": "g"}, f"{I4}/at_least", "outside-range"),
    (I4, {**WEIGHT, "unit": "g", "at_least": "40000"}, "", ""),
    (I4, {**WEIGHT, "within": DAY_0}, "", ""),
    (
        I4,
        {"rule": "one-of", "code": "weight", "values": ["x"], "within": SOON},
        f"{I4}/code",
        "wrong-kind",
    ),
    (I4, {"rule": "age"}, I4, "no-limit"),
    (I4, {"rule": "age", "at_least": 76, "at_most": 75}, I4, "impossible-limits"),
    (I4, {"rule": "at-least", "count": 2, "of": [WEIGHT]}, f"{I4}/count", "cannot-be-counted"),
    (
        I4,
        {"rule": "not", "of": {**WEIGHT, "code": "wight"}},
        f"{I4}/of/code",
        "unknown-observation",
    ),
    (
        I4,
        {"rule": "decided", "yes": WEIGHT, "no": {**WEIGHT, "code": "wight"}},
        f"{I4}/no/code",
        "unknown-observation",
    ),
    (I4, {"rule": "attested", "statement": "well"}, f"{I4}/statement", "unknown-statement"),
    (f"{I2}/of/of/0/at_least", 12, f"{I2}/of/of/0/at_least", "cannot-be-counted"),
    (f"{I2}/of/of/1/groups/skin", 1, f"{I2}/of/of/1/groups/skin", "unknown-group"),
    (f"{I2}/of/of/1/groups/clinical", 12, f"{I2}/of/of/1/groups/clinical", "cannot-be-counted"),
    (
        f"{I2}/of/of/1/only_without/direct-coombs",
        "anaemia",
        f"{I2}/of/of/1/only_without/direct-coombs",
        "unknown-item",
    ),
    (
        f"{I2}/when/of/0/complete_when",
        "said-so",
        f"{I2}/when/of/0/complete_when",
        "unknown-statement",
    ),
    (f"{I6}/at_least", "106", f"{I6}/at_least", "outside-range"),
    (f"{I6}/at_least", "105", "", ""),
    (f"{I6}/code", "acr-1997", "", ""),
    (f"{E1}/routes/-", "topical", f"{E1}/local_routes", "contradictory-routes"),
    (f"{E1}/not_classes", ["corticosteroid"], f"{E1}/not_classes", "contradictory-classes"),
    (f"{E1}/complete_when", "said-so", f"{E1}/complete_when", "unknown-statement"),
    (f"{E3}/weight", "height", f"{E3}/weight", "unit-not-convertible"),
    ("/steroids", [], E3, "no-steroid-table"),
    ("/visits/1/kind", "follow-up", f"{E5}/of/anchor", "no-day-0"),
    ("/visits/1/kind", "follow-up", f"{E9}/of/0/within/anchor", "no-day-0"),
    ("/steroids/1/name", "cortisone", "/steroids/1/name", "duplicate-code"),
    ("/toxicity/boundary/theta", "1", "/toxicity/boundary/theta", "less-than"),
    ("/study", GONE, "/study", "required"),
    ("/title", 7, "/title", "string-type"),
]
IDS = [f"{place} = {value if value is not GONE else 'gone'}" for place, value, _, _ in BREAKS]


def found(document: Any) -> list[Problem]:
    whole = read(document)
    return [] if isinstance(whole, Protocol) else whole


@pytest.mark.parametrize(("place", "value", "pointer", "rule"), BREAKS, ids=IDS)
def test_a_break_is_named_with_its_place(place: str, value: Any, pointer: str, rule: str) -> None:
    named = [(one.pointer, one.rule) for one in found(changed(lk(), {place: value}))]
    assert ((pointer, rule) in named) if rule else named == []


def test_an_assumption_for_a_place_that_does_not_exist_is_named() -> None:
    document = lk()
    document["assumptions"]["/visits/V99/day"] = "because"
    assert found(document) == [Problem("/assumptions/~1visits~1V99~1day", "dangling-assumption")]


def part_of(place: str) -> tuple[str, ...]:
    """What two breaks must not share, lest one hides or undoes the other."""
    head, *rest = place.split("/")[1:]
    if head in ("visits", "dose"):
        return ("schedule",)
    if head in ("criteria", "dictionary", "steroids"):
        return ("words",)
    return (head,) if head == "clocks" else (head, *rest[:1])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(BREAKS), unique_by=lambda row: part_of(row[0]), max_size=10))
def test_several_breaks_are_all_named_at_once(rows: list[tuple[str, Any, str, str]]) -> None:
    edits = {place: value for place, value, _, _ in rows}
    named = {(one.pointer, one.rule) for one in found(changed(lk(), edits))}
    expected = {(pointer, rule) for _, _, pointer, rule in rows if rule}
    assert named >= expected
    assert bool(named) == bool(expected)


def test_every_rule_is_explained_and_every_explanation_is_of_a_rule_that_is_tested() -> None:
    elsewhere = {
        "another-study-than-addressed",
        "another-version-than-addressed",
        "dangling-assumption",
    }
    assert set(RULES) - elsewhere <= {rule for _, _, _, rule in BREAKS}


def test_a_part_of_the_wrong_shape_does_not_hide_what_is_wrong_elsewhere() -> None:
    document = changed(
        lk(),
        {
            "/visits/2/day": "one",
            "/visits/6/procedures/0": "sf-63",
            "/dictionary/weight/kind": "heavy",
            "/clocks/0/hours": GONE,
        },
    )
    assert [(one.pointer, one.rule) for one in found(document)] == [
        ("/clocks/0", "clock-without-limit"),
        ("/dictionary/weight/kind", "literal-error"),
        ("/visits/2/day", "int-type"),
        ("/visits/6/procedures/0", "unknown-procedure"),
    ]


def test_what_a_broken_part_would_define_is_not_missed_elsewhere() -> None:
    document = changed(lk(), {"/procedures/sf-36/name": 7, "/visits/1/before": "x"})
    assert {one.pointer for one in found(document)} == {
        "/procedures/sf-36/name",
        "/visits/1/before",
    }


@pytest.mark.parametrize("document", [None, [], "text", 7, {"visits": 3}])
def test_what_is_no_protocol_at_all_is_said_to_be_none(document: Any) -> None:
    assert found(document)


def test_reading_is_undone_by_writing() -> None:
    whole = read(lk())
    assert isinstance(whole, Protocol)
    assert plain(whole) == lk()


def test_the_address_must_agree_with_the_document() -> None:
    assert read(lk(), study="OTHER", version="2.1") == [
        Problem("/study", "another-study-than-addressed"),
        Problem("/version", "another-version-than-addressed"),
    ]
    short = {"title": "T"}
    whole = read(short, study="S", version="1")
    assert isinstance(whole, Protocol)
    assert (whole.study, whole.version) == ("S", "1")
