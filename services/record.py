"""Recording: from posted events to what the ledger holds, whoever posts them and by which door.

Judge on the hot state, append on the versions it was judged on, and when the stream has moved read
the tail and judge again. A reply is given only after the ledger has committed.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from domain import admit as judge
from domain.journey.oversight import IdentityErased
from domain.kernel import PROVISIONAL, Decision, Proposed, Refusal, Refused
from domain.participant import Participant
from domain.trial.study import Trial
from infra.ledger.ledger import Ledger
from infra.ledger.types import (
    STUDY_STREAM,
    Append,
    Appended,
    Conflict,
    Duplicate,
    Outcome,
    StoreAway,
    Stored,
)
from infra.vault.keyring import KeyRing
from services.door import Posted
from services.drafting import Judged, answers_of, append_of, drafts_of
from services.foreseen import Foreseen
from services.judging import Judging, matches
from services.keying import Keying
from services.repeats import Repeats, Sifted
from services.standing import Standing
from services.state import HotState, NotFound
from services.terms import (
    Answer,
    EventIdReused,
    Group,
    Place,
    PreconditionFailed,
    PreconditionRequired,
    Terms,
)
from services.turns import Turns

__all__ = [
    "Answer",
    "EventIdReused",
    "Group",
    "Place",
    "PreconditionFailed",
    "PreconditionRequired",
    "Recording",
    "Terms",
]

JUDGEMENTS_MAX = 32
"""How often a lost race is judged again before the caller is asked to come back."""

OPTIMISTIC_MAX = 3
"""After so many lost races decisions take the study's turn too, and facts no longer follow the
study's stream: what they conclude is made up for by the next event or by the clock worker."""


Watcher = Callable[[Sequence[Stored]], None]
"""Called with the events of an append; it must neither block nor raise."""


