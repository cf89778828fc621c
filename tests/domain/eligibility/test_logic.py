"""Logic, decision tables and windows in the rule language, on a small protocol."""

from __future__ import annotations

from domain.clinical.interval import FALSE, TRUE, UNKNOWN
from tests.domain.eligibility.charts import (
    Fact,
    booked,
    consented,
    lab,
    person,
    said,
    screened,
)
from tests.domain.eligibility.small import AT_SCREENING, TRUTH, haemoglobin, leaves, says
from tests.domain.tables import table, words

# --- logic ----------------------------------------------------------------------------------------


def _answers(cell: str | None) -> list[Fact]:
    return [said(one.strip("!"), not one.startswith("!")) for one in words(cell)]


@table(
    """
    answers             | one  | two  | three | every | some | why
                        | open | open | open  | open | open | nothing said
    fit                 | yes  | open | open  | open | yes  | one yes
    !fit                | open | open | no    | no   | open | one no
    fit willing         | yes  | yes  | open  | open | yes  | two yes
    fit !willing        | yes  | open | no    | no   | yes  | one of each
    !fit !willing       | open | no   | no    | no   | open | two no
    fit willing able    | yes  | yes  | yes   | yes  | yes  | three yes
    !fit !willing !able | no   | no   | no    | no   | no   | three no
    fit willing !able   | yes  | yes  | no    | no   | yes  | two yes and a no
    """
)
def test_counting_rules(
    answers: str | None,
    one: str,
    two: str,
    three: str,
    every: str,
    some: str,
) -> None:
    facts = _answers(answers)
    for count, truth in enumerate((one, two, three), start=1):
        rule = {"rule": "at-least", "count": count, "of": leaves()}
        assert says(rule, *facts).truth == TRUTH[truth]
    assert says({"rule": "all", "of": leaves()}, *facts).truth == TRUTH[every]
    assert says({"rule": "any", "of": leaves()}, *facts).truth == TRUTH[some]


@table(
    """
    answers       | truth | why
                  | open  | neither known
    fit           | yes   | the yes side
    !fit          | open  | the yes side is false and the no side open
    willing       | no    | the no side
    !willing      | open  | the no side is false
    fit willing   | yes   | both sides
    !fit willing  | no    | no side alone
    !fit !willing | open  | neither side
    """
)
def test_decision_tables(answers: str | None, truth: str) -> None:
    yes, no, _ = leaves()
    assert (
        says({"rule": "decided", "yes": yes, "no": no}, *_answers(answers)).truth == (TRUTH[truth])
    )


def test_missing_lists_of_combined_rules_are_the_shortest() -> None:
    fit, willing, able = leaves()
    both = {"rule": "all", "of": [willing, able]}
    either = {"rule": "any", "of": [both, fit]}
    assert says(either).for_true == ("fit",)
    assert says(either).for_false == ("willing", "fit")
    assert says({"rule": "not", "of": either}).for_true == ("willing", "fit")
    two = {"rule": "at-least", "count": 2, "of": [both, fit, willing]}
    assert says(two).for_true == ("fit", "willing")


@table(
    """
    sex      | bearing | otherwise | truth | why
    female   |         | no        | open  | asked of women
    male     |         | no        | no    | not asked of men
    male     |         | yes       | yes   | not asked of men and let in
    intersex |         | no        | open  | may become pregnant or not
    male     | yes     | no        | open  | asked of all who may become pregnant
    female   | no      | no        | open  | asked of women whatever their potential
    """
)
def test_whom_a_rule_applies_to(sex: str, bearing: str | None, otherwise: str, truth: str) -> None:
    rule = {
        "rule": "applies-to",
        "sexes": ["female"],
        "childbearing_potential": True,
        "of": {"rule": "attested", "statement": "fit"},
        "otherwise": otherwise == "yes",
    }
    potential = None if bearing is None else bearing == "yes"
    assert says(rule, person(sex=sex, bearing=potential)).truth == TRUTH[truth]


def test_a_rule_that_says_the_same_either_way_needs_no_demographics() -> None:
    rule = {
        "rule": "applies-to",
        "sexes": ["female"],
        "of": {"rule": "attested", "statement": "fit"},
    }
    assert says(rule, said("fit", False)).truth == FALSE
    told = says(rule, said("fit", True))
    assert (told.truth, told.for_false) == (UNKNOWN, ("sex",))


# --- windows --------------------------------------------------------------------------------------


@table(
    """
    window                                   | first      | last       | why
    screening back:P6M                       | 2026-05-23 | 2026-11-23 | months
    screening back:P12W                      | 2026-08-31 | 2026-11-23 | weeks
    screening back:P84D                      | 2026-08-31 | 2026-11-23 | days
    screening back:P1Y                       | 2025-11-23 | 2026-11-23 | a year
    screening back:P4W until:day-before      | 2026-10-26 | 2026-11-22 | until the day before
    screening back:P0D until:before-day-0    | 2026-11-23 | 2026-12-13 | the screening period
    screening until:day-0                    |            | 2026-12-14 | ever until day 0
    day-0 back:P90D                          | 2026-09-15 | 2026-12-14 | from day 0 back
    day-0 back:P0D                           | 2026-12-14 | 2026-12-14 | day 0 alone
    consent back:P1M                         | 2026-10-20 | 2026-11-20 | from consent back
    lifetime                                 |            | 2026-12-14 | ever
    """
)
def test_windows(window: str, first: str | None, last: str) -> None:
    anchor, *rest = window.split()
    within = {"anchor": anchor, **dict(part.split(":") for part in rest)}
    told = says(
        {"rule": "one-of", "code": "class", "values": ["III"], "within": within},
        screened(),
        booked(),
        consented(),
    )
    (applied,) = told.windows
    days = tuple(str(day) if day else None for day in (applied.first, applied.last))
    assert days == (first, last)


@table(
    """
    anchor    | missing         | why
    screening | screening-visit | no screening visit
    day-0     | planned-day-0   | no day 0
    consent   | consent         | no consent
    """
)
def test_an_anchor_that_is_not_there_is_asked_for(anchor: str, missing: str) -> None:
    rule = {"rule": "one-of", "code": "class", "values": ["III"], "within": {"anchor": anchor}}
    assert says(rule, lab("class", "III")).for_true == (missing,)
    assert says(rule).for_true == (missing, "class")


def test_an_anchor_known_to_the_month_only_is_asked_for() -> None:
    rule = {"rule": "one-of", "code": "class", "values": ["III"], "within": AT_SCREENING}
    told = says(rule, screened("2026-11"), lab("class", "III"))
    assert (told.truth, told.for_true, told.evidence) == (UNKNOWN, ("screening-visit",), (1,))


def test_a_window_before_the_calendar_begins_is_open() -> None:
    rule = haemoglobin(at_least="1", within={"anchor": "screening", "back": "P9999Y"})
    assert says(rule, screened(), lab("haemoglobin", "9", "g/dL", on="0002-01-01")).truth == TRUE
