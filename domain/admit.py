"""From a proposed event to what is appended: the event and every conclusion that it changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

from domain import possible
from domain.complete import completed
from domain.drawing import drawn
from domain.journey.consent import ConsentEvent
from domain.journey.oversight import Corrected, DeviationDetected, OversightEvent, Retracted
from domain.journey.referral import ReferralEvent
from domain.kernel import (
    PROVISIONAL,
    Actor,
    Conclusion,
    Impossible,
    Key,
    Kind,
    Proposed,
    Recorded,
    Refused,
    WouldDeviate,
)
from domain.making import maker
from domain.participant import Participant, chapter_of, evolve, extended
from domain.time import When
from domain.trial import study
from domain.trial.crossing import crossings
from domain.trial.study import Trial

CAIRN = Actor(id="cairn", role="system")
"""Who concludes."""


_recorded = maker(Recorded)
_MOVING = frozenset((*get_args(ReferralEvent), *get_args(ConsentEvent), *get_args(OversightEvent)))
"""Events that may change where and under which consent a participant stands."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What one append records. Positions are provisional; the ledger gives the real ones."""

    participant: tuple[Recorded, ...]
    study: tuple[Recorded, ...]
    after: Participant

    @property
    def events(self) -> tuple[Recorded, ...]:
        """All of it, in the order of the append."""
        return (*self.participant, *self.study)


def admit(
    trial: Trial,
    before: Participant,
    proposals: Sequence[Proposed],
    *,
    strict: bool = False,
    first: int = PROVISIONAL,
) -> Admitted:
    """What the ledger receives for proposed events of one participant, all or nothing.

    `first` is the provisional position of the first of them within the append. History that is
    imported together is concluded from together: what looked open halfway through it never was.
    Raises Impossible or Refused, and with `strict` WouldDeviate where a fact breaks the protocol.
    """
    events: list[Recorded] = []
    after = before
    for index, proposed in enumerate(proposals):
        event = _judged(trial, after, proposed, first + len(events))
        after = evolve(after, event)
        events.append(event)
        if proposed.historical and index < len(proposals) - 1:
            continue
        following = _following(trial, after, proposed.now, event, first + len(events))
        after = extended(after, following)
        events += following
    if strict:
        _refuse_deviations(events)
    crossing = _crossing(trial, after, proposals[-1].now, events, first + len(events))
    return Admitted(tuple(events), crossing, after)


def concluded_by_time(trial: Trial, before: Participant, now: datetime) -> Admitted:
    """What only time brings: windows that closed, clocks that ran out. Nothing when all is said."""
    events = _following(trial, before, now, None, PROVISIONAL)
    after = extended(before, events)
    crossing = _crossing(trial, after, now, events, PROVISIONAL + len(events))
    return Admitted(tuple(events), crossing, after)


def admit_study(trial: Trial, proposed: Proposed) -> Recorded:
    """What the ledger receives for an event of the study's own stream."""
    if proposed.occurred_at.earliest() > proposed.now + possible.SKEW:
        raise Impossible("future", "it lies in the future")
    study.check(trial, proposed)
    return _envelope(proposed, PROVISIONAL, trial.version + 1)


def publication(trial: Trial, proposals: Sequence[Proposed]) -> tuple[Recorded, ...]:
    """What the ledger receives when a protocol version is published (and the study registered)."""
    return tuple(
        _envelope(proposed, PROVISIONAL + index, trial.version + 1 + index)
        for index, proposed in enumerate(proposals)
    )


def _judged(trial: Trial, before: Participant, proposed: Proposed, position: int) -> Recorded:
    body = completed(trial, before, proposed)
    if body is not proposed.body:
        proposed = replace(proposed, body=body)
    possible.check(trial, before, proposed)
    try:
        chapter_of(body).check(trial, before, proposed)
    except Refused:
        # A decision that was taken and recorded elsewhere is history: the gate cannot undo it.
        # It is recorded as it was reported, and the deviations show beside it.
        # What changes this log itself was taken nowhere else.
        changes = isinstance(body, Corrected | Retracted)
        if changes or not (proposed.historical and body.kind is Kind.DECISION):
            raise
    if type(body) not in _MOVING:
        return _envelope(proposed, position, before.version + 1, trial.version_for(before))
    event = _envelope(proposed, position, before.version + 1)
    if isinstance(body, Corrected | Retracted):
        possible.check_change(trial, before, evolve(before, event), proposed)
    return replace(event, protocol=protocol_of(trial, before, event))


