"""Rules on items, compiled: how many were ever present, and what the last score adds up to."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.clinical.interval import TRUE, UNKNOWN, Interval, Presence, exactly, weighed
from domain.clinical.slicc import counted
from domain.eligibility.facts import Facts, Reading, latest_of, shown
from domain.eligibility.logic import Result, merged
from domain.eligibility.observing import Compiled, name_of, unresolved
from domain.eligibility.picking import SAYS, holds, length_in_words, limits_in_words, within
from domain.eligibility.rules import Items, Score
from domain.eligibility.windows import resolver

if TYPE_CHECKING:
    from domain.trial.protocol import Entry, Protocol


def items(rule: Items, protocol: "Protocol") -> Compiled:
    """So many items, ever: once present an item stays, for it counts serially too."""
    name, entry = name_of(protocol, rule.code), protocol.dictionary[rule.code]
    resolve = resolver(rule.within)
    groups = [(entry.groups[group], Decimal(n)) for group, n in rule.groups.items()]
    of = ", ".join(f"at least {n} {group}" for group, n in rule.groups.items())
    asked = f"at least {rule.at_least}" + (f" with {of}" if of else "")

    def evaluate(facts: Facts) -> Result:
        readings = facts.readings(rule.code)
        window = resolve(facts)
        if window.span is None:
            return unresolved(name, window, () if readings else (rule.code,))
        certain, possible = within(readings, window.span)
        ever = _ever(certain, possible)
        count = _stated(counted(entry.items, ever, rule.only_without), certain)
        truths = [
            count.at_least(Decimal(rule.at_least)),
            *(counted(only, ever, rule.only_without).at_least(n) for only, n in groups),
        ]
        truth = min(truths)
        # What is absent decides as well where an item counts only without another.
        every = truth != TRUE or bool(rule.only_without)
        evidence = [one.evidence for one in certain if every or _says_present(one)]
        return Result(
            truth,
            merged((*evidence, window.evidence)),
            lambda: (
                f"{name}: {_count_in_words(count)} of {len(entry.items)} items, "
                f"{SAYS[truth]} {asked}"
            ),
            (rule.code,),
            (rule.code,),
            windows=window.applied,
        )

    return evaluate


def _says_present(one: Reading) -> bool:
    return one.number is not None or "present" in (one.body.components or {}).values()


def _ever(certain: Sequence[Reading], possible: Sequence[Reading]) -> dict[str, Presence]:
    """Each item over all results: present once is present; absent needs a result that says so."""
    found: dict[str, Presence] = {}
    for one in certain:
        for item, presence in (one.body.components or {}).items():
            if presence == "present" or found.get(item, "unknown") == "unknown":
                found[item] = presence
    for one in possible:
        for item, presence in (one.body.components or {}).items():
            if presence == "present" and found.get(item) == "absent":
                found[item] = "unknown"
    return found


def _stated(count: Interval, certain: Sequence[Reading]) -> Interval:
    """A count that was stated without its items stands for at least so many."""
    stated = [one.number.low for one in certain if one.number is not None]
    lows = [low for low in stated if low is not None]
    if not lows or count.low is None:
        return count
    low = max(count.low, *lows)
    only_stated = all(not one.body.components for one in certain)
    return Interval(low, low if only_stated else max(low, count.high or low))


def _count_in_words(count: Interval) -> str:
    assert count.low is not None
    assert count.high is not None
    if count.low == count.high:
        return f"{count.low:f}"
    return f"between {count.low:f} and {count.high:f}"


def score(rule: Score, protocol: "Protocol") -> Compiled:
    """The last score: its items' weights, or its stated total, as far as they are known."""
    name, entry = name_of(protocol, rule.code), protocol.dictionary[rule.code]
    resolve, asked = resolver(rule.within), limits_in_words(rule)
    nothing = weighed(entry.items, {})
    over = f" (items over {length_in_words(rule.items_over)})" if rule.items_over else ""

    def evaluate(facts: Facts) -> Result:
        readings = facts.readings(rule.code)
        window = resolve(facts)
        if window.span is None:
            return unresolved(name, window, () if readings else (rule.code,))
        certain, possible = within(readings, window.span)
        last = latest_of(certain, possible)
        points = _points(last, entry) if certain else nothing
        truth = holds(rule, points) if certain else UNKNOWN
        return Result(
            truth,
            merged((*(one.evidence for one in last), window.evidence)),
            lambda: (
                f"{name}: {_count_in_words(points)} points on {_days(last)}{over}, "
                f"{SAYS[truth]} {asked}"
            ),
            (rule.code,),
            (rule.code,),
            windows=window.applied,
        )

    return evaluate


def _days(readings: Sequence[Reading]) -> str:
    return ", ".join(dict.fromkeys(shown(one.days) for one in readings)) or "no day"


def _points(last: Sequence[Reading], entry: "Entry") -> Interval:
    """The points of the last result; of several that may be the last, what each allows.

    Results of one day complete each other; where they conflict, both stay possible.
    """
    days = {one.days for one in last}
    if len(days) == 1 and all(first == latest for first, latest in days):
        return _together(last, entry)
    ranges = [_together([one], entry) for one in last]
    return _hull(ranges) if ranges else weighed(entry.items, {})


def _together(readings: Sequence[Reading], entry: "Entry") -> Interval:
    ranges = [
        exactly(one.number.low)
        for one in readings
        if one.number is not None and one.number.low is not None
    ]
    if any(one.body.components for one in readings) or not ranges:
        ranges.append(weighed(entry.items, _agreed(readings)))
    low = max(_low(one) for one in ranges)
    high = min(_high(one) for one in ranges)
    return Interval(low, high) if low <= high else _hull(ranges)


def _hull(ranges: Sequence[Interval]) -> Interval:
    return Interval(min(_low(one) for one in ranges), max(_high(one) for one in ranges))


def _low(one: Interval) -> Decimal:
    assert one.low is not None
    return one.low


def _high(one: Interval) -> Decimal:
    assert one.high is not None
    return one.high


def _agreed(readings: Sequence[Reading]) -> dict[str, Presence]:
    found: dict[str, Presence] = {}
    conflicts: set[str] = set()
    for one in readings:
        for item, presence in (one.body.components or {}).items():
            known = found.get(item, "unknown")
            if known == "unknown":
                found[item] = presence
            elif presence not in ("unknown", known):
                conflicts.add(item)
    for item in conflicts:
        found[item] = "unknown"
    return found
