"""Carrying over: whom an amendment reaches gets an event that says so, participant by participant.

An activation is one event of the study and holds nobody up; its participants follow, part by part.
Nothing is kept about how far this has come: after a crash or a restart all are looked at again,
and whoever has the event needs none. Several workers may do this at once: the ledger takes each
conclusion once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.journey.oversight import ProtocolVersionAssigned, version_assigned
from domain.participant import Participant
from domain.trial.study import Trial
from infra.ledger.types import StoreAway
from services.record import Recording

LOOKED_AT_ONCE = 200
"""So many participants are looked at in one part, so that no reporting limit is held up."""

AT_ONCE = 16
"""So many of them are judged at a time; their appends share commits."""

AGAIN_SECONDS = 30.0
"""Whoever could not be carried over, since others wrote at that moment, is tried after this."""


@dataclass(slots=True)
class _Round:
    """How far the participants of a study were looked at since its last activation."""

    activations: int
    after: str = ""
    over: bool = False
    missed: bool = False
    not_before: float = 0.0


class CarryingOver:
    """Carries the participants of amended sites over."""

    def __init__(self, recording: Recording, failed: Callable[[BaseException], None]) -> None:
        self._recording = recording
        self._failed = failed
        self._rounds: dict[str, _Round] = {}

    async def step(self, study: str) -> bool:
        """Look at the next part of a study's participants; whether there is more to do at once.

        StoreAway.
        """
        trial = await asyncio.to_thread(self._recording.hot.trial, study)
        if not _amended(trial):
            return False
        known = self._rounds.get(study)
        if known is None or known.activations != len(trial.activated):
            known = self._rounds[study] = _Round(len(trial.activated))
        if known.over or time.monotonic() < known.not_before:
            return False
        names = await asyncio.to_thread(
            self._recording.ledger.participants, study, known.after, LOOKED_AT_ONCE
        )
        known.missed = await self._part(study, trial, names) or known.missed
        if len(names) == LOOKED_AT_ONCE:
            known.after = names[-1]
            return True
        known.over, known.after = not known.missed, ""
        known.missed, known.not_before = False, time.monotonic() + AGAIN_SECONDS
        return False

    async def _part(self, study: str, trial: Trial, names: Sequence[str]) -> bool:
        """Carry over whoever waits for it; whether anybody still does."""
        waiting = await asyncio.to_thread(self._waiting, study, trial, names)
        for start in range(0, len(waiting), AT_ONCE):
            part = waiting[start : start + AT_ONCE]
            await asyncio.gather(*(self._one(study, name) for name in part))
        return bool(await asyncio.to_thread(self._waiting, study, trial, waiting))

    async def _one(self, study: str, name: str) -> None:
        try:
            await self._recording.conclude_time(study, name)
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  one participant must not hold up the others
            self._failed(error)

    def _waiting(self, study: str, trial: Trial, names: Sequence[str]) -> list[str]:
        return [
            name
            for name in names
            if not _said(trial, self._recording.hot.participant(study, name, fresh=True))
        ]


def _amended(trial: Trial) -> bool:
    """Whether any site worked under more than one version."""
    active = {(one.body.site, one.body.protocol) for one in trial.activated}
    return len(active) > len({site for site, _ in active})


def _said(trial: Trial, participant: Participant) -> bool:
    """Whether the log says already under which version the participant is."""
    wanted = version_assigned(trial, participant)
    standing = participant.concluded.get(ProtocolVersionAssigned.KEY)
    known = standing.body if standing is not None else None
    if wanted is None or not isinstance(known, ProtocolVersionAssigned):
        return wanted is None and known is None
    return known.substance() == wanted.substance()
