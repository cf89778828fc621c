"""Stopping rules across participants: the boundary on toxicity rates, absolute halts, the stagger.

A crossing proposes a hold. It stands until a named person lifts it, and is taken back only when
what it rested on was: that more participants turn out well later does not undo it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, assert_never

from domain.clinical import toxicity as boundaries
from domain.kernel import Noted, cited
from domain.trial.events import SlotTaken, StoppingBoundaryCrossed
from domain.trial.protocol import (
    Bayesian,
    Boin,
    Pocock,
    Protocol,
    Stagger,
    ThreePlusThree,
    Toxicity,
)

if TYPE_CHECKING:
    from domain.trial.study import Trial

Slot = Noted[SlotTaken]

TABLE_MIN = 10
"""So many rows a boundary's table has at least where the protocol has no accrual limit."""

STAGGER = "stagger"
"""The rule that the first doses keep their distance."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How the study stands against its boundary on a day."""

    dosed: int
    evaluable: int
    """Had a dose-limiting toxicity, or finished the window without one."""
    pending: int
    """Still inside the window: they do not dilute the rate, nor do those who left inside it."""
    with_dlt: int
    boundary: int | None
    """So many of the evaluable participants with a toxicity stop the study; None: no number."""
    crossed: bool


def tally(trial: "Trial", protocol: Protocol, today: date) -> Tally:
    """The figures of the boundary on a day in the sponsor's zone."""
    dosed, evaluable, limiting = _counted(trial, protocol, today)
    limit = None
    if protocol.toxicity is not None and evaluable:
        limit = boundary_at(protocol.toxicity, len(evaluable), protocol.accrual)
    return Tally(
        dosed=len(dosed),
        evaluable=len(evaluable),
        pending=sum(one.status == "pending" for one in followed(trial, protocol, today)),
        with_dlt=len(limiting),
        boundary=limit,
        crossed=limit is not None and len(limiting) >= limit,
    )


@dataclass(frozen=True, slots=True)
class Followed:
    """One dosed participant, as the boundary counts them on a day."""

    participant: str
    site: str | None
    dosed_on: date
    window_ends: date
    """The last day of the window in which a toxicity counts."""
    status: Literal["with-dlt", "completed", "pending", "left"]
    """`left`: the journey ended inside the window without a toxicity; never evaluable."""
    events: tuple[str, ...]
    """Names of the dose-limiting events."""


def followed(trial: "Trial", protocol: Protocol, today: date) -> Iterator[Followed]:
    """Every dosed participant, the first dose first."""
    dosed, evaluable, limiting = _counted(trial, protocol, today)
    window = timedelta(days=protocol.toxicity.window_days if protocol.toxicity else 0)
    finished, toxic = _names(evaluable), _names(limiting)
    for slot in sorted(dosed, key=lambda one: (one.body.dose_day(), one.body.participant)):
        assert slot.body.dosed_on is not None
        done: Literal["completed", "pending", "left"] = "left" if slot.body.left_on else "pending"
        done = "completed" if slot.body.participant in finished else done
        yield Followed(
            participant=slot.body.participant,
            site=slot.body.site,
            dosed_on=slot.body.dosed_on.first,
            window_ends=slot.body.dosed_on.last + window,
            status="with-dlt" if slot.body.participant in toxic else done,
            events=tuple(one.ae for one in slot.body.toxicities if one.dose_limiting),
        )


def boundary_table(trial: "Trial", protocol: Protocol) -> Iterator[tuple[int, int | None]]:
    """Each number of evaluable participants, and so many with a toxicity that stop the study."""
    if protocol.toxicity is None:
        return
    dosed = sum(slot.body.dosed_on is not None for slot in trial.slots.values())
    most = min(protocol.accrual or max(dosed, TABLE_MIN), boundaries.PARTICIPANTS_MAX)
    for evaluable in range(1, most + 1):
        yield evaluable, boundary_at(protocol.toxicity, evaluable, protocol.accrual)


def boundary_at(rules: Toxicity, evaluable: int, accrual: int | None) -> int | None:
    """The smallest number of participants with a toxicity that stops among so many evaluable."""
    most = min(accrual or boundaries.PARTICIPANTS_MAX, boundaries.PARTICIPANTS_MAX)
    if evaluable > most:
        most = evaluable if evaluable <= boundaries.PARTICIPANTS_MAX else 0
    table: boundaries.Boundary
    match rules.boundary:
        case Bayesian(theta=theta, prior_a=a, prior_b=b, confidence=confidence):
            table = boundaries.bayesian(theta, a, b, confidence, most)
        case Pocock(theta=theta, phi=phi):
            table = boundaries.pocock(theta, phi, most)
        case ThreePlusThree():
            table = boundaries.three_plus_three(most)
        case Boin(target=target):
            table = boundaries.boin_eliminated(target, most)
        case _:
            assert_never(rules.boundary)
    return table[evaluable - 1] if evaluable <= len(table) else None


