"""Dose-limiting toxicity and absolute halts, by the protocol's definition."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
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


def dose_limiting(
    event: AdverseEvent, rules: Toxicity, exposure: Exposure, now: datetime
) -> Finding | None:
    """Whether the event is a dose-limiting toxicity; None when it is not, or not yet.

    Counted are events that the product may have caused and that began in the window after the
    dose: death, the grades of the protocol, grade 3 unless it is a local reaction or a laboratory
    result that passed in time; and at any time the protocol's own categories.
    """
    if not event.suspected(exposure) or exposure.follows(event.onset):
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
    return _by_grade(event, rules, duration(event, exposure.zone, now))


def _by_grade(event: AdverseEvent, rules: Toxicity, lasted: timedelta) -> Finding | None:
    grade = event.grade
    if grade is None:
        return None
    within = f"grade {grade}, within {rules.window_days} days of the dose"
    if grade >= rules.grade_any:
        return Finding(f"grade-{grade}", within)
    if grade < rules.grade_non_laboratory:
        return None
    if event.laboratory:
        if lasted <= timedelta(days=rules.laboratory_days):
            return None
        return Finding("laboratory", f"{within}, longer than {rules.laboratory_days} days")
    if matching(event, rules.local_reactions) is not None:
        if lasted <= timedelta(hours=rules.local_reaction_hours):
            return None
        return Finding(
            "local-reaction", f"{within}, longer than {rules.local_reaction_hours} hours"
        )
    return Finding(f"grade-{grade}", within)


def duration(event: AdverseEvent, zone: ZoneInfo, now: datetime) -> timedelta:
    """How long the event lasted or has lasted: exact between instants, else in whole days.

    A partial date counts as the one that makes it longest; without an end it lasts until now.
    """
    onset, end = event.onset, event.end or When.at(now)
    if onset.instant is not None and end.instant is not None:
        return end.instant - onset.instant
    return end.civil(zone)[1] - onset.civil(zone)[0]


def halting(event: AdverseEvent, rules: Toxicity, exposure: Exposure) -> str | None:
    """The absolute halt rule that one event alone meets: `death`, `grade` or a category."""
    if exposure.follows(event.onset):
        return None
    category = matching(event, rules.halt_always)
    if category is not None:
        return category
    if not event.suspected(exposure):
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


def serious_class(event: AdverseEvent, exposure: Exposure) -> str | None:
    """For a related serious event after the dose: its system organ class, or else its term."""
    if not event.serious or not event.suspected(exposure) or exposure.follows(event.onset):
        return None
    organ_class = event.coding.system_organ_class if event.coding is not None else None
    return _words(organ_class or event.term)


def _words(text: str) -> str:
    return _NOT_A_WORD.sub("-", text.casefold()).strip("-")
