"""Recording: from posted events to what the ledger holds, whoever posts them and by which door.

Judge on the hot state, append on the versions it was judged on, and when the stream has moved read
the tail and judge again. A reply is given only after the ledger has committed.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from domain import admit as judge
from domain.journey.oversight import Corrected
from domain.journey.referral import Referred
from domain.kernel import Actor, Impossible, Proposed, Recorded, Refused
from domain.participant import Participant
from domain.time import When
from domain.trial import study as studies
from domain.trial.study import Trial
from infra.ledger.envelope import template
from infra.ledger.ledger import Ledger
from infra.ledger.types import (
    STUDY_STREAM,
    Append,
    Appended,
    Conflict,
    Draft,
    Duplicate,
    StoreAway,
    Stored,
)
from infra.vault.keyring import KeyRing
from services.door import Posted
from services.sealing import birth_of, has_protected, opened, resealed, sealed
from services.state import HotState, NotFound

JUDGEMENTS_MAX = 8
"""How often a lost race is judged again before the caller is asked to come back."""


class PreconditionFailed(Exception):
    """If-Match named another version than the participant's."""

    def __init__(self, current_version: int) -> None:
        super().__init__("the participant has another version")
        self.current_version = current_version


class EventIdReused(Exception):
    """The same (source, id) was recorded with other content."""

    def __init__(self, position: int) -> None:
        super().__init__("the event id was used for something else")
        self.position = position


