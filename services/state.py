"""Hot state: participants and trials in memory, each the fold of a prefix of its stream.

What is kept is never trusted to be the newest: an append states the versions it was judged on, and
the ledger refuses it when the stream has moved. Then the tail is read and the judgement made again.
"""

import threading
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import islice

from domain import catalogue
from domain import participant as journey
from domain.admit import Admitted
from domain.eligibility.evaluate import moved
from domain.kernel import Recorded
from domain.participant import Participant
from domain.settling import settle
from domain.trial import study as studies
from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from infra.documents import Documents
from infra.ledger.envelope import placed, read, settled_at
from infra.ledger.ledger import Log
from infra.ledger.types import STUDY_STREAM, Stored
from infra.room import Room, Shelf
from services.drafting import Judged, first_of

PARTICIPANT_BYTES = 12_000
EVENT_BYTES = 1_500
"""What a participant takes in memory, and each event more, with what is derived from them: measured
(`docs/performance.md`), and rounded up."""


class NotFound(Exception):
    """There is no such study or participant."""

    def __init__(self, what: str) -> None:
        super().__init__(f"no such {what}")
        self.what = what


def recorded(stored: Stored) -> Recorded:
    """The envelope of a stored event."""
    study = stored.stream == STUDY_STREAM
    return read(stored, catalogue.STUDY if study else catalogue.PARTICIPANT)


def bytes_of(participant: Participant) -> int:
    """What a participant takes in memory, as estimated."""
    return PARTICIPANT_BYTES + EVENT_BYTES * participant.version


