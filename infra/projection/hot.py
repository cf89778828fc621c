"""Participants in memory, as the tables reflect them: most events meet one who is there already."""

from collections import OrderedDict
from dataclasses import dataclass

from domain.participant import Participant

Known = dict[str, dict[str, bytes]]
"""View -> key of each row -> its digest; what the tables hold of one participant."""


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
