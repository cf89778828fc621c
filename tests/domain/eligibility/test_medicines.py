"""Exclusions by medicines: E1, E3 to E8, with their windows, sums, washouts and open records.

Screening visit 2026-11-23, day 0 planned for 2026-12-14 (see charts).
"""

from __future__ import annotations

from tests.domain.eligibility.charts import (
    booked,
    dosed,
    medicines_taken,
    outcome,
    said,
    screened,
    steroid,
    took,
)
from tests.domain.tables import table, words

# --- E1: steroids for another disease, days in total ----------------------------------------------


def _asthma(days: str, record: str = "P1", **data: object) -> object:
    since, _, until = days.partition(" ")
    given = {"indication": "asthma", **data}
    return steroid("20", since, until or None, record=record, **given)


@table(
    """
    first                 | second                | says    | why
    2026-09-02 2026-09-11 | 2026-09-09 2026-09-15 | passed  | fourteen days together
    2026-09-02 2026-09-11 | 2026-09-09 2026-09-16 | failed  | fifteen days together
    2026-09-02 2026-09-15 |                       | passed  | fourteen days at once
    2026-09-02 2026-09-16 |                       | failed  | fifteen days at once
    2026-09-02 2026-09-08 | 2026-10-02 2026-10-08 | passed  | seven and seven apart
    2026-09-02 2026-09-08 | 2026-10-02 2026-10-09 | failed  | seven and eight apart
    2026-09-02 2026-09-15 | 2026-09-02 2026-09-15 | passed  | two prescriptions of the same days
    2026-08-17 2026-09-13 |                       | passed  | only fourteen days in the window
    2026-08-17 2026-09-14 |                       | failed  | fifteen days in the window
    2026-11-09            |                       | passed  | fourteen days up to the visit
    2026-11-08            |                       | failed  | fifteen days up to the visit
    2026-09 2026-10-02    |                       | unknown | from some day of a month
    2026-09-02 2026-09    |                       | unknown | until some day of a month
    2026-11 2026-11-14    |                       | passed  | fourteen days at most
    2026-07 2026-08       |                       | passed  | over before it matters
    2026-11-23            |                       | passed  | from the visit on
    """
)
def test_e1_days_in_total(first: str, second: str | None, says: str) -> None:
    courses = [_asthma(first)]
    if second:
        courses.append(_asthma(second, "P2"))
    assert outcome("E1", screened(), *courses, medicines_taken).outcome == says


@table(
    """
    indication | route           | says    | missing | why
    asthma     | oral            | failed  |         | by mouth
    asthma     | PO              | failed  |         | by mouth as pharmacists write
    asthma     | intravenous     | failed  |         | into a vein
    asthma     | IM              | failed  |         | into a muscle
    asthma     | inhaled         | passed  |         | inhaled
    asthma     | topical         | passed  |         | on the skin
    asthma     | intra-articular | passed  |         | into a joint
    asthma     |                 | unknown | medication/P1/route | route not told
    asthma     | rectal          | unknown | medication/P1/route | route on no list
    SLE        | oral            | passed  |         | for lupus
    lupus nephritis | oral       | passed  |         | for a part of lupus
    non-lupus dermatitis | oral  | failed  |         | said not to be lupus
               | oral            | unknown | medication/P1/indication | indication not told
    """
)
def test_e1_which_courses_count(
    indication: str | None, route: str | None, says: str, missing: str | None
) -> None:
    course = _asthma("2026-09-02 2026-10-02", indication=indication, route=route)
    told = outcome("E1", screened(), course, medicines_taken)
    assert (told.outcome, told.missing) == (says, tuple(words(missing)))
    local = route in ("inhaled", "topical", "intra-articular")
    assert bool(told.notes) is local
    assert told.near_threshold is local


def test_e1_an_unknown_indication_does_not_matter_when_the_days_are_few() -> None:
    course = _asthma("2026-09-02 2026-09-15", indication=None)
    assert outcome("E1", screened(), course, medicines_taken).outcome == "passed"


def test_e1_a_known_excess_needs_no_complete_history() -> None:
    long = _asthma("2026-09-02 2026-10-02")
    assert outcome("E1", screened(), long).outcome == "failed"
    assert outcome("E1", screened()).missing == ("medication-history-taken",)


# --- E4: changes of background medicines ----------------------------------------------------------