class HotState:
    """Folds of the ledger, brought up to date on demand, as far as there is room for them."""

    def __init__(self, ledger: Log, documents: Documents, room: Room | None = None) -> None:
        self._ledger = ledger
        self._documents = documents
        self._protocols: dict[tuple[str, str], Protocol] = {}
        self._trials: dict[str, Trial] = {}
        self._participants: Shelf[tuple[str, str], Participant] = (room or Room()).shelf(bytes_of)
        self._lock = threading.Lock()
        """Readers in threads and the event loop keep states here; folding happens outside it."""

    def trial(self, study: str, *, fresh: bool = True) -> Trial:
        """The study as it stands; NotFound when it is not registered."""
        known = self._trials.get(study)
        if known is None or fresh:
            known = self._advanced_trial(study, known or Trial(study))
        if known.registered is None:
            raise NotFound("study")
        return known

    def trial_or_blank(self, study: str) -> Trial:
        """The study as it stands, or a blank one that nothing was recorded for."""
        return self._advanced_trial(study, self._trials.get(study) or Trial(study))

    def participant(self, study: str, name: str, *, fresh: bool = True) -> Participant:
        """The participant as it stands; version 0 when nothing was recorded yet."""
        known = self._participants.get((study, name))
        if known is not None and not fresh:
            return known
        known = self._advanced(study, known) if known is not None else None
        if known is None:
            known = journey.replay(name, map(recorded, self._ledger.stream(study, name)))
        self._keep(study, known)
        return known

    def holds(self, study: str, names: list[str]) -> bool:
        """Whether all of them are in memory, so that no read is needed."""
        return study in self._trials and all((study, name) in self._participants for name in names)

    def appended(self, study: str, stored: tuple[Stored, ...], judged: Judged = ()) -> None:
        """Fold what this process just appended, so that the next judgement needs no read.

        `judged` is what the append was made of, in order: what is known of it need not be read, and
        where it got the positions that it was judged at it is not folded again.
        """
        rest = iter(stored)
        for before, admitted in judged:
            theirs = tuple(islice(rest, len(admitted.participant)))
            if not self._settled(study, theirs, before, admitted):
                self._append_to_participant(study, theirs, admitted.participant)
            for one in islice(rest, len(admitted.study)):
                self._append_to_study(study, one)
        for one in rest:
            if one.stream == STUDY_STREAM:
                self._append_to_study(study, one)
            else:
                self._append_to_participant(study, (one,))
        trial = self._trials.get(study)
        for _, admitted in judged:
            known, after = self._participants.get((study, admitted.after.id)), admitted.after
            if trial is None or known is None or known is after or known.version != after.version:
                continue
            moved(trial, after, known, partial(_place, stored, first_of(judged)))

    def _settled(
        self, study: str, stored: Sequence[Stored], before: Participant, admitted: Admitted
    ) -> bool:
        """Keep the state that was judged, if everything in it is as the log now says."""
        known = self._participants.get((study, before.id))
        if known is not before and (known is not None or before.version):
            return False
        told: list[tuple[Recorded, datetime, str]] = []
        for event, one in zip(admitted.participant, stored, strict=True):
            at = settled_at(event, one)
            if at is None:
                return False
            told.append((event, at, one.hash))
        if told:
            settle(before, admitted.after, told)
            self._keep(study, admitted.after)
        return True

    def _append_to_study(self, study: str, one: Stored) -> None:
        trial = self._trials.get(study)
        if trial is not None and trial.version + 1 == one.version:
            self._keep_trial(self._evolved(trial, recorded(one)))

    def _append_to_participant(
        self, study: str, stored: Sequence[Stored], judged: Sequence[Recorded] = ()
    ) -> None:
        """Fold what was appended to one participant; `judged` is the same as it was judged."""
        if not stored:
            return
        name = stored[0].stream
        known = self._participants.get((study, name)) or Participant(name)
        if known.version + 1 != stored[0].version:
            return
        events: list[Recorded] = []
        previous = known.head
        for index, one in enumerate(stored):
            event = placed(judged[index], one, previous) if judged else None
            events.append(event or recorded(one))
            previous = one.hash
        self._keep(study, journey.extended(known, events))

    def forget(self, study: str, name: str) -> None:
        """Let go of a participant and of everything that was derived from what it was."""
        with self._lock:
            self._participants.drop((study, name))

    def as_of(self, study: str, name: str, position: int) -> tuple[Trial, Participant]:
        """The study and the participant as they were known at a position of the log."""
        trial = self.trial_as_of(study, position)
        history = self.history(study, name, position)
        if not history:
            raise NotFound("participant")
        return trial, journey.replay(name, map(recorded, history))

    def trial_as_of(self, study: str, position: int) -> Trial:
        """The study as it was known at a position of the log; NotFound before its registration."""
        trial = Trial(study)
        for stored in self._ledger.stream(study, STUDY_STREAM, 0, position):
            trial = self._evolved(trial, recorded(stored))
        if trial.registered is None:
            raise NotFound("study")
        return trial

    def history(self, study: str, name: str, up_to: int | None = None) -> list[Stored]:
        """A participant's events as the ledger has them, up to and with a position of the log."""
        return self._ledger.stream(study, name, 0, up_to)

    def protocol(self, study: str, sha256: str) -> Protocol:
        """A published protocol by its address."""
        found = self._protocols.get((study, sha256))
        if found is None:
            body = self._documents.get(study, sha256)
            if body is None:
                raise NotFound("protocol")
            found = Protocol.model_validate_json(body)
            self._protocols[study, sha256] = found
        return found

    def _advanced(self, study: str, known: Participant) -> Participant | None:
        """The participant with what was recorded since; None when it must be read anew."""
        tail = self._ledger.stream(study, known.id, known.version - 1)
        if not self._goes_on(study, tail, known.head):
            return None
        for stored in tail[1:]:
            known = journey.evolve(known, recorded(stored))
        return known

    def _advanced_trial(self, study: str, trial: Trial) -> Trial:
        tail = self._ledger.stream(study, STUDY_STREAM, max(trial.version - 1, 0))
        if trial.version and self._goes_on(study, tail, trial.head):
            tail = tail[1:]
        elif trial.version:
            return self._advanced_trial(study, Trial(study))
        for stored in tail:
            trial = self._evolved(trial, recorded(stored))
        if trial.version:
            self._keep_trial(trial)
        return trial

    def _goes_on(self, study: str, tail: list[Stored], head: str | None) -> bool:
        """Whether a tail begins with the event that was folded last.

        It does not when the store was restored from a copy and has lost its end: then nothing that
        was folded from this study holds any more.
        """
        if tail and tail[0].hash == head:
            return True
        with self._lock:
            self._trials.pop(study, None)
            self._participants.drop_all(lambda key: key[0] == study)
        return False

    def _evolved(self, trial: Trial, event: Recorded) -> Trial:
        return studies.evolve(trial, event, _Addressed(self, trial.study))

    def _keep_trial(self, trial: Trial) -> None:
        with self._lock:
            known = self._trials.get(trial.study)
            if known is None or known.version < trial.version:
                self._trials[trial.study] = trial

    def _keep(self, study: str, participant: Participant) -> None:
        if participant.version == 0:
            return
        key = (study, participant.id)
        with self._lock:
            known = self._participants.get(key)
            # Another thread may have read further meanwhile: what is kept never goes back.
            older = known is None or known.version < participant.version
            self._participants.put(key, participant if older or known is None else known)


def _place(stored: tuple[Stored, ...], first: int, position: int) -> int:
    """The log's position of an event of the append, of which the first was judged at `first`; any
    other position as it is."""
    return position if position < first else stored[position - first].position


class _Addressed(dict[str, Protocol]):
    """Documents by address, read when they are asked for."""

    def __init__(self, hot: HotState, study: str) -> None:
        super().__init__()
        self._hot, self._study = hot, study

    def __missing__(self, sha256: str) -> Protocol:
        return self._hot.protocol(self._study, sha256)