def protocol_of(trial: Trial, before: Participant, event: Recorded) -> str:
    """The protocol version that an event of a participant is recorded under.

    Where and under which consent the participant stands decides the version in force; the event
    itself may be what changes it.
    """
    moves = type(event.body) in _MOVING
    return trial.version_for(evolve(before, event) if moves else before)


def _following(
    trial: Trial, after: Participant, now: datetime, event: Recorded | None, first: int
) -> list[Recorded]:
    """The conclusions that the log does not say yet, as envelopes."""
    news = difference(trial, after, now)
    if not news:
        return []
    protocol, at = trial.version_for(after), When.at(now)
    version, cause = after.version, event.position if event is not None else None
    return [
        _recorded(
            body=conclusion,
            position=first + index,
            version=version + 1 + index,
            occurred_at=at,
            recorded_at=now,
            actor=CAIRN,
            participant=after.id,
            protocol=protocol,
            cause=cause,
        )
        for index, conclusion in enumerate(news)
    ]


def difference(trial: Trial, participant: Participant, now: datetime) -> list[Conclusion]:
    """What the facts say now, less what the log already says.

    A conclusion that no longer holds is recorded once more, as cleared.
    """
    concluded, current = participant.concluded, drawn(trial, participant, now)
    return list(
        participant.derived(
            "difference", (concluded, *current), lambda: _difference(concluded, current)
        )
    )


def _difference(
    concluded: Mapping[Key, Recorded], now: Sequence[Sequence[Conclusion]]
) -> tuple[Conclusion, ...]:
    standing = {id(known.body) for known in concluded.values()}
    if standing == {id(one) for chapter in now for one in chapter}:
        return ()
    current = {one.key(): one for chapter in now for one in chapter}
    changed = [
        conclusion
        for key, conclusion in current.items()
        if (known := concluded.get(key)) is None
        or (known.body is not conclusion and _substance(known.body) != _substance(conclusion))
    ]
    gone = [
        recorded.body.model_copy(update={"cleared": True})
        for key, recorded in concluded.items()
        if key not in current and isinstance(recorded.body, Conclusion)
    ]
    return (*changed, *gone)


def _substance(body: object) -> tuple[object, ...]:
    assert isinstance(body, Conclusion)
    return (body.type, *body.substance())


def _refuse_deviations(events: Sequence[Recorded]) -> None:
    rules: list[str] = []
    evidence: set[int] = set()
    for event in events:
        if isinstance(event.body, DeviationDetected) and not event.body.cleared:
            rules.append(event.body.rule)
            evidence.update(p for p in event.body.evidence if p < PROVISIONAL)
    if rules:
        raise WouldDeviate(tuple(rules), tuple(sorted(evidence)))


def _crossing(
    trial: Trial, after: Participant, now: datetime, events: Sequence[Recorded], first: int
) -> tuple[Recorded, ...]:
    """The study's part of the append: slots taken or freed, boundaries crossed."""
    cause = events[0].position if events else None
    return tuple(
        Recorded(
            body=body,
            position=first + index,
            version=trial.version + 1 + index,
            occurred_at=When.at(now),
            recorded_at=now,
            actor=CAIRN,
            cause=cause,
        )
        for index, body in enumerate(crossings(trial, after, now, first))
    )


def _envelope(
    proposed: Proposed, position: int, version: int, protocol: str | None = None
) -> Recorded:
    return _recorded(
        body=proposed.body,
        position=position,
        version=version,
        occurred_at=proposed.occurred_at,
        recorded_at=proposed.now,
        actor=proposed.actor,
        participant=proposed.participant,
        source=proposed.source,
        id=proposed.id,
        reason=proposed.reason,
        recorded_at_source=proposed.recorded_at_source,
        protocol=protocol,
    )
