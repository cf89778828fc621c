"""Age in completed years: birthdays, leap days, partial birth dates."""

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.clinical.age import age_at, completed_years
from domain.time import When
from tests.domain.tables import table


@table(
    """
    born       | day        | rule        | least | most | leap | why
    2008-11-22 | 2026-11-22 | march-1     | 18    | 18   |      | birthday itself
    2008-11-23 | 2026-11-22 | march-1     | 17    | 17   |      | the day before the birthday
    1950-11-23 | 2026-11-22 | march-1     | 75    | 75   |      | the last day of being 75
    1950-11-22 | 2026-11-22 | march-1     | 76    | 76   |      | 76 today
    2008-02-29 | 2026-02-28 | march-1     | 17    | 17   | yes  | counts on 1 March
    2008-02-29 | 2026-02-28 | february-28 | 18    | 18   | yes  | counts on 28 February
    2008-02-29 | 2026-03-01 | march-1     | 18    | 18   |      | both rules agree on 1 March
    2008-02-29 | 2026-02-27 | february-28 | 17    | 17   |      | both rules agree on 27 February
    1948-02-29 | 2023-02-28 | march-1     | 74    | 74   | yes  | turning 75 in a common year
    1948-02-29 | 2023-02-28 | february-28 | 75    | 75   | yes  | turning 75 by the other rule
    1948-02-29 | 2024-02-28 | march-1     | 75    | 75   |      | the day before a leap birthday
    1948-02-29 | 2024-02-28 | february-28 | 75    | 75   |      | no 28 February rule in a leap year
    1948-02-29 | 2024-02-29 | march-1     | 76    | 76   |      | a leap birthday in a leap year
    1900-02-28 | 2026-02-28 | march-1     | 126   | 126  |      | 1900 was no leap year
    2008       | 2026-11-22 | march-1     | 17    | 18   |      | year of birth only
    1990       | 2026-11-22 | march-1     | 35    | 36   |      | year of birth far from a limit
    2008-11    | 2026-11-22 | march-1     | 17    | 18   |      | month of birth that straddles
    2008-10    | 2026-11-22 | march-1     | 18    | 18   |      | month of birth before
    2008-12    | 2026-11-22 | march-1     | 17    | 17   |      | month of birth after
    2004-02    | 2026-02-28 | march-1     | 21    | 22   |      | a month with a leap day straddles
    2003       | 2026-12-31 | march-1     | 23    | 23   |      | the whole year is over
    2003       | 2026-01-01 | march-1     | 22    | 23   |      | a birth on 1 January counts
    """
)
def test_completed_years(born: str, day: str, rule: Any, least: str, most: str, leap: Any) -> None:
    age = age_at(When.parse(born), date.fromisoformat(day), rule)
    assert (age.least, age.most) == (int(least), int(most))
    assert age.ambiguous_leap_day is bool(leap)
    assert age.on == When.parse(day)


_days = st.dates(date(1930, 1, 1), date(2020, 12, 31))


@given(_days, st.dates(date(2021, 1, 1), date(2030, 12, 31)))
def test_the_rules_differ_on_one_day_of_a_leap_birth_only(born: date, day: date) -> None:
    march, february = (completed_years(born, day, rule) for rule in ("march-1", "february-28"))
    differ = (born.month, born.day) == (2, 29) and (day.month, day.day) == (2, 28)
    leap = day.year % 4 == 0
    assert (march != february) == (differ and not leap)


@given(_days, st.dates(date(2021, 1, 1), date(2030, 12, 31)))
def test_a_partial_birth_date_never_excludes_the_true_age(born: date, day: date) -> None:
    true = completed_years(born, day, "march-1")
    for text in (born.isoformat()[:4], born.isoformat()[:7]):
        age = age_at(When.parse(text), day, "march-1")
        assert age.least <= true <= age.most
