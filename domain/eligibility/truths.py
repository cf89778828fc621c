"""A criterion's truth by itself, without evidence and words: its leaves, and how they combine.

A new fact is read by few leaves. The truths of the others are remembered, so that the outcomes of
all criteria are known again without asking every rule; what they rest on and how they read is
worked out for the criteria that somebody looks at.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Truth
from domain.eligibility import rules as language
from domain.eligibility.facts import Facts
from domain.eligibility.histories import is_meant
from domain.eligibility.person import applies
from domain.eligibility.reads import DEMOGRAPHICS, Key, read_by

if TYPE_CHECKING:
    from domain.eligibility.observing import Compiled
    from domain.trial.protocol import Protocol


class Leaf(NamedTuple):
    """A part of a criterion that asks the facts."""

    reads: frozenset[Key]
    """The kinds of facts that can change it."""
    truth: Callable[[Facts], Truth]


Truths = Sequence[Truth]
"""The truth of every leaf of a protocol, in the order in which they were found."""

Combined = Callable[[Truths], Truth]
"""What a rule's leaves say together."""

Compiler = Callable[[language.Rule, "Protocol"], "Compiled"]


class Leaves:
    """The leaves of a protocol's criteria, as they are found."""

    def __init__(self, protocol: "Protocol", compiled: Compiler) -> None:
        self._protocol = protocol
        self._compiled = compiled
        self.found: list[Leaf] = []

    def of(self, rule: language.Rule) -> Combined:
        """How the rule's truth follows from its leaves, which are added to what was found."""
        match rule:
            case language.All():
                members = [self.of(one) for one in rule.of]
                return lambda truths: min([one(truths) for one in members])
            case language.Any():
                members = [self.of(one) for one in rule.of]
                return lambda truths: max([one(truths) for one in members])
            case language.AtLeast():
                return _enough(rule.count, [self.of(one) for one in rule.of])
            case language.Not():
                inner = self.of(rule.of)
                return lambda truths: TRUE - inner(truths)
            case language.Decided():
                return _decided(self.of(rule.yes), self.of(rule.no))
            case language.AppliesTo():
                whom = self._leaf(Leaf(frozenset((DEMOGRAPHICS,)), applies(rule)))
                return _where_it_applies(whom, self.of(rule.of), TRUE if rule.otherwise else FALSE)
            case language.Remark():
                return self.of(rule.of)
            case _:
                return self._leaf(Leaf(read_by(rule), self._asked(rule)))

    def _asked(self, rule: language.Rule) -> Callable[[Facts], Truth]:
        evaluate = self._compiled(rule, self._protocol)
        silent = _silent(rule)
        if silent is None:
            return lambda facts: evaluate(facts).truth
        return lambda facts: UNKNOWN if silent(facts) else evaluate(facts).truth

    def _leaf(self, leaf: Leaf) -> Combined:
        place = len(self.found)
        self.found.append(leaf)
        return lambda truths: truths[place]


def _silent(rule: language.Rule) -> Callable[[Facts], bool] | None:
    """When nothing on record is of the rule's kind, and the record is not said to be complete:
    then it is unknown, and no window has to be looked up to say so. None: it has to be asked."""
    match rule:
        case language.Titre() | language.Finding() | language.OneOf() | language.Score():
            code = rule.code
            return lambda facts: not facts.has(code)
        case language.Egfr():
            codes = tuple(one for one in (rule.creatinine, rule.code) if one)
            return lambda facts: not any(map(facts.has, codes))
        case language.History() if rule.complete_when is not None:
            statement = rule.complete_when
            return lambda facts: (
                facts.answer(statement).truth != TRUE
                and not any(is_meant(one.body, rule) for one in facts.record.histories)
            )
        case language.Medicines() if rule.complete_when is not None:
            statement, classes = rule.complete_when, frozenset(rule.classes)
            return lambda facts: (
                facts.answer(statement).truth != TRUE
                and all(classes.isdisjoint(one.body.classes) for one in facts.record.medications)
            )
        case _:
            return None


def _enough(count: int, members: Sequence[Combined]) -> Combined:
    def combined(truths: Truths) -> Truth:
        told = [one(truths) for one in members]
        if told.count(TRUE) >= count:
            return TRUE
        return FALSE if len(told) - told.count(FALSE) < count else UNKNOWN

    return combined


def _decided(yes: Combined, no: Combined) -> Combined:
    def combined(truths: Truths) -> Truth:
        if yes(truths) == TRUE:
            return TRUE
        return FALSE if no(truths) == TRUE else UNKNOWN

    return combined


def _where_it_applies(whom: Combined, inner: Combined, otherwise: Truth) -> Combined:
    def combined(truths: Truths) -> Truth:
        applying = whom(truths)
        if applying == FALSE:
            return otherwise
        truth = inner(truths)
        return truth if applying == TRUE or truth == otherwise else UNKNOWN

    return combined
