"""Facts of one moment that contradict each other leave a criterion open, until a later one settles
it; where one of them is enough by the criterion's own words, it is enough."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from tests.domain.eligibility.charts import (
    Fact,
    eligible,
    fact,
    history,
    lab,
    outcome,
    person,
    said,
    scored,
    steroid,
    took,
    without,
)

LATER = "2026-11-25"

CONFLICTS: list[tuple[str, str, Fact, Fact, str]] = [
    # criterion, what is said of it twice, once so, once so, what the two leave
    ("I3", "anti-dsdna", lab("anti-dsdna", reads="positive"), lab("anti-dsdna", reads="negative"),
     "passed"),
    ("I4", "creatinine", lab("creatinine", "0.8", "mg/dL"), lab("creatinine", "4.4", "mg/dL"),
     "unknown"),
    ("I6", "sledai-2k", scored("sledai-2k", "arthritis", "rash"), scored("sledai-2k", "rash"),
     "unknown"),
    ("E10", "hbsag", lab("hbsag", reads="negative"), lab("hbsag", reads="positive"), "unknown"),
    ("E10", "anti-hcv", lab("anti-hcv", reads="negative"), lab("anti-hcv", reads="positive"),
     "unknown"),
    ("E10", "hiv", lab("hiv", reads="negative"), lab("hiv", reads="positive"), "unknown"),
    ("E13", "hcg-serum", lab("hcg-serum", reads="negative"), lab("hcg-serum", reads="positive"),
     "unknown"),
    *(
        (criterion, statement, said(statement, True), said(statement, False), "unknown")
        for criterion, statement in (
            ("I8", "able-to-follow-visits"),
            ("E2", "renal-replacement-expected"),
            ("E9", "major-surgery-planned"),
            ("E11", "active-infection"),
            ("E13", "breast-feeding"),
            ("E13", "pregnancy-intended"),
            ("E14", "agrees-contraception"),
            ("E15", "unfit-comorbidity"),
            ("E16", "data-quality-condition"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("criterion", "about", "one", "other", "left"), CONFLICTS)
def test_two_facts_of_one_moment(
    criterion: str, about: str, one: Fact, other: Fact, left: str
) -> None:
    rest = without(about, "ana-titre") if criterion == "I3" else without(about)
    told = outcome(criterion, rest, one, other)
    again = outcome(criterion, rest, other, one)
    assert (told.outcome, again.outcome) == (left, left)
    assert told.explanation == again.explanation


@pytest.mark.parametrize(
    ("criterion", "about"),
    [
        ("E9", "major-surgery-planned"),
        ("E11", "active-infection"),
        ("E14", "agrees-contraception"),
        ("E15", "unfit-comorbidity"),
        ("E16", "data-quality-condition"),
    ],
)
@pytest.mark.parametrize("answer", [True, False])
def test_a_later_answer_settles_it(criterion: str, about: str, answer: bool) -> None:
    both = (*without(about), said(about, True), said(about, False))
    told = outcome(criterion, both, said(about, answer, LATER))
    applies = answer != (criterion == "E14")
    assert told.outcome == ("failed" if applies else "passed")


def test_nothing_conflicts_in_the_eligible_chart() -> None:
    assert {outcome(one, eligible).outcome for one, *_ in CONFLICTS} == {"passed"}


MEDICINE = "medication/P/correction"
ILLNESS = "history/Lung/correction"
DIFFER = "records of one moment differ"


def asthma(until: str | None = None, mg: str = "27.5", **data: str) -> Fact:
    return steroid(mg, "2026-01", until, record="P", indication="asthma", **data)


def lung(since: str, category: str = "cancer", **data: str) -> Fact:
    return history(category, "Lung", started_on=since, **data)


RECORDS: list[tuple[str, Fact, Fact, str, tuple[str, ...]]] = [
    # criterion, what is said of one record twice, what either alone leaves, what settles it
    ("E1", asthma(), asthma("2026-02"), "failed passed", (MEDICINE,)),
    ("E1", asthma("2026-03"), asthma("2026-02"), "passed passed", ()),
    ("E1", asthma(), asthma(mg="20"), "failed failed", ()),
    ("E1", asthma(), asthma("2026-09"), "failed unknown", (MEDICINE, "medication/P/ended_on")),
    ("E3", asthma(), asthma(mg="30"), "failed failed", ()),
    ("E3", asthma(), asthma("2026-02"), "failed passed", (MEDICINE,)),
    ("E3", asthma(mg="20"), asthma(mg="20", route="inhaled"), "passed passed", ()),
    ("E12", lung("2026-12-05"), lung("2026-12-25"), "failed passed", (ILLNESS,)),
    ("E12", lung("2026-12"), lung("2026-12-25"), "unknown passed", (ILLNESS,)),
    ("E12", lung("2026-12-05"), lung("2026-12-06"), "failed failed", ()),
    ("E12", lung("2026-12-05"), lung("2026-12-05", category="other"), "failed passed", (ILLNESS,)),
]  # fmt: skip


@pytest.mark.parametrize(("criterion", "one", "other", "alone", "missing"), RECORDS)
def test_two_records_of_one_moment(
    criterion: str, one: Fact, other: Fact, alone: str, missing: tuple[str, ...]
) -> None:
    told, again = outcome(criterion, eligible, one, other), outcome(criterion, eligible, other, one)
    each = [outcome(criterion, eligible, record).outcome for record in (one, other)]
    assert each == alone.split()
    assert told.outcome == (each[0] if each[0] == each[1] else "unknown")
    assert told.missing == missing
    assert told.near_threshold
    assert DIFFER in told.explanation
    assert (told.outcome, told.missing, told.explanation, told.evidence) == (
        again.outcome,
        again.missing,
        again.explanation,
        again.evidence,
    )
    assert {len(eligible) + 1, len(eligible) + 2} <= set(told.evidence)


@pytest.mark.parametrize(("criterion", "one", "other", "alone", "missing"), RECORDS)
def test_a_retraction_or_a_later_record_settles_it(
    criterion: str, one: Fact, other: Fact, alone: str, missing: tuple[str, ...]
) -> None:
    for at, left in enumerate(alone.split()):
        gone = fact("retracted", LATER, position=len(eligible) + 2 - at)
        later = replace((one, other)[at], at=LATER)
        told = outcome(criterion, eligible, one, other, gone)
        assert (told.outcome, DIFFER in told.explanation) == (left, False)
        assert outcome(criterion, eligible, one, other, later).outcome == left


def test_both_comparisons_are_told() -> None:
    told = outcome("E12", eligible, lung("2026-12-05"), lung("2026-12-25"))
    assert told.explanation == (
        "by one record Lung (Lung) from 2026-12-25: does not count (up to 2026-12-14); "
        "by one record Lung (Lung) from 2026-12-05: counts (up to 2026-12-14). "
        "Lung (Lung): records of one moment differ"
    )
    assert told.notes == ("Lung (Lung): records of one moment differ",)
    assert not outcome("E9", eligible, lung("2026-12-05"), lung("2026-12-25")).notes


def test_one_record_may_be_a_change_of_the_other() -> None:
    """Either dose alone is taken since January; but if one is a change of the other, it was told
    of within twelve weeks of the visit."""
    one, other = (
        took("X", "antimalarial", "2026-01-01", record="X", dose=mg, unit="mg", per="day")
        for mg in ("200", "400")
    )
    assert outcome("E4", eligible, one).outcome == "passed"
    told = outcome("E4", eligible, one, other)
    assert (told.outcome, told.missing) == ("unknown", ("medication/X/correction",))


def test_records_that_name_the_days_of_their_changes_are_one_story() -> None:
    """Told at one visit, in any order: 40 mg until March, 20 mg until October, then 5 mg."""
    first = steroid("40", "2026-01-05", record="P")
    second = steroid("20", "2026-01-05", record="P", changed_on="2026-03-02")
    last = steroid("5", "2026-01-05", record="P", changed_on="2026-10-05")
    for story in permutations((first, second, last)):
        told = outcome("E3", eligible, story)
        assert (told.outcome, told.near_threshold) == ("passed", False)
    moved = replace(last, data={**last.data, "started_on": "2026-01-06"})
    assert outcome("E3", eligible, first, second, moved).near_threshold


def test_the_record_of_a_month_may_be_later_than_that_of_a_day_in_it() -> None:
    told = outcome(
        "E12", eligible, lung("2026-12-05", at="2026-11"), lung("2026-12-25", at="2026-11-23")
    )
    assert (told.outcome, told.missing) == ("unknown", (ILLNESS,))


def test_what_too_many_records_say_is_not_guessed() -> None:
    many = [asthma(mg=str(mg)) for mg in range(1, 6)]
    told = outcome("E3", eligible, many)
    assert (told.outcome, told.missing) == ("unknown", (MEDICINE,))
    assert outcome("E3", eligible, many[:4]).outcome == "passed"


def test_only_the_records_on_which_it_turns_are_asked_for() -> None:
    """The asthma record decides by itself; the other differs only in what is allowed either way."""
    little = [
        steroid(mg, "2026-01", "2026-02", record="Q", indication="asthma") for mg in ("1", "2")
    ]
    told = outcome("E1", eligible, little, asthma(), asthma("2026-02"))
    assert (told.outcome, told.missing) == ("unknown", (MEDICINE,))


@pytest.mark.parametrize(
    ("one", "other", "criterion", "left", "missing"),
    [
        (person(sex="female", bearing=True), person(sex="male"), "E13", "unknown", ("sex",)),
        (person(bearing=True), person(bearing=False), "E13", "unknown",
         ("childbearing-potential",)),
        (person(sex="female"), person(sex="male"), "I4", "unknown", ("egfr",)),
        (person(sex="female", bearing=True), person(sex="intersex", bearing=True), "E13", "failed",
         ()),
    ],
)  # fmt: skip
def test_two_records_of_the_person_that_differ(
    one: Fact, other: Fact, criterion: str, left: str, missing: tuple[str, ...]
) -> None:
    """At 41 years a creatinine of 2.3 mg/dL is an eGFR below 30 for women, above it for men."""
    rest = without("demographics-recorded", "creatinine", "hcg-serum")
    tests = (lab("creatinine", "2.3", "mg/dL"), lab("hcg-serum", reads="positive"))
    if missing == ("childbearing-potential",):
        rest = (*rest, said("pregnancy-intended", False))
    for pair in ((one, other), (other, one)):
        told = outcome(criterion, rest, tests, pair)
        assert (told.outcome, told.missing) == (left, missing)
        settled = outcome(criterion, rest, tests, pair, replace(one, at=LATER))
        assert settled.outcome == "failed"
