"""Participants in memory, as the tables reflect them: most events meet one who is there already."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass

from domain.participant import Participant


@dataclass(frozen=True, slots=True)
class Held:
    """What a view's table holds of one participant."""

    marks: Mapping[str, object]
    """Key of each row -> what tells it from another: what it is made of, or its digest."""
    basis: tuple[object, ...] | None
    """What the rows rest on, where the view says so."""

    def rests_on(self, basis: tuple[object, ...] | None) -> bool:
        """Whether the rows rest on the same, so that they are the same."""
        known = self.basis
        if basis is None or known is None or len(basis) != len(known):
            return False
        return all(map(operator.is_, basis, known))


Known = dict[str, Held]
"""View -> what its table holds."""


@dataclass(frozen=True, slots=True)
class Hot:
    """A participant as the tables reflect it."""

    state: Participant
    known: Known


PARTICIPANT_BYTES = 16_000
EVENT_BYTES = 1_700
ROW_BYTES = 150
"""What a participant takes in memory, each event more, and each row that the tables hold: measured
(`docs/performance.md`), and rounded up."""


def bytes_of(hot: Hot) -> int:
    """What a participant takes in memory, as estimated."""
    rows = sum(len(held.marks) for held in hot.known.values())
    return PARTICIPANT_BYTES + EVENT_BYTES * hot.state.version + ROW_BYTES * rows
