"""What cannot have happened: the only reports that are refused for what they say.

Impossible at the precision of a day means impossible for the whole day; a partial date lies in
the future when its earliest day does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from domain.journey.closure import Died, Recontacted
from domain.journey.consent import Consented
from domain.journey.oversight import Corrected, Retracted
from domain.journey.referral import Prescreened
from domain.journey.screening import (
    Attested,
    DemographicsRecorded,
    ObservationRecorded,
    ScreeningStarted,
)
from domain.journey.treatment import Dosed
from domain.journey.visits import SampleCollected, VisitCompleted
from domain.kernel import Event, Impossible, Kind, Proposed, Recorded
from domain.participant import Participant, chapter_of, effective_history
from domain.safety.events import AdverseEventReported, AdverseEventUpdated, SafetyReportSubmitted
from domain.time import When
from domain.trial.study import Trial

SKEW = timedelta(minutes=5)
"""How far a sender's clock may run ahead."""

_LIVING = (
    Attested,
    Consented,
    Dosed,
    ObservationRecorded,
    Prescreened,
    Recontacted,
    SampleCollected,
    ScreeningStarted,
    VisitCompleted,
)
"""Facts that need a living person; decisions after death are refused as such."""

_SAYS_WHEN: Mapping[type[Event], tuple[str, ...]] = {
    AdverseEventReported: ("onset", "end", "aware_at"),
    AdverseEventUpdated: ("onset", "end", "aware_at"),
    Died: ("on",),
    Dosed: ("started_at", "ended_at"),
    SafetyReportSubmitted: ("submitted_at",),
}
"""Fact -> its fields that say when something was, beside `occurred_at`."""


def not_in_the_future(
    moment: When | None, proposed: Proposed, trial: Trial, site: str | None
) -> None:
    """Refuse a moment later than now plus five minutes of skew."""
    if moment is None:
        return
    begins = moment.instant or moment.earliest(trial.zone(site))
    if begins > proposed.now + SKEW:
        raise Impossible("future", "it lies in the future")


def check(trial: Trial, participant: Participant, proposed: Proposed) -> None:
    """Refuse what lies in the future, before birth, or after death for a living person's act."""
    moment, body = proposed.occurred_at, proposed.body
    not_in_the_future(moment, proposed, trial, participant.site)
    for name in _SAYS_WHEN.get(type(body), ()):
        not_in_the_future(getattr(body, name), proposed, trial, participant.site)
    if proposed.birth is not None and moment.last < proposed.birth.first:
        raise Impossible("before-birth", "it lies before the participant's birth")
    if participant.closure.died and isinstance(body, _LIVING):
        died = participant.closure.died[0]
        zone = trial.zone(participant.site)
        if moment.earliest(zone) >= died.body.on.latest(zone):
            raise Impossible("after-death", "it lies after the participant's death", died.cited)


def check_change(trial: Trial, before: Participant, after: Participant, proposed: Proposed) -> None:
    """Refuse a correction or retraction after which the history could not have happened.

    What reads otherwise, or stands again, is looked at like a new report; the rest only against a
    death or a birth that moves. What could not be before the change is not held against it.
    """
    known = {one.position: one for one in effective_history(before.history)}
    for told in _told(after):
        was = known.get(told.position)
        if was is not None and (was.body, was.occurred_at) == (told.body, told.occurred_at):
            continue
        again = replace(proposed, body=told.body, occurred_at=told.occurred_at)
        check(trial, after, again)
        if told.kind is Kind.FACT:
            chapter_of(told.body).check(trial, after, again)
        if isinstance(told.body, DemographicsRecorded):
            _check_birth(after, proposed)
    _check_death(trial, before, after)


def _check_birth(after: Participant, proposed: Proposed) -> None:
    """Nothing that is recorded may lie before a birth date that is given anew."""
    born = proposed.birth
    if born is None:
        return
    early = tuple(one.position for one in _told(after) if one.occurred_at.last < born.first)
    if early:
        raise Impossible("before-birth", "what is recorded would lie before the birth", early)


def _check_death(trial: Trial, before: Participant, after: Participant) -> None:
    """No living person's act that is recorded may come to lie after a death that moved."""
    late = _after_death(trial, after) - _after_death(trial, before)
    if late:
        words = "what is recorded would lie after the participant's death"
        raise Impossible("after-death", words, tuple(sorted(late)))


def _after_death(trial: Trial, participant: Participant) -> set[int]:
    if not participant.closure.died:
        return set()
    zone = trial.zone(participant.site)
    over = participant.closure.died[0].body.on.latest(zone)
    return {
        one.position
        for one in _told(participant)
        if isinstance(one.body, _LIVING) and one.occurred_at.earliest(zone) >= over
    }


def _told(participant: Participant) -> Iterator[Recorded]:
    """The events as they read now, without those that only say how others read."""
    for recorded in effective_history(participant.history):
        if not isinstance(recorded.body, Corrected | Retracted):
            yield recorded
