"""Rules on observations, compiled: numbers, titres, findings and coded texts."""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from domain.clinical.interval import ANY_NUMBER, FALSE, TRUE, UNKNOWN, Truth
from domain.eligibility.facts import Facts, Reading, Span, shown
from domain.eligibility.logic import Needs, Result, joined, merged
from domain.eligibility.measures import unit_factor
from domain.eligibility.picking import (
    SAYS,
    Test,
    close,
    extreme,
    holds,
    judged,
    limits_in_words,
    scaled,
)
from domain.eligibility.rules import Finding, OneOf, Pick, Titre, Value
from domain.eligibility.windows import Resolved, Resolver, resolver

if TYPE_CHECKING:
    from domain.journey.screening import ObservationRecorded
    from domain.trial.protocol import Protocol

Compiled = Callable[[Facts], Result]
"""A rule made ready for one protocol: what it says of a participant's facts."""

ONE = Decimal(1)


# --- words ----------------------------------------------------------------------------------------


def result_in_words(body: "ObservationRecorded") -> str:
    """The result as it was reported."""
    value = f"{body.value:f}" if isinstance(body.value, Decimal) else body.value
    parts = [value, body.unit if value is not None else None, body.interpretation]
    return " ".join(part for part in parts if part)


def unresolved(
    name: str, window: Resolved, for_true: Needs, for_false: Needs | None = None
) -> Result:
    """A rule whose window has no days yet; beside its anchor it may need further facts."""
    asked = ", ".join(window.missing)
    return Result(
        UNKNOWN,
        window.evidence,
        lambda: f"{name}: the window is not known yet (missing: {asked})",
        (*window.missing, *for_true),
        (*window.missing, *(for_true if for_false is None else for_false)),
    )


def name_of(protocol: "Protocol", code: str) -> str:
    """What a code is called."""
    entry = protocol.dictionary.get(code)
    return entry.name if entry is not None else code


def _observed(
    name: str, code: str, pick: Pick, resolve: Resolver, test: Test, asked: str
) -> Compiled:
    """A rule that asks each result the same question."""
    needs = (code,)

    def evaluate(facts: Facts) -> Result:
        readings = facts.readings(code)
        window = resolve(facts)
        if window.span is None:
            return unresolved(name, window, () if readings else (code,))
        span = window.span
        if not readings:
            nothing = f"{name}: no result ({span})"
            told = (window.evidence, lambda: nothing, needs, needs, False, True, ())
            return Result(UNKNOWN, *told, window.applied)
        truth, deciding = judged(pick, readings, span, test)

        def words() -> str:
            if not deciding:
                return f"{name}: no result ({span})"
            found = ", ".join(
                f"{result_in_words(one.body)} on {shown(one.days)}" for one in deciding
            )
            return f"{name} {found}: {SAYS[truth]} {asked} ({span})"

        if len(deciding) == 1:
            evidence = joined(deciding[0].evidence, window.evidence)
        else:
            evidence = merged((*(one.evidence for one in deciding), window.evidence))
        return Result(truth, evidence, words, needs, needs, windows=window.applied)

    return evaluate


# --- the rules ------------------------------------------------------------------------------------


def value(rule: Value, protocol: "Protocol") -> Compiled:
    """A number against limits, compared in the code's own unit."""
    name, entry = name_of(protocol, rule.code), protocol.dictionary[rule.code]
    limits = scaled(rule, unit_factor(entry, rule.unit) or ONE)
    near = rule.near * (unit_factor(entry, rule.unit) or ONE) if rule.near is not None else None
    resolve = resolver(rule.within, rule.recheck_days)
    asked = f"{limits_in_words(rule)} {rule.unit}"

    def test(one: Reading) -> Truth:
        return holds(limits, one.number or ANY_NUMBER)

    def any_close(facts: Facts, span: Span | None) -> bool:
        if near is None or span is None:
            return False
        counted = (one for one in facts.readings(rule.code) if span.holds(one.days) != FALSE)
        return any(close(limits, one.number or ANY_NUMBER, near) for one in counted)

    if rule.pick in ("latest", "any"):
        plain = _observed(name, rule.code, rule.pick, resolve, test, asked)
        if near is None:
            return plain
        return lambda facts: plain(facts)._replace(near=any_close(facts, resolve(facts).span))

    def evaluate(facts: Facts) -> Result:
        window = resolve(facts)
        if window.span is None:
            return unresolved(name, window, () if facts.readings(rule.code) else (rule.code,))
        span = window.span
        number, counted = extreme(rule.pick, facts.readings(rule.code), span)
        truth = holds(limits, number)
        evidence = merged((*(one.evidence for one in counted), window.evidence))
        return Result(
            truth,
            evidence,
            lambda: f"{name}, {rule.pick} of {len(counted)}: {SAYS[truth]} {asked} ({span})",
            (rule.code,),
            (rule.code,),
            near=any_close(facts, span),
            windows=window.applied,
        )

    return evaluate


def titre(rule: Titre, protocol: "Protocol") -> Compiled:
    """A dilution reached; without a value a negative reading says that it was not."""
    limit = Decimal(rule.at_least.removeprefix("1:"))

    def test(one: Reading) -> Truth:
        if one.number is not None:
            return one.number.at_least(limit)
        return FALSE if one.body.interpretation == "negative" else UNKNOWN

    pick: Pick = "any" if rule.pick == "highest" else rule.pick
    if pick == "lowest":
        return _lowest_titre(rule, protocol, test)
    asked = f"at least {rule.at_least}"
    resolve = resolver(rule.within)
    return _observed(name_of(protocol, rule.code), rule.code, pick, resolve, test, asked)


def _lowest_titre(rule: Titre, protocol: "Protocol", test: Test) -> Compiled:
    """The lowest titre reaches the dilution when none falls short of it."""
    asked = f"below {rule.at_least}"
    short = _observed(
        name_of(protocol, rule.code),
        rule.code,
        "any",
        resolver(rule.within),
        lambda one: TRUE - test(one),
        asked,
    )

    def evaluate(facts: Facts) -> Result:
        result = short(facts)
        return result._replace(truth=TRUE - result.truth)

    return evaluate


def finding(rule: Finding, protocol: "Protocol") -> Compiled:
    """A result that reads positive, negative or indeterminate."""
    wanted = frozenset(rule.results)

    def test(one: Reading) -> Truth:
        if one.body.interpretation in wanted:
            return TRUE
        return FALSE if one.body.interpretation in ("positive", "negative") else UNKNOWN

    resolve = resolver(rule.within, rule.recheck_days)
    asked = " or ".join(rule.results)
    return _observed(name_of(protocol, rule.code), rule.code, rule.pick, resolve, test, asked)


def one_of(rule: OneOf, protocol: "Protocol") -> Compiled:
    """A coded text among some values, in any case."""
    wanted = frozenset(text.casefold() for text in rule.values)

    def test(one: Reading) -> Truth:
        if one.body.value is None:
            return UNKNOWN
        return TRUE if str(one.body.value).strip().casefold() in wanted else FALSE

    asked = "one of " + ", ".join(rule.values)
    resolve = resolver(rule.within)
    return _observed(name_of(protocol, rule.code), rule.code, rule.pick, resolve, test, asked)
