"""A protocol's criteria made ready: each rule becomes one function of the facts, built once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, assert_never

from domain.clinical.interval import TRUE
from domain.eligibility import counting, dosing, histories, logic, medicines, observing, person
from domain.eligibility import rules as language
from domain.eligibility.facts import Facts
from domain.eligibility.logic import Result
from domain.eligibility.measures import Reader, reader_of
from domain.eligibility.observing import Compiled
from domain.eligibility.reads import Key, Read, read_by
from domain.eligibility.truths import Combined, Leaf, Leaves

if TYPE_CHECKING:
    from domain.trial.protocol import Criterion, Protocol


CRITERION = "criterion"
"""The first part of the key of what is concluded of a criterion."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One criterion with its functions."""

    criterion: "Criterion"
    evaluate: Compiled
    truth: Combined
    """The truth of it, by those of its leaves."""
    leaves: range
    """The places of its leaves among those of the protocol."""
    rule_hash: str
    """SHA-256 (hex) of the rule: which rule it was, beyond the protocol's version."""
    reads: frozenset[Key]
    """The kinds of facts that can change what it says."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A protocol's criteria, ready to be evaluated."""

    protocol: "Protocol"
    criteria: tuple[Prepared, ...]
    keys: Mapping[tuple[str, ...], int]
    """The key under which each criterion is concluded -> its place."""
    leaves: tuple[Leaf, ...]
    """Of all criteria, those of each side by side."""
    criteria_of: Mapping[Key, tuple[int, ...]]
    """Kind of fact -> the places of the criteria that read it."""
    leaves_of: Mapping[Key, tuple[int, ...]]
    """Kind of fact -> the places of the leaves that read it."""
    readers: Mapping[str, Reader]
    """How the numbers of each code are read."""
    dosing_visit: str | None

    def facts(self, read: Read, recheck_on: date | None = None) -> Facts:
        """What was read of a participant, as the criteria ask for it."""
        return Facts(read, self.readers, self.dosing_visit, recheck_on)


def ready(protocol: "Protocol") -> Ready:
    """The protocol's criteria as functions."""
    visit = protocol.dosing_visit
    leaves = Leaves(protocol, _asked_once)
    criteria = tuple(_prepared(one, protocol, leaves) for one in protocol.criteria)
    return Ready(
        protocol=protocol,
        criteria=criteria,
        keys={(CRITERION, one.criterion.id): place for place, one in enumerate(criteria)},
        leaves=tuple(leaves.found),
        criteria_of=_places([one.reads for one in criteria]),
        leaves_of=_places([one.reads for one in leaves.found]),
        readers={code: reader_of(entry) for code, entry in protocol.dictionary.items()},
        dosing_visit=visit.code if visit is not None else None,
    )


def _places(reads: Sequence[frozenset[Key]]) -> dict[Key, tuple[int, ...]]:
    """Kind of fact -> where it is read, ascending."""
    found: dict[Key, list[int]] = {}
    for place, kinds in enumerate(reads):
        for kind in kinds:
            found.setdefault(kind, []).append(place)
    return {kind: tuple(places) for kind, places in found.items()}


def _prepared(criterion: "Criterion", protocol: "Protocol", leaves: Leaves) -> Prepared:
    rule, rule_hash = criterion.rule, ""
    if rule is None:
        rule = _by_judgement(criterion)
    else:
        text = rule.model_dump_json(exclude_defaults=True)
        rule_hash = sha256(text.encode()).hexdigest()
    first = len(leaves.found)
    truth = leaves.of(rule)
    compile_ = compiled if isinstance(rule, language.LogicRule) else _asked_once
    return Prepared(
        criterion=criterion,
        evaluate=compile_(rule, protocol),
        truth=truth,
        leaves=range(first, len(leaves.found)),
        rule_hash=rule_hash,
        reads=read_by(rule),
    )


