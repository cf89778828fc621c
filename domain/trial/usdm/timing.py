"""The main timeline as days: each node's distance from its anchor, resolved over chains."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from domain.kernel import Problem
from domain.trial.usdm.document import Instance, Timeline, Timing
from domain.trial.usdm.words import AFTER, BEFORE, FIXED, days_of

CHAIN_MAX = 200


@dataclass(frozen=True, slots=True)
class Placed:
    """A node of the timeline: its day from its anchor, and the window that is stated for it."""

    instance: Instance
    index: int
    anchor: str
    """`dose` or `screening`."""
    day: int
    fixed: bool
    before: int
    after: int
    windowed: bool


class _Unplaced(Exception):
    """The node's day cannot be told."""

    def __init__(self, timing: int, rule: str) -> None:
        super().__init__(rule)
        self.timing = timing
        self.rule = rule


def placed(timeline: Timeline, place: str) -> Iterator[Placed | Problem]:
    """Each node with a timing, in order; a problem where its day cannot be told.

    `place` is the JSON pointer of the timeline. Whatever precedes a fixed reference counts from
    it: that node is day 0.
    """
    timings = {one.from_id: (index, one) for index, one in enumerate(timeline.timings)}
    nodes = {one.id: one for one in timeline.instances}
    for index, instance in enumerate(timeline.instances):
        if instance.id not in timings:
            continue
        at, timing = timings[instance.id]
        try:
            anchor, day = _day(instance.id, timings, nodes)
            before, after = _window(at, timing)
        except _Unplaced as why:
            yield Problem(f"{place}/timings/{why.timing}", why.rule)
            continue
        fixed = timing.type.code == FIXED[0]
        stated = timing.lower is not None or timing.upper is not None
        yield Placed(instance, index, anchor, day, fixed, before, after, stated or fixed)


def _day(
    node: str, timings: Mapping[str, tuple[int, Timing]], nodes: Mapping[str, Instance]
) -> tuple[str, int]:
    total = 0
    at = 0
    for _ in range(CHAIN_MAX):
        if node not in timings or node not in nodes:
            raise _Unplaced(at, "dangling-timing")
        at, timing = timings[node]
        if timing.type.code == FIXED[0]:
            return str(nodes[node].known().get("anchor", "dose")), total
        days = days_of(timing.value, outward=False)
        if days is None:
            raise _Unplaced(at, "duration-without-days")
        if timing.type.code not in (AFTER[0], BEFORE[0]):
            raise _Unplaced(at, "unknown-timing-type")
        total += days if timing.type.code == AFTER[0] else -days
        node = timing.to_id or ""
    raise _Unplaced(at, "circular-timing")


def _window(at: int, timing: Timing) -> tuple[int, int]:
    found = [
        0 if stated is None else days_of(stated, outward=True)
        for stated in (timing.lower, timing.upper)
    ]
    if found[0] is None or found[1] is None:
        raise _Unplaced(at, "duration-without-days")
    return found[0], found[1]
