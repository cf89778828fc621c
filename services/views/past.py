"""States to answer from: a participant as it stands, and studies and participants as they stood."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from domain import asof
from domain.participant import Participant
from domain.time import When
from domain.trial.crossing import slot_of
from domain.trial.events import SlotTaken
from domain.trial.study import Trial
from infra.projection.folds import Folds, recorded
from services.state import HotState, NotFound
from services.views.asked import Query

EXACT_ATTEMPTS = 5


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
    """Folds prefixes of the log; one participant in memory at a time."""

    def __init__(self, folds: Folds, hot: HotState) -> None:
        self._folds = folds
        self._hot = hot

    def cut(self, study: str, query: Query) -> Cut:
        """What a query asks for; a position beyond the log's end means its end."""
        ledger = self._folds.ledger
        match query.as_of:
            case None:
                return Cut(ledger.head(study), None, query.valid_at)
            case int():
                position = min(query.as_of, ledger.head(study))
                return Cut(position, None, query.valid_at)
            case When():
                if query.by_source:
                    return Cut(ledger.head(study), query.as_of, query.valid_at)
                position = ledger.position_at(study, query.as_of.latest())
                return Cut(position, None, query.valid_at)

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
        trial = self._folds.trial(study, cut.position)
        if trial.registered is None:
            raise NotFound("study")
        return trial

    def participant(self, trial: Trial, name: str, cut: Cut) -> Participant | None:
        """The participant as it stood; None when there was none."""
        found: Participant | None = self._folds.participant(trial.study, name, cut.position)
        if found is None or found.version == 0:
            return None
        if cut.source_moment is not None:
            found = asof.known_by_source(trial, found, cut.source_moment)
        if found is not None and cut.valid_at is not None:
            found = asof.true_at(trial, found, cut.valid_at)
        return found

    def participants(
        self, trial: Trial, cut: Cut, slots: dict[str, SlotTaken] | None = None
    ) -> Iterator[Participant]:
        """Everybody who was there, by name; their slots are gathered where the log's do not hold.

        After them `trial_of` is the study that goes with them.
        """
        after = ""
        while page := self._folds.ledger.participants(trial.study, after):
            after = page[-1]
            for name in page:
                found = self.participant(trial, name, cut)
                if found is None:
                    continue
                if slots is not None and cut.partial is not None:
                    slot = slot_of(trial, found, cut.partial.latest())
                    if slot is not None:
                        slots[name] = slot
                yield found

    def trial_of(self, trial: Trial, cut: Cut, slots: dict[str, SlotTaken]) -> Trial:
        """The study with the slots of those who were there."""
        if cut.partial is None:
            return trial
        return asof.with_slots(trial, slots, cut.partial.latest())

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
