"""Participants in memory, as the tables reflect them: most events meet one who is there already."""

import operator
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from domain.participant import Participant


@dataclass(frozen=True, slots=True)
class Held:
    """What a view's table holds of one participant."""

    digests: Mapping[str, bytes]
    """Key of each row -> its digest."""
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


class HotParticipants:
    """Participants in memory, as long as their histories together have no more events than so many;
    the least recently touched leave first."""

    def __init__(self, events_max: int) -> None:
        self._kept: OrderedDict[str, Hot] = OrderedDict()
        self._events = 0
        self._most = events_max

    def get(self, name: str) -> Hot | None:
        """The participant, if it is in memory."""
        return self._kept.get(name)

    def keep(self, name: str, hot: Hot) -> None:
        """Remember the participant as it is now."""
        self.drop(name)
        self._kept[name] = hot
        self._events += hot.state.version
        while self._events > self._most and len(self._kept) > 1:
            self._events -= self._kept.popitem(last=False)[1].state.version

    def drop(self, name: str) -> None:
        """Forget the participant."""
        before = self._kept.pop(name, None)
        if before is not None:
            self._events -= before.state.version
