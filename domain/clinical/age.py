"""Age in completed years, from a birth date as exactly as it is known.

A year is completed on the birthday. Somebody born on 29 February completes it, in a year without
that day, on 1 March (as English law and most registries count) or on 28 February (as other
jurisdictions do): a setting of the protocol, and the one ambiguous day is flagged.
"""

from datetime import date
from typing import Literal

from domain.kernel import Strict
from domain.time import CivilDate, When

LeapRule = Literal["march-1", "february-28"]
"""When somebody born on 29 February completes a year that has no such day."""


class AgeAtScreening(Strict):
    """Completed years at the screening visit: the open part of a protected birth date."""

    least: int
    """The age if the birth date is the latest that it may be."""
    most: int
    ambiguous_leap_day: bool = False
    """Whether the two rules for a birth on 29 February differ on this day."""
    on: CivilDate | None = None
    """The day of the screening visit for which it was computed."""


def completed_years(birth: date, day: date, rule: LeapRule) -> int:
    """Completed years on a civil day; negative before birth."""
    return day.year - birth.year - ((day.month, day.day) < _birthday(birth, day.year, rule))


def age_at(birth: When, day: date, rule: LeapRule) -> AgeAtScreening:
    """The least and the most completed years that the birth date allows on a civil day."""
    least = completed_years(birth.last, day, rule)
    most = completed_years(birth.first, day, rule)
    other: LeapRule = "february-28" if rule == "march-1" else "march-1"
    ambiguous = birth.precision in ("day", "instant") and least != completed_years(
        birth.first, day, other
    )
    return AgeAtScreening(least=least, most=most, ambiguous_leap_day=ambiguous, on=When.on(day))


def _birthday(birth: date, year: int, rule: LeapRule) -> tuple[int, int]:
    if (birth.month, birth.day) != (2, 29) or _leap(year):
        return birth.month, birth.day
    return (3, 1) if rule == "march-1" else (2, 28)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
