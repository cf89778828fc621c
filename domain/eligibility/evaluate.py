"""What the criteria say of a participant: one outcome each, and the verdict of all.

Rules run over the facts as they are known; no clock is read. Outcomes name what they rest on, so
that anybody can recompute them: the same facts and the same protocol give the same digest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, NamedTuple
from zoneinfo import ZoneInfo

from domain.canonical import canonical
from domain.clinical.interval import FALSE, TRUE
from domain.eligibility.compiling import Prepared, Ready, ready
from domain.eligibility.facts import Facts
from domain.eligibility.logic import Applied, Needs, merged
from domain.eligibility.reads import Key, Read, read_of
from domain.in_force import judging
from domain.kernel import PROVISIONAL

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


class Outcome(NamedTuple):
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
    explanation: str
    """The comparison made, in words, with any notes."""


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


class Last:
    """The last verdict of a participant, so that the next one decides again only what changed.

    It is shared by the states of one participant, of which several threads may hold different
    ones: what is kept is one pair, replaced whole, and it says for which facts it holds.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: tuple[Read, Verdict] | None = None

    def verdict(self, read: Read, participant: "Participant") -> Verdict:
        """The verdict on what was read of the participant."""
        kept = self._kept
        if kept is None:
            verdict = verdict_under(read.protocol, participant, read.zone)
        elif read.same(kept[0]):
            return kept[1]
        else:
            verdict = _updated(kept[1], read.changed_since(kept[0]), read, participant)
        self._kept = (read, verdict)
        return verdict

    def moved(self, judged: Read, recorded: Read, place: Callable[[int], int]) -> None:
        """What was read stands in the log now: the verdict is the same, at its positions there."""
        kept = self._kept
        if kept is not None and judged.same(kept[0]):
            verdict = kept[1]
            # Evidence ascends: the last of it tells whether any was provisional.
            outcomes = [
                one._replace(evidence=tuple(map(place, one.evidence)))
                if one.evidence and one.evidence[-1] >= PROVISIONAL
                else one
                for one in verdict.outcomes
            ]
            self._kept = (recorded, Verdict(verdict.protocol, tuple(outcomes)))


def moved(
    trial: "Trial",
    judged: "Participant",
    recorded: "Participant",
    place: Callable[[int], int],
) -> None:
    """Keep what was decided of a participant once the events that it was judged with are recorded.

    `place` gives the log's position for a provisional one, and any other as it is. Both states
    are of the same events; without this the criteria that read the new ones are decided again.
    """
    protocol, zone = judging(trial, recorded), trial.zone(recorded.site)
    last = recorded.derived("verdict", (protocol, zone), Last)
    last.moved(read_of(protocol, zone, judged), read_of(protocol, zone, recorded), place)


def evaluate(trial: "Trial", participant: "Participant") -> Verdict:
    """Every criterion of the version that judges; kept while nothing that it reads has changed."""
    protocol, zone = judging(trial, participant), trial.zone(participant.site)
    last = participant.derived("verdict", (protocol, zone), Last)
    return last.verdict(read_of(protocol, zone, participant), participant)


def verdict_under(protocol: "Protocol", participant: "Participant", zone: ZoneInfo) -> Verdict:
    """Every criterion of a protocol, whether or not it is in force; days are the zone's."""
    prepared = ready_for(protocol)
    facts = Facts(participant, zone, prepared.readers, prepared.dosing_visit)
    outcomes = tuple(outcome_of(one, facts, protocol.version) for one in prepared.criteria)
    return Verdict(protocol.version, outcomes)


def _updated(before: Verdict, changed: set[Key], read: Read, participant: "Participant") -> Verdict:
    """The verdict with the criteria decided again that read what changed."""
    prepared = ready_for(read.protocol)
    touched = [bool(one.reads & changed) for one in prepared.criteria]
    if not any(touched):
        return before
    facts = Facts(participant, read.zone, prepared.readers, prepared.dosing_visit)
    outcomes = tuple(
        outcome_of(one, facts, before.protocol) if again else outcome
        for one, outcome, again in zip(prepared.criteria, before.outcomes, touched, strict=True)
    )
    return Verdict(before.protocol, outcomes)


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
    words = result.words()
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
        explanation=". ".join((words, *result.notes)) if result.notes else words,
    )


_READY: dict[int, Ready] = {}


def ready_for(protocol: "Protocol") -> Ready:
    """The compiled criteria of a protocol; each holds its protocol, so an address stays its own."""
    known = _READY.get(id(protocol))
    if known is not None:
        return known
    prepared = ready(protocol)
    if len(_READY) >= READY_MAX:
        # Drafts come and go; what is still in use is compiled again in a few milliseconds.
        _READY.clear()
    _READY[id(protocol)] = prepared
    return prepared
