"""The clock worker: asks for the conclusions that only time brings, when it brings them.

Whom time may concern is looked up in the views; what it means is judged by the same rules as every
append. Several workers may do this at once: the ledger takes each conclusion once.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from domain.time import When
from domain.trial.study import zone_named
from infra.ledger.types import StoreAway
from infra.projection.tables import ViewTables
from services.carrying import CarryingOver
from services.record import Recording
from services.views.asked import day_of

PAGE = 500
AT_ONCE = 16
"""So many participants are judged at a time; their appends share commits."""

AGAIN_SECONDS = 60.0
"""Who was looked at and needed nothing (or could not be judged) is left alone for so long: the
views may be behind, or another worker was faster."""

LOOKED_AT_MAX = 100_000

_A_MOMENT = 0.001
"""Seconds."""


class Concluding:
    """Concludes what time and amendments bring, study by study."""

    def __init__(
        self,
        recording: Recording,
        tables: ViewTables,
        clock: Callable[[], datetime],
        failed: Callable[[BaseException], None] = lambda _error: None,
    ) -> None:
        self._recording = recording
        self._tables = tables
        self._clock = clock
        self._failed = failed
        self._carrying = CarryingOver(recording, failed)
        self._looked_at: dict[tuple[str, str], float] = {}

    def step(self) -> bool:
        """Conclude what is due now in every study; whether anything was. StoreAway.

        It blocks, and needs a thread without a running event loop.
        """
        on = self._clock()
        studies = self._recording.ledger.studies()
        concluded = sum(asyncio.run(self.conclude_due(study, on)) for study in studies)
        carrying = [asyncio.run(self._carrying.step(study)) for study in studies]
        return concluded > 0 or any(carrying)

    def pause(self, longest: float) -> float:
        """Seconds until the next reporting limit passes, at most `longest`. StoreAway."""
        on = self._clock()
        for study in self._recording.ledger.studies():
            with self._tables.reading(study, ["safety"]) as reading:
                ((limit,),) = reading.tuples("safety", "next_limit", on=on)
            if limit is not None:
                # The limit itself is still in time: look the moment after it.
                longest = min(longest, (limit - on).total_seconds() + _A_MOMENT)
        return longest

    async def conclude_due(self, study: str, on: datetime) -> int:
        """Record what time has brought by a moment; for how many participants. StoreAway."""
        concluded = 0
        names = await asyncio.to_thread(lambda: list(self._due(study, on)))
        for start in range(0, len(names), AT_ONCE):
            part = names[start : start + AT_ONCE]
            concluded += sum(await asyncio.gather(*(self._one(study, name) for name in part)))
        return concluded

    async def _one(self, study: str, name: str) -> bool:
        try:
            answer = await self._recording.conclude_time(study, name)
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  one participant must not hold up the others
            self._failed(error)
            answer = None
        if answer is not None:
            return True
        if len(self._looked_at) >= LOOKED_AT_MAX:
            self._looked_at.clear()
        self._looked_at[study, name] = time.monotonic() + AGAIN_SECONDS
        return False

    def _due(self, study: str, on: datetime) -> Iterator[str]:
        """Participants for whom a window has closed or a limit passed without a word in the log."""
        seen: set[str] = set()
        moment = When.at(on)
        for name, zone, late_from in self._rows(study, "schedule", "lapsing", on):
            if day_of(moment, zone_named(zone)) >= late_from:
                seen.add(name)
        seen.update(row[0] for row in self._rows(study, "safety", "breaching", on))
        now = time.monotonic()
        yield from sorted(name for name in seen if self._looked_at.get((study, name), 0.0) <= now)

    def _rows(
        self, study: str, view: str, statement: str, on: datetime
    ) -> Iterator[tuple[Any, ...]]:
        after = ""
        while True:
            with self._tables.reading(study, [view]) as reading:
                day = on.date() if view == "schedule" else on
                rows = reading.tuples(view, statement, on=day, after=after, limit=PAGE)
            yield from rows
            if len(rows) < PAGE:
                return
            after = rows[-1][0]
