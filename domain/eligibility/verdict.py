"""What the criteria say of one participant, worked out as far as somebody asks.

The outcomes are told by the truths of the leaves alone; evidence, words and what is missing are
worked out for the criteria that are looked at, from the same facts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Literal, NamedTuple, cast

from domain.canonical import canonical
from domain.clinical.interval import FALSE, TRUE, Truth
from domain.eligibility.compiling import Prepared, Ready
from domain.eligibility.facts import Facts
from domain.eligibility.logic import Applied, Needs, merged
from domain.eligibility.reads import Key as Kind
from domain.eligibility.reads import Read
from domain.kernel import Key

Told = Literal["passed", "failed", "unknown"]
"""What a criterion says; for an exclusion, failed means that it applies."""

_STALE: Truth = 255
"""Stands for the truth of a leaf that is not known, or not any more."""


class Outcome(NamedTuple):
    """What one criterion says."""

    criterion: str
    kind: Literal["inclusion", "exclusion"]
    outcome: Told
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


@dataclass(slots=True)
class _Known:
    """What is worked out of a verdict so far."""

    truths: bytearray
    """Of every leaf."""
    told: list[Told | None]
    """Of every criterion."""
    outcomes: list[Outcome | None]

    @classmethod
    def nothing(cls, ready: Ready) -> "_Known":
        """Nothing of any criterion."""
        many = len(ready.criteria)
        return cls(bytearray([_STALE]) * len(ready.leaves), [None] * many, [None] * many)

    def copy(self) -> "_Known":
        """The same, to go on from."""
        return _Known(self.truths.copy(), self.told.copy(), self.outcomes.copy())


class Verdict:
    """What all criteria say together; never the decision itself, which is an investigator's.

    It is of one state of the facts. Several threads may ask it: each works out the same.
    """

    __slots__ = ("_before", "_known", "_read", "_ready", "_told", "_word")

    def __init__(
        self,
        ready: Ready,
        read: Read,
        known: _Known | None = None,
        before: "tuple[Told, ...] | None" = None,
    ) -> None:
        """The verdict on what was read, what is known of it already, and what the criteria said
        before."""
        self._ready = ready
        self._read = read
        self._known = known or _Known.nothing(ready)
        self._before = before
        self._told: tuple[Told, ...] | None = None
        self._word: Literal["pending", "eligible", "ineligible"] | None = None

    def after(self, read: Read, changed: set[Kind]) -> "Verdict":
        """The verdict on what was read later, in which these kinds of facts have changed; itself
        when no criterion reads them."""
        ready = self._ready
        touched = {place for kind in changed for place in ready.criteria_of.get(kind, ())}
        if not touched:
            return self
        before = None if None in self._known.told else self.told
        known = self._known.copy()
        for place in touched:
            known.told[place] = known.outcomes[place] = None
        for kind in changed:
            for place in ready.leaves_of.get(kind, ()):
                known.truths[place] = _STALE
        return Verdict(ready, read, known, before)

    def recorded(self, read: Read, place: Callable[[int], int]) -> "Verdict":
        """The same once the events that it was judged with are recorded, and read from the log.

        `place` gives the log's position for one that was judged, and any other as it is.
        """
        known = self._known.copy()
        for at, one in enumerate(known.outcomes):
            # Evidence ascends: the last of it tells whether any stands elsewhere.
            if one is not None and one.evidence and place(one.evidence[-1]) != one.evidence[-1]:
                known.outcomes[at] = one._replace(evidence=tuple(map(place, one.evidence)))
        return Verdict(self._ready, read, known)

    @property
    def protocol(self) -> str:
        """The protocol's version."""
        return self._ready.protocol.version

    @property
    def keys(self) -> Mapping[Key, int]:
        """The keys under which the outcomes are concluded, with their places in the protocol's
        order."""
        return self._ready.keys

    @property
    def told(self) -> tuple[Told, ...]:
        """What each criterion says, in the protocol's order."""
        told = self._told
        if told is None:
            told = self._told = self._decided()
        return told

    def _decided(self) -> tuple[Told, ...]:
        told, criteria = self._known.told, self._ready.criteria
        if None not in told:
            return cast(tuple[Told, ...], tuple(told))
        open_ones = [place for place, one in enumerate(told) if one is None]
        if len(open_ones) == len(told):
            # Where nothing is known yet, those who ask mostly want all of it.
            return tuple([one.outcome for one in self.outcomes])
        with self._ready.facts(self._read) as facts:
            for place in open_ones:
                self._ask(criteria[place].leaves, facts)
                told[place] = _told(criteria[place], criteria[place].truth(self._known.truths))
                if self._before is not None and told[place] != self._before[place]:
                    # What has changed is concluded, with all that it rests on.
                    self._work_out(place, facts)
        return cast(tuple[Told, ...], tuple(told))

    def _ask(self, places: Iterable[int], facts: Facts) -> None:
        leaves, truths = self._ready.leaves, self._known.truths
        for place in places:
            if truths[place] == _STALE:
                truths[place] = leaves[place].truth(facts)

    def worked_out(self) -> "Verdict":
        """Itself, with the truth of every leaf and all outcomes."""
        with self._ready.facts(self._read) as facts:
            self._ask(range(len(self._ready.leaves)), facts)
            for place in range(len(self._ready.criteria)):
                self._work_out(place, facts)
        return self

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Every criterion with what it rests on."""
        found = self._known.outcomes
        if None in found:
            with self._ready.facts(self._read) as facts:
                for place, outcome in enumerate(found):
                    if outcome is None:
                        self._work_out(place, facts)
        return tuple([one for one in found if one is not None])

    def outcome(self, place: int) -> Outcome:
        """The criterion at a place of the protocol's order."""
        known = self._known.outcomes[place]
        if known is not None:
            return known
        with self._ready.facts(self._read) as facts:
            return self._work_out(place, facts)

    def _work_out(self, place: int, facts: Facts) -> Outcome:
        found = outcome_of(self._ready.criteria[place], facts, self.protocol)
        self._known.outcomes[place], self._known.told[place] = found, found.outcome
        return found

    @property
    def verdict(self) -> Literal["pending", "eligible", "ineligible"]:
        """Ineligible as soon as one criterion fails; eligible when every one passes."""
        if self._word is None:
            told = self.told
            if "failed" in told:
                self._word = "ineligible"
            else:
                self._word = "pending" if "unknown" in told else "eligible"
        return self._word

    def failing(self) -> tuple[Outcome, ...]:
        """The criteria that fail."""
        return tuple(self._that_are("failed"))

    def unknown(self) -> tuple[Outcome, ...]:
        """The criteria that cannot be told yet."""
        return tuple(self._that_are("unknown"))

    def _that_are(self, wanted: Told) -> Iterator[Outcome]:
        return (self.outcome(place) for place, word in enumerate(self.told) if word == wanted)

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
        names = tuple(one.criterion.id for one in self._ready.criteria)
        return _digest(self.protocol, names, self.told)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Verdict):
            return NotImplemented
        return self.protocol == other.protocol and self.outcomes == other.outcomes

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Verdict(protocol={self.protocol!r}, outcomes={self.outcomes!r})"


@lru_cache(maxsize=1_024)
def _digest(protocol: str, names: tuple[str, ...], told: tuple[Told, ...]) -> str:
    outcomes = dict(zip(names, told, strict=True))
    return sha256(canonical({"protocol": protocol, "outcomes": outcomes})).hexdigest()


def outcome_of(prepared: Prepared, facts: Facts, version: str) -> Outcome:
    """What one criterion says of the facts."""
    criterion = prepared.criterion
    result = prepared.evaluate(facts)
    told = _told(prepared, result.truth)
    missing: Needs = ()
    if told == "unknown":
        missing = result.for_true if criterion.kind == "inclusion" else result.for_false
    words = result.words()
    return Outcome(
        criterion=criterion.id,
        kind=criterion.kind,
        outcome=told,
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


def _told(prepared: Prepared, truth: Truth) -> Told:
    inclusion = prepared.criterion.kind == "inclusion"
    if truth == TRUE:
        return "passed" if inclusion else "failed"
    if truth == FALSE:
        return "failed" if inclusion else "passed"
    return "unknown"