class Recording:
    """Records events in studies; one per process."""

    def __init__(
        self,
        ledger: Ledger,
        keys: KeyRing,
        hot: HotState,
        clock: Callable[[], datetime],
    ) -> None:
        self.ledger = ledger
        self.hot = hot
        self.clock = clock
        self._keys = keys
        self._standing = Standing(hot, keys)
        self._keying = Keying(keys)
        self._judging = Judging(keys, clock)
        self._repeats = Repeats(ledger, keys)
        self._turns = Turns()
        self._foreseen = Foreseen()
        self._watchers: list[Watcher] = []

    @property
    def keys(self) -> KeyRing:
        """The participants' keys."""
        return self._keys

    def watch(self, watcher: Watcher) -> None:
        """Be told of every append of this process, after it is committed."""
        self._watchers.append(watcher)

    async def record(
        self, study: str, participant: str, posted: Sequence[Posted], terms: Terms
    ) -> Answer:
        """Record events of one participant, all or nothing.

        Raises NotFound, PreconditionFailed, PreconditionRequired, EventIdReused, Invalid, Refused,
        Impossible, WouldDeviate, StoreAway, StoreFull.
        """
        return (await self.record_all(study, [Group(participant, tuple(posted))], terms))[0]

    async def record_all(self, study: str, groups: Sequence[Group], terms: Terms) -> list[Answer]:
        """Record events of several participants in one transaction: all or nothing.

        Each participant is named by one group; the answers are in the order of the groups.
        """
        names = [group.participant for group in groups]
        if len(set(names)) != len(names):
            raise ValueError("a participant is named by more than one group")
        try:
            answers = await self._recorded(study, groups, terms)
        except Refused as refused:
            if refused.rule == "erased":
                await self._erase(study, groups)
            raise
        await self._erase(study, groups)
        return answers

    async def _recorded(self, study: str, groups: Sequence[Group], terms: Terms) -> list[Answer]:
        names = [group.participant for group in groups]
        for attempt in range(JUDGEMENTS_MAX):
            patient = attempt >= OPTIMISTIC_MAX
            async with self._turns.of(study, [STUDY_STREAM, *names] if patient else names):
                answers = await self._attempt(study, groups, terms, attempt)
            if answers is not None:
                return answers
        raise StoreAway("the participant is written to by too many at once")

    async def _erase(self, study: str, groups: Sequence[Group]) -> None:
        """Destroy the keys of participants whose erasure is recorded.

        A crash before this leaves the key; whoever asks again, having had no answer, gets here
        again: by the first answer, or by the refusal of a second erasure.
        """
        for group in groups:
            if any(isinstance(posted.body, IdentityErased) for posted in group.posted):
                await asyncio.to_thread(self._keys.destroy, study, group.participant)
                self.hot.forget(study, group.participant)

    async def record_new(
        self, study: str, posted: Posted, terms: Terms, choose: Callable[[], str]
    ) -> Answer:
        """Record the first event of a participant whose name Cairn chooses."""
        source = posted.source or terms.source
        for _ in range(JUDGEMENTS_MAX):
            found = await asyncio.to_thread(self._repeats.found, study, source, posted)
            if found is not None:
                if found.stream == STUDY_STREAM:
                    raise EventIdReused(found.position)
                place = Place(found.position, found.version, replayed=True)
                return await asyncio.to_thread(self._repeats.answer, study, found.stream, [place])
            name = choose()
            fresh = await asyncio.to_thread(self.hot.participant, study, name)
            if fresh.version:
                continue
            try:
                return await self.record(study, name, [replace(posted, participant=name)], terms)
            except EventIdReused:
                # The same request was faster on another connection: its answer is ours.
                continue
        raise StoreAway("no free name was found")

    async def record_study(self, study: str, posted: Posted, terms: Terms) -> Answer:
        """Record an event of the study's own stream."""
        source = posted.source or terms.source
        for _ in range(JUDGEMENTS_MAX):
            async with self._turns.of(study, [STUDY_STREAM]):
                trial = await asyncio.to_thread(self.hot.trial, study)
                place = await asyncio.to_thread(
                    self._repeats.place, study, STUDY_STREAM, source, posted
                )
                if place is not None:
                    return await asyncio.to_thread(
                        self._repeats.answer, study, STUDY_STREAM, [place]
                    )
                matches(terms, trial.version, study, None)
                event = judge.admit_study(trial, self._judging.proposed(posted, terms, None))
                prints = self._repeats.fingerprints([Group(STUDY_STREAM, (posted,))], terms)
                drafts = drafts_of("study", STUDY_STREAM, trial.head, (event,), prints)
                outcome = await self._append(study, Append(tuple(drafts), trial.version))
            if isinstance(outcome, Appended):
                first = outcome.stored[0]
                place = Place(first.position, first.version, replayed=False)
                return Answer(None, first.version, first.position, outcome.stored, (place,))
        raise StoreAway("the study is written to by too many at once")

    async def publish(
        self, study: str, proposals: Sequence[Proposed], judged_on: int
    ) -> tuple[Stored, ...] | None:
        """Record that a protocol version is published, judged on a version of the study's stream;
        None when another was faster."""
        async with self._turns.of(study, [STUDY_STREAM]):
            trial = await asyncio.to_thread(self.hot.trial_or_blank, study)
            if trial.version != judged_on:
                return None
            events = judge.publication(trial, proposals)
            drafts = drafts_of("study", STUDY_STREAM, trial.head, events, {})
            outcome = await self._append(study, Append(tuple(drafts), trial.version))
            return outcome.stored if isinstance(outcome, Appended) else None

    async def conclude_time(self, study: str, participant: str) -> Answer | None:
        """Record what only time brought; None when there is nothing, or another worker did it."""
        async with self._turns.of(study, [participant]):
            trial = await asyncio.to_thread(self.hot.trial, study)
            before = await asyncio.to_thread(self.hot.participant, study, participant)
            admitted = judge.concluded_by_time(trial, before, self.clock())
            if not admitted.events:
                return None
            append = append_of(trial, [(before, admitted)], {}, follows_study=True)
            outcome = await self._append(study, append, [(before, admitted)])
            if not isinstance(outcome, Appended):
                return None
            first, last = outcome.stored[0], outcome.stored[len(admitted.participant) - 1]
            return Answer(participant, last.version, first.position, outcome.stored)

    def trial(self, study: str) -> Trial:
        """The study as it stands now; NotFound."""
        return self.hot.trial(study)

    def participant(self, study: str, participant: str) -> Participant:
        """The participant as it stands now; NotFound."""
        self.hot.trial(study, fresh=False)
        found = self.hot.participant(study, participant)
        if found.version == 0:
            raise NotFound("participant")
        return found

    # --- one attempt ------------------------------------------------------------------------------

    async def _attempt(
        self, study: str, groups: Sequence[Group], terms: Terms, attempt: int
    ) -> list[Answer] | None:
        """Judge and append once; None when the ledger has moved on and it must be judged again."""
        trial, states, fresh = await self._standing.of(study, groups, fresh=attempt > 0)
        sifted = [
            await self._repeats.sifted(study, group, states[group.participant], terms)
            for group in groups
        ]
        new = [Group(one.participant, one.new) for one in sifted if one.new]
        if not new:
            return [await self._repeats.completed(study, one, None) for one in sifted]
        try:
            judged = await self._judged(study, trial, new, states, terms)
        except (Refusal, NotFound, PreconditionFailed, PreconditionRequired) as error:
            # The hot state may be behind another process: only a judgement on the newest counts.
            if not fresh:
                return None
            if isinstance(error, Refusal):
                _place(error, sifted)
            raise
        append = self._append_of(trial, judged, new, terms, attempt)
        outcome = await self._append(study, append, judged)
        match outcome:
            case Appended():
                answers = iter(answers_of(outcome, judged))
                return [
                    await self._repeats.completed(study, one, next(answers) if one.new else None)
                    for one in sifted
                ]
            case Duplicate():
                elsewhere = outcome.stream != append.drafts[outcome.index].stream
                if fresh and (elsewhere or not outcome.same):
                    raise EventIdReused(outcome.position)
                return None
            case Conflict():
                return None

    async def _judged(
        self,
        study: str,
        trial: Trial,
        groups: Sequence[Group],
        states: dict[str, Participant],
        terms: Terms,
    ) -> Judged:
        keyless = self._judging.keyless(study, groups)
        if keyless:
            await self._keying.made(study, keyless)
        if self._judging.reads(study, groups, states):
            judging = self._judging.participants
            return await asyncio.to_thread(judging, study, trial, groups, states, terms)
        first = self._foreseen.first(study, trial, groups, states)
        try:
            return self._judging.participants(study, trial, groups, states, terms, first)
        except Refusal:
            if first == PROVISIONAL:
                raise
            # It may rest on an event of its own append, which must not look like another's.
            return self._judging.participants(study, trial, groups, states, terms)

    def _append_of(
        self, trial: Trial, judged: Judged, groups: Sequence[Group], terms: Terms, attempt: int
    ) -> Append:
        rests_on_study = any(admitted.study for _, admitted in judged) or any(
            isinstance(posted.body, Decision) for group in groups for posted in group.posted
        )
        return append_of(
            trial,
            judged,
            self._repeats.fingerprints(groups, terms),
            follows_study=rests_on_study or attempt < OPTIMISTIC_MAX,
        )

    async def _append(
        self, study: str, append: Append, judged: Judged = ()
    ) -> Appended | Duplicate | Conflict:
        count = len(append.drafts)
        sent = self._foreseen.sent(study, count)
        outcome: Outcome | None = None
        try:
            outcome = await self.ledger.append(study, append)
        finally:
            if not isinstance(outcome, Appended):
                self._foreseen.failed(study, count)
        if isinstance(outcome, Appended):
            self._foreseen.appended(study, sent, outcome.stored[-1].position)
            self.hot.appended(study, outcome.stored, judged)
            for watcher in self._watchers:
                watcher(outcome.stored)
        return outcome


def _place(refusal: Refusal, sifted: Sequence[Sifted]) -> None:
    """Name the refused event by its place among all that were posted, known ones included."""
    for one in sifted:
        if one.participant == refusal.participant and refusal.index is not None:
            refusal.index = one.places.index(refusal.index)
