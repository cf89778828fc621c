"""What the criteria say of a participant: one outcome each, and the verdict of all.

Rules run over the facts as they are known; no clock is read. Outcomes name what they rest on, so
that anybody can recompute them: the same facts and the same protocol give the same digest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from domain.eligibility.compiling import Ready, ready
from domain.eligibility.reads import Read, read_of
from domain.eligibility.verdict import Outcome, Verdict, outcome_of
from domain.in_force import judging

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.protocol import Protocol
    from domain.trial.study import Trial

__all__ = ["Blocked", "Outcome", "Verdict", "evaluate", "moved", "outcome_of", "verdict_under"]

READY_MAX = 64
"""Protocols whose compiled criteria are kept."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why an act is blocked: the rule, in words, and the positions it rests on."""

    rule: str
    detail: str
    evidence: tuple[int, ...] = ()


class Last:
    """The last verdict of a participant, so that the next one decides again only what changed.

    It is shared by the states of one participant, of which several threads may hold different
    ones: what is kept is one pair, replaced whole, and it says for which facts it holds.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: tuple[Read, Verdict] | None = None

    def verdict(self, read: Read) -> Verdict:
        """The verdict on what was read."""
        kept = self._kept
        if kept is None:
            verdict = _nothing_known(read) if read.blank else _of(read)
        else:
            changed = read.changed_since(kept[0])
            if not changed:
                return kept[1]
            verdict = kept[1].after(read, changed)
        self._kept = (read, verdict)
        return verdict

    def moved(self, judged: Read, recorded: Read, place: Callable[[int], int]) -> None:
        """What was read stands in the log now: the verdict is the same, at its positions there."""
        kept = self._kept
        if kept is not None and judged.same(kept[0]) and not judged.same(recorded):
            self._kept = (recorded, kept[1].recorded(recorded, place))


def moved(
    trial: "Trial",
    judged: "Participant",
    recorded: "Participant",
    place: Callable[[int], int],
) -> None:
    """Keep what was decided of a participant once the events that it was judged with are recorded.

    `place` gives the log's position for one that was judged, and any other as it is. Both states
    are of the same events; without this the criteria that read the new ones are decided again.
    """
    protocol, zone = judging(trial, recorded), trial.zone(recorded.site)
    last = recorded.derived("verdict", (protocol, zone), Last)
    last.moved(read_of(protocol, zone, judged), read_of(protocol, zone, recorded), place)


def evaluate(trial: "Trial", participant: "Participant") -> Verdict:
    """Every criterion of the version that judges; kept while nothing that it reads has changed."""
    protocol, zone = judging(trial, participant), trial.zone(participant.site)
    last = participant.derived("verdict", (protocol, zone), Last)
    return last.verdict(read_of(protocol, zone, participant))


def verdict_under(protocol: "Protocol", participant: "Participant", zone: ZoneInfo) -> Verdict:
    """Every criterion of a protocol, whether or not it is in force; days are the zone's."""
    return _of(read_of(protocol, zone, participant))


def _of(read: Read) -> Verdict:
    return Verdict(ready_for(read.protocol), read)


_READY: dict[int, Ready] = {}
_BLANK: dict[int, Verdict] = {}
"""What a protocol says of whom nothing is known that criteria read: of everybody the same."""


def ready_for(protocol: "Protocol") -> Ready:
    """The compiled criteria of a protocol; each holds its protocol, so an address stays its own."""
    known = _READY.get(id(protocol))
    if known is not None:
        return known
    prepared = ready(protocol)
    if len(_READY) >= READY_MAX:
        # Drafts come and go; what is still in use is compiled again in a few milliseconds.
        _READY.clear()
        _BLANK.clear()
    _READY[id(protocol)] = prepared
    return prepared


def _nothing_known(read: Read) -> Verdict:
    """The verdict on nothing at all; whoever learns something has a verdict of their own."""
    prepared = ready_for(read.protocol)
    found = _BLANK.get(id(prepared.protocol))
    if found is None:
        found = _BLANK[id(prepared.protocol)] = Verdict(prepared, read).worked_out()
    return found
