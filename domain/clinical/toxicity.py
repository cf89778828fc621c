"""Stopping boundaries for toxicity in early trials, by exact decimal arithmetic.

Sources: Bayesian posterior boundary with a Beta prior (conjugate binomial model); continuous
boundary of Pocock's type: Ivanova, Qaqish and Schell, Biometrics 2005;61:540-545; Bayesian optimal
interval design: Liu and Yuan, J R Stat Soc C 2015;64:507-523; the 3+3 design's usual reading.
A boundary is a tuple: at index n - 1 the smallest number of toxicities among n evaluable
participants that stops the study, or None where no number does.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import accumulate
from math import comb

DIGITS = 60
"""Working precision: far beyond what any decision here needs."""

CLOSE = Decimal("1e-40")
"""Closer to a limit than this counts as equal to it, and equal does not stop."""

PARTICIPANTS_MAX = 200
"""The largest study for which a boundary is computed."""

Boundary = tuple[int | None, ...]

Stops = Callable[[int, int], bool]
"""Whether x toxicities among n evaluable participants stop the study."""


@lru_cache(maxsize=4096)
def exceedance(theta: Decimal, a: Decimal, b: Decimal) -> Decimal:
    """P(p > theta) for p ~ Beta(a, b); theta strictly between 0 and 1, a and b positive.

    Both tails of the beta integral have the factor theta^a (1-theta)^b in common, so the ratio of
    two rational series gives the probability without the beta function itself (DLMF 8.17.8).
    """
    with localcontext() as context:
        context.prec = DIGITS
        below = _series(theta, a, b)
        above = _series(1 - theta, b, a)
        return above / (below + above)


def _series(x: Decimal, p: Decimal, q: Decimal) -> Decimal:
    """Sum over k of (p+q)_k / (p)_(k+1) x^k: the lower tail without its common factor."""
    term = 1 / p
    total, k = term, 0
    while True:
        ratio = (p + q + k) / (p + 1 + k) * x
        term *= ratio
        total += term
        k += 1
        # The ratios tend to x < 1, from above or below: the rest is less than a geometric series.
        bound = max(ratio, x)
        if bound < 1 and term * bound / (1 - bound) < total.scaleb(5 - DIGITS):
            return total


@lru_cache(maxsize=64)
def bayesian(theta: Decimal, a: Decimal, b: Decimal, confidence: Decimal, most: int) -> Boundary:
    """Stop when P(rate > theta | x of n) > confidence under a Beta(a, b) prior; n = 1..most."""
    return _smallest(most, lambda x, n: exceedance(theta, a + x, b + n - x) > confidence + CLOSE)


@lru_cache(maxsize=64)
def boin_eliminated(target: Decimal, most: int, confidence: Decimal = Decimal("0.95")) -> Boundary:
    """Stop when at least three were treated and P(rate > target) > confidence, prior Beta(1, 1)."""
    return _smallest(
        most,
        lambda x, n: (
            n >= 3 and exceedance(target, Decimal(1 + x), Decimal(1 + n - x)) > confidence + CLOSE
        ),
    )


def boin_rates(target: Decimal) -> tuple[Decimal, Decimal]:
    """The rates at or below which a dose is escalated, at or above which it is de-escalated.

    With the design's default alternatives of 0.6 and 1.4 times the target rate.
    """
    with localcontext() as context:
        context.prec = DIGITS
        low, high = target * Decimal("0.6"), target * Decimal("1.4")
        escalate = ((1 - low) / (1 - target)).ln() / (
            target * (1 - low) / (low * (1 - target))
        ).ln()
        reduce = ((1 - target) / (1 - high)).ln() / (
            high * (1 - target) / (target * (1 - high))
        ).ln()
        return escalate, reduce


def three_plus_three(most: int) -> Boundary:
    """Two toxicities stop: among the first three, or among six. Beyond six, a third of all."""
    return tuple(max(2, -(-n // 3)) if n >= 2 else None for n in range(1, most + 1))


@lru_cache(maxsize=64)
def pocock(theta: Decimal, phi: Decimal, most: int) -> Boundary:
    """After each participant the same pointwise level, the largest that keeps the chance of ever
    stopping at the reference rate theta at or below phi over `most` participants."""
    with localcontext() as context:
        context.prec = DIGITS
        tails = [_tails(theta, n) for n in range(1, most + 1)]
        levels = sorted({tail for row in tails for tail in row[1:]})
        best: Boundary = (None,) * most
        low, high = 0, len(levels) - 1
        while low <= high:
            middle = (low + high) // 2
            boundary = tuple(_at_level(row, levels[middle]) for row in tails)
            if crossing_probability(boundary, theta) <= phi + CLOSE:
                best, low = boundary, middle + 1
            else:
                high = middle - 1
        return best


def _tails(theta: Decimal, n: int) -> list[Decimal]:
    """P(X >= x) for X ~ Binomial(n, theta), x = 0..n."""
    masses = [comb(n, x) * theta**x * (1 - theta) ** (n - x) for x in range(n + 1)]
    return list(accumulate(reversed(masses)))[::-1]


def _at_level(tails: list[Decimal], level: Decimal) -> int | None:
    return next((x for x in range(1, len(tails)) if tails[x] <= level + CLOSE), None)


def crossing_probability(boundary: Boundary, rate: Decimal) -> Decimal:
    """The chance that a study with the true toxicity rate ever reaches the boundary (exact)."""
    with localcontext() as context:
        context.prec = DIGITS
        alive, crossed = [Decimal(1)], Decimal(0)
        for limit in boundary:
            following = [Decimal(0)] * (len(alive) + 1)
            for x, mass in enumerate(alive):
                following[x] += mass * (1 - rate)
                following[x + 1] += mass * rate
            for x in range(len(following)):
                if limit is not None and x >= limit:
                    crossed += following[x]
                    following[x] = Decimal(0)
            alive = following
        return crossed


def _smallest(most: int, stops: Stops) -> Boundary:
    return tuple(_smallest_of(most, stops))


def _smallest_of(most: int, stops: Stops) -> Iterator[int | None]:
    # The boundary never falls as more participants are evaluable: the search goes on from there.
    x = 0
    for n in range(1, most + 1):
        while x <= n and not stops(x, n):
            x += 1
        yield x if x <= n else None
        x = min(x, n)