@table(
    """
    since      | until      | changed    | says    | why
    2020-01-01 |            |            | passed  | unchanged for years
    2026-08-31 |            |            | failed  | started twelve weeks before
    2026-08-30 |            |            | passed  | started a day earlier
    2026-11-23 |            |            | failed  | started at the visit
    2026-11-24 |            |            | passed  | started the day after
    2020-01-01 | 2026-08-31 |            | failed  | stopped twelve weeks before
    2020-01-01 | 2026-08-30 |            | passed  | stopped a day earlier
    2020-01-01 | 2026-11-23 |            | failed  | stopped at the visit
    2020-01-01 |            | 2026-08-31 | failed  | changed twelve weeks before
    2020-01-01 |            | 2026-08-30 | passed  | changed a day earlier
    2020-01-01 |            | 2026-08    | unknown | changed some day of a month
    2020-01-01 |            | 2026-07    | passed  | changed in a month before
    2020-01-01 |            | 2026-10    | failed  | changed in a month inside
    2026-08    |            |            | unknown | started some day of a month
    2026       |            |            | unknown | started this year
    2020       |            |            | passed  | started in a year long ago
    """
)
def test_e4_changes(since: str, until: str | None, changed: str | None, says: str) -> None:
    course = took("M1", "immunosuppressant", since, until, changed_on=changed)
    assert outcome("E4", screened(), course, medicines_taken).outcome == says


@table(
    """
    classes                    | says   | why
    antimalarial               | failed | an antimalarial
    immunosuppressant          | failed | an immunosuppressant
    corticosteroid             | passed | steroids never count
    biologic                   | passed | a biologic
    immunosuppressant biologic | passed | an immunosuppressive biologic
    other                      | passed | something else
    """
)
def test_e4_which_medicines_count(classes: str, says: str) -> None:
    course = took("M1", words(classes), "2026-10-01")
    assert outcome("E4", screened(), course, medicines_taken).outcome == says


@table(
    """
    dose | per   | route | changed    | says    | why
    200  | day   | oral  | 2026-10-10 | failed  | less of it
    800  | day   | oral  | 2026-10-10 | failed  | more of it
    400  | 2.d   | oral  | 2026-10-10 | failed  | less often
    400  | day   | iv    | 2026-10-10 | failed  | another route
    200  | day   | oral  |            | passed  | told for a day after the visit
    400  | day   | oral  |            | passed  | recorded again without any change
    200  | day   | oral  | 2026-05-01 | passed  | a change that was long before
    200  | day   | oral  | 2026-08    | unknown | a change in a month that straddles
    """
)
def test_e4_the_same_record_again_is_a_change(
    dose: str, per: str, route: str, changed: str | None, says: str
) -> None:
    first = took("M1", "antimalarial", "2020", dose="400", unit="mg", per="day", route="oral")
    again = took(
        "M1",
        "antimalarial",
        "2020",
        at="2026-11-30",
        dose=dose,
        unit="mg",
        per=per,
        route=route,
        changed_on=changed,
    )
    assert outcome("E4", screened(), first, again, medicines_taken).outcome == says


def test_e4_a_change_without_its_date_is_of_the_day_it_is_told_for() -> None:
    first = took("M1", "antimalarial", "2020", at="2026-01-10", dose="400", unit="mg", per="day")
    again = took("M1", "antimalarial", "2020", at="2026-10-10", dose="200", unit="mg", per="day")
    facts = (screened(), first, again, medicines_taken)
    assert outcome("E4", *facts).outcome == "failed"
    assert outcome("E4", screened("2027-02-01"), first, again, medicines_taken).outcome == "passed"


# --- E3: daily dose for the body weight: see test_daily_dose --------------------------------------

# --- E5, E6: washouts -----------------------------------------------------------------------------


@table(
    """
    half_life | last       | says    | why
    18.0      | 2026-09-15 | passed  | ninety days exactly
    18.0      | 2026-09-16 | failed  | eighty-nine days
    18.01     | 2026-09-15 | failed  | ninety-one are asked
    18.01     | 2026-09-14 | passed  | ninety-one days
    19.4      | 2026-09-08 | passed  | five half-lives of 19.4 are ninety-seven days
    19.4      | 2026-09-09 | failed  | ninety-six days
    22        | 2026-08-26 | passed  | a hundred and ten days
    22        | 2026-08-27 | failed  | a hundred and nine days
    2         | 2026-09-15 | passed  | a short half-life leaves ninety days
    2         | 2026-09-16 | failed  | a short half-life does not shorten them
              | 2026-09-16 | failed  | too recent whatever the half-life
              | 2026-09-15 | unknown | the half-life decides
              | 2020-01-01 | unknown | even long ago the half-life decides
    18        | 2026-09    | unknown | some day of a month
    18        | 2026-08    | passed  | a month before
    18        | 2026-10    | failed  | a month too late
    18        |            | failed  | still taken
    """
)
def test_e5_washout(half_life: str | None, last: str | None, says: str) -> None:
    course = took("ABC-123", "investigational", "2019-02", last, half_life_days=half_life)
    facts = (screened(), booked(), course, medicines_taken)
    assert outcome("E5", *facts).outcome == says


