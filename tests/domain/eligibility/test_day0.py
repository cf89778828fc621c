"""The check before the dose: what must be fresh, and what moves with the day."""

from __future__ import annotations

from datetime import date
from typing import Any

from domain.eligibility.day0 import recheck, rechecked
from domain.participant import Participant
from domain.trial.study import Trial
from tests.domain.eligibility.charts import (
    DAY_0,
    Fact,
    chart,
    eligible,
    history,
    lab,
    person,
    said,
    took,
    without,
)
from tests.domain.tables import table, words
from tests.specs import Study, lk_23_01

FRESH = ("major-surgery-planned", "active-infection", "breast-feeding", "pregnancy-intended")
"""Statements that are asked again, the day before the dose at the earliest."""


def _trial() -> Trial:
    return Study(lk_23_01()).trial


def _recheck(*facts: Fact, day: str = DAY_0, base: tuple[Fact, ...] = eligible) -> Any:
    return recheck(_trial(), _chart(*facts, base=base), date.fromisoformat(day))


def _chart(*facts: Fact, base: tuple[Fact, ...] = eligible) -> Participant:
    return chart(base, facts)


def fresh(at: str = DAY_0, but: str = "") -> tuple[Fact, ...]:
    """What is asked and tested again for the dose, all well."""
    tested = lab("hcg-urine", reads="negative", on=at)
    return (*(said(one, False, at) for one in FRESH if one != but), tested)


def test_which_criteria_are_checked_again() -> None:
    told = rechecked(_trial(), chart(eligible), date.fromisoformat(DAY_0))
    assert [one.criterion for one in told] == ["E5", "E6", "E7", "E9", "E11", "E13"]


def test_screening_answers_are_too_old_for_the_dose() -> None:
    blocked = _recheck()
    assert blocked.rule == "verdict"
    assert blocked.detail == (
        "not known on the day of the dose: E9, E11, E13 (missing: major-surgery-planned, "
        "active-infection, hcg-urine, breast-feeding, pregnancy-intended)"
    )


def test_fresh_answers_release_the_dose() -> None:
    assert _recheck(*fresh()) is None


@table(
    """
    answered   | tested     | open    | why
    2026-12-14 | 2026-12-14 |         | all on the day
    2026-12-13 | 2026-12-14 |         | answers the day before
    2026-12-12 | 2026-12-14 | E9 E11 E13 | answers two days before
    2026-12-14 | 2026-12-13 | E13     | the test the day before
    2026-12-15 | 2026-12-14 | E9 E11 E13 | answers the day after
    2026-12-14T07:00:00-05:00 | 2026-12-14T07:30:00-05:00 | | hours before
    2026-12-14T04:30:00Z      | 2026-12-14T12:00:00Z      | | the evening before at the site
    2026-12    | 2026-12-14 | E9 E11 E13 | answers of some day
    """
)
def test_how_fresh(answered: str, tested: str, open: str | None) -> None:  # noqa: A002 - a column
    answers = [said(one, False, answered) for one in FRESH]
    blocked = _recheck(*answers, lab("hcg-serum", reads="negative", on=tested))
    told = words(open)
    assert (blocked is None) is not bool(told)
    if blocked is not None:
        assert blocked.detail.startswith(f"not known on the day of the dose: {', '.join(told)} (")


@table(
    """
    answer                | failing | why
    major-surgery-planned | E9      | surgery is planned by now
    active-infection      | E11     | an infection
    breast-feeding        | E13     | breast-feeding
    pregnancy-intended    | E13     | wants to become pregnant
    """
)
def test_a_fresh_yes_blocks(answer: str, failing: str) -> None:
    blocked = _recheck(*fresh(but=answer), said(answer, True, DAY_0))
    assert blocked.detail == f"not met on the day of the dose: {failing}"
    assert blocked.evidence[-1] == len(eligible) + len(fresh(but=answer)) + 1


def test_a_positive_test_blocks_whatever_is_unknown() -> None:
    blocked = _recheck(lab("hcg-urine", reads="positive", on=DAY_0))
    assert blocked.detail == "not met on the day of the dose: E13"


@table(
    """
    day        | blocks | why
    2026-12-14 | yes    | eighty-nine days after the infusion
    2026-12-15 |        | ninety days after it
    """
)
def test_washouts_count_to_the_day_of_the_dose(day: str, blocks: str | None) -> None:
    infusion = took("X1", "biologic", "2026-09-16", "2026-09-16", half_life_days="4")
    blocked = _recheck(*fresh(day), infusion, day=day)
    assert (blocked is not None) is bool(blocks)
    assert blocked is None or blocked.detail.endswith(": E6")


def test_surgery_since_screening_blocks() -> None:
    surgery = history("major-surgery", "Hip", at="2026-12-05", started_on="2026-12-05")
    assert _recheck(*fresh(), surgery).detail.endswith(": E9")


def test_men_are_not_tested() -> None:
    base = (*without("demographics-recorded", "hcg-serum"), person(sex="male"))
    answers = [said(one, False, DAY_0) for one in FRESH[:2]]
    assert _recheck(*answers, base=base) is None