def crossed(trial: "Trial", protocol: Protocol, today: date) -> Iterator[StoppingBoundaryCrossed]:
    """Crossings that the study's stream does not say yet, and those whose ground fell away."""
    current = {one.rule: one for one in _crossings(trial, protocol, today)}
    for rule, crossing in current.items():
        known = trial.boundaries.get(rule) or trial.lifted.get(rule)
        if known is None or crossing.with_toxicity > known.body.with_toxicity:
            yield crossing
    for rule, known in {**trial.lifted, **trial.boundaries}.items():
        fewer = _toxic(trial, rule, protocol, today) < known.body.with_toxicity
        if rule not in current and fewer:
            yield known.body.model_copy(update={"cleared": True, "evidence": known.cited})


def _counted(
    trial: "Trial", protocol: Protocol, today: date
) -> tuple[list[Slot], list[Slot], list[Slot]]:
    """Participants dosed, those evaluable, and those with a dose-limiting toxicity."""
    dosed = [slot for slot in trial.slots.values() if slot.body.dosed_on is not None]
    window = timedelta(days=protocol.toxicity.window_days if protocol.toxicity else 0)
    limiting = [slot for slot in dosed if any(one.dose_limiting for one in slot.body.toxicities)]
    toxic = _names(limiting)
    evaluable = [
        slot
        for slot in dosed
        if slot.body.participant in toxic
        or (
            slot.body.dosed_on is not None
            and slot.body.left_on is None
            and slot.body.dosed_on.last + window < today
        )
    ]
    return dosed, evaluable, limiting


def _names(slots: Iterable[Slot]) -> set[str]:
    return {slot.body.participant for slot in slots}


def _crossings(
    trial: "Trial", protocol: Protocol, today: date
) -> Iterator[StoppingBoundaryCrossed]:
    rules = protocol.toxicity
    dosed, evaluable, limiting = _counted(trial, protocol, today)

    def crossing(
        rule: str, explanation: str, slots: list[Slot], count: int
    ) -> StoppingBoundaryCrossed:
        return StoppingBoundaryCrossed(
            rule=rule,
            explanation=explanation,
            dosed=len(dosed),
            evaluable=len(evaluable),
            with_toxicity=count,
            evidence=cited(*slots),
        )

    if protocol.stagger is not None and (hasty := _too_soon(dosed, protocol.stagger)):
        first, days = protocol.stagger.first, protocol.stagger.days
        words = f"the first {first} doses are at least {days} days apart, and {len(hasty)} were not"
        yield crossing(STAGGER, words, [slot for pair in hasty for slot in pair], len(hasty))
    if rules is None:
        return
    limit = boundary_at(rules, len(evaluable), protocol.accrual) if evaluable else None
    if limit is not None and len(limiting) >= limit:
        words = (
            f"{len(limiting)} of {len(evaluable)} evaluable participants had a dose-limiting "
            f"toxicity; {limit} stop the study"
        )
        yield crossing(rules.boundary.design, words, limiting, len(limiting))
    for rule, slots in _halted(dosed).items():
        words = f"{len(slots)} of {len(dosed)} dosed participants had an event that halts: {rule}"
        yield crossing(f"halt-{rule}", words, slots, len(slots))
    events = _by_class(dosed)
    for name, count in events.items():
        if count >= rules.halt_same_class:
            slots = [slot for slot in dosed if name in _classes(slot)]
            words = f"{count} related serious events of one class: {name}"
            yield crossing(f"same-class-{name}", words, slots, count)


def _too_soon(dosed: list[Slot], stagger: Stagger) -> list[tuple[Slot, Slot]]:
    """Of the study's first doses those that were given too soon, each with the one before it."""
    days = sorted(
        (
            (slot.body.dosed_on.first, slot.body.participant, slot)
            for slot in dosed
            if slot.body.dosed_on is not None
        ),
        key=lambda one: one[:2],
    )
    return [
        (before, after)
        for (earlier, _, before), (later, _, after) in pairwise(days[: stagger.first])
        if (later - earlier).days < stagger.days
    ]


def _halted(dosed: list[Slot]) -> Mapping[str, list[Slot]]:
    halted: dict[str, list[Slot]] = {}
    for slot in dosed:
        for rule in sorted({one.halting for one in slot.body.toxicities if one.halting}):
            halted.setdefault(rule, []).append(slot)
    return halted


def _by_class(dosed: list[Slot]) -> Counter[str]:
    return Counter(name for slot in dosed for name in _classes(slot))


def _classes(slot: Slot) -> list[str]:
    found = (one.related_serious_class for one in slot.body.toxicities)
    return [name for name in found if name is not None]


def _toxic(trial: "Trial", rule: str, protocol: Protocol, today: date) -> int:
    """How many a rule counts now (toxicities, doses too soon), whether or not they cross it."""
    dosed, _, limiting = _counted(trial, protocol, today)
    if rule == STAGGER:
        return len(_too_soon(dosed, protocol.stagger)) if protocol.stagger is not None else 0
    if rule.startswith("halt-"):
        return len(_halted(dosed).get(rule.removeprefix("halt-"), []))
    if rule.startswith("same-class-"):
        return _by_class(dosed)[rule.removeprefix("same-class-")]
    return len(limiting)
