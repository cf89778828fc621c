"""The projector: follows the ledger and keeps the views' tables, exactly once.

Rows and cursor change in one transaction, and the cursor only from where it was read: any number of
projectors may run, of two at one position one writes and the other finds that out and stands aside.
Wake-ups are hints; it also polls. Views that workers keep by partitions are left to them as long as
they move; when they do not, it joins them and follows the ledger in their place.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from infra.documents import Documents
from infra.ledger.ledger import Ledger
from infra.ledger.types import StoreAway
from infra.projection.batch import Halted
from infra.projection.digests import digest
from infra.projection.filling import Progress
from infra.projection.folds import Folds
from infra.projection.following import Following, Notice
from infra.projection.partitions import Partition, join
from infra.projection.rebuilding import Rebuilt, rebuild
from infra.projection.sharing import Beside, Place
from infra.projection.tables import Cursor, Overtaken, ViewTables
from infra.room import Room

POLL_SECONDS = 1.0
ASIDE_SECONDS = 1.0
OVERTAKEN_SECONDS = 5.0
"""A projector that was faster is given so long for its next batch. On a busy machine one takes some
seconds; whoever comes back earlier computes the same rows, and makes it take longer still."""
STALLED_SECONDS = 20.0
"""Partitions that nobody moved for so long, with events waiting, are joined."""
JOIN_ROUNDS_MAX = 20


@dataclass(slots=True)
class _Watched:
    """Others at work on a study's views: where they stood when it was last looked at."""

    at: list[Cursor]
    head: int = 0
    not_before: float = 0.0


