"""Foreseen positions: where in a study's log the next append of this process will likely stand.

Only the ledger gives positions. But what is on its way is answered in the order it was sent in, so
as long as nobody else appends to the study, the next one stands behind all of it. What is judged at
the position that it then gets need not be folded a second time; where another was faster, it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.journey.oversight import Corrected, Retracted
from domain.kernel import PROVISIONAL
from domain.participant import Participant
from domain.trial.study import Trial
from services.terms import Group


@dataclass(slots=True)
class _Log:
    """What this process saw of a study's log."""

    next: int = PROVISIONAL
    """The position after everything that was appended or is on its way."""
    sent: int = 0
    """How many events were sent so far, less those that were not appended."""


class Foreseen:
    """Foresees positions, study by study. It may always be wrong, also where threads race: that
    costs time and nothing else."""

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}

    def first(
        self,
        study: str,
        trial: Trial,
        groups: Sequence[Group],
        states: Mapping[str, Participant],
    ) -> int:
        """The position to judge the first of the posted events at: where it will likely stand,
        which is beyond everything that it is judged on.

        Provisional while nothing was appended here, and where a posted event names a position: that
        must never be taken for one of its own append.
        """
        log = self._logs.get(study)
        if log is None or log.next >= PROVISIONAL:
            return PROVISIONAL
        if any(isinstance(one.body, Corrected | Retracted) for by in groups for one in by.posted):
            return PROVISIONAL
        known = max(states[group.participant].position for group in groups)
        return max(log.next, trial.position + 1, known + 1)

    def sent(self, study: str, events: int) -> int:
        """So many events are on their way now; what is given back tells them later."""
        log = self._logs.get(study)
        if log is None:
            log = self._logs[study] = _Log()
        log.next += events
        log.sent += events
        return log.sent

    def appended(self, study: str, sent: int, last: int) -> None:
        """What was sent then stands in the log, up to this position."""
        log = self._logs[study]
        log.next = last + 1 + log.sent - sent

    def failed(self, study: str, events: int) -> None:
        """So many of the events that were sent were not appended."""
        log = self._logs[study]
        log.next -= events
        log.sent -= events
