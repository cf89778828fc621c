"""Comparisons of what is only partly known."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Interval, exactly
from tests.domain.tables import table

TRUTH = {"yes": TRUE, "no": FALSE, "open": UNKNOWN}


def interval(text: str) -> Interval:
    """`[1,3]`, `(1,3]`, `[1,)`: a round bracket is an open end, a missing bound none."""
    low, high = text[1:-1].split(",")
    return Interval(
        Decimal(low) if low else None,
        Decimal(high) if high else None,
        text[0] == "(" and bool(low),
        text[-1] == ")" and bool(high),
    )


@table(
    """
    number | limit | at_least | more_than | why
    [3,3]  | 3     | yes      | no        | the limit itself
    [4,4]  | 3     | yes      | yes       | above
    [2,2]  | 3     | no       | no        | below
    [2,4]  | 3     | open     | open      | around
    [3,5]  | 3     | yes      | open      | from the limit on
    (3,5]  | 3     | yes      | yes       | above the limit
    [1,3]  | 3     | open     | no        | up to the limit
    [1,3)  | 3     | no       | no        | below the limit
    [3,)   | 3     | yes      | open      | without an upper bound
    (3,)   | 3     | yes      | yes       | above without an upper bound
    (,3)   | 3     | no       | no        | below without a lower bound
    (,3]   | 3     | open     | no        | up to the limit without a lower bound
    (,)    | 3     | open     | open      | nothing known
    """
)
def test_comparisons(number: str, limit: str, at_least: str, more_than: str) -> None:
    found = interval(number)
    assert found.at_least(Decimal(limit)) == TRUTH[at_least]
    assert found.more_than(Decimal(limit)) == TRUTH[more_than]


@table(
    """
    one   | other | apart | why
    [1,2] | [3,4] | yes   | a gap
    [1,2] | [2,4] |       | a common end
    [1,2) | [2,4] | yes   | an open end
    [1,2] | (2,4] | yes   | an open start
    [1,)  | [5,6] |       | without a bound
    (,1)  | [1,6] | yes   | below a bound
    [3,3] | [1,9] |       | inside
    """
)
def test_what_has_no_value_in_common(one: str, other: str, apart: str | None) -> None:
    assert interval(one).without(interval(other)) is bool(apart)
    assert interval(other).without(interval(one)) is bool(apart)


_numbers = st.decimals("-50", "50", places=1)


@given(_numbers, _numbers, _numbers, _numbers)
def test_what_is_decided_holds_for_every_value(
    one: Decimal, other: Decimal, limit: Decimal, value: Decimal
) -> None:
    low, high = sorted((one, other))
    value = min(max(value, low), high)
    span, point = Interval(low, high), exactly(value)
    for compared in ("at_least", "more_than"):
        truth = getattr(span, compared)(limit)
        assert truth in (UNKNOWN, getattr(point, compared)(limit))
