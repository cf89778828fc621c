"""Stopping boundaries against published-style tables for ten participants, and their exactness."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, comb
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.clinical.toxicity import (
    Boundary,
    bayesian,
    boin_eliminated,
    boin_rates,
    crossing_probability,
    exceedance,
    pocock,
    three_plus_three,
)

D = Decimal
RATES = ("0.1", "0.2", "0.3", "0.4", "0.5")
STOPS = [
    dict(zip(RATES, row.split(), strict=True))
    for row in (
        ".038 .172 .385 .617 .809",
        ".018 .105 .281 .512 .733",
        ".013 .073 .203 .397 .617",
    )
]
"""How often the Bayesian boundaries stop a study of ten, by the true rate."""


def boundary(text: str) -> Boundary:
    return tuple(None if word == "-" else int(word) for word in text.split(","))


@pytest.mark.parametrize(
    ("theta", "a", "b", "table", "stops"),
    [
        ("0.20", "0.4", "1.6", "-,2,2,3,3,3,4,4,4,5", ".038 .172 .385 .617 .809"),
        ("0.25", "0.5", "1.5", "-,2,3,3,3,4,4,4,5,5", ".018 .105 .281 .512 .733"),
        ("0.30", "0.6", "1.4", "-,2,3,3,4,4,4,5,5,6", ".013 .073 .203 .397 .617"),
        ("0.30", "1", "1", "1,2,2,3,3,4,4,4,5,5", None),
    ],
)
def test_the_bayesian_boundary_and_how_often_it_stops(
    theta: str, a: str, b: str, table: str, stops: str | None
) -> None:
    found = bayesian(Decimal(theta), Decimal(a), Decimal(b), Decimal("0.90"), 10)
    assert found == boundary(table)
    if stops is None:
        return
    for rate, expected in zip(RATES, stops.split(), strict=True):
        chance = crossing_probability(found, Decimal(rate))
        assert abs(chance - Decimal(expected)) < Decimal("0.00051")


@pytest.mark.parametrize(
    ("theta", "phi", "table", "overall"),
    [
        ("0.10", "0.05", "-,2,2,3,3,3,3,4,4,4", ".0468"),
        ("0.20", "0.05", "-,-,3,3,4,4,5,5,5,6", ".0421"),
        ("0.20", "0.10", "-,2,3,3,4,4,4,4,5,5", ".0928"),
        ("0.25", "0.05", "-,-,3,4,4,5,5,5,6,6", ".0457"),
        ("0.30", "0.05", "-,-,3,4,5,5,6,6,6,7", ".0471"),
        ("0.30", "0.10", "-,-,3,4,4,5,5,5,6,6", ".0889"),
    ],
)
def test_the_pocock_type_boundary_and_its_overall_level(
    theta: str, phi: str, table: str, overall: str
) -> None:
    found = pocock(Decimal(theta), Decimal(phi), 10)
    assert found == boundary(table)
    assert round(crossing_probability(found, Decimal(theta)), 4) == Decimal(overall)


@pytest.mark.parametrize(
    ("target", "escalate", "reduce"),
    [
        ("0.15", ".1178", ".1787"),
        ("0.20", ".1572", ".2385"),
        ("0.25", ".1968", ".2984"),
        ("0.30", ".2365", ".3585"),
        ("0.33", ".2604", ".3947"),
    ],
)
def test_the_rates_of_the_bayesian_optimal_interval_design(
    target: str, escalate: str, reduce: str
) -> None:
    low, high = boin_rates(Decimal(target))
    assert (round(low, 4), round(high, 4)) == (Decimal(escalate), Decimal(reduce))


def test_the_bayesian_optimal_interval_design_at_a_target_of_30_percent() -> None:
    assert boin_eliminated(Decimal("0.30"), 10) == boundary("-,-,3,3,4,4,5,5,5,6")
    low, high = boin_rates(Decimal("0.30"))
    counts = range(1, 11)
    assert [int(low * n) for n in counts] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert [ceil(high * n) for n in counts] == [1, 1, 2, 2, 2, 3, 3, 3, 4, 4]


def test_three_and_three() -> None:
    assert three_plus_three(10) == boundary("-,2,2,2,2,2,3,3,3,4")


@pytest.mark.parametrize(
    ("rate", "escalates"),
    [
        ("0.05", ".973"),
        ("0.1", ".906"),
        ("0.2", ".709"),
        ("0.3", ".494"),
        ("0.4", ".309"),
        ("0.5", ".172"),
    ],
)
def test_three_and_three_lets_six_through_as_often_as_its_formula_says(
    rate: str, escalates: str
) -> None:
    p = Decimal(rate)
    formula = (1 - p) ** 3 + 3 * p * (1 - p) ** 2 * (1 - p) ** 3
    assert round(formula, 3) == Decimal(escalates)
    # Stopping at 2 of 6 at any time is stricter than looking after three and after six only.
    chance = 1 - crossing_probability(three_plus_three(6), p)
    at_most_one_of_six = sum(comb(6, x) * p**x * (1 - p) ** (6 - x) for x in (0, 1))
    assert abs(chance - at_most_one_of_six) < Decimal("1e-40")


# --- exactness ------------------------------------------------------------------------------------


def exact(theta: Fraction, a: int, b: int) -> Fraction:
    """P(p > theta) for whole a and b: the tail of a binomial distribution, in exact fractions."""
    n = a + b - 1
    return sum(
        (Fraction(comb(n, j)) * theta**j * (1 - theta) ** (n - j) for j in range(a)), Fraction(0)
    )


@settings(deadline=None)
@given(percent=st.integers(1, 99), a=st.integers(1, 12), b=st.integers(1, 12))
def test_the_tail_of_the_beta_distribution_equals_the_exact_fraction(
    percent: int, a: int, b: int
) -> None:
    theta = Decimal(percent) / 100
    fraction = exact(Fraction(percent, 100), a, b)
    decimal = Decimal(fraction.numerator) / Decimal(fraction.denominator)
    assert abs(exceedance(theta, Decimal(a), Decimal(b)) - decimal) < Decimal("1e-26")


def test_the_tail_for_half_numbers_agrees_with_its_closed_form() -> None:
    # Beta(1/2, 3/2): P(p <= t) = (2/pi)(asin(sqrt t) + sqrt(t(1-t))); at t = 1/4 that is
    # 1/3 + sqrt(3)/(2 pi), here with pi by Machin's formula in decimals.
    pi = 16 * _arctan(5) - 4 * _arctan(239)
    expected = 1 - (Decimal(1) / 3 + Decimal(3).sqrt() / (2 * pi))
    found = exceedance(Decimal("0.25"), Decimal("0.5"), Decimal("1.5"))
    assert abs(found - expected) < Decimal("1e-26")


def _arctan(inverse: int) -> Decimal:
    x = Decimal(1) / inverse
    return sum((-1) ** k * x ** (2 * k + 1) / (2 * k + 1) for k in range(40))  # type: ignore[return-value]


def test_exactly_at_the_limit_does_not_stop() -> None:
    # Beta(1, 1) after 1 of 1: P(p > 0.25) = 1 - 0.25^2 = 0.9375 exactly.
    prior = (Decimal(1), Decimal(1))
    assert bayesian(Decimal("0.25"), *prior, Decimal("0.9375"), 1) == (None,)
    assert bayesian(Decimal("0.25"), *prior, Decimal("0.9374999999"), 1) == (1,)


@settings(deadline=None, max_examples=25)
@given(
    theta=st.integers(5, 60),
    prior=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    confidence=st.integers(50, 99),
)
def test_a_boundary_never_falls_and_more_toxicity_never_helps(
    theta: int, prior: tuple[int, int], confidence: int
) -> None:
    t, c = Decimal(theta) / 100, Decimal(confidence) / 100
    a, b = (Decimal(one) / 10 for one in prior)
    found = bayesian(t, a, b, c, 12)
    numbers = [limit if limit is not None else n + 1 for n, limit in enumerate(found, start=1)]
    assert numbers == sorted(numbers)
    for n, limit in enumerate(numbers, start=1):
        for x in range(n + 1):
            assert (exceedance(t, a + x, b + n - x) > c) is (x >= limit)


SIMULATED = 20_000
"""So many studies are drawn for each design and rate."""


@pytest.mark.parametrize(
    ("design", "limits", "stops"),
    [
        ("bayesian .20", bayesian(D("0.20"), D("0.4"), D("1.6"), D("0.90"), 10), STOPS[0]),
        ("bayesian .25", bayesian(D("0.25"), D("0.5"), D("1.5"), D("0.90"), 10), STOPS[1]),
        ("bayesian .30", bayesian(D("0.30"), D("0.6"), D("1.4"), D("0.90"), 10), STOPS[2]),
        ("pocock", pocock(D("0.20"), D("0.05"), 10), {"0.2": ".0421"}),
        ("pocock", pocock(D("0.25"), D("0.05"), 10), {"0.25": ".0457"}),
        ("pocock", pocock(D("0.30"), D("0.10"), 10), {"0.3": ".0889"}),
        ("3+3, six at most", three_plus_three(6), {"0.1": ".1143", "0.3": ".5798"}),
        ("boin", boin_eliminated(D("0.30"), 10), None),
    ],
)
def test_simulated_studies_stop_as_often_as_the_tables_and_the_recursion_say(
    design: str, limits: Boundary, stops: dict[str, str] | None
) -> None:
    draws = Random(20261207)
    for rate in stops or RATES:
        exact = crossing_probability(limits, Decimal(rate))
        if stops is not None:
            assert abs(exact - Decimal(stops[rate])) < Decimal("0.00051"), (design, rate)
        stopped = sum(_stops(limits, float(rate), draws) for _ in range(SIMULATED))
        error = (float(exact) * (1 - float(exact)) / SIMULATED) ** 0.5
        assert abs(stopped / SIMULATED - float(exact)) < 4 * error, (design, rate)


def _stops(limits: Boundary, rate: float, draws: Random) -> bool:
    toxic = 0
    for limit in limits:
        toxic += draws.random() < rate
        if limit is not None and toxic >= limit:
            return True
    return False
