"""What the criteria say of a participant: one outcome each, and the verdict of all.

Rules run over the facts as they are known; no clock is read. Outcomes name what they rest on, so
that anybody can recompute them: the same facts and the same protocol give the same digest.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from domain.canonical import canonical
from domain.clinical.interval import FALSE, TRUE
from domain.eligibility.compiling import Prepared, Ready, ready
from domain.eligibility.facts import Facts
from domain.eligibility.logic import Applied, Needs, merged

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.protocol import Protocol
    from domain.trial.study import Trial

READY_MAX = 64
"""Protocols whose compiled criteria are kept."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why an act is blocked: the rule, in words, and the positions it rests on."""

    rule: str
    detail: str
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one criterion says."""

    criterion: str
    kind: Literal["inclusion", "exclusion"]
    outcome: Literal["passed", "failed", "unknown"]
    """For an exclusion, failed means that it applies."""
    evidence: tuple[int, ...]
    """Positions of the facts that decided it, ascending; for the unknown, of those there are."""
    missing: Needs
    """For the unknown: the shortest list of facts that could let it pass."""
    recheck: bool
    """Evaluated again on day 0."""
    near_threshold: bool
    """Close to a limit, or ambiguous: a human looks again."""
    applicable: bool
    notes: tuple[str, ...]
    windows: tuple[Applied, ...]
    """Windows and anchor days that were applied."""
    protocol: str
    """The protocol's version."""
    rule_hash: str
    """SHA-256 (hex) of the rule; empty where a person judges without one."""
    words: Callable[[], str] = field(compare=False, repr=False)

    @property
    def explanation(self) -> str:
        """The comparison made, in words, with any notes."""
        return ". ".join((self.words(), *self.notes))


@dataclass(frozen=True)
class Verdict:
    """What all criteria say together; never the decision itself, which is an investigator's."""

    protocol: str
    outcomes: tuple[Outcome, ...]

    @cached_property
    def verdict(self) -> Literal["pending", "eligible", "ineligible"]:
        """Ineligible as soon as one criterion fails; eligible when every one passes."""
        told = {one.outcome for one in self.outcomes}
        if "failed" in told:
            return "ineligible"
        return "pending" if "unknown" in told else "eligible"

    def failing(self) -> tuple[Outcome, ...]:
        """The criteria that fail."""
        return tuple(one for one in self.outcomes if one.outcome == "failed")

    def unknown(self) -> tuple[Outcome, ...]:
        """The criteria that cannot be told yet."""
        return tuple(one for one in self.outcomes if one.outcome == "unknown")

    def evidence(self) -> tuple[int, ...]:
        """Positions of the facts that decide the verdict."""
        if self.verdict == "ineligible":
            return merged(one.evidence for one in self.failing())
        return merged(one.evidence for one in self.outcomes)

    def evidence_after(self, position: int) -> tuple[int, ...]:
        """Positions of what was recorded after a position and bears on any criterion."""
        told = merged(one.evidence for one in self.outcomes)
        return tuple(one for one in told if one > position)

    def digest(self) -> str:
        """SHA-256 (hex) over protocol version and outcomes: what a confirmation binds."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        outcomes = {one.criterion: one.outcome for one in self.outcomes}
        content = canonical({"protocol": self.protocol, "outcomes": outcomes})
        return sha256(content).hexdigest()


def evaluate(trial: "Trial", participant: "Participant") -> Verdict:
    """Every criterion of the protocol in force for the participant."""
    return verdict_under(
        trial.protocol_of(participant), participant, trial.zone(participant.site)
    )


def verdict_under(protocol: "Protocol", participant: "Participant", zone: ZoneInfo) -> Verdict:
    """Every criterion of a protocol, whether or not it is in force; days are the zone's."""
    prepared = ready_for(protocol)
    facts = Facts(participant, zone, prepared.readers, prepared.dosing_visit)
    outcomes = tuple(outcome_of(one, facts, protocol.version) for one in prepared.criteria)
    return Verdict(protocol.version, outcomes)


def outcome_of(prepared: Prepared, facts: Facts, version: str) -> Outcome:
    """What one criterion says of the facts."""
    criterion = prepared.criterion
    result = prepared.evaluate(facts)
    inclusion = criterion.kind == "inclusion"
    outcome: Literal["passed", "failed", "unknown"] = "unknown"
    missing: Needs = ()
    if result.truth == TRUE:
        outcome = "passed" if inclusion else "failed"
    elif result.truth == FALSE:
        outcome = "failed" if inclusion else "passed"
    else:
        missing = result.for_true if inclusion else result.for_false
    return Outcome(
        criterion=criterion.id,
        kind=criterion.kind,
        outcome=outcome,
        evidence=result.evidence,
        missing=missing,
        recheck=criterion.recheck,
        near_threshold=result.near,
        applicable=result.applicable,
        notes=result.notes,
        windows=result.windows,
        protocol=version,
        rule_hash=prepared.rule_hash,
        words=result.words,
    )


_READY: OrderedDict[int, Ready] = OrderedDict()
_LOCK = threading.Lock()


def ready_for(protocol: "Protocol") -> Ready:
    """The compiled criteria of a protocol; each holds its protocol, so an address stays its own."""
    known = _READY.get(id(protocol))
    if known is not None:
        return known
    prepared = ready(protocol)
    with _LOCK:
        _READY[id(protocol)] = prepared
        while len(_READY) > READY_MAX:
            _READY.popitem(last=False)
    return prepared
