"""What all chapters conclude of a participant: each asks only where what it reads has changed.

Most facts are findings of screening. Of those the criteria read, and the procedures of visits; what
consent, the calendar and the versions in force bring is kept while nothing else has come.
"""

import operator
from datetime import datetime

from domain.journey import eligibility, safety, treatment
from domain.journey.visits import same_day
from domain.kernel import Conclusion
from domain.participant import CHAPTERS, Participant
from domain.trial.study import Trial

Drawn = tuple[Conclusion, ...]

_READ_MORE = {CHAPTERS.index(one): one for one in (eligibility, treatment, safety)}
"""Place -> chapters that read findings, verdicts or what the log says: they see for themselves what
has changed."""

_read = operator.attrgetter(
    "referral",
    "consent",
    "treatment",
    "visits",
    "closure",
    "oversight",
    "screening.started",
    "screening.failed",
    "screening.reopened",
)


def drawn(trial: Trial, participant: Participant, now: datetime) -> list[Drawn]:
    """The conclusions of each chapter, in the chapters' order."""
    zone, screening = trial.zone(participant.site), participant.screening
    findings: tuple[object, object] = (None, None)
    held = participant.visits.completed
    if held and any(one.body.procedures for one in held):
        findings = (screening.demographics, screening.observations)
    others = participant.derived(
        "conclusions beside findings",
        (
            *_read(participant),
            *findings,
            same_day(now.astimezone(zone).date()),
            zone,
            trial.protocols,
            trial.activated,
            trial.consent_forms,
        ),
        lambda: [
            () if place in _READ_MORE else chapter.conclude(trial, participant, now)
            for place, chapter in enumerate(CHAPTERS)
        ],
    )
    current = others.copy()
    for place, chapter in _READ_MORE.items():
        current[place] = chapter.conclude(trial, participant, now)
    return current