class Projector:
    """Follows every study of the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        documents: Documents,
        tables: ViewTables,
        notice: Notice = lambda _name, **_circumstances: None,
        room: Room | None = None,
    ) -> None:
        self.tables = tables
        self.folds = Folds(ledger, documents, room)
        self._ledger = ledger
        self._notice = notice
        self._studies: dict[str, Following] = {}
        self._aside: dict[str, _Watched] = {}
        self._divided: dict[str, _Watched] = {}
        self._woken = threading.Event()
        self._listening = False
        self._all: list[str] = []
        self._ask_again = 0.0
        self._stands_by = False
        self._left: set[str] = set()
        """Studies that were left to others once, standing by."""

    def step(self) -> bool:
        """Take in some more of every study; whether there may be more at once. StoreAway.

        A study that fails is tried again later, the others go on.
        """
        moved = False
        try:
            for study in self._all_studies():
                moved = self._round(study) or moved
        except StoreAway:
            # Whether a commit that was under way took place is read from the cursors.
            self._studies.clear()
            raise
        return moved

    def _all_studies(self) -> list[str]:
        """The ledger's studies. While it is told of appends, it asks for them only now and then,
        and when a new one is heard of."""
        now = time.monotonic()
        if not self._listening or now >= self._ask_again:
            # In this order: of a study that is heard of meanwhile it asks at the next step.
            self._ask_again = now + POLL_SECONDS
            self._all = self._ledger.studies()
        return self._all

    def _hear(self, study: str) -> None:
        if study not in self._all:
            self._ask_again = 0.0
        self._woken.set()

    def run(self, stop: threading.Event, *, stand_by: bool = False) -> None:
        """Follow until told to stop; for those who have no loop of their own.

        Standing by, others are there to keep the views: a study is begun only when its views have
        not moved for a while, so that what they do is not done twice meanwhile.
        """
        self._stands_by = stand_by
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
        head = self._ledger.head(study)
        reached = self._catch_up(self._following(study), head)
        for following in self._partitions(study):
            reached += self._catch_up(following, head)
        return min(reached, default=0)

    def lag(self, study: str) -> dict[str, int]:
        """View -> how many events of the study's log it does not reflect yet."""
        head = self._ledger.head(study)
        active = self.tables.active(study)
        return {
            name: max(0, head - (active[name].position if name in active else 0))
            for name in self.tables.views
        }

    def rebuild(
        self,
        study: str,
        view: str,
        progress: Progress = lambda _done, _all: None,
        beside: Beside | None = None,
    ) -> Rebuilt:
        """Build the view anew from the log, beside the generation that is read, and swap them.

        The new one stands where the other stood: whoever follows the log goes on from there.
        With `beside` other processes help. Raises RebuildUnderWay; what cannot be projected in a
        view that may have no gaps: Halted; BrokenProcessPool when one that helps was killed.
        """
        (found,) = self.rebuild_all(study, [view], progress, beside)
        if isinstance(found, Halted):
            raise found
        return found

    def rebuild_all(
        self,
        study: str,
        views: Sequence[str],
        progress: Progress = lambda _done, _all: None,
        beside: Beside | None = None,
    ) -> list[Rebuilt | Halted]:
        """The same for several views at once: each participant is folded once for all of them.

        What came of each view, in their order: one that halts does not stop the others.
        """
        alone = Beside(1, lambda: (self.folds, self.tables))
        return rebuild(self.folds, self.tables, study, views, progress, beside or alone)

    def digest(self, study: str, view: str, generation: int | None = None) -> str:
        """SHA-256 (hex) over the rows of a generation; of the one that is read by default."""
        if generation is None:
            generation = self.tables.active(study)[view].generation
        return digest(Place(self.folds, self.tables, study), view, generation)

    def join(self, study: str) -> list[str]:
        """Make one cursor of those that partitions have; the views for which that cannot be done.

        Those are halted in some partition, or workers move them at this moment. Raises StoreAway,
        or what makes the study itself unreadable.
        """
        left: list[str] = []
        for _ in range(JOIN_ROUNDS_MAX):
            reached = [one.position for one in self.tables.partition_cursors(study)]
            for following in self._partitions(study):
                self._catch_up(following, max(reached, default=0))
            left = join(self.tables, study)
            if not left:
                break
        return left

    # --- one study --------------------------------------------------------------------------------

    def _round(self, study: str) -> bool:
        """One step of a study; whether there may be more to do at once."""
        following = self._following(study)
        if following.waits or self._others_go_on(study):
            return False
        try:
            self._watch_partitions(study, following)
            return following.step()
        except Overtaken:
            following.forget()
            now = self.tables.cursors(study)
            self._aside[study] = _Watched(now, not_before=time.monotonic() + OVERTAKEN_SECONDS)
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001  one study must not hold up the others
            following.failed(error)
        return False

    def _others_go_on(self, study: str) -> bool:
        """Whether the projector that was faster has moved since; then it needs no help."""
        if self._stands_by and study not in self._left:
            self._left.add(study)
            now, until = self.tables.cursors(study), time.monotonic() + STALLED_SECONDS
            self._aside[study] = _Watched(now, not_before=until)
        aside = self._aside.get(study)
        if aside is None:
            return False
        if time.monotonic() < aside.not_before:
            return True
        now = self.tables.cursors(study)
        if now == aside.at:
            del self._aside[study]
            return False
        self._aside[study] = _Watched(now, not_before=time.monotonic() + OVERTAKEN_SECONDS)
        return True

    def _watch_partitions(self, study: str, following: Following) -> None:
        """Join what is divided when nobody has moved any partition for a while."""
        now = time.monotonic()
        watched = self._divided.get(study)
        if watched is not None and now < watched.not_before:
            return
        cursors = self.tables.partition_cursors(study)
        if not cursors:
            if watched is not None and watched.at:
                following.forget()  # joined by another
            self._divided[study] = _Watched([], not_before=now + ASIDE_SECONDS)
            return
        if watched is None or watched.at != cursors or watched.head == 0:
            head, until = self._ledger.head(study), now + STALLED_SECONDS
            self._divided[study] = _Watched(cursors, head, until)
            return
        del self._divided[study]
        if min(one.position for one in cursors) < watched.head:
            self._notice("partitions-joined", study=study, left=",".join(self.join(study)))
            following.forget()

    def _catch_up(self, following: Following, head: int) -> list[int]:
        """Take in all up to a position; where the lanes that are not held up stand then."""
        while True:
            try:
                if not following.step(head):
                    return [lane.position for lane in following.flowing()]
            except Overtaken:
                following.forget()

    def _partitions(self, study: str) -> list[Following]:
        """Each partition into which some view is divided."""
        found = {
            Partition(one.partition, one.partitions)
            for one in self.tables.partition_cursors(study)
            if one.partition is not None and one.partitions is not None
        }
        return [
            Following(self.folds, self.tables, study, self._notice, one)
            for one in sorted(found, key=lambda one: (one.of, one.number))
        ]

    def _following(self, study: str) -> Following:
        found = self._studies.get(study)
        if found is None:
            found = Following(self.folds, self.tables, study, self._notice)
            self._studies[study] = found
        return found

    def _listen(self) -> None:
        if not self._listening:
            self._listening = True
            self._ledger.listen(self._hear)
