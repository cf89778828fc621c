"""Whether a criterion's rule can be decided on what the protocol declares.

Each node is checked against the dictionary, the statements, the visits and the tables: a code that
is not declared, a unit that cannot be converted, a count that cannot be reached.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import assert_never

from domain.eligibility import rules
from domain.eligibility.rules import Limits, Medicines, Rule, Window
from domain.kernel import Problem
from domain.trial.protocol import Entry, Protocol

Words = Mapping[str, frozenset[str] | None]
"""Part of the protocol -> names that count as defined there (None: any name), because what would
define them has a problem of its own already."""

RULES: Mapping[str, str] = MappingProxyType(
    {
        "cannot-be-counted": "The rule asks for more items than there are.",
        "contradictory-classes": "Every class of medicine that counts is ruled out again.",
        "contradictory-routes": "A route cannot count and not count.",
        "impossible-limits": "No number lies within the limits.",
        "no-day-0": "The rule counts from day 0, and no visit gives the dose.",
        "no-limit": "A comparison needs a limit.",
        "no-observation": "The rule names no observation that could decide it.",
        "no-steroid-table": "Doses of corticosteroids cannot be compared without a table.",
        "outside-range": "The limit lies outside what the code can be: always or never true.",
        "unit-not-convertible": "The code has no such unit, and no factor to convert it by.",
        "unknown-group": "The code has no such group of items.",
        "unknown-observation": "The dictionary has no such code.",
        "unknown-statement": "There is no such statement.",
        "window-is-empty": "No day lies in the window.",
        "window-of-a-lifetime": "A lifetime has no other first or last day than its own.",
        "window-without-start": "Days are counted from a first one: the window needs `back`.",
        "wrong-kind": "An observation of this kind cannot decide such a rule.",
    }
)
"""Rule -> what it asks."""

KILOGRAM = "kg"
CREATININE_UNITS = ("mg/dL", "umol/L")

Found = Iterator[Problem]

Leaf = (
    rules.Age
    | rules.Consent
    | rules.Attested
    | rules.Value
    | rules.Titre
    | rules.Finding
    | rules.OneOf
    | rules.Items
    | rules.Score
    | rules.Egfr
    | rules.MedicationTaken
    | rules.MedicationHeld
    | rules.MedicationChanged
    | rules.MedicationElapsed
    | rules.MedicationDays
    | rules.DailyDose
    | rules.History
)
"""A node that has no rules below it."""


def undecidable(rule: Rule, protocol: Protocol, place: str, spared: Words) -> Found:
    """Everything that keeps the rule from being decided, each with its place below `place`."""
    yield from _Checks(protocol, spared).of(rule, place)


@dataclass(frozen=True, slots=True)
class _Checks:
    protocol: Protocol
    spared: Words

    def of(self, rule: Rule, place: str) -> Found:
        """The problems of a node and of those below it."""
        match rule:
            case rules.All() | rules.Any() | rules.AtLeast():
                yield from self._several(rule, place)
            case rules.Not() | rules.AppliesTo():
                yield from self.of(rule.of, f"{place}/of")
            case rules.Decided():
                yield from self.of(rule.yes, f"{place}/yes")
                yield from self.of(rule.no, f"{place}/no")
            case rules.Remark():
                yield from self.of(rule.when, f"{place}/when")
                yield from self.of(rule.of, f"{place}/of")
            case _:
                yield from self._leaf(rule, place)

    def _leaf(self, rule: Leaf, place: str) -> Found:
        match rule:
            case rules.Age() | rules.Consent() | rules.Attested():
                yield from self._person(rule, place)
            case rules.Value() | rules.Titre() | rules.Finding() | rules.OneOf():
                yield from self._result(rule, place)
            case rules.Items() | rules.Score():
                yield from self._items(rule, place)
            case rules.Egfr():
                yield from self._egfr(rule, place)
            case Medicines():
                yield from self._medicines(rule, place)
            case rules.History():
                if rule.within is not None:
                    yield from self._window(rule.within, f"{place}/within")
                yield from self._statement(rule.complete_when, f"{place}/complete_when")
            case _:
                assert_never(rule)

    # --- logic and the person ---------------------------------------------------------------------

    def _several(self, rule: rules.All | rules.Any | rules.AtLeast, place: str) -> Found:
        if isinstance(rule, rules.AtLeast) and rule.count > len(rule.of):
            yield Problem(f"{place}/count", "cannot-be-counted")
        for index, member in enumerate(rule.of):
            yield from self.of(member, f"{place}/of/{index}")

    def _person(self, rule: rules.Age | rules.Consent | rules.Attested, place: str) -> Found:
        match rule:
            case rules.Age(at_least=None, at_most=None):
                yield Problem(place, "no-limit")
            case rules.Age(at_least=int(low), at_most=int(high)) if low > high:
                yield Problem(place, "impossible-limits")
            case rules.Age() | rules.Consent():
                return
            case rules.Attested():
                yield from self._statement(rule.statement, f"{place}/statement")
            case _:
                assert_never(rule)

    def _statement(self, statement: str | None, place: str) -> Found:
        if statement is not None and not self._declared("statements", statement):
            yield Problem(place, "unknown-statement")

    def _declared(self, part: str, name: str) -> bool:
        others = self.spared.get(part, frozenset())
        return name in getattr(self.protocol, part, ()) or others is None or name in others

    # --- observations -----------------------------------------------------------------------------

    def _result(
        self, rule: rules.Value | rules.Titre | rules.Finding | rules.OneOf, place: str
    ) -> Found:
        yield from self._window(rule.within, f"{place}/within")
        match rule:
            case rules.Value():
                yield from _limits(rule, place)
                yield from self._observed(rule.code, ("quantity",), f"{place}/code")
                yield from self._convertible(rule.code, (rule.unit,), f"{place}/unit")
                yield from self._within_range(rule, place)
            case rules.Titre():
                yield from self._observed(rule.code, ("titre",), f"{place}/code")
            case rules.Finding():
                kinds = ("presence", "quantity", "titre")
                yield from self._observed(rule.code, kinds, f"{place}/code")
            case rules.OneOf():
                yield from self._observed(rule.code, ("text",), f"{place}/code")
            case _:
                assert_never(rule)

    def _observed(self, code: str, kinds: tuple[str, ...], place: str) -> Found:
        entry = self.protocol.dictionary.get(code)
        if entry is None:
            if not self._declared("dictionary", code):
                yield Problem(place, "unknown-observation")
        elif entry.kind not in kinds:
            yield Problem(place, "wrong-kind")

    def _convertible(self, code: str, units: tuple[str, ...], place: str) -> Found:
        entry = self.protocol.dictionary.get(code)
        if entry is None or entry.kind != "quantity" or entry.unit is None:
            return
        if not any(_factor(entry, unit) is not None for unit in units):
            yield Problem(place, "unit-not-convertible")

    def _within_range(self, rule: rules.Value, place: str) -> Found:
        entry = self.protocol.dictionary.get(rule.code)
        factor = _factor(entry, rule.unit) if entry is not None else None
        if entry is None or entry.plausible is None or factor is None:
            return
        low, high = entry.plausible.low, entry.plausible.high
        for name, limit in _given(rule):
            value = limit * factor
            if (low is not None and value < low) or (high is not None and value > high):
                yield Problem(f"{place}/{name}", "outside-range")

    def _items(self, rule: rules.Items | rules.Score, place: str) -> Found:
        yield from self._window(rule.within, f"{place}/within")
        yield from self._observed(rule.code, ("items", "score"), f"{place}/code")
        if isinstance(rule, rules.Score):
            yield from _limits(rule, place)
        entry = self.protocol.dictionary.get(rule.code)
        if entry is None or entry.kind not in ("items", "score"):
            return
        match rule:
            case rules.Score():
                yield from _reachable(rule, entry, place)
            case rules.Items():
                yield from _countable(rule, entry, place)
            case _:
                assert_never(rule)

    def _egfr(self, rule: rules.Egfr, place: str) -> Found:
        yield from self._window(rule.within, f"{place}/within")
        yield from _limits(rule, place)
        if rule.creatinine is None and rule.code is None:
            yield Problem(place, "no-observation")
        if rule.creatinine is not None:
            yield from self._observed(rule.creatinine, ("quantity",), f"{place}/creatinine")
            yield from self._convertible(rule.creatinine, CREATININE_UNITS, f"{place}/creatinine")
        if rule.code is not None:
            yield from self._observed(rule.code, ("quantity",), f"{place}/code")

    # --- medicines and windows --------------------------------------------------------------------

    def _medicines(self, rule: Medicines, place: str) -> Found:
        yield from self._statement(rule.complete_when, f"{place}/complete_when")
        if set(rule.classes) <= set(rule.not_classes):
            yield Problem(f"{place}/not_classes", "contradictory-classes")
        if set(rule.routes) & set(rule.local_routes):
            yield Problem(f"{place}/local_routes", "contradictory-routes")
        within = getattr(rule, "within", None)
        if isinstance(within, Window):
            yield from self._window(within, f"{place}/within")
            counts_days = isinstance(rule, rules.MedicationDays | rules.DailyDose)
            if counts_days and (within.back is None or within.anchor == "lifetime"):
                yield Problem(f"{place}/within", "window-without-start")
        if getattr(rule, "anchor", None) == "day-0":
            yield from self._day_0(f"{place}/anchor")
        if isinstance(rule, rules.DailyDose):
            yield from self._observed(rule.weight, ("quantity",), f"{place}/weight")
            yield from self._convertible(rule.weight, (KILOGRAM,), f"{place}/weight")
            if not self.protocol.steroids and "steroids" not in self.spared:
                yield Problem(place, "no-steroid-table")

    def _window(self, window: Window, place: str) -> Found:
        if window.anchor == "day-0":
            yield from self._day_0(f"{place}/anchor")
        nothing = window.back is not None and int(window.back[1:-1]) == 0
        if nothing and window.until == "day-before":
            yield Problem(place, "window-is-empty")
        if window.anchor == "lifetime" and (window.back is not None or window.until != "anchor"):
            yield Problem(place, "window-of-a-lifetime")

    def _day_0(self, place: str) -> Found:
        given = any(visit.kind == "dosing" for visit in self.protocol.visits)
        if not given and "visits" not in self.spared:
            yield Problem(place, "no-day-0")


def _factor(entry: Entry, unit: str) -> Decimal | None:
    """What one of the unit is in the entry's own; None when it cannot be converted."""
    if unit == entry.unit:
        return Decimal(1)
    return next((one.factor for one in entry.units if one.unit == unit), None)


