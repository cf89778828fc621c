"""Numbers, titres, coded texts and statuses in the rule language, on a small protocol."""

from __future__ import annotations

from domain.clinical.interval import FALSE, TRUE, UNKNOWN
from tests.domain.eligibility.charts import (
    booked,
    history,
    illnesses_taken,
    lab,
    person,
    screened,
    took,
)
from tests.domain.eligibility.small import AT_SCREENING, TRUTH, haemoglobin, says
from tests.domain.tables import table, words

# --- numbers --------------------------------------------------------------------------------------


@table(
    """
    limits                     | value | unit | truth | why
    at_least:10                | 10    | g/dL | yes   | at least and equal
    at_least:10                | 9.99  | g/dL | no    | at least and less
    more_than:10               | 10    | g/dL | no    | more than and equal
    more_than:10               | 10.01 | g/dL | yes   | more than and more
    at_most:16                 | 16    | g/dL | yes   | at most and equal
    at_most:16                 | 16.01 | g/dL | no    | at most and more
    less_than:16               | 16    | g/dL | no    | less than and equal
    less_than:16               | 15.99 | g/dL | yes   | less than and less
    at_least:10 less_than:16   | 12    | g/dL | yes   | between
    at_least:10 less_than:16   | 16    | g/dL | no    | at the open end
    at_least:10                | 100   | g/L  | yes   | in another unit
    at_least:10                | 99.9  | g/L  | no    | in another unit and less
    at_least:10                | 100   | mmol/L | open | in a unit that is not declared
    at_least:10                | >11   | g/dL | yes   | censored
    at_least:10                | >9    | g/dL | open  | censored around
    at_least:10                | <10   | g/dL | no    | censored below
    """
)
def test_values(limits: str, value: str, unit: str, truth: str) -> None:
    given = dict(limit.split(":") for limit in limits.split())
    told = says(haemoglobin(**given), screened(), lab("haemoglobin", value, unit))
    assert told.truth == TRUTH[truth]


@table(
    """
    pick    | values                               | truth | why
    latest  | 11-24:9 11-26:11                     | yes   | the last is high enough
    latest  | 11-24:11 11-26:9                     | no    | the last is too low
    any     | 11-24:9 11-26:11                     | yes   | one is high enough
    any     | 11-24:9 11-26:9.5                    | no    | none is
    any     |                                      | open  | none at all for any
    highest | 11-24:9 11-26:11                     | yes   | the highest
    highest | 11-24:9 11-26:9.5                    | no    | the highest is too low
    lowest  | 11-24:9 11-26:11                     | no    | the lowest is too low
    lowest  | 11-24:10 11-26:11                    | yes   | the lowest is high enough
    lowest  |                                      | open  | none at all for the lowest
    highest | 11-24:9 11-26:<12                    | open  | the highest may be censored
    highest | 11-24:11 11-26:<12                   | yes   | high enough whatever is censored
    lowest  | 11-24:9 11-26:>8                     | no    | too low whatever is censored
    lowest  | 11-24:11 11-26:>8                    | open  | the lowest may be censored
    highest | 11-24:9 11:11                        | open  | the high one may lie outside
    lowest  | 11-24:11 11:9                        | open  | the low one may lie outside
    latest  | 11-24:11 11:9                        | open  | the last one is not known
    latest  | 11-24:11 11:10                       | yes   | the last one does not matter
    """
)
def test_which_of_several_counts(pick: str, values: str | None, truth: str) -> None:
    facts = []
    for one in words(values):
        day, _, value = one.partition(":")
        facts.append(lab("haemoglobin", value, "g/dL", on=f"2026-{day}"))
    rule = haemoglobin(at_least="10", pick=pick)
    assert says(rule, screened(), booked(), *facts).truth == TRUTH[truth]


def test_a_value_close_to_its_limit_is_flagged_in_the_rules_unit() -> None:
    rule = haemoglobin(unit="g/L", at_least="100", near="2")
    for value, near in (("9.8", True), ("9.79", False), ("10.1", True), ("10.2", False)):
        assert says(rule, screened(), lab("haemoglobin", value, "g/dL")).near is near


def test_the_lowest_titre_reaches_the_dilution_when_none_falls_short() -> None:
    rule = {"rule": "titre", "code": "titre", "at_least": "1:80", "pick": "lowest"}
    rule["within"] = AT_SCREENING  # type: ignore[assignment]
    high, low = lab("titre", "1:160"), lab("titre", "1:40", on="2026-11-25")
    assert says(rule, screened(), high).truth == TRUE
    assert says(rule, screened(), high, low).truth == FALSE
    assert says(rule, screened()).truth == UNKNOWN


@table(
    """
    value | truth | why
    III   | yes   | one of them
    iv    | yes   | in small letters
    II    | no    | another
          | open  | none
    """
)
def test_coded_texts(value: str | None, truth: str) -> None:
    rule = {"rule": "one-of", "code": "class", "values": ["III", "IV"], "within": AT_SCREENING}
    facts = [lab("class", value)] if value else []
    assert says(rule, screened(), *facts).truth == TRUTH[truth]


def test_creatinine_in_micromoles_is_the_same_as_in_milligrams() -> None:
    rule = {"rule": "egfr", "creatinine": "creatinine", "at_least": "30", "within": AT_SCREENING}
    who = (screened(), person("1992-01-15"))
    for value, unit, truth in (
        ("2.1", "mg/dL", TRUE),
        ("2.19", "mg/dL", FALSE),
        ("185.6", "umol/L", TRUE),
        ("193.6", "umol/L", FALSE),
    ):
        assert says(rule, *who, lab("creatinine", value, unit)).truth == truth


def test_a_body_weight_in_grams_counts_in_kilograms() -> None:
    rule = {
        "rule": "daily-dose",
        "classes": ["corticosteroid"],
        "more_than": "0.5",
        "weight": "weight",
        "within": {"anchor": "screening", "back": "P4W", "until": "day-before"},
        "complete_when": None,
    }
    course = took("prednisone", "corticosteroid", "2026-01-01", dose="30", unit="mg", per="day")
    assert says(rule, screened(), course, lab("weight", "60000", "g")).truth == FALSE
    assert says(rule, screened(), course, lab("weight", "59.9", "kg")).truth == TRUE


# --- history --------------------------------------------------------------------------------------


@table(
    """
    statuses | not_statuses | status   | truth | why
    active   |              | active   | yes   | the status that is asked
    active   |              | resolved | no    | another status
    active   |              |          | no    | no status
             | resolved     | resolved | no    | a status ruled out
             | resolved     | active   | yes   | a status not ruled out
             | resolved     |          | yes   | no status is not ruled out
    """
)
def test_statuses_of_a_history(
    statuses: str | None, not_statuses: str | None, status: str | None, truth: str
) -> None:
    rule = {
        "rule": "history",
        "categories": ["infection"],
        "statuses": words(statuses),
        "not_statuses": words(not_statuses),
        "complete_when": None,
    }
    item = history("infection", "Zoster", status=status, started_on="2026")
    assert says(rule, item, illnesses_taken).truth == TRUTH[truth]
