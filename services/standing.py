"""How the study and the participants stand that posted events are judged on."""

import asyncio
from collections.abc import Callable, Sequence

from domain.journey.referral import Referred
from domain.participant import Participant
from domain.trial.study import Trial
from infra.vault.keyring import KeyRing
from services.state import HotState
from services.terms import Group

Stand = tuple[Trial, dict[str, Participant], bool]
"""The study, the participants, and whether all were read just now."""


class Standing:
    """Takes states from memory, or has them read."""

    def __init__(self, hot: HotState, keys: KeyRing) -> None:
        self._hot = hot
        self._keys = keys

    async def of(self, study: str, groups: Sequence[Group], *, fresh: bool) -> Stand:
        """The study and the participants of the groups; with `fresh` the newest. NotFound.

        What is not in memory is read in any case, but for participants who are referred now: they
        are taken for new. A stream's first event is appended once, so whoever is there already is
        read when the ledger says so.
        """
        blank = {} if fresh else self._newcomers(study, groups)
        names = [group.participant for group in groups if group.participant not in blank]

        def load() -> Stand:
            trial = self._hot.trial(study, fresh=fresh)
            read = {name: self._hot.participant(study, name, fresh=fresh) for name in names}
            return trial, blank | read, fresh

        if not fresh and self._hot.holds(study, names):
            return load()
        return await asyncio.to_thread(self._without_keys_of_erased, study, load)

    def _newcomers(self, study: str, groups: Sequence[Group]) -> dict[str, Participant]:
        return {
            group.participant: Participant(group.participant)
            for group in groups
            if isinstance(group.posted[0].body, Referred)
            and not self._hot.holds(study, [group.participant])
        }

    def _without_keys_of_erased(self, study: str, load: Callable[[], Stand]) -> Stand:
        """Load, and destroy the key that was made for somebody erased who was taken for new.

        Nothing was sealed under it that was recorded; a crash before this leaves it until then.
        """
        stand = load()
        for participant in stand[1].values():
            if participant.oversight.erased and self._keys.holds(study, participant.id):
                self._keys.destroy(study, participant.id)
        return stand
