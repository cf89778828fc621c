"""Keys of new participants: whoever waits for one at the same moment shares the commit."""

import asyncio
from collections.abc import Collection

from infra.vault.keyring import KeyRing

Place = tuple[asyncio.AbstractEventLoop, str]
"""An event loop and a study."""


class Keying:
    """Has participants' keys made before anything is sealed under them."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._waiting: dict[Place, tuple[set[str], asyncio.Task[None]]] = {}

    async def made(self, study: str, participants: Collection[str]) -> None:
        """Wait until the participants' keys are in memory; StoreAway.

        What is asked for in one round of the event loop is made together.
        """
        place = asyncio.get_running_loop(), study
        if place not in self._waiting:
            names: set[str] = set()
            self._waiting[place] = names, asyncio.create_task(self._make(study, names, place))
        names, made = self._waiting[place]
        names.update(participants)
        # Who gives up waiting takes nobody else's key away.
        await asyncio.shield(made)

    async def _make(self, study: str, names: set[str], place: Place) -> None:
        del self._waiting[place]
        await asyncio.to_thread(self._keys.make, study, names)