@table(
    """
    name       | last       | says    | why
    belimumab  | 2026-09-08 | passed  | ninety-seven days by the protocol's half-life
    Belimumab  | 2026-09-09 | failed  | ninety-six days in any case
    rituximab  | 2026-08-26 | passed  | a hundred and ten days
    rituximab  | 2026-08-27 | failed  | a hundred and nine days
    abatacept  | 2026-09-15 | passed  | ninety days
    unheardof  | 2026-09-15 | unknown | a half-life that nobody stated
    """
)
def test_e6_half_lives_of_the_protocol(name: str, last: str, says: str) -> None:
    course = took(name, "biologic", last, last)
    assert outcome("E6", screened(), booked(), course, medicines_taken).outcome == says


def test_e6_the_missing_half_life_is_asked_for() -> None:
    course = took("unheardof", "biologic", "2026-05-01", "2026-06-01", record="B1")
    told = outcome("E6", screened(), booked(), course, medicines_taken)
    assert told.missing == ("medication/B1/half_life_days",)


def test_e6_a_stated_half_life_goes_before_the_table() -> None:
    course = took("belimumab", "biologic", "2026-09-10", "2026-09-10", half_life_days="12.5")
    assert outcome("E6", screened(), booked(), course, medicines_taken).outcome == "passed"


def test_e5_moving_day_0_decides_again() -> None:
    course = took("X1", "investigational", "2026-09-16", "2026-09-16", half_life_days="3")
    facts = (screened(), booked("2026-12-14"), course, medicines_taken)
    assert outcome("E5", *facts).outcome == "failed"
    later = booked("2026-12-15", at="2026-11-30T09:00:00-05:00")
    assert outcome("E5", *facts, later).outcome == "passed"


def test_e5_is_open_until_day_0_is_planned() -> None:
    told = outcome("E5", screened(), medicines_taken)
    assert (told.outcome, told.missing) == ("unknown", ("planned-day-0",))


def test_e5_the_dose_itself_is_day_0() -> None:
    course = took("X1", "investigational", "2026-09-16", "2026-09-16", half_life_days="3")
    facts = (screened(), booked("2026-12-20"), course, medicines_taken)
    assert outcome("E5", *facts).outcome == "passed"
    assert outcome("E5", *facts, dosed("2026-12-14")).outcome == "failed"


def test_e5_what_is_started_after_day_0_does_not_matter() -> None:
    course = took("X1", "investigational", "2026-12-14", half_life_days="3")
    assert outcome("E5", booked(), course, medicines_taken).outcome == "passed"


# --- E7, E8: cell therapies -----------------------------------------------------------------------


@table(
    """
    classes                  | last       | e7      | e8     | why
    msc-therapy              | 2025-12-15 | passed  | passed | fifty-two weeks exactly
    msc-therapy              | 2025-12-16 | failed  | passed | a day less
    msc-therapy              | 2025-12-14 | passed  | passed | a day more
    msc-therapy              | 2025-12    | unknown | passed | some day of a month
    msc-therapy              | 2025       | unknown | passed | some day of a year
    msc-therapy              | 2024       | passed  | passed | the year before
    msc-therapy cell-therapy | 2025-12-15 | passed  | passed | tagged as both
    cell-therapy             | 2010       | passed  | failed | another cell therapy ever
    cell-therapy             | 2026-12-20 | passed  | passed | another one after day 0
    investigational          | 2026-12-01 | passed  | passed | no cell therapy
    """
)
def test_e7_e8_cell_therapies(classes: str, last: str, e7: str, e8: str) -> None:
    course = took("C1", words(classes), last, last)
    facts = (screened(), booked(), course, medicines_taken)
    assert (outcome("E7", *facts).outcome, outcome("E8", *facts).outcome) == (e7, e8)


@table(
    """
    criterion | why
    E1        | E1
    E3        | E3
    E4        | E4
    E5        | E5
    E6        | E6
    E7        | E7
    E8        | E8
    """
)
def test_an_empty_record_means_nothing_until_the_history_is_taken(criterion: str) -> None:
    told = outcome(criterion, screened(), booked())
    assert (told.outcome, told.missing) == ("unknown", ("medication-history-taken",))
    denied = said("medication-history-taken", False)
    assert outcome(criterion, screened(), booked(), denied).outcome == "unknown"
    assert outcome(criterion, screened(), booked(), medicines_taken).outcome == "passed"
