"""The projector: follows the ledger and keeps the views' tables, exactly once.

Rows and cursor change in one transaction, and the cursor only from where it was read: any number of
projectors may run, of two at one position one writes and the other finds that out and stands aside.
Wake-ups are hints; it also polls.
"""

import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field

from infra.documents import Documents
from infra.ledger.ledger import Ledger
from infra.ledger.types import StoreAway
from infra.projection.folds import Folds
from infra.projection.lane import Halted, Lane
from infra.projection.rebuilding import Progress, Rebuilt, rebuild
from infra.projection.tables import Cursor, Overtaken, ViewTables

POLL_SECONDS = 1.0
ASIDE_SECONDS = 1.0
RETRY_SECONDS_MAX = 30.0

Notice = Callable[..., None]
"""Told what happened: a fixed name, and circumstances by keyword; never anything personal."""


@dataclass(slots=True)
class _Following:
    """One study as this projector follows it."""

    lanes: list[Lane] | None = None
    """None: to be read from the tables."""
    halted: dict[str, tuple[int, float]] = field(default_factory=dict)
    """View -> the last position that it may take in, and when (monotonic) to try again."""
    failures: int = 0
    not_before: float = 0.0
    aside_at: list[Cursor] | None = None
    """Where the cursors were when another projector turned out to be faster."""


