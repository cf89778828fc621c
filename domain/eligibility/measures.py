"""How results are read: numbers and titres, exact or censored, in the code's own unit.

A censored result (`<0.5`, `>1:1280`) is an interval. What cannot be read is None, never a guess.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from domain.clinical.interval import ANY_NUMBER, Interval, exactly

if TYPE_CHECKING:
    from domain.journey.screening import ObservationRecorded
    from domain.trial.protocol import Entry

Reader = Callable[["ObservationRecorded"], Interval | None]

_NUMBER = re.compile(r"(<=|>=|<|>)?\s*(-?\d{1,20}(?:\.\d{1,20})?)")
_TITRE = re.compile(r"(<=|>=|<|>)?\s*(?:1\s*[:/]\s*)?([1-9]\d{0,8})")


@lru_cache(maxsize=4096)
def titre(value: Decimal | str | None) -> Interval | None:
    """The dilution's denominator: `1:160`, `1/160`, `160`, `>=1:160`, `<1:80`; None if no titre."""
    text = format(value, "f") if isinstance(value, Decimal) else value
    match = _TITRE.fullmatch(text.strip()) if text is not None else None
    if match is None:
        return None
    return _censored(match[1], Decimal(match[2]), Decimal(0))


@lru_cache(maxsize=4096)
def number(value: Decimal | str | None) -> Interval | None:
    """A number, exact or censored (`>60`); None when it is neither."""
    if isinstance(value, Decimal):
        return exactly(value)
    match = _NUMBER.fullmatch(value.strip()) if value is not None else None
    if match is None:
        return None
    return _censored(match[1], Decimal(match[2]), None)


def _censored(sign: str | None, limit: Decimal, least: Decimal | None) -> Interval:
    if sign is None:
        return exactly(limit)
    if sign.startswith(">"):
        return Interval(limit, None, low_open=sign == ">")
    return Interval(least, limit, high_open=sign == "<")


def unit_factor(entry: "Entry", unit: str | None) -> Decimal | None:
    """What one of the unit is in the code's own; None for a unit that is not declared.

    Without a unit the value is taken in the code's own only where there is no other.
    """
    if unit is None:
        return Decimal(1) if not entry.units else None
    if unit == entry.unit:
        return Decimal(1)
    return next((other.factor for other in entry.units if other.unit == unit), None)


def reader_of(entry: "Entry") -> Reader:
    """How the numbers of a code are read, in its own unit."""
    if entry.kind == "titre":
        return lambda body: titre(body.value)

    def read(body: "ObservationRecorded") -> Interval | None:
        found = number(body.value)
        if found is None or entry.unit is None or found == ANY_NUMBER:
            return found
        factor = unit_factor(entry, body.unit)
        if factor is None:
            return None
        return found if factor == 1 else found.scaled(factor)

    return read
