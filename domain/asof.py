"""The two time axes: what was known at a moment, and what was true at it.

What was known by position is a prefix of the log and needs nothing from here. By the source's own
recording time it is any part of the log, and what was true at a moment is told by effective time:
both leave events out, so that what follows from the rest is concluded anew.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.journey.closure import Died
from domain.journey.oversight import Corrected, Retracted, Transferred
from domain.journey.referral import Referred
from domain.journey.screening import HistoryRecorded, MedicationRecorded
from domain.journey.treatment import Dosed
from domain.kernel import Conclusion, Event, Key, Noted, Recorded
from domain.participant import CHAPTERS, Participant, effective_history, replay
from domain.safety import dated
from domain.safety.events import SafetyReportSubmitted
from domain.time import Horizon, When
from domain.trial.study import Trial


@dataclass(frozen=True, slots=True)
class TrueThen:
    """A participant as was true at a moment."""

    participant: Participant
    unsure: tuple[int, ...] = ()
    """Positions of events that are told of although their dates, not known to the day (or to the
    instant that was asked for), may lie after the moment."""


def known_by_source(trial: Trial, participant: Participant, moment: When) -> Participant | None:
    """The participant as the sending systems had recorded it by a moment; None: not at all.

    A date means its end in the site's zone. An event without a recording time of its source counts
    from Cairn's own; one whose recording time is partly known counts from the end of that time.
    """
    horizon = Horizon(moment, trial.zone(participant.site))
    kept = [one for one in participant.history if horizon.over(recorded_by_source(one))]
    return _anew(trial, participant, kept, horizon.end)


def recorded_by_source(recorded: Recorded) -> When:
    """When the sending system recorded the event; Cairn's own time where it does not say."""
    return recorded.recorded_at_source or When.at(recorded.recorded_at)


def true_at(trial: Trial, participant: Participant, moment: When) -> TrueThen | None:
    """What was true of the participant at a moment, as is known now; None: was not referred yet.

    A date means its end in the site's zone, and the site is that of the moment. Corrections are
    applied whenever they were made, and what was taken back never was.
    """
    history = effective_history(participant.history)
    horizon = Horizon(moment, _zone_then(trial, history, moment))
    kept, unsure = _true_parts(history, horizon)
    found = _anew(trial, participant, kept, horizon.end)
    if found is None:
        return None
    standing = replace(
        found,
        version=participant.version,
        position=participant.position,
        head=participant.head,
        chain=participant.chain,
    )
    return TrueThen(standing, tuple(sorted(unsure)))


def _zone_then(trial: Trial, history: Iterable[Recorded], moment: When) -> Any:
    """The zone of the site at the moment: what comes later must not move the moment's end."""
    site: str | None = None
    stays: dict[type[Event], list[Noted[Any]]] = {Referred: [], Transferred: []}
    for recorded in history:
        if type(recorded.body) in stays:
            stays[type(recorded.body)].append(Noted(recorded.body, recorded))
    for kind in (Referred, Transferred):
        for stay in sorted(stays[kind], key=Noted.rank):
            if Horizon(moment, trial.zone(stay.body.site)).begun(stay.when):
                site = stay.body.site
    return trial.zone(site)


# --- what of an event was true --------------------------------------------------------------------


def _true_parts(history: Iterable[Recorded], horizon: Horizon) -> tuple[list[Recorded], set[int]]:
    """The history as it was true by the moment, and the positions that dates leave unsure."""
    history = list(history)
    deaths = [one for one in history if isinstance(one.body, Died)]
    died = min((one.body.on for one in deaths), key=When.earliest, default=None)  # type: ignore[attr-defined]
    events = {one.position: (part, so) for one, part, so in dated.told(history, horizon, died)}
    kept: list[Recorded] = []
    unsure: set[int] = set()
    for recorded in history:
        if isinstance(recorded.body, Corrected | Retracted):
            continue
        part: Event | None
        part, doubtful = events.get(recorded.position) or _part(recorded, horizon)
        if part is not None:
            kept.append(recorded if part is recorded.body else replace(recorded, body=part))
            unsure |= {recorded.position} if doubtful else set()
    return kept, unsure


