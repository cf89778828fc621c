"""E3: prednisone equivalents a day and kg of body weight, exactly, on the highest day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from domain.clinical.interval import UNKNOWN
from tests.domain.eligibility.charts import (
    Fact,
    booked,
    lab,
    medicines_taken,
    outcome,
    screened,
    steroid,
)
from tests.domain.eligibility.small import says
from tests.domain.tables import table, words
from tests.specs import lk_23_01

WEIGHT = lab("weight", "60", "kg")


def _e3(*facts: Fact) -> Any:
    return outcome("E3", screened(), booked(), *facts, medicines_taken)


@table(
    """
    name               | mg    | says    | why
    prednisone         | 30    | passed  | half a milligram exactly
    prednisone         | 30.1  | failed  | a tenth more
    prednisone         | 29.9  | passed  | a tenth less
    methylprednisolone | 24    | passed  | thirty by its equivalent
    methylprednisolone | 24.01 | failed  | a hundredth more of it
    dexamethasone      | 4.5   | passed  | thirty without rounding
    dexamethasone      | 4.501 | failed  | a thousandth more of it
    betamethasone      | 3.6   | passed  | thirty by the smallest divisor
    betamethasone      | 3.7   | failed  | more of it
    hydrocortisone     | 120   | passed  | thirty of hydrocortisone
    hydrocortisone     | 121   | failed  | more of hydrocortisone
    deflazacort        | 36    | passed  | thirty of deflazacort
    cortisone          | 150   | passed  | thirty of cortisone
    budesonide         | 3     | unknown | not in the table
    budesonide         | 0     | passed  | nothing of it
    """
)
def test_e3_equivalents(name: str, mg: str, says: str) -> None:
    assert _e3(WEIGHT, steroid(mg, "2026-01-01", name=name)).outcome == says


@table(
    """
    weight | unit    | mg | says    | why
    60     | kg      | 30 | passed  | in kilograms
    59.9   | kg      | 30 | failed  | a little lighter
    60000  | g       | 30 | passed  | in grams
    59999  | g       | 30 | failed  | a gram lighter
    132.3  | [lb_av] | 30 | passed  | in pounds
    132.2  | [lb_av] | 30 | failed  | a little lighter in pounds
    <60    | kg      | 30 | failed  | censored just below
    >80    | kg      | 30 | passed  | censored above
           |         | 30 | unknown | no weight
           |         | 0  | passed  | no weight and no dose
    """
)
def test_e3_weights(weight: str | None, unit: str | None, mg: str, says: str) -> None:
    facts = [lab("weight", weight, unit)] if weight else []
    assert _e3(*facts, steroid(mg, "2026-01-01")).outcome == says


@table(
    """
    since      | until      | says    | why
    2026-10-26 | 2026-10-26 | failed  | the first day of the window
    2026-10-25 | 2026-10-25 | passed  | the day before the window
    2026-11-22 | 2026-11-22 | failed  | the last day of the window
    2026-11-23 | 2026-11-23 | passed  | at the visit
    2026-10-25 | 2026-10-26 | failed  | reaching into it
    2026-10    | 2026-10-20 | passed  | over before
    2026-10    | 2026-10-31 | failed  | a month that began before but ended inside
    2026-11    | 2026-11    | unknown | some days of the month
    2026-09    | 2026-12    | failed  | through the whole window
    """
)
def test_e3_a_pulse_in_the_window(since: str, until: str, says: str) -> None:
    pulse = steroid("500", since, until, name="methylprednisolone", route="intravenous")
    assert _e3(WEIGHT, pulse).outcome == says


@table(
    """
    per       | unit   | mg | says    | why
    day       | mg     | 30 | passed  | once a day
    12.h      | mg     | 15 | passed  | twice a day
    12.h      | mg     | 16 | failed  | twice a day and more
    2.d       | mg     | 30 | passed  | every other day
    2.d       | mg     | 60 | failed  | every other day twice as much
    week      | mg     | 40 | failed  | once a week in one go
              | mg/d   | 30 | passed  | the rate in the unit
              | mg     | 30 | unknown | no frequency
    as needed | mg     | 30 | unknown | when needed
    day       | tablet | 6  | unknown | tablets
    day       | g      | 1  | failed  | grams
    """
)
def test_e3_how_doses_are_written(per: str | None, unit: str, mg: str, says: str) -> None:
    assert _e3(WEIGHT, steroid(mg, "2026-01-01", unit=unit, per=per)).outcome == says


@table(
    """
    route           | says    | noted | why
    oral            | failed  |       | by mouth
    iv              | failed  |       | into a vein
    topical         | passed  | yes   | on the skin
    inhaled         | passed  | yes   | inhaled
    intra-articular | passed  | yes   | into a joint
    intramuscular   | unknown |       | a depot is judged by a person
                    | unknown |       | route not told
    """
)
def test_e3_routes(route: str | None, says: str, noted: str | None) -> None:
    told = _e3(WEIGHT, steroid("40", "2026-01-01", route=route))
    assert (told.outcome, bool(told.notes), told.near_threshold) == (says, bool(noted), bool(noted))


@table(
    """
    courses                                          | says    | why
    2026-01-01:20 2026-01-01:10                      | passed  | two at once that make thirty
    2026-01-01:20 2026-01-01:10.1                    | failed  | two at once that make more
    2026-10-01/2026-11-01:20 2026-11-02/2026-11-22:20 | passed | one after the other
    2026-10-01/2026-11-01:20 2026-11-01/2026-11-22:20 | failed | one day of both
    2026-10-01/2026-11:20 2026-11-15:20              | unknown | perhaps a day of both
    2026-01-01:0.1 2026-01-01:0.2 2026-01-01:29.7    | passed  | tenths add up exactly
    2026-01-01:0.1 2026-01-01:0.2 2026-01-01:29.8    | failed  | tenths add up to more
    """
)
def test_e3_sums(courses: str, says: str) -> None:
    facts = []
    for index, course in enumerate(words(courses)):
        dates, _, mg = course.partition(":")
        since, _, until = dates.partition("/")
        facts.append(steroid(mg, since, until or None, record=f"P{index}"))
    assert _e3(WEIGHT, *facts).outcome == says


@table(
    """
    before | after | changed    | says    | why
    40     | 20    | 2026-10-26 | passed  | reduced on the first day of the window
    40     | 20    | 2026-10-27 | failed  | reduced a day later
    20     | 40    | 2026-11-22 | failed  | raised on its last day
    20     | 40    | 2026-11-23 | passed  | raised at the visit
    40     | 20    | 2026-10    | unknown | reduced some day of the month
    20     | 10    | 2026-10    | passed  | little before and after
    40     | 35    | 2026-10    | failed  | much before and after
    """
)
def test_e3_tapering(before: str, after: str, changed: str, says: str) -> None:
    first = steroid(before, "2026-01-01", at="2026-01-10")
    again = steroid(after, "2026-01-01", at="2026-11-23", changed_on=changed)
    assert _e3(WEIGHT, first, again).outcome == says


def test_e3_the_dose_before_the_only_change_we_know_of_is_open() -> None:
    known = steroid("10", "2020-01-01", changed_on="2026-11-01")
    told = _e3(WEIGHT, known)
    assert (told.outcome, told.missing) == ("unknown", ("medication/prednisone/dose",))
    assert _e3(WEIGHT, steroid("10", "2020-01-01", changed_on="2026-10-26")).outcome == "passed"


def test_e3_the_last_weight_of_screening_counts() -> None:
    heavier = lab("weight", "60.3", "kg", on="2026-11-30")
    facts = (lab("weight", "59", "kg"), heavier, steroid("30.1", "2026-01-01"))
    told = _e3(*facts)
    assert (told.outcome, told.evidence) == ("passed", (1, 4, 5, 6))


def test_e3_a_known_excess_needs_no_complete_history() -> None:
    told = outcome("E3", screened(), WEIGHT, steroid("60", "2026-01-01"))
    assert (told.outcome, told.evidence) == ("failed", (1, 2, 3))


def test_e3_the_mean_is_asked_for_where_the_protocol_says_so() -> None:
    protocol = lk_23_01()
    e3 = next(one for one in protocol.criteria if one.id == "E3")
    rule = e3.rule.model_copy(update={"aggregate": "mean"})  # type: ignore[union-attr]
    criteria = (e3.model_copy(update={"rule": rule}),)
    fields = {name: getattr(protocol, name) for name in type(protocol).model_fields}
    mean = type(protocol).model_validate({**fields, "criteria": criteria, "assumptions": {}})
    pulse = steroid("840", "2026-11-01", "2026-11-01")
    facts = (screened(), WEIGHT, pulse, medicines_taken)
    assert outcome("E3", *facts, protocol=mean).outcome == "passed"
    more = steroid("841", "2026-11-01", "2026-11-01")
    assert outcome("E3", screened(), WEIGHT, more, medicines_taken, protocol=mean).outcome == (
        "failed"
    )


def test_a_window_up_to_day_0_waits_until_it_is_planned() -> None:
    rule = {
        "rule": "medication-days",
        "classes": ["corticosteroid"],
        "more_than_days": 14,
        "within": {"anchor": "screening", "back": "P4W", "until": "before-day-0"},
    }
    waiting = says(rule, screened(), medicines_taken, steroid("5", "2026-11-20"))
    assert (waiting.truth, waiting.for_true) == (UNKNOWN, ("planned-day-0",))
    assert says(rule, screened(), booked(), medicines_taken, steroid("5", "2026-11-20")).truth


def test_the_day_of_a_change_and_the_weight_are_asked_for_where_they_decide() -> None:
    before = steroid("40", "2026-01-05", record="P", at="2026-11-20")
    after = steroid("5", "2026-01-05", record="P", at="2026-11-22", changed_on="2026-11")
    month = replace(after, data={**after.data, "changed_on": "2026-10"})
    assert _e3(WEIGHT, before, after).outcome == "failed"
    assert _e3(WEIGHT, before, month).missing == ("medication/P/changed_on",)
    two = _e3(lab("weight", "50", "kg"), lab("weight", "100", "kg"), before)
    assert (two.outcome, two.missing) == ("unknown", ("weight",))
