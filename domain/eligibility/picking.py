"""Which of several results count, and how a number is held against limits."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from domain.clinical.interval import ANY_NUMBER, FALSE, TRUE, UNKNOWN, Interval, Truth
from domain.eligibility.facts import Reading, Span, latest_of
from domain.eligibility.rules import Limits, Pick

Test = Callable[[Reading], Truth]
"""What is asked of each result."""

_UNITS = {"Y": "year", "M": "month", "W": "week", "D": "day"}

SAYS = {TRUE: "is", FALSE: "is not", UNKNOWN: "may or may not be"}
"""How a comparison is put into words."""


# --- which results count --------------------------------------------------------------------------


def judged(
    pick: Pick, readings: Sequence[Reading], span: Span, test: Test
) -> tuple[Truth, list[Reading]]:
    """What the results in a window say together, and those that decide it."""
    if len(readings) == 1:
        inside = span.holds(readings[0].days)
        if inside != UNKNOWN:
            return (test(readings[0]), list(readings)) if inside == TRUE else (UNKNOWN, [])
    certain, possible = within(readings, span)
    if pick == "latest":
        return _judged_last(certain, possible, test)
    sure = [one for one in certain if test(one) == TRUE]
    if sure:
        return TRUE, sure
    if certain and all(test(one) == FALSE for one in (*certain, *possible)):
        return FALSE, certain
    return UNKNOWN, [one for one in (*certain, *possible) if test(one) != FALSE]


def _judged_last(
    certain: list[Reading], possible: list[Reading], test: Test
) -> tuple[Truth, list[Reading]]:
    last = latest_of(certain, possible)
    truths = {test(one) for one in last}
    if certain and len(truths) == 1:
        return truths.pop(), last
    return UNKNOWN, last


def within(readings: Iterable[Reading], span: Span) -> tuple[list[Reading], list[Reading]]:
    """Those that surely lie in a window, and those that may."""
    certain, possible = [], []
    for one in readings:
        inside = span.holds(one.days)
        if inside == TRUE:
            certain.append(one)
        elif inside == UNKNOWN:
            possible.append(one)
    return certain, possible


def extreme(pick: Pick, readings: Sequence[Reading], span: Span) -> tuple[Interval, list[Reading]]:
    """The highest or the lowest number in a window, as far as it is known."""
    certain, possible = within(readings, span)
    if not certain:
        return ANY_NUMBER, possible
    everything = (*certain, *possible)
    sure = [one.number or ANY_NUMBER for one in certain]
    maybe = [one.number or ANY_NUMBER for one in everything]
    if pick == "highest":
        return Interval(_greatest(sure), _top(maybe)), list(everything)
    return Interval(_bottom(maybe), _least(sure)), list(everything)


def _greatest(numbers: Iterable[Interval]) -> Decimal | None:
    return max((one.low for one in numbers if one.low is not None), default=None)


def _least(numbers: Iterable[Interval]) -> Decimal | None:
    return min((one.high for one in numbers if one.high is not None), default=None)


def _top(numbers: Sequence[Interval]) -> Decimal | None:
    highs = [one.high for one in numbers]
    return None if None in highs else max(high for high in highs if high is not None)


def _bottom(numbers: Sequence[Interval]) -> Decimal | None:
    lows = [one.low for one in numbers]
    return None if None in lows else min(low for low in lows if low is not None)


# --- limits ---------------------------------------------------------------------------------------


def holds(limits: Limits, number: Interval) -> Truth:
    """Whether a number keeps all the limits that are given."""
    truths = []
    if limits.at_least is not None:
        truths.append(number.at_least(limits.at_least))
    if limits.more_than is not None:
        truths.append(number.more_than(limits.more_than))
    if limits.at_most is not None:
        truths.append(TRUE - number.more_than(limits.at_most))
    if limits.less_than is not None:
        truths.append(TRUE - number.at_least(limits.less_than))
    return min(truths, default=TRUE)


def scaled(limits: Limits, factor: Decimal) -> Limits:
    """The limits in another unit."""
    return Limits(
        **{
            name: None if limit is None else limit * factor
            for name in Limits.model_fields
            for limit in (getattr(limits, name),)
        }
    )


def close(limits: Limits, number: Interval, near: Decimal | None) -> bool:
    """Whether a known number lies so close to a limit that rounding could change the answer."""
    if near is None or number.low is None or number.low != number.high:
        return False
    given = (limits.at_least, limits.more_than, limits.at_most, limits.less_than)
    return any(limit - near <= number.low < limit + near for limit in given if limit is not None)


def length_in_words(length: str) -> str:
    """A length of time in words: `P6M` is 6 months."""
    count, unit = int(length[1:-1]), _UNITS[length[-1]]
    return f"{count} {unit}" + ("" if count == 1 else "s")


def limits_in_words(limits: Limits) -> str:
    """The limits as people say them."""
    parts = (
        ("at least", limits.at_least),
        ("more than", limits.more_than),
        ("at most", limits.at_most),
        ("less than", limits.less_than),
    )
    return " and ".join(f"{words} {limit:f}" for words, limit in parts if limit is not None)
