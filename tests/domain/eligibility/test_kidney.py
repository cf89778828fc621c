"""I4: the eGFR, computed or reported, unrounded, and flagged where rounding would matter."""

from __future__ import annotations

from tests.domain.eligibility.charts import Fact, booked, lab, outcome, person, screened
from tests.domain.tables import table, words


@table(
    """
    born | sex    | creatinine | says    | near | why
    1992 | female | 2.1        | passed  |      | just above thirty
    1992 | female | 2.19       | failed  | yes  | thirty when it is rounded
    1992 | female | 2.16       | passed  | yes  | thirty when rounded the other way
    1966 | male   | 2.4        | passed  | yes  | a man just above
    1966 | male   | 2.5        | failed  |      | a man just below
    1966 | male   | 0.9        | passed  |      | a healthy kidney
    1992 | female | 9          | failed  |      | kidney failure
    1992 | female | <0.2       | passed  |      | censored below
    1992 | female | >2.0       | unknown |      | censored above
    1992 | female | >3.0       | failed  |      | censored above the limit
    """
)
def test_i4_from_creatinine(
    born: str, sex: str, creatinine: str, says: str, near: str | None
) -> None:
    facts = (screened(), person(f"{born}-01-15", sex), lab("creatinine", creatinine, "mg/dL"))
    told = outcome("I4", *facts)
    assert (told.outcome, told.near_threshold) == (says, bool(near))


@table(
    """
    egfr  | says    | near | why
    30    | passed  | yes  | the limit itself
    29.99 | failed  | yes  | just below
    29.5  | failed  | yes  | at the edge of being flagged
    29.49 | failed  |      | not flagged any more
    30.49 | passed  | yes  | flagged still
    30.5  | passed  |      | not flagged
    60    | passed  |      | well above
    >60   | passed  |      | censored above
    <15   | failed  |      | censored below
    >20   | unknown |      | censored around
    """
)
def test_i4_as_reported(egfr: str, says: str, near: str | None) -> None:
    told = outcome("I4", screened(), lab("egfr", egfr, "mL/min/{1.73_m2}"))
    assert (told.outcome, told.near_threshold) == (says, bool(near))


@table(
    """
    facts          | says    | missing          | why
                   | unknown | egfr             | nothing: the reported value alone settles it
    person         | unknown | creatinine       | with age and sex a creatinine is as short
    low            | passed  |                  | low enough for anybody
    high           | failed  |                  | too high for anybody
    middle         | unknown | egfr             | depends on age and sex
    middle person  | passed  |                  | age and sex known
    middle sexless | unknown | egfr             | depends on sex
    some ageless   | unknown | egfr             | depends on age
    low sexless    | passed  |                  | whatever the sex
    """
)
def test_i4_partial(facts: str | None, says: str, missing: str | None) -> None:
    known: dict[str, Fact] = {
        "person": person("1992-01-15", "male"),
        "sexless": person("1992-01-15", "unknown"),
        "ageless": person("1992-01-15", "female", screening="2020-01-01"),
        "low": lab("creatinine", "0.9", "mg/dL"),
        "some": lab("creatinine", "2.0", "mg/dL"),
        "middle": lab("creatinine", "2.4", "mg/dL"),
        "high": lab("creatinine", "5.5", "mg/dL"),
    }
    told = outcome("I4", screened(), *(known[one] for one in words(facts)))
    assert (told.outcome, told.missing) == (says, tuple(words(missing)))


@table(
    """
    drawn      | says    | why
    2026-11-22 | unknown | the day before the visit
    2026-11-23 | passed  | at the visit
    2026-12-13 | passed  | the day before day 0
    2026-12-14 | unknown | on day 0
    2026-11    | unknown | some day of the month
    2026-12-01 | passed  | within screening
    """
)
def test_i4_in_the_screening_period(drawn: str, says: str) -> None:
    facts = (screened(), booked(), lab("egfr", "77", "mL/min/{1.73_m2}", on=drawn))
    assert outcome("I4", *facts).outcome == says


def test_i4_the_last_value_counts_whatever_its_source() -> None:
    low = lab("egfr", "25", "mL/min/{1.73_m2}", on="2026-11-24")
    better = lab("creatinine", "0.8", "mg/dL", on="2026-11-27")
    facts = (screened(), person(), better, low)
    told = outcome("I4", *facts)
    assert (told.outcome, told.evidence) == ("passed", (1, 2, 3))


def test_i4_two_values_of_one_moment_that_conflict_leave_it_open() -> None:
    facts = (lab("egfr", "25", "mL/min/{1.73_m2}"), lab("egfr", "45", "mL/min/{1.73_m2}"))
    told = outcome("I4", screened(), *facts)
    assert (told.outcome, told.evidence) == ("unknown", (1, 2, 3))


def test_i4_of_one_day_the_later_hour_counts() -> None:
    unit = "mL/min/{1.73_m2}"
    morning = lab("egfr", "25", unit, on="2026-11-24T08:00:00-05:00")
    noon = lab("egfr", "45", unit, on="2026-11-24T12:00:00-05:00")
    assert outcome("I4", screened(), noon, morning).outcome == "passed"


def test_i4_a_creatinine_that_cannot_be_used_gives_way_to_a_reported_value() -> None:
    facts = (lab("creatinine", "2.4", "mg/dL"), lab("egfr", "33", "mL/min/{1.73_m2}"))
    child = person("2012-01-01")
    told = outcome("I4", screened(), child, *facts)
    assert (told.outcome, told.evidence) == ("passed", (1, 4))


def test_i4_says_what_was_computed() -> None:
    told = outcome("I4", screened(), person("1992-01-15"), lab("creatinine", "2.19", "mg/dL"))
    assert "29.60 from creatinine 2.19 mg/dL on 2026-11-23: is not at least 30" in told.explanation
