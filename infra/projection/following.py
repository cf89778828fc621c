"""Following: the lanes of one study, or of one partition of it, as one projector takes them on."""

import time
from collections.abc import Callable, Container, Iterable

from infra.projection.batch import Halted
from infra.projection.folds import Folds
from infra.projection.lane import Lane
from infra.projection.partitions import Partition
from infra.projection.tables import Cursor, ViewTables

RETRY_SECONDS_MAX = 30.0
RETRY_SECONDS = 1.0

Notice = Callable[..., None]
"""Told what happened: a fixed name, and circumstances by keyword; never anything personal."""


class Following:
    """Some views of one study, of all its participants or of a partition of them."""

    def __init__(
        self,
        folds: Folds,
        tables: ViewTables,
        study: str,
        notice: Notice,
        partition: Partition | None = None,
    ) -> None:
        self.study = study
        self.partition = partition
        self._folds = folds
        self._tables = tables
        self._notice = notice
        self._lanes: list[Lane] | None = None
        self._halted: dict[str, tuple[int, float]] = {}
        self._failures = 0
        self._not_before = 0.0

    @property
    def waits(self) -> bool:
        """Whether it failed a moment ago and is not to be tried yet."""
        return time.monotonic() < self._not_before

    def lanes(self) -> list[Lane]:
        """The views that stand together in one lane; halted ones by themselves. None where the
        study is divided in another way."""
        if self._lanes is None:
            cursors = self._cursors()
            lanes = grouped(cursors, self._halted)
            self._lanes = [
                Lane.open(self._folds, self._tables, self.study, one, self.partition)
                for one in lanes
            ]
        return self._lanes

    def flowing(self) -> list[Lane]:
        """The lanes that no halted view holds up."""
        return [lane for lane in self.lanes() if not self._holds_up(lane)]

    def forget(self) -> None:
        """Read from the tables where the views stand, before anything else."""
        self._lanes = None

    def step(self, up_to: int | None = None, leave: Lane | None = None) -> bool:
        """One step of the ledger for each lane (but one) that has something to do.

        Raises Overtaken, StoreAway, or whatever makes the study itself unreadable.
        """
        lanes = self.lanes()
        moved = False
        for lane in list(lanes):
            limit = self._limit(lane, up_to)
            if lane is leave or (limit is not None and limit <= lane.position):
                continue
            try:
                moved = lane.step(limit) or moved
            except Halted as halt:
                self.halt(halt)
                return True
            except Exception:
                self.forget()
                raise
            self._went_on(lane)
        if len(lanes) > 1 and len({lane.position for lane in lanes}) == 1:
            self.forget()  # they stand together again: one lane from now on
        self._failures = 0
        return moved

    def halt(self, halt: Halted) -> None:
        """Stop the view in front of what it cannot take in; the others go on without it."""
        self.forget()
        again = time.monotonic() + RETRY_SECONDS_MAX
        self._halted[halt.cursor.view] = (halt.position - 1, again)
        with self._tables.writing(self.study) as writing:
            writing.halt(halt.cursor, halt.position, halt.error)
        self._notice(
            "view-halted",
            study=self.study,
            view=halt.cursor.view,
            position=halt.position,
            kind=halt.error,
        )

    def failed(self, error: Exception) -> None:
        """Try again later, each time a little later still."""
        self.forget()
        self._failures += 1
        pause = min(RETRY_SECONDS * 2**self._failures, RETRY_SECONDS_MAX)
        self._not_before = time.monotonic() + pause
        self._notice("projection-failed", study=self.study, kind=type(error).__name__)

    def _went_on(self, lane: Lane) -> None:
        """Whoever took in the event that halted it is halted no more."""
        for cursor in lane.cursors:
            if self._halted.get(cursor.view, (lane.position, 0.0))[0] < lane.position:
                del self._halted[cursor.view]

    def _cursors(self) -> list[Cursor]:
        if self.partition is None:
            self._tables.begin(self.study)
            active = self._tables.active(self.study).values()
            return [one for one in active if one.partitions is None]
        divided = self._tables.partition_cursors(self.study)
        number, of = self.partition.number, self.partition.of
        return [one for one in divided if (one.partition, one.partitions) == (number, of)]

    def _limit(self, lane: Lane, up_to: int | None) -> int | None:
        """How far the lane may go now: a halted view not beyond what it can take in."""
        for cursor in lane.cursors:
            last, again = self._halted.get(cursor.view, (0, 0.0))
            if time.monotonic() < again:
                return last if up_to is None else min(last, up_to)
        return up_to

    def _holds_up(self, lane: Lane) -> bool:
        return any(cursor.view in self._halted for cursor in lane.cursors)


def grouped(cursors: Iterable[Cursor], halted: Container[str]) -> list[list[Cursor]]:
    """Cursors that stand together, those of halted views by themselves."""
    found: dict[tuple[int, str], list[Cursor]] = {}
    for cursor in cursors:
        alone = cursor.view if cursor.view in halted else ""
        found.setdefault((cursor.position, alone), []).append(cursor)
    return list(found.values())
