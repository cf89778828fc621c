"""Windows as rules state them, resolved against a participant's anchors."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from domain.eligibility.facts import Facts, Span
from domain.eligibility.logic import Applied, Needs
from domain.eligibility.rules import Window
from domain.time import Duration

ONE_DAY = timedelta(days=1)

DAYS_MAX = 1_024
"""Days of anchors for which a window's days are kept."""


class Resolved(NamedTuple):
    """The days of a window with the evidence of its anchors, or what is missing for it."""

    span: Span | None
    evidence: tuple[int, ...] = ()
    missing: Needs = ()
    applied: tuple[Applied, ...] = ()


Resolver = Callable[[Facts], Resolved]

ANCHOR_NAMES = {
    "screening": "the screening visit",
    "day-0": "day 0",
    "consent": "consent",
    "lifetime": "lifetime",
}


def resolver(window: Window, recheck_days: int | None = None) -> Resolver:
    """How a window is resolved; `recheck_days` narrows it on the day of the dose.

    Rules with equal windows share what was resolved for the same facts.
    """
    key = f"window/{window.anchor}/{window.back}/{window.until}/{recheck_days}"
    usual = _lifetime if window.anchor == "lifetime" else _anchored(window)

    def resolve(facts: Facts) -> Resolved:
        known = facts.kept.get(key)
        if known is None:
            day = facts.recheck_on
            if day is None or recheck_days is None:
                known = usual(facts)
            else:
                first = day - timedelta(days=recheck_days)
                known = Resolved(Span(first, day), (), (), (Applied("day-0", day, first, day),))
            facts.kept[key] = known
        assert isinstance(known, Resolved)
        return known

    return resolve


def _lifetime(facts: Facts) -> Resolved:
    last = facts.day_0.on
    return Resolved(Span(None, last), (), (), (Applied("lifetime", None, None, last),))


def _anchored(window: Window) -> Resolver:
    back = Duration.parse(window.back) if window.back is not None else None

    @lru_cache(maxsize=DAYS_MAX)
    def days(on: date, day_0: date | None) -> tuple[Span, tuple[Applied, ...]]:
        first = before(on, back) if back is not None else None
        last = _last(window, on, day_0)
        return Span(first, last), (Applied(window.anchor, on, first, last),)

    def resolve(facts: Facts) -> Resolved:
        anchor = facts.anchor(window.anchor)
        if anchor.on is None:
            return Resolved(None, anchor.evidence, anchor.missing)
        span, applied = days(anchor.on, facts.day_0.on)
        return Resolved(span, anchor.evidence, (), applied)

    return resolve


def _last(window: Window, on: date, day_0: date | None) -> date | None:
    """The window's last day; until day 0 is planned a window up to it is open."""
    if window.until == "anchor":
        return on
    if window.until == "day-before":
        return on - ONE_DAY
    if day_0 is None or window.until == "day-0":
        return day_0
    return day_0 - ONE_DAY


def before(day: date, length: Duration) -> date:
    """So long before a day; nothing is earlier than the calendar's first day."""
    try:
        return length.before(day)
    except (OverflowError, ValueError):
        return date.min
