"""What is known of a number: the values that it may have, from exact to unknown.

Partial facts become intervals instead of guesses: a censored result (`>1:1280`), a sum with
unknown members, an age from a year of birth. A comparison is decided only when the whole interval
agrees.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

FALSE, UNKNOWN, TRUE = 0, 1, 2
"""Kleene's three values, ordered: `all` is the least of its members, `any` the greatest."""

Truth = int
"""One of FALSE, UNKNOWN, TRUE."""


class Interval(NamedTuple):
    """Lowest and highest value; None where there is no bound. An open end is not itself a value."""

    low: Decimal | None
    high: Decimal | None
    low_open: bool = False
    high_open: bool = False

    def at_least(self, limit: Decimal) -> Truth:
        """Whether the number is the limit or more."""
        if self.low is not None and self.low >= limit:
            return TRUE
        if self.high is not None and (self.high < limit or (self.high_open and self.high == limit)):
            return FALSE
        return UNKNOWN

    def more_than(self, limit: Decimal) -> Truth:
        """Whether the number is more than the limit."""
        if self.low is not None and (self.low > limit or (self.low_open and self.low == limit)):
            return TRUE
        if self.high is not None and self.high <= limit:
            return FALSE
        return UNKNOWN

    def scaled(self, factor: Decimal) -> "Interval":
        """The interval of the number times a positive factor."""
        return Interval(
            None if self.low is None else self.low * factor,
            None if self.high is None else self.high * factor,
            self.low_open,
            self.high_open,
        )

    def without(self, other: "Interval") -> bool:
        """Whether the two have no value in common."""
        return _below(self, other) or _below(other, self)


ANY_NUMBER = Interval(None, None)


def exactly(value: Decimal) -> Interval:
    """A number that is known."""
    return Interval(value, value)


def _below(one: Interval, other: Interval) -> bool:
    if one.high is None or other.low is None:
        return False
    if one.high != other.low:
        return one.high < other.low
    return one.high_open or other.low_open


Presence = Literal["present", "absent", "unknown"]


def weighed(
    weights: Mapping[str, Decimal],
    components: Mapping[str, Presence],
    only: Iterable[str] | None = None,
) -> Interval:
    """The sum of the weights of what is present: unknown items count from nothing to all.

    `only` restricts it to some items; an item that is not reported is unknown.
    """
    low = high = Decimal(0)
    for item in weights if only is None else only:
        presence = components.get(item, "unknown")
        if presence == "absent":
            continue
        high += weights[item]
        if presence == "present":
            low += weights[item]
    return Interval(low, high)