@dataclass(frozen=True, slots=True)
class Answer:
    """What was recorded: the posted events with their conclusions, study events last."""

    participant: str | None
    version: int
    position: int
    """The position of the (first) posted event."""
    events: tuple[Stored, ...]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Posted events of one participant, in their order."""

    participant: str
    posted: tuple[Posted, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """On whose behalf, and on which conditions, something is recorded."""

    actor: Actor
    source: str
    """Stands where the event names none: the authenticated client."""
    if_match: int | None = None
    strict: bool = False
    historical: bool = False


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
        self._keys = keys
        self._clock = clock
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def record(
        self, study: str, participant: str, posted: Sequence[Posted], terms: Terms
    ) -> Answer:
        """Record events of one participant, all or nothing.

        Raises NotFound, PreconditionFailed, EventIdReused, Refused, Impossible, WouldDeviate,
        StoreAway, StoreFull.
        """
        return (await self.record_all(study, [Group(participant, tuple(posted))], terms))[0]

    async def record_all(self, study: str, groups: Sequence[Group], terms: Terms) -> list[Answer]:
        """Record events of several participants in one transaction: all or nothing."""
        async with self._alone(study, [group.participant for group in groups]):
            fresh = False
            for _ in range(JUDGEMENTS_MAX):
                answers = await self._attempt(study, groups, terms, fresh)
                if answers is not None:
                    return answers
                fresh = True
        raise StoreAway("the participant is written to by too many at once")

    async def record_study(self, study: str, posted: Posted, terms: Terms) -> Answer:
        """Record an event of the study's own stream."""
        async with self._alone(study, [STUDY_STREAM]):
            for _ in range(JUDGEMENTS_MAX):
                trial = await asyncio.to_thread(self.hot.trial, study)
                if terms.if_match is not None and terms.if_match != trial.version:
                    raise PreconditionFailed(trial.version)
                proposed = self._proposed(posted, terms, None, None)
                before = self._seen(study, proposed, posted)
                if before is not None:
                    return before
                event = judge.admit_study(trial, proposed)
                drafts = _drafts("study", STUDY_STREAM, trial.head, (event,))
                drafts = (_identified(drafts[0], proposed, _digest(posted)),)
                outcome = await self._append(study, Append(drafts, trial.version))
                if isinstance(outcome, Appended):
                    return Answer(None, event.version, outcome.position, outcome.stored)
                if isinstance(outcome, Duplicate):
                    return self._replayed(study, outcome)
        raise StoreAway("the study is written to by too many at once")

    async def publish(self, study: str, proposals: Sequence[Proposed]) -> tuple[Stored, ...] | None:
        """Record that a protocol version is published; None when another was faster."""
        trial = await asyncio.to_thread(self.hot.trial_or_blank, study)
        events = judge.publication(trial, proposals)
        drafts = _drafts("study", STUDY_STREAM, trial.head, events)
        outcome = await self._append(study, Append(drafts, trial.version))
        return outcome.stored if isinstance(outcome, Appended) else None

    async def conclude_time(self, study: str, participant: str) -> Answer | None:
        """Record what only time brought; None when there is nothing, or another worker did it."""
        async with self._alone(study, [participant]):
            trial = await asyncio.to_thread(self.hot.trial, study)
            before = await asyncio.to_thread(self.hot.participant, study, participant)
            admitted = judge.concluded_by_time(trial, before, self._clock())
            if not admitted.events:
                return None
            append = _append_of(trial, [(before, admitted)])
            outcome = await self._append(study, append)
            if not isinstance(outcome, Appended):
                return None
            first = outcome.stored[0]
            return Answer(participant, first.version, first.position, outcome.stored)

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
        self, study: str, groups: Sequence[Group], terms: Terms, fresh: bool
    ) -> list[Answer] | None:
        """Judge and append once; None when the ledger has moved on and it must be judged again."""
        trial, states = await self._states(study, groups, fresh)
        groups, known = self._unseen(study, groups, states, terms)
        if not groups:
            return known
        try:
            judged, counts = self._judged(study, trial, groups, states, terms)
        except (Refused, Impossible, NotFound, PreconditionFailed):
            # The hot state may be behind another process: only a judgement on the newest counts.
            if fresh:
                raise
            return None
        append = self._append_with_ids(trial, judged, groups, counts, terms)
        outcome = await self._append(study, append)
        match outcome:
            case Appended():
                return [*known, *_answers(outcome, judged, groups)]
            case Duplicate():
                if not outcome.same:
                    raise EventIdReused(outcome.position)
                return None
            case Conflict():
                return None

    async def _states(
        self, study: str, groups: Sequence[Group], fresh: bool
    ) -> tuple[Trial, dict[str, Participant]]:
        def load() -> tuple[Trial, dict[str, Participant]]:
            trial = self.hot.trial(study, fresh=fresh)
            return trial, {
                group.participant: self.hot.participant(study, group.participant, fresh=fresh)
                for group in groups
            }

        if not fresh and self.hot.holds(study, [group.participant for group in groups]):
            return load()
        return await asyncio.to_thread(load)

    def _unseen(
        self,
        study: str,
        groups: Sequence[Group],
        states: dict[str, Participant],
        terms: Terms,
    ) -> tuple[list[Group], list[Answer]]:
        """What is new, and the first answers of what was recorded before."""
        fresh: list[Group] = []
        known: list[Answer] = []
        for group in groups:
            seen = {(r.source, r.id) for r in states[group.participant].history if r.id}
            new: list[Posted] = []
            for posted in group.posted:
                source = posted.source or terms.source
                before = None
                if posted.id and (source, posted.id) in seen:
                    proposed = self._proposed(posted, terms, group.participant, None)
                    before = self._seen(study, proposed, posted)
                if before is None:
                    new.append(posted)
                else:
                    known.append(before)
            if new:
                fresh.append(Group(group.participant, tuple(new)))
        return fresh, known

    def _judged(
        self,
        study: str,
        trial: Trial,
        groups: Sequence[Group],
        states: dict[str, Participant],
        terms: Terms,
    ) -> tuple[list[tuple[Participant, judge.Admitted]], list[list[Proposed]]]:
        judged: list[tuple[Participant, judge.Admitted]] = []
        proposals: list[list[Proposed]] = []
        first = judge.PROVISIONAL
        for group in groups:
            before = states[group.participant]
            if before.version == 0 and not isinstance(group.posted[0].body, Referred):
                raise NotFound("participant")
            if terms.if_match is not None and terms.if_match != before.version:
                raise PreconditionFailed(before.version)
            wanted = [self._wanted(study, before, posted, terms) for posted in group.posted]
            admitted = judge.admit(trial, before, wanted, strict=terms.strict, first=first)
            for event in admitted.study:
                trial = studies.evolve(trial, event, {})
            first += len(admitted.events)
            judged.append((before, admitted))
            proposals.append(wanted)
        return judged, proposals

    def _wanted(
        self, study: str, before: Participant, posted: Posted, terms: Terms
    ) -> Proposed:
        """The posted event as it will be judged: protected values sealed, birth date at hand."""
        body = posted.body
        birth = birth_of(self._keys, study, before, body)
        if isinstance(body, Corrected) and body.data is not None:
            target = before.recorded_at(body.position)
            if target is not None:
                now_reads = opened(self._keys, study, before.id, body, target.type)
                birth = birth_of(self._keys, study, before, now_reads)
                body = resealed(self._keys, study, before.id, body, now_reads)
        else:
            body = sealed(self._keys, study, before.id, body)
        return replace(self._proposed(posted, terms, before.id, birth), body=body)

    def _proposed(
        self, posted: Posted, terms: Terms, participant: str | None, birth: When | None
    ) -> Proposed:
        return Proposed(
            body=posted.body,
            occurred_at=posted.occurred_at,
            actor=terms.actor,
            now=self._clock(),
            participant=participant,
            source=posted.source or terms.source,
            id=posted.id,
            reason=posted.reason,
            recorded_at_source=posted.recorded_at_source,
            birth=birth,
            historical=terms.historical,
        )

    def _append_with_ids(
        self,
        trial: Trial,
        judged: Sequence[tuple[Participant, judge.Admitted]],
        groups: Sequence[Group],
        proposals: Sequence[Sequence[Proposed]],
        terms: Terms,
    ) -> Append:
        append = _append_of(trial, judged)
        ids = {
            (group.participant, proposed.source, proposed.id): self._fingerprint(posted)
            for group, wanted in zip(groups, proposals, strict=True)
            for posted, proposed in zip(group.posted, wanted, strict=True)
            if proposed.id is not None
        }
        drafts = tuple(
            replace(draft, fingerprint=ids[draft.stream, draft.source, draft.event_id])
            if draft.event_id is not None
            else draft
            for draft in append.drafts
        )
        return replace(append, drafts=drafts)

    def _fingerprint(self, posted: Posted) -> bytes:
        hidden = has_protected(posted.body) or isinstance(posted.body, Corrected)
        return self._keys.fingerprint(posted.content) if hidden else _digest(posted)

    # --- idempotency ------------------------------------------------------------------------------

    def _seen(self, study: str, proposed: Proposed, posted: Posted) -> Answer | None:
        """The first answer again, when the event was recorded before."""
        if proposed.id is None or proposed.source is None:
            return None
        found = self.ledger.find(study, proposed.source, proposed.id)
        if found is None:
            return None
        same = found.fingerprint == self._fingerprint(posted)
        if not same or found.stream != (proposed.participant or STUDY_STREAM):
            raise EventIdReused(found.position)
        return self._replayed(study, Duplicate(0, found.position, found.stream, found.version, True))

    def _replayed(self, study: str, duplicate: Duplicate) -> Answer:
        if not duplicate.same:
            raise EventIdReused(duplicate.position)
        following = self.ledger.stream(study, duplicate.stream, duplicate.version - 1)
        events = [following[0]]
        for stored in following[1:]:
            if orjson.loads(stored.body)["cause"] != duplicate.position:
                break
            events.append(stored)
        participant = None if duplicate.stream == STUDY_STREAM else duplicate.stream
        return Answer(participant, events[-1].version, duplicate.position, tuple(events), True)

    # --- the ledger -------------------------------------------------------------------------------

    async def _append(self, study: str, append: Append) -> Appended | Duplicate | Conflict:
        outcome = await self.ledger.append(study, append)
        if isinstance(outcome, Appended):
            self.hot.appended(study, outcome.stored)
        return outcome

    @contextlib.asynccontextmanager
    async def _alone(self, study: str, streams: Sequence[str]) -> AsyncIterator[None]:
        """Hold the streams within this process: waiting is cheaper than losing a race."""
        async with contextlib.AsyncExitStack() as stack:
            for stream in sorted(set(streams)):
                lock = self._locks.setdefault((study, stream), asyncio.Lock())
                await stack.enter_async_context(lock)
                stack.callback(self._forget, (study, stream), lock)
            yield

    def _forget(self, key: tuple[str, str], lock: asyncio.Lock) -> None:
        if not getattr(lock, "_waiters", None):
            self._locks.pop(key, None)


