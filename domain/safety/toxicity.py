"""Dose-limiting toxicity and absolute halts, by the protocol's definition."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.safety.adverse_event import AdverseEvent, Exposure
from domain.time import When
from domain.trial.protocol import Toxicity

_NOT_A_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an event counts: a short name and a sentence."""

    because: str
    explanation: str
    after: datetime | None = None
    """It counts only after this moment: an event that goes on must last that long first."""

    def holds(self, now: datetime) -> bool:
        """Whether it counts at a moment."""
        return self.after is None or now > self.after


def dose_limiting(event: AdverseEvent, rules: Toxicity, exposure: Exposure) -> Finding | None:
    """Whether and from when on the event is a dose-limiting toxicity; None when it never is.

    Counted are events that the protocol's causes may be behind and that began in the window after
    the dose: death, the grades of the protocol, grade 3 unless it is a local reaction or a
    laboratory result that passed in time; and at any time the protocol's own categories.
    """
    if not _related(event, rules, exposure) or exposure.follows(event.onset):
        return None
    category = matching(event, rules.always)
    if category is not None:
        return Finding(category, f"{category} counts at any grade")
    first, last = event.onset.civil(exposure.zone)
    opened, closed = exposure.window(rules.window_days)
    if first > closed or last < opened:
        return None
    if event.fatal:
        return Finding("death", f"fatal, within {rules.window_days} days of the dose")
    return _by_grade(event, rules, exposure.zone)


def _by_grade(event: AdverseEvent, rules: Toxicity, zone: ZoneInfo) -> Finding | None:
    grade = event.grade
    if grade is None:
        return None
    within = f"grade {grade}, within {rules.window_days} days of the dose"
    if grade >= rules.grade_any:
        return Finding(f"grade-{grade}", within)
    if grade < rules.grade_non_laboratory:
        return None
    if event.laboratory:
        most = timedelta(days=rules.laboratory_days)
        return _longer(event, most, zone, "laboratory", f"{within}, longer than {most.days} days")
    if matching(event, rules.local_reactions) is not None:
        hours = rules.local_reaction_hours
        words = f"{within}, longer than {hours} hours"
        return _longer(event, timedelta(hours=hours), zone, "local-reaction", words)
    return Finding(f"grade-{grade}", within)


def _longer(
    event: AdverseEvent, most: timedelta, zone: ZoneInfo, because: str, words: str
) -> Finding | None:
    """A finding once the event has lasted longer: exact between instants, else in whole days.

    A partial date counts as the one that makes the event longest.
    """
    onset, end = event.onset, event.end
    if end is None:
        return Finding(because, words, _outlasted(onset, most, zone))
    if onset.instant is not None and end.instant is not None:
        lasted = end.instant - onset.instant
    else:
        lasted = end.civil(zone)[1] - onset.civil(zone)[0]
    return Finding(because, words) if lasted > most else None


def _outlasted(onset: When, most: timedelta, zone: ZoneInfo) -> datetime:
    """The last moment at which an event that goes on has not lasted longer."""
    if onset.instant is not None:
        return onset.instant + most
    following = onset.civil(zone)[0] + timedelta(days=most.days + 1)
    return datetime.combine(following, time.min, tzinfo=zone) - timedelta(microseconds=1)


def halting(event: AdverseEvent, rules: Toxicity, exposure: Exposure) -> str | None:
    """The absolute halt rule that one event alone meets: `death`, `grade` or a category."""
    if exposure.follows(event.onset):
        return None
    category = matching(event, rules.halt_always)
    if category is not None:
        return category
    if not _related(event, rules, exposure):
        return None
    if event.fatal:
        return "death"
    return "grade" if event.grade is not None and event.grade >= rules.halt_grade else None


def matching(event: AdverseEvent, categories: Iterable[str]) -> str | None:
    """The first category that is the event's code, or whose words stand together in its term."""
    term = f"-{_words(event.term)}-"
    code = _words(event.coding.code) if event.coding is not None else None
    for category in categories:
        words = _words(category)
        if words == code or f"-{words}-" in term:
            return category
    return None


def _related(event: AdverseEvent, rules: Toxicity, exposure: Exposure) -> bool:
    """Whether one of the causes that the protocol counts may be behind the event."""
    return event.suspected(exposure, rules.related_to, rules.related_from)


def serious_class(event: AdverseEvent, rules: Toxicity, exposure: Exposure) -> str | None:
    """For a related serious event after the dose: its system organ class, or else its term."""
    if not event.serious or not _related(event, rules, exposure) or exposure.follows(event.onset):
        return None
    organ_class = event.coding.system_organ_class if event.coding is not None else None
    return _words(organ_class or event.term)


@lru_cache(maxsize=4_096)
def _words(text: str) -> str:
    return _NOT_A_WORD.sub("-", text.casefold()).strip("-")