class Projector:
    """Follows every study of the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        documents: Documents,
        tables: ViewTables,
        notice: Notice = lambda _name, **_circumstances: None,
    ) -> None:
        self.tables = tables
        self._folds = Folds(ledger, documents)
        self._ledger = ledger
        self._notice = notice
        self._studies: dict[str, _Following] = {}
        self._woken = threading.Event()
        self._listening = False

    def step(self) -> bool:
        """Take in some more of every study; whether there may be more at once. StoreAway.

        A study that fails is tried again later, the others go on.
        """
        moved = False
        try:
            for study in self._ledger.studies():
                moved = self._round(study) or moved
        except StoreAway:
            # Whether a commit that was under way took place is read from the cursors.
            self._studies.clear()
            raise
        return moved

    def run(self, stop: threading.Event) -> None:
        """Follow until told to stop; for those who have no loop of their own."""
        self._listen()
        while not stop.is_set():
            self._woken.clear()
            try:
                moved = self.step()
            except StoreAway:
                moved = False
            if not moved and not stop.is_set():
                self._woken.wait(POLL_SECONDS)

    def stop(self, stop: threading.Event) -> None:
        """Tell `run` to end, at once."""
        stop.set()
        self._woken.set()

    def catch_up(self, study: str) -> int:
        """Take in everything there is now; the position that all flowing views reflect.

        Raises StoreAway, or what makes the study itself unreadable.
        """
        following = self._following(study)
        head = self._ledger.head(study)
        while True:
            try:
                if not self._step(study, following, head):
                    break
            except Overtaken:
                following.lanes = None
        flowing = [lane for lane in following.lanes or () if not self._waits(following, lane)]
        return min((lane.position for lane in flowing), default=0)

    def lag(self, study: str) -> dict[str, int]:
        """View -> how many events of the study's log it does not reflect yet."""
        head = self._ledger.head(study)
        active = self.tables.active(study)
        return {
            name: max(0, head - (active[name].position if name in active else 0))
            for name in self.tables.views
        }

    def rebuild(
        self, study: str, view: str, progress: Progress = lambda _done, _all: None
    ) -> Rebuilt:
        """Build the view anew from the log, beside the generation that is read, and swap them.

        The new one stands where the other stood: whoever follows the log goes on from there.
        Raises RebuildUnderWay; what cannot be projected in a view that may have no gaps: Halted.
        """
        return rebuild(self._folds, self.tables, study, view, progress)

    def digest(self, study: str, view: str, generation: int | None = None) -> str:
        """SHA-256 (hex) over the rows of a generation; of the one that is read by default."""
        if generation is None:
            generation = self.tables.active(study)[view].generation
        return self.tables.digest(study, view, generation)

    # --- one study --------------------------------------------------------------------------------

    def _round(self, study: str) -> bool:
        """One step of a study; whether there may be more to do at once."""
        following = self._following(study)
        if time.monotonic() < following.not_before:
            return False
        if following.aside_at is not None and self._others_go_on(study, following):
            return False
        try:
            moved = self._step(study, following, None)
        except Overtaken:
            following.lanes = None
            following.aside_at = self.tables.cursors(study)
            following.not_before = time.monotonic() + ASIDE_SECONDS
            return False
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  one study must not hold up the others
            following.lanes = None
            following.failures += 1
            pause = min(POLL_SECONDS * 2**following.failures, RETRY_SECONDS_MAX)
            following.not_before = time.monotonic() + pause
            self._notice("projection-failed", study=study, kind=type(error).__name__)
            return False
        following.failures = 0
        return moved

    def _others_go_on(self, study: str, following: _Following) -> bool:
        """Whether the projector that was faster has moved since; then it needs no help."""
        now = self.tables.cursors(study)
        moved = now != following.aside_at
        following.aside_at = now if moved else None
        following.not_before = time.monotonic() + ASIDE_SECONDS if moved else 0.0
        return moved

    def _step(self, study: str, following: _Following, up_to: int | None) -> bool:
        """One step of each lane that has something to do."""
        lanes = self._lanes(study, following)
        moved = False
        for lane in list(lanes):
            limit = self._limit(following, lane, up_to)
            if limit is not None and limit <= lane.position:
                continue
            try:
                moved = lane.step(limit) or moved
            except Halted as halt:
                self._halt(study, following, halt)
                return True
            except Overtaken:
                raise
            except Exception:
                following.lanes = None
                raise
            for cursor in lane.cursors:
                if following.halted.get(cursor.view, (lane.position, 0.0))[0] < lane.position:
                    del following.halted[cursor.view]
        if len(lanes) > 1 and len({lane.position for lane in lanes}) == 1:
            following.lanes = None
        return moved

    def _limit(self, following: _Following, lane: Lane, up_to: int | None) -> int | None:
        """How far the lane may go now: a halted view not beyond what it can take in."""
        for cursor in lane.cursors:
            last, again = following.halted.get(cursor.view, (0, 0.0))
            if time.monotonic() < again:
                return last if up_to is None else min(last, up_to)
        return up_to

    def _waits(self, following: _Following, lane: Lane) -> bool:
        return any(cursor.view in following.halted for cursor in lane.cursors)

    def _halt(self, study: str, following: _Following, halt: Halted) -> None:
        """Stop the view in front of what it cannot take in; the others go on without it."""
        following.lanes = None
        again = time.monotonic() + RETRY_SECONDS_MAX
        following.halted[halt.cursor.view] = (halt.position - 1, again)
        with self.tables.writing(study) as writing:
            writing.halt(halt.cursor, halt.position, halt.error)
        self._notice(
            "view-halted",
            study=study,
            view=halt.cursor.view,
            position=halt.position,
            kind=halt.error,
        )

    def _lanes(self, study: str, following: _Following) -> list[Lane]:
        if following.lanes is None:
            self.tables.begin(study)
            following.lanes = lanes(
                self._folds, self.tables, study, following.halted, self.tables.active(study)
            )
        return following.lanes

    def _following(self, study: str) -> _Following:
        return self._studies.setdefault(study, _Following())

    def _listen(self) -> None:
        if not self._listening:
            self._listening = True
            self._ledger.listen(lambda _study: self._woken.set())


def lanes(
    folds: Folds,
    tables: ViewTables,
    study: str,
    halted: Container[str],
    active: dict[str, Cursor],
) -> list[Lane]:
    """The views of a study, those that stand together in one lane; halted ones by themselves."""
    grouped: dict[tuple[int, str], list[Cursor]] = {}
    for name, cursor in active.items():
        alone = name if name in halted else ""
        grouped.setdefault((cursor.position, alone), []).append(cursor)
    return [Lane.open(folds, tables, study, cursors) for cursors in grouped.values()]
