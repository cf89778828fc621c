"""Doses of corticosteroids in milligrams of prednisone a day.

Equivalents hold for oral and intravenous use only; depot, intra-articular, inhaled and topical use
is not converted. The table is the protocol's (its edition is named there); how a dose is written is
read here. What cannot be read is unknown, never guessed. Ratios are exact fractions: 4.5 mg of
dexamethasone at 0.75 for 5 are 30 mg of prednisone, neither more nor less.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

REFERENCE_MG = 5
"""The table's equivalents are doses that equal this much prednisone."""

READ_MAX = 4_096
"""Different doses that are kept once they were read."""

Table = tuple[tuple[str, Decimal], ...]
"""Medicine -> milligrams that equal 5 mg of prednisone."""


class Dose(NamedTuple):
    """Milligrams on one day of a course: at least, at most (None: no bound), and at its peak."""

    low: Fraction
    high: Fraction | None
    peak: Fraction
    """What some day of every `period` days certainly has."""
    period: int = 1

    def scaled(self, factor: Fraction | None) -> "Dose":
        """The dose times a factor; without a factor it may be anything."""
        if self.high == 0:
            return self
        if factor is None:
            return UNREADABLE
        high = None if self.high is None else self.high * factor
        return Dose(self.low * factor, high, self.peak * factor, self.period)


NOTHING = Fraction(0)
UNREADABLE = Dose(NOTHING, None, NOTHING)
"""A dose that is missing, or written in a way that cannot be read."""

_MILLIGRAMS: Mapping[str, Fraction] = {
    "mg": Fraction(1),
    "g": Fraction(1000),
    "ug": Fraction(1, 1000),
    "mcg": Fraction(1, 1000),
}

_A_DAY: Mapping[str, int] = {
    **dict.fromkeys(("d", "day", "daily", "1.d", "24.h", "24h", "qd", "od", "once-daily"), 1),
    **dict.fromkeys(("12.h", "12h", "bid", "twice-daily"), 2),
    **dict.fromkeys(("8.h", "8h", "tid"), 3),
    **dict.fromkeys(("6.h", "6h", "qid"), 4),
}
"""How often -> doses a day."""

_EVERY: Mapping[str, int] = {
    **dict.fromkeys(("2.d", "2-days", "48.h", "48h", "qod", "alternate-day"), 2),
    **dict.fromkeys(("wk", "week", "weekly", "7.d", "1.wk"), 7),
    **dict.fromkeys(("mo", "month", "monthly", "1.mo"), 31),
}
"""How often -> days within which one dose falls."""

_WORD = re.compile(r"[^\W_]+")


def milligrams_a_day(
    dose: Decimal | None, unit: str | None, per: str | None, *, one_day: bool = False
) -> Dose:
    """What one day of the course has, in milligrams of the medicine itself.

    Less often than daily means a whole dose on some day and none on others. `one_day`: the course
    lasts a single day, so that a dose without frequency is that day's.
    """
    if dose is None or unit is None or dose < 0:
        return UNREADABLE
    weight, _, rate = unit.casefold().partition("/")
    factor = _MILLIGRAMS.get(weight.strip())
    if factor is None:
        return UNREADABLE
    amount = Fraction(dose) * factor
    often = _normal(rate or per)
    if often in _A_DAY or (often == "" and one_day):
        whole = amount * _A_DAY.get(often, 1)
        return Dose(whole, whole, whole)
    if often in _EVERY:
        return Dose(NOTHING, amount, amount, _EVERY[often])
    return UNREADABLE


def _normal(per: str | None) -> str:
    return (per or "").strip().casefold().removeprefix("per ").replace(" ", "-")


def equivalent(name: str, table: Table) -> Fraction | None:
    """Milligrams of prednisone in one milligram of the medicine; None when it is not in the table.

    A name is found as whole words in any case: `Prednisone 5 mg tablet` is prednisone.
    """
    words = set(_WORD.findall(name.casefold()))
    for known, dose in table:
        if set(_WORD.findall(known.casefold())) <= words:
            return REFERENCE_MG / Fraction(dose)
    return None


class Conversion:
    """Doses as prednisone by one table; the same dose is converted once."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.dose = lru_cache(maxsize=READ_MAX)(self._dose)

    def _dose(
        self, name: str, dose: Decimal | None, unit: str | None, per: str | None, one_day: bool
    ) -> Dose:
        """Milligrams of prednisone on a day of the course; see `milligrams_a_day`."""
        milligrams = milligrams_a_day(dose, unit, per, one_day=one_day)
        return milligrams.scaled(equivalent(name, self._table))
