"""States to answer from: a participant as it stands, and studies and participants as they stood."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from domain import asof
from domain.asof import TrueThen
from domain.participant import Participant, replay
from domain.time import When
from domain.trial import asof as study_asof
from domain.trial.crossing import slot_of
from domain.trial.events import SlotTaken
from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from infra.ledger.types import STUDY_STREAM, Stored
from infra.projection.folds import Folds, recorded
from services import logs
from services.state import HotState, NotFound
from services.views.asked import Query

T = TypeVar("T")

EXACT_ATTEMPTS = 5

Pause = Callable[[], None]
"""Called after each participant of a study that is folded: it lets others have their turn, and
raises to end the work."""

WORK_SECONDS = 0.004
"""Of a processor's time."""
REST_SECONDS = 0.001
_worked = threading.local()


def breathe() -> None:
    """Rest a little for each few milliseconds of work, so that whoever records has its turn.

    A thread that only computes keeps the interpreter until it is made to let go, each time for
    longer than a whole append takes.
    """
    if time.thread_time() - getattr(_worked, "before", 0.0) >= WORK_SECONDS:
        time.sleep(REST_SECONDS)
        _worked.before = time.thread_time()


Slots = dict[str, SlotTaken]
"""What participants take of the study, gathered where the log's slots do not hold."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Which part of a study's log counts."""

    position: int
    """Up to and with this one."""
    source_moment: When | None = None
    """As the sending systems had recorded it by then."""
    valid_at: When | None = None
    """What was true then."""

    @property
    def partial(self) -> When | None:
        """The moment by which events are left out, where it is not simply the log's beginning."""
        return self.valid_at or self.source_moment


class Past:
    """Folds parts of the log; one participant in memory at a time."""

    def __init__(self, folds: Folds, hot: HotState) -> None:
        self._folds = folds
        self._hot = hot

    def cut(self, study: str, query: Query, pinned: int | None = None) -> Cut:
        """What a query asks for; a position or a moment that has not come yet is the log's end.

        `pinned` is where the log ended for the first page of a list: the next ones show the same
        past, whatever was recorded meanwhile.
        """
        ledger = self._folds.ledger
        head = ledger.head(study)
        if pinned is not None:
            head = min(pinned, head)
        match query.as_of:
            case None:
                return Cut(head, None, query.valid_at)
            case int():
                return Cut(min(query.as_of, head), None, query.valid_at)
            case When():
                if query.by_source:
                    return Cut(head, query.as_of, query.valid_at)
                position = ledger.position_at(study, query.as_of.latest())
                return Cut(min(position, head), None, query.valid_at)

    def on(self, study: str, query: Query, now: datetime) -> When:
        """The "now" of time-dependent states. That of the past does not move with the clock."""
        if query.on is not None:
            return query.on
        if query.valid_at is not None:
            return query.valid_at
        match query.as_of:
            case None:
                return When.at(now)
            case When():
                return query.as_of
            case int():
                found = self._folds.ledger.read(study, max(query.as_of - 1, 0), 1, query.as_of)
                return When.at(recorded(found[0]).recorded_at if found else now)

    def trial(self, study: str, cut: Cut) -> Trial:
        """The study as it stood. Raises NotFound when it was not registered."""
        stored = self._folds.ledger.stream(study, STUDY_STREAM, 0, cut.position)
        trial = self._hot.trial(study, fresh=False)
        if not stored or trial.head != stored[-1].hash:
            trial = self._folds.evolved(Trial(study), stored)
        if trial.registered is None:
            raise NotFound("study")
        if cut.partial is None:
            return trial
        return study_asof.told(
            trial,
            [recorded(one) for one in stored],
            self._folds.documents(study),
            known_by=cut.source_moment,
            true_at=cut.valid_at,
        )

    def participant(self, trial: Trial, name: str, cut: Cut) -> TrueThen | None:
        """The participant as it stood; None when there was none."""
        return self.of(trial, cut, self._folds.ledger.stream(trial.study, name, 0, cut.position))

    def participants(
        self,
        trial: Trial,
        cut: Cut,
        pause: Pause,
        of: Callable[[TrueThen], T],
        left_out: Callable[[Sequence[Stored]], None],
        *,
        first: str = "",
        slots: Slots | None = None,
    ) -> Iterator[tuple[TrueThen, T]]:
        """Everybody who was there, by name from one on, with what is made `of` each.

        Whose events cannot be read or judged is `left_out`, and the others go on. Where `slots` are
        gathered, `trial_of` is the study that goes with them afterwards.
        """
        for stored in self._folds.ledger.histories(trial.study, first, cut.position):
            pause()
            try:
                found = self.of(trial, cut, stored)
                if found is None:
                    continue
                slot = self._slot(trial, cut, found) if slots is not None else None
                made = of(found)
            except Exception as error:  # noqa: BLE001  one participant must not hide all the others
                logs.defect(error)
                left_out(stored)
                continue
            if slots is not None and slot is not None:
                slots[found.participant.id] = slot
            yield found, made

    def _slot(self, trial: Trial, cut: Cut, found: TrueThen) -> SlotTaken | None:
        """What the participant took of the study, where the log's slots do not hold."""
        if cut.partial is None:
            return None
        moment = cut.partial.latest(trial.zone(found.participant.site))
        return slot_of(trial, found.participant, moment)

    def trial_of(self, trial: Trial, cut: Cut, slots: Slots, protocol: Protocol) -> Trial:
        """The study with the slots of those who were there, by the rules of a protocol."""
        if cut.partial is None:
            return trial
        return study_asof.with_slots(trial, slots, protocol, cut.partial)

    def present(self, study: str, name: str) -> tuple[Trial, Participant, int]:
        """The study, the participant and the position that both reflect exactly, as of now."""
        position = 0
        for _ in range(EXACT_ATTEMPTS):
            position = self._folds.ledger.head(study)
            trial = self._hot.trial(study)
            found = self._hot.participant(study, name)
            if found.version == 0:
                raise NotFound("participant")
            if max(trial.position, found.position) <= position:
                break
            # Something was recorded between the two reads: the position must name it too.
            position = max(trial.position, found.position)
        return trial, found, position

    def of(self, trial: Trial, cut: Cut, stored: list[Stored]) -> TrueThen | None:
        """A participant's events as they read on the axes that are asked for."""
        if not stored:
            return None
        found: Participant | None = replay(stored[0].stream, map(recorded, stored))
        if found is not None and cut.source_moment is not None:
            found = asof.known_by_source(trial, found, cut.source_moment)
        if found is None:
            return None
        if cut.valid_at is None:
            return TrueThen(found)
        return asof.true_at(trial, found, cut.valid_at)