def _given(limits: Limits) -> list[tuple[str, Decimal]]:
    named = {
        "at_least": limits.at_least,
        "more_than": limits.more_than,
        "at_most": limits.at_most,
        "less_than": limits.less_than,
    }
    return [(name, limit) for name, limit in named.items() if limit is not None]


def _limits(limits: Limits, place: str) -> Found:
    given = dict(_given(limits))
    if not given:
        yield Problem(place, "no-limit")
    lows = [given[name] for name in ("at_least", "more_than") if name in given]
    highs = [given[name] for name in ("at_most", "less_than") if name in given]
    if not lows or not highs:
        return
    strict = max(lows) == limits.more_than or min(highs) == limits.less_than
    if max(lows) > min(highs) or (strict and max(lows) == min(highs)):
        yield Problem(place, "impossible-limits")


def _reachable(rule: rules.Score, entry: Entry, place: str) -> Found:
    """A limit that every score meets, or none, decides nothing."""
    weights = [weight if entry.kind == "score" else Decimal(1) for weight in entry.items.values()]
    most = sum((weight for weight in weights if weight > 0), Decimal(0))
    least = sum((weight for weight in weights if weight < 0), Decimal(0))
    for name, limit in _given(rule):
        if limit < least or limit > most:
            yield Problem(f"{place}/{name}", "outside-range")


def _countable(rule: rules.Items, entry: Entry, place: str) -> Found:
    if rule.at_least > len(entry.items):
        yield Problem(f"{place}/at_least", "cannot-be-counted")
    for group, count in rule.groups.items():
        if group not in entry.groups:
            yield Problem(f"{place}/groups/{group}", "unknown-group")
        elif count > len(entry.groups[group]):
            yield Problem(f"{place}/groups/{group}", "cannot-be-counted")
    for item, other in rule.only_without.items():
        if item not in entry.items or other not in entry.items:
            yield Problem(f"{place}/only_without/{item}", "unknown-item")