def _part(recorded: Recorded, horizon: Horizon) -> tuple[Event | None, bool]:
    """What of an event was true by the moment, and whether its dates leave that unsure."""
    body = recorded.body
    match body:
        case MedicationRecorded() | HistoryRecorded():
            return _lasting(body, recorded.occurred_at, horizon)
        case Dosed():
            ended = body.ended_at is None or horizon.over(body.ended_at)
            part = body if ended else body.model_copy(update={"ended_at": None})
            return _begun(part, recorded.occurred_at, horizon)
        case Died():
            return _begun(body, body.on, horizon)
        case SafetyReportSubmitted():
            return _begun(body, body.submitted_at, horizon)
        case _:
            return _begun(body, recorded.occurred_at, horizon)


def _begun(body: Event, when: When, horizon: Horizon) -> tuple[Event | None, bool]:
    return (body, horizon.unsure(when)) if horizon.begun(when) else (None, False)


def _lasting(
    body: MedicationRecorded | HistoryRecorded, told_at: When, horizon: Horizon
) -> tuple[Event | None, bool]:
    """A medicine from its start, a change of it from the change, an illness from its beginning.

    What is planned is true from when it was said. An end that had not come is not told.
    """
    begins = body.started_on or told_at
    if isinstance(body, MedicationRecorded):
        begins = body.changed_on or begins
    elif body.planned:
        begins = told_at
    if not horizon.begun(begins):
        return None, False
    if body.ended_on is None or horizon.over(body.ended_on):
        return body, horizon.unsure(begins)
    doubtful = horizon.unsure(begins) or horizon.unsure(body.ended_on)
    return body.model_copy(update={"ended_on": None}), doubtful


# --- what follows from a part ---------------------------------------------------------------------


def _anew(
    trial: Trial, participant: Participant, kept: Iterable[Recorded], now: datetime
) -> Participant | None:
    """The participant after some of its events only, with the conclusions that these give.

    None before the referral: what happened earlier is the history of somebody not yet heard of.
    A conclusion that the log has keeps its place there; the others stand where their evidence does.
    """
    found = replace(replay(participant.id, kept), told_at=now)
    if not found.referral.referred:
        return None
    return replace(found, concluded=_Following(trial, found, participant.concluded, now))


_ToDraw = tuple[Trial, Participant, Mapping[Key, Recorded], datetime]


class _Following(Mapping[Key, Recorded]):
    """The conclusions of a part of a history, by key; drawn when the first of them is asked for."""

    def __init__(
        self, trial: Trial, found: Participant, standing: Mapping[Key, Recorded], now: datetime
    ) -> None:
        self._to_draw: _ToDraw | None = (trial, found, standing, now)
        self._drawn: dict[Key, Recorded] = {}

    def __getitem__(self, key: Key) -> Recorded:
        return self._all()[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[Key, Recorded]:
        if self._to_draw is not None:
            trial, found, standing, now = self._to_draw
            self._drawn = {
                conclusion.key(): _placed(found, standing.get(conclusion.key()), conclusion)
                for conclusion in _following(trial, found, now)
            }
            # What is derived for the participant is kept with it and may rest on these conclusions.
            # Were they to keep the participant, it would outlive its turn in a study.
            self._to_draw = None
        return self._drawn


def _following(trial: Trial, found: Participant, now: datetime) -> Iterator[Conclusion]:
    conclude: Callable[..., Iterator[Conclusion]]
    for conclude in (chapter.conclude for chapter in CHAPTERS):
        yield from conclude(trial, found, now)


def _placed(found: Participant, standing: Recorded | None, conclusion: Conclusion) -> Recorded:
    if standing is not None:
        return replace(standing, body=conclusion)
    last = max(conclusion.evidence, default=0)
    by = next((one for one in found.history if one.position == last), found.history[-1])
    return replace(by, body=conclusion, cause=by.position, reason=None)
