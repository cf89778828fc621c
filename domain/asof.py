"""The two time axes on one participant: what was known at a moment, and what was true at it.

What was known by position is a prefix of the log and needs nothing from here. By the source's own
recording time it is any part of the log, and what was true at a moment is told by effective time:
both leave events out, so that what follows from the rest is concluded anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from domain.journey.oversight import Corrected, Retracted
from domain.kernel import Actor, Conclusion, Key, Noted, Recorded
from domain.participant import CHAPTERS, Participant, effective_history, evolve
from domain.safety.events import AdverseEventReported
from domain.time import When
from domain.trial.events import SlotTaken
from domain.trial.study import Trial


def known_by_source(trial: Trial, participant: Participant, moment: When) -> Participant | None:
    """The participant as the sending systems had recorded it by a moment; None: not at all.

    A date means its end in the site's zone. An event without a recording time of its source counts
    from Cairn's own.
    """
    zone = trial.zone(participant.site)
    end = moment.latest(zone)
    kept = [
        recorded
        for recorded in participant.history
        if (
            recorded.recorded_at_source.latest(zone)
            if recorded.recorded_at_source is not None
            else recorded.recorded_at
        )
        <= end
    ]
    return _anew(trial, participant, kept, end)


def true_at(trial: Trial, participant: Participant, moment: When) -> Participant | None:
    """What was true of the participant at a moment, as is known now; None: nothing was yet.

    A date means its end in the site's zone. Corrections are applied whenever they were made, and
    what was taken back never was.
    """
    zone = trial.zone(participant.site)
    end = moment.latest(zone)
    whole_days = moment.instant is None
    kept = []
    for recorded in effective_history(participant.history):
        if isinstance(recorded.body, Corrected | Retracted):
            continue
        began = _began(recorded).earliest(zone)
        if began < end or (began == end and not whole_days):
            kept.append(recorded)
    found = _anew(trial, participant, kept, end)
    if found is None:
        return None
    return replace(
        found,
        version=participant.version,
        position=participant.position,
        head=participant.head,
        chain=participant.chain,
    )


def with_slots(trial: Trial, slots: Mapping[str, SlotTaken], moment: datetime) -> Trial:
    """The study with the slots that participants take who were themselves told anew.

    Boundaries that were crossed then are not told: they are figures of the slots.
    """
    nobody = Actor(id="", role="")
    return replace(
        trial,
        slots={
            name: Noted(slot, Recorded(slot, 0, 0, When.at(moment), moment, nobody))
            for name, slot in slots.items()
        },
    )


def _began(recorded: Recorded) -> When:
    """From when on it was true: an adverse event from its onset, not from its report."""
    if isinstance(recorded.body, AdverseEventReported):
        return recorded.body.onset
    return recorded.occurred_at


def _anew(
    trial: Trial, participant: Participant, kept: Iterable[Recorded], now: datetime
) -> Participant | None:
    """The participant after some of its events only, with the conclusions that these give.

    A conclusion that the log has keeps its place there; the others stand where their evidence does.
    """
    found = Participant(participant.id)
    for recorded in kept:
        found = evolve(found, recorded)
    if not found.history:
        return None
    concluded: dict[Key, Recorded] = {}
    for chapter in CHAPTERS:
        for conclusion in chapter.conclude(trial, found, now):
            key = conclusion.key()
            concluded[key] = _placed(found, participant.concluded.get(key), conclusion)
    return replace(found, concluded=concluded)


def _placed(found: Participant, standing: Recorded | None, conclusion: Conclusion) -> Recorded:
    if standing is not None:
        return replace(standing, body=conclusion)
    last = max(conclusion.evidence, default=0)
    by = next((one for one in found.history if one.position == last), found.history[-1])
    return replace(by, body=conclusion, cause=by.position, reason=None)
