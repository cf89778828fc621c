"""Records of one moment that differ: no order tells which of them stands, so each may.

A rule is decided where it says the same in every order in which such records may stand: each of
them alone, or one as a change of another. Where it does not, it is unknown until one is corrected.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, islice, pairwise, product
from math import prod
from typing import Protocol, TypeVar

from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Truth
from domain.eligibility.logic import SEPARATOR, Needs, Result, merged, together
from domain.kernel import Event, Noted

WEIGHED_MAX = 64
"""Ways to read all records that are weighed; where there are more, the rule is unknown."""

DIFFER = "records of one moment differ"
"""What is said of a record that a person has to look at."""

EventT = TypeVar("EventT", bound=Event)

Order = tuple[Noted[EventT], ...]
"""Records in an order in which they may stand, the last one as the last word."""

Before = Callable[[Noted[EventT], Noted[EventT]], bool]
"""Whether a record is sure to come before another; a strict partial order."""


# --- in which orders records may stand ------------------------------------------------------------


def orders(records: Sequence[Noted[EventT]], before: Before[EventT]) -> list[Order[EventT]]:
    """The orders in which the records of one id may stand, that of effective time among them.

    No more than are weighed, and one to tell that there are more.
    """
    if all(before(one, other) for one, other in pairwise(records)):
        return [tuple(records)]
    parts = [_orders_of(part, before) for part in _apart(records, before)]
    every = (tuple(one for part in chosen for one in part) for chosen in product(*parts))
    return list(islice(every, WEIGHED_MAX + 1))


def _apart(records: Sequence[Noted[EventT]], before: Before[EventT]) -> list[list[Noted[EventT]]]:
    """The records in order, those together between which no order is sure."""
    parts: list[list[Noted[EventT]]] = []
    for one in records:
        beside = [
            part
            for part in parts
            if any(not before(one, other) and not before(other, one) for other in part)
        ]
        parts = [part for part in parts if part not in beside]
        parts.append([other for part in beside for other in part] + [one])
    return sorted(parts, key=lambda part: sum(before(other, part[0]) for other in records))


def _orders_of(part: Sequence[Noted[EventT]], before: Before[EventT]) -> list[Order[EventT]]:
    """Every order of the records, then of some: a record may stand for those it contradicts."""
    distinct = [
        one
        for at, one in enumerate(part)
        if not any(one.body == other.body and one.when == other.when for other in part[:at])
    ]
    every = (
        order
        for gone in range(len(distinct))
        for kept in combinations(distinct, len(distinct) - gone)
        if all(
            one in kept or any(_beside(one, other, before) for other in kept) for one in distinct
        )
        for order in _extensions(kept, before)
    )
    return list(islice(every, WEIGHED_MAX + 1))


def _beside(one: Noted[EventT], other: Noted[EventT], before: Before[EventT]) -> bool:
    return not before(one, other) and not before(other, one)


def _extensions(
    records: Sequence[Noted[EventT]], before: Before[EventT]
) -> Iterator[Order[EventT]]:
    """Every order of the records that keeps to what is sure."""
    if not records:
        yield ()
    for first in records:
        if not any(before(other, first) for other in records):
            rest = [one for one in records if one is not first]
            for order in _extensions(rest, before):
                yield (first, *order)


# --- what a rule says of all of them --------------------------------------------------------------


class Record(Protocol):
    """A record in one of the ways in which it may be read."""

    @property
    def evidence(self) -> tuple[int, ...]:
        """Positions of what was said of it, also of what does not stand."""

    def need(self, part: str) -> str:
        """A part of the record that is asked for."""


RecordT = TypeVar("RecordT", bound=Record)


def under_each(
    readings: Sequence[Sequence[RecordT]], judge: Callable[[Sequence[RecordT]], Result]
) -> Result:
    """What a rule says of records, each of which may be read in one or in several ways."""
    first = [ways[0] for ways in readings]
    disputed = [at for at, ways in enumerate(readings) if len(ways) > 1]
    if not disputed:
        return judge(first)
    needs = {at: first[at].need("correction") for at in disputed}
    if prod(map(len, readings)) > WEIGHED_MAX:
        every, evidence = tuple(needs.values()), merged(first[at].evidence for at in disputed)
        return Result(UNKNOWN, evidence, lambda: "too many records differ", every, every)
    told = [(chosen, judge(chosen)) for chosen in product(*readings)]
    results = [result for _, result in told]
    evidence = merged(one.evidence for one in results)
    if all(one.truth == results[0].truth for one in results):
        return results[0]._replace(
            evidence=evidence,
            for_true=together(one.for_true for one in results),
            for_false=together(one.for_false for one in results),
        )
    return results[0]._replace(
        truth=UNKNOWN,
        evidence=evidence,
        words=lambda: _either(results),
        for_true=_settling(told, needs, TRUE),
        for_false=_settling(told, needs, FALSE),
    )


def _either(results: Sequence[Result]) -> str:
    """One comparison of each kind: what is so by one record is not by another."""
    kinds = {one.truth: one for one in reversed(results)}
    return SEPARATOR.join(f"by one record {kinds[truth].words()}" for truth in sorted(kinds))


Told = Sequence[tuple[Sequence[RecordT], Result]]
"""The records as they were read, and what the rule says of them."""


def _settling(told: Told[RecordT], needs: dict[int, str], wanted: Truth) -> Needs:
    """The fewest corrections, and what is missing beside them, after which it could be so."""
    for enough in ({wanted}, {wanted, UNKNOWN}):
        for count in range(1, len(needs) + 1):
            for corrected in combinations(needs, count):
                for results in _left(told, corrected):
                    if enough.issuperset(one.truth for one in results):
                        asked = tuple(needs[at] for at in corrected)
                        return together([asked, *_open(results, wanted)])
    return ()


def _left(told: Told[RecordT], corrected: Sequence[int]) -> Iterator[list[Result]]:
    """The results that are left once it is told how some of the records read."""
    found: dict[tuple[int, ...], list[Result]] = {}
    for chosen, result in told:
        found.setdefault(tuple(id(chosen[at]) for at in corrected), []).append(result)
    yield from found.values()


def _open(results: Sequence[Result], wanted: Truth) -> Iterator[Needs]:
    for one in results:
        if one.truth == UNKNOWN:
            yield one.for_true if wanted == TRUE else one.for_false
