"""I5: a background medicine for lupus, held for twelve weeks before the screening visit."""

from __future__ import annotations

from tests.domain.eligibility.charts import medicines_taken, outcome, screened, took
from tests.domain.tables import table, words


@table(
    """
    since      | until      | says    | why
    2026-08-31 |            | passed  | twelve weeks exactly
    2026-09-01 |            | failed  | a day less
    2026-08-30 |            | passed  | a day more
    2020       |            | passed  | a year long ago
    2026-08    |            | passed  | a month that has passed
    2026-09    |            | failed  | a month that came too late
    2026       |            | unknown | this year
    2020-01-01 | 2026-11-23 | passed  | until the visit
    2020-01-01 | 2026-11-22 | failed  | until the day before
    2020-01-01 | 2026-11    | unknown | until some day of the month
    2020-01-01 | 2026-10    | failed  | until the month before
    2020-01-01 | 2026-12-24 | passed  | until later
    """
)
def test_i5_twelve_weeks(since: str, until: str | None, says: str) -> None:
    course = took("hydroxychloroquine", "antimalarial", since, until, indication="SLE")
    assert outcome("I5", screened(), course, medicines_taken).outcome == says


@table(
    """
    classes                   | indication | says    | why
    antimalarial              | SLE        | passed  | an antimalarial
    immunosuppressant         | SLE        | passed  | an immunosuppressant
    corticosteroid            | SLE        | failed  | steroids do not count
    immunosuppressant corticosteroid | SLE | failed  | not even a combined one
    biologic                  | SLE        | failed  | biologics do not count
    immunosuppressant biologic | SLE       | failed  | an immunosuppressive biologic
    other                     | SLE        | failed  | something else
    antimalarial              | systemic lupus erythematosus | passed  | written out
    antimalarial              | Lupus nephritis   | passed  | a part of lupus
    antimalarial              | malaria prophylaxis | failed | another indication
    antimalarial              | non-SLE arthritis | failed  | said not to be lupus
    antimalarial              |            | unknown | no indication
    """
)
def test_i5_which_medicines_count(classes: str, indication: str | None, says: str) -> None:
    course = took("X", words(classes), "2020", indication=indication)
    assert outcome("I5", screened(), course, medicines_taken).outcome == says


def test_i5_is_open_until_the_history_is_taken() -> None:
    told = outcome("I5", screened())
    assert (told.outcome, told.missing) == ("unknown", ("medication-history-taken",))
    assert outcome("I5", screened(), medicines_taken).outcome == "failed"


def test_i5_a_missing_indication_is_asked_for() -> None:
    told = outcome("I5", screened(), took("M1", "antimalarial", "2020"), medicines_taken)
    assert told.missing == ("medication/M1/indication",)


def test_i5_a_change_of_dose_does_not_break_it() -> None:
    course = took("M1", "antimalarial", "2020", indication="SLE", dose="400", unit="mg", per="day")
    less = took(
        "M1",
        "antimalarial",
        "2020",
        at="2026-10-10",
        indication="SLE",
        dose="200",
        unit="mg",
        per="day",
        changed_on="2026-10-10",
    )
    facts = (screened(), course, less, medicines_taken)
    assert outcome("I5", *facts).outcome == "passed"
    assert outcome("E4", *facts).outcome == "failed"
