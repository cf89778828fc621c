"""A lane: the views of a study that stand at one position, and what they need to go on from it.

Views share a lane while they stand together, so that a participant is folded once for all of them;
each has a cursor of its own, because a view that halts must not hold up the others and a view that
is rebuilt starts elsewhere. A lane has all participants of its study, or those of one partition.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from domain.participant import Participant
from domain.trial.study import Trial
from infra.ledger.types import STUDY_STREAM, Stored
from infra.projection.batch import Batch, Taking
from infra.projection.behind import Behind
from infra.projection.folds import Folds
from infra.projection.hot import Hot, bytes_of
from infra.projection.partitions import Partition
from infra.projection.shapes import ViewShape
from infra.projection.tables import Cursor, ViewTables, Writing
from infra.room import Shelf

BATCH_EVENTS = 10_000
"""So many at once where much is waiting: a participant's rows are made once for all of theirs."""
BATCH_PARTICIPANTS = 1_000
"""So many participants at once (the study is one of them): what they were and what they are is in
memory until the commit."""


class Lane:
    """Some views of one study, at one position."""

    def __init__(
        self,
        folds: Folds,
        tables: ViewTables,
        study: str,
        cursors: Sequence[Cursor],
        trial: Trial,
        parked: Mapping[str, set[str]],
        partition: Partition | None = None,
    ) -> None:
        self._folds = folds
        self.tables = tables
        self.study = study
        self.cursors = list(cursors)
        self.position = cursors[0].position
        self.partition = partition
        self.trial = trial
        self._hot: Shelf[str, Hot] = folds.room.shelf(bytes_of)
        self._parked = parked
        self._at_once = BATCH_EVENTS
        """So many are read: not many more than were of use the last time."""

    @classmethod
    def open(
        cls,
        folds: Folds,
        tables: ViewTables,
        study: str,
        cursors: Sequence[Cursor],
        partition: Partition | None = None,
    ) -> "Lane":
        """A lane of cursors that stand at one position."""
        trial = folds.trial(study, cursors[0].position)
        parked = tables.left_out(study, cursors)
        return cls(folds, tables, study, cursors, trial, parked, partition)

    def step(self, up_to: int | None = None) -> bool:
        """Take in the ledger's next events; False when there are none.

        Raises Overtaken, Halted, StoreAway, or whatever makes the study itself unreadable; then
        nothing was written and the lane stands where it stood.
        """
        stored = self._folds.ledger.read(self.study, self.position, self._at_once, up_to)
        if not stored:
            return False
        take_in([self._portion(stored)])
        return True

    def _portion(self, stored: Sequence[Stored]) -> "Portion":
        """The first of the ledger's next events, of as many participants as a batch may have."""
        mine: list[Stored] = []
        names: set[str] = set()
        to, self._at_once = self.position, BATCH_EVENTS
        for number, one in enumerate(stored):
            if self.has(one.stream):
                names.add(one.stream)
                if len(names) > BATCH_PARTICIPANTS:
                    self._at_once = min(2 * number, BATCH_EVENTS)
                    break
                mine.append(one)
            to = one.position
        return Portion(self, mine, to)

    def committed(self, taking: Taking, to: int, next_offset: int | None) -> None:
        """What a batch wrote for the lane is there."""
        self.trial, self.position = taking.trial, to
        self.cursors = [
            replace(
                cursor,
                position=to,
                halted_at=None,
                error=None,
                next_offset=cursor.next_offset if next_offset is None else next_offset,
            )
            for cursor in self.cursors
        ]
        for (view, name), out in taking.left_out.items():
            (self._parked[view].add if out else self._parked[view].discard)(name)
        for name, hot in taking.folded.items():
            if hot is None:
                self._hot.drop(name)
            else:
                self._hot.put(name, hot)

    def has(self, stream: str) -> bool:
        """Whether the events of a stream are the lane's."""
        return self.partition is None or stream == STUDY_STREAM or self.partition.has(stream)

    def view(self, cursor: Cursor) -> ViewShape:
        """The view of a cursor."""
        return self.tables.views[cursor.view]

    def hot(self, name: str) -> Hot | None:
        """The participant as of the lane's position, if it is in memory."""
        return self._hot.get(name)

    def folded(self, name: str, up_to: int) -> Participant:
        """The participant as of a position, from its whole history."""
        return self._folds.participant(self.study, name, up_to)

    def names(self) -> Iterator[str]:
        """All participants of the lane that the ledger knows."""
        after = ""
        while page := self._folds.ledger.participants(self.study, after):
            yield from filter(self.has, page)
            after = page[-1]

    def parked(self, cursor: Cursor) -> set[str]:
        """Participants that the view leaves out."""
        return self._parked[cursor.view]

    def evolved(self, events: Sequence[Stored]) -> Trial:
        """The study after more events of its own."""
        return self._folds.evolved(self.trial, events)


@dataclass(frozen=True, slots=True)
class Portion:
    """What one lane takes in next."""

    lane: Lane
    stored: Sequence[Stored]
    """All that are the lane's between its position and `to`, in order."""
    to: int
    next_offset: int | None = None
    """No later event of the lane's partition has a smaller offset in the topic; None: as before."""


def take_in(portions: Sequence[Portion]) -> None:
    """Write what comes of the portions of lanes of one study, in one transaction.

    Raises Overtaken, Halted, Gap, StoreAway, or whatever makes the study itself unreadable; then
    nothing was written and every lane stands where it stood.
    """
    lane = portions[0].lane
    # Nothing is written behind any more when the transaction ends, whichever way it does.
    with ExitStack() as stack, Behind() as behind:

        def begin() -> Writing:
            # The cursors first: a projector that comes from the same position waits here, and
            # finds them moved. A crash from here on to the commit undoes all of it.
            writing = stack.enter_context(lane.tables.writing(lane.study))
            writing.move(
                (cursor, one.to, one.next_offset) for one in portions for cursor in one.lane.cursors
            )
            return writing

        batch = Batch(begin, behind)
        takings = [Taking(one.lane, batch, one.to) for one in portions]
        for taking, one in zip(takings, portions, strict=True):
            taking.take_in(one.stored)
        batch.flush()
    for taking, one in zip(takings, portions, strict=True):
        one.lane.committed(taking, one.to, one.next_offset)