def _digest(posted: Posted) -> bytes:
    return hashlib.sha256(posted.content).digest()


def _append_of(trial: Trial, judged: Sequence[tuple[Participant, judge.Admitted]]) -> Append:
    """One append of everything that was judged, on the versions it was judged on."""
    drafts: list[Draft] = []
    head, version = trial.head, trial.version
    for before, admitted in judged:
        drafts += _drafts("participant", before.id, before.head, admitted.participant)
        drafts += _drafts(
            "study", STUDY_STREAM, head if version == trial.version else None, admitted.study
        )
        version += len(admitted.study)
    return Append(tuple(drafts), trial.version)


def _drafts(
    family: str, stream: str, head: str | None, events: Sequence[Recorded]
) -> tuple[Draft, ...]:
    """Drafts of consecutive events of one stream; the first follows `head`, the others each other.

    A head of None with a version above 1 means: what comes before is in the same append.
    """
    return tuple(
        Draft(
            stream=stream,
            version=event.version,
            topic=f"{family}.{event.type}.v{event.body.schema_version}",
            template=template(
                event,
                known_previous=head if index == 0 else None,
                in_same_append=index > 0 or (head is None and event.version > 1),
            ),
            source=event.source if event.id is not None else None,
            event_id=event.id,
        )
        for index, event in enumerate(events)
    )


def _identified(draft: Draft, proposed: Proposed, fingerprint: bytes) -> Draft:
    if proposed.id is None:
        return draft
    return replace(draft, fingerprint=fingerprint)


def _answers(
    outcome: Appended,
    judged: Sequence[tuple[Participant, judge.Admitted]],
    groups: Sequence[Group],
) -> list[Answer]:
    answers: list[Answer] = []
    start = 0
    for (_, admitted), group in zip(judged, groups, strict=True):
        stored = outcome.stored[start : start + len(admitted.events)]
        start += len(admitted.events)
        version = stored[len(admitted.participant) - 1].version
        answers.append(Answer(group.participant, version, stored[0].position, stored))
    return answers