def _by_judgement(criterion: "Criterion") -> language.Attested:
    """Without a rule a person judges: attested under the criterion's own id, yes when it holds
    (for an exclusion: when it applies)."""
    return language.Attested(rule="attested", statement=criterion.id)


def compiled(rule: language.Rule, protocol: "Protocol") -> Compiled:
    """The function of one node and everything below it."""
    match rule:
        case (
            language.All()
            | language.Any()
            | language.AtLeast()
            | language.Not()
            | language.Decided()
            | language.AppliesTo()
            | language.Remark()
        ):
            return _combined(rule, protocol)
        case language.Age():
            return person.age(rule)
        case language.Consent():
            return person.consent(rule)
        case language.Attested():
            return person.attested(rule)
        case language.History():
            return histories.history(rule)
        case language.Medicines():
            return _of_medicines(rule, protocol)
        case _:
            return _observed(rule, protocol)


def _asked_once(rule: language.Rule, protocol: "Protocol") -> Compiled:
    """The function of a leaf, which is asked once of the same facts: first what it says, and where
    that changes the outcome of the criterion, what it rests on."""
    evaluate = compiled(rule, protocol)

    def kept(facts: Facts) -> Result:
        # The rule is held here, so that its address stays its own.
        found = facts.results.get(id(rule))
        if found is None:
            found = facts.results[id(rule)] = evaluate(facts)
        return found

    return kept


def _combined(rule: language.LogicRule, protocol: "Protocol") -> Compiled:
    match rule:
        case language.All():
            return _members(logic.every, rule.of, protocol)
        case language.Any():
            return _members(logic.some, rule.of, protocol)
        case language.AtLeast():
            return _members(partial(logic.enough, rule.count), rule.of, protocol)
        case language.Not():
            inner = compiled(rule.of, protocol)
            return lambda facts: logic.opposite(inner(facts))
        case language.Decided():
            yes, no = compiled(rule.yes, protocol), compiled(rule.no, protocol)
            return lambda facts: logic.decided(yes(facts), no(facts))
        case language.AppliesTo():
            return person.applies_to(rule, compiled(rule.of, protocol))
        case language.Remark():
            return _remarked(rule, protocol)
        case _:
            assert_never(rule)


def _observed(rule: language.ObservationRule, protocol: "Protocol") -> Compiled:
    match rule:
        case language.Value():
            return observing.value(rule, protocol)
        case language.Titre():
            return observing.titre(rule, protocol)
        case language.Finding():
            return observing.finding(rule, protocol)
        case language.OneOf():
            return observing.one_of(rule, protocol)
        case language.Items():
            return counting.items(rule, protocol)
        case language.Score():
            return counting.score(rule, protocol)
        case language.Egfr():
            return person.egfr(rule, protocol)
        case _:
            assert_never(rule)


def _of_medicines(rule: language.MedicationRule, protocol: "Protocol") -> Compiled:
    match rule:
        case language.MedicationTaken():
            return medicines.taken(rule)
        case language.MedicationHeld():
            return medicines.held(rule)
        case language.MedicationChanged():
            return medicines.changed(rule)
        case language.MedicationElapsed():
            return medicines.elapsed(rule, protocol)
        case language.MedicationDays():
            return dosing.total_days(rule)
        case language.DailyDose():
            return dosing.daily_dose(rule, protocol)
        case _:
            assert_never(rule)


def _members(
    combine: Callable[[list[Result]], Result], of: Sequence[language.Rule], protocol: "Protocol"
) -> Compiled:
    members = [compiled(one, protocol) for one in of]
    return lambda facts: combine([member(facts) for member in members])


def _remarked(rule: language.Remark, protocol: "Protocol") -> Compiled:
    when, inner = compiled(rule.when, protocol), compiled(rule.of, protocol)

    def evaluate(facts: Facts) -> Result:
        result = inner(facts)
        if when(facts).truth != TRUE:
            return result
        return result._replace(notes=(*result.notes, rule.note))

    return evaluate
