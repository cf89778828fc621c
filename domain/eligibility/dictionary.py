"""Whether an observation makes sense for its code: what does not is refused, nothing is converted
in silence and no value is ever named in a refusal.

A protocol that declares no dictionary (or no statements) takes every code (every statement).
"""

from decimal import Decimal
from typing import TYPE_CHECKING, assert_never

from domain.clinical.interval import Interval, weighed
from domain.eligibility.measures import number, titre, unit_factor
from domain.kernel import Impossible

if TYPE_CHECKING:
    from domain.journey.screening import Attested, ObservationRecorded
    from domain.trial.protocol import Entry, Protocol

TITRE_UNIT = "{titer}"


def check_statement(protocol: "Protocol", body: "Attested") -> None:
    """Refuse an answer to a statement that the protocol does not have.

    A criterion without a rule is judged by a person, who attests it under the criterion's id.
    """
    if not protocol.statements or body.statement in protocol.statements:
        return
    if any(one.id == body.statement and one.rule is None for one in protocol.criteria):
        return
    raise Impossible("unknown-statement", "the protocol in force has no such statement")


def check_observation(protocol: "Protocol", body: "ObservationRecorded") -> None:
    """Refuse an unknown code, an undeclared unit, a value that cannot be read or is implausible."""
    if not protocol.dictionary:
        return
    entry = protocol.dictionary.get(body.code)
    if entry is None:
        raise Impossible("unknown-code", "the protocol's dictionary has no such code")
    if body.value is None and body.interpretation is None and not body.components:
        raise Impossible("says-nothing", "it has neither value, interpretation nor components")
    if body.components and entry.kind not in ("items", "score"):
        raise Impossible("unknown-item", "the code has no items")
    _of_its_kind(entry, body)


def _of_its_kind(entry: "Entry", body: "ObservationRecorded") -> None:
    match entry.kind:
        case "quantity":
            _quantity(entry, body)
        case "titre":
            _titre(entry, body)
        case "items" | "score":
            _items(entry, body)
        case "presence":
            if body.interpretation is None:
                raise Impossible("no-interpretation", "the code asks for an interpretation")
        case "text":
            if not isinstance(body.value, str):
                raise Impossible("not-a-text", "the code asks for a text")
        case _:
            assert_never(entry.kind)


def _quantity(entry: "Entry", body: "ObservationRecorded") -> None:
    if body.value is None:
        return
    found = number(body.value)
    if found is None:
        raise Impossible("not-a-number", "the code asks for a number")
    factor = unit_factor(entry, body.unit)
    if factor is None:
        rule = "unknown-unit" if body.unit is not None else "no-unit"
        raise Impossible(rule, "the unit is not one of those declared for the code")
    _plausible(entry, found if factor == 1 else found.scaled(factor))


def _titre(entry: "Entry", body: "ObservationRecorded") -> None:
    if body.value is None:
        return
    if body.unit not in (None, TITRE_UNIT, entry.unit):
        raise Impossible("unknown-unit", "the unit is not one of those declared for the code")
    found = titre(body.value)
    if found is None:
        raise Impossible("not-a-titre", "the code asks for a titre")
    _plausible(entry, found)


def _plausible(entry: "Entry", found: Interval) -> None:
    """Refuse where no value that the result allows makes sense."""
    range_ = entry.plausible
    if range_ is not None and found.without(Interval(range_.low, range_.high)):
        raise Impossible("implausible", "the value lies outside what makes sense for the code")


def _items(entry: "Entry", body: "ObservationRecorded") -> None:
    components = body.components or {}
    if any(item not in entry.items for item in components):
        raise Impossible("unknown-item", "it names an item that the code does not have")
    if body.value is None:
        if not components:
            raise Impossible("says-nothing", "it has neither a value nor components")
        return
    stated = number(body.value)
    if stated is None or stated.low is None or stated.low != stated.high:
        raise Impossible("not-a-number", "the code asks for a number")
    if stated.low != stated.low.to_integral_value():
        raise Impossible("not-a-number", "the code asks for a whole number")
    weights = entry.items
    if entry.kind == "items":
        weights = dict.fromkeys(weights, Decimal(1))
    if stated.without(weighed(weights, {})):
        raise Impossible("implausible", "the value lies outside what makes sense for the code")
    if stated.without(weighed(weights, components)):
        raise Impossible("contradictory-total", "its items cannot add up to the value")
