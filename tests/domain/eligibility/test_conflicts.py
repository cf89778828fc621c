"""Facts of one moment that contradict each other leave a criterion open, until a later one settles
it; where one of them is enough by the criterion's own words, it is enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.domain.eligibility.charts import (
    Fact,
    eligible,
    history,
    lab,
    outcome,
    said,
    scored,
    steroid,
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


def test_two_records_of_one_medicine_that_differ_are_shown_to_a_person() -> None:
    one = steroid("27.5", "2026-01", record="P", indication="asthma")
    other = steroid("27.5", "2026-01", "2026-02", record="P", indication="asthma")
    told, again = outcome("E1", eligible, one, other), outcome("E1", eligible, other, one)
    assert told.outcome == again.outcome
    assert told.near_threshold
    assert told.notes == ("prednisone (P): two records of one moment differ",)
    assert not outcome("E1", eligible, one, one).near_threshold
    assert not outcome("E1", eligible, one, replace(other, at=LATER)).near_threshold
    assert not outcome("E4", eligible, one, one).notes


def test_two_records_of_one_illness_that_differ_are_shown_to_a_person() -> None:
    one = history("cancer", "Lung", started_on="2026-12-05")
    other = history("cancer", "Lung", started_on="2026-12-25")
    told, again = outcome("E12", eligible, one, other), outcome("E12", eligible, other, one)
    assert told.outcome == again.outcome
    assert told.near_threshold
    assert told.notes == ("Lung (Lung): two records of one moment differ",)
    assert not outcome("E12", eligible, one, one).near_threshold
    assert not outcome("E12", eligible, one, replace(other, at=LATER)).near_threshold
    assert not outcome("E9", eligible, one, other).notes
