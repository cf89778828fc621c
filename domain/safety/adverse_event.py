"""An adverse event as it stands: its reports, updates and assessments merged in effective time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from domain.kernel import Noted
from domain.safety.events import (
    AdverseEventAssessed,
    AdverseEventReported,
    AdverseEventUpdated,
    Causality,
    Coding,
)
from domain.time import When

SUSPECTED = ("possible", "probable", "definite")
_OPEN = (None, "recovering", "not-recovered")

Said = AdverseEventReported | AdverseEventUpdated | AdverseEventAssessed


@dataclass(frozen=True, slots=True)
class AdverseEvent:
    """What is known of one event; fields are as reported, judgements are derived."""

    ae: str
    term: str
    onset: When
    end: When | None = None
    grade: int | None = None
    severity: str | None = None
    serious_reported: bool | None = None
    seriousness: tuple[str, ...] = ()
    investigator: Causality | None = None
    sponsor: Causality | None = None
    expected_reported: bool | None = None
    expected_sponsor: bool | None = None
    action: str | None = None
    outcome: str | None = None
    coding: Coding | None = None
    laboratory: bool | None = None

    @property
    def expected(self) -> bool | None:
        """Whether the safety information on the product foresees it: the sponsor's word first."""
        return self.expected_reported if self.expected_sponsor is None else self.expected_sponsor

    @property
    def fatal(self) -> bool:
        """Whether it led to death, by its outcome, its grade or its criteria."""
        return self.outcome == "fatal" or self.grade == 5 or "death" in self.seriousness

    @property
    def fatal_or_life_threatening(self) -> bool:
        """Whether the shortest reporting limits apply."""
        return self.fatal or "life-threatening" in self.seriousness

    @property
    def because(self) -> tuple[str, ...]:
        """What makes it serious; empty when nothing does."""
        reasons = list(self.seriousness)
        if self.outcome == "fatal":
            reasons.append("fatal")
        if self.grade == 5:
            reasons.append("grade-5")
        if self.serious_reported:
            reasons.append("reported")
        return tuple(reasons)

    @property
    def serious(self) -> bool:
        """Derived: any criterion, a fatal outcome, grade 5, or reported serious."""
        return bool(self.because)

    @property
    def open(self) -> bool:
        """Whether it goes on: no final outcome, and no end where the outcome is not said."""
        return self.outcome in _OPEN and not (self.outcome is None and self.end is not None)

    def suspected(self, exposure: "Exposure | None") -> bool:
        """Whether the product may have caused it: the investigator's or the sponsor's suspicion.

        Until somebody has judged it, every event that may have begun after the dose is suspected.
        """
        said = [one for one in (self.investigator, self.sponsor) if one is not None]
        if said:
            return any(one in SUSPECTED for one in said)
        return exposure is not None and not exposure.follows(self.onset)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The participant's first dose, and the zone of the site at which it was given."""

    dose: When
    zone: ZoneInfo

    def follows(self, moment: When) -> bool:
        """Whether the dose was certainly given after a moment."""
        return moment.before(self.dose, self.zone)

    def window(self, days: int) -> tuple[date, date]:
        """The civil days from the dose on in which a toxicity counts."""
        first, last = self.dose.civil(self.zone)
        return first, last + timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Version:
    """The event as it was known from a moment on."""

    event: AdverseEvent
    learned_at: datetime
    """When the site (or, for its own judgement, the sponsor) knew as much."""
    by_sponsor: bool
    cited: tuple[int, ...]
    """Positions of what was added here."""


@dataclass(frozen=True, slots=True)
class Life:
    """One event's versions, the first report first."""

    versions: tuple[Version, ...]

    @property
    def event(self) -> AdverseEvent:
        """As it stands."""
        return self.versions[-1].event

    @property
    def cited(self) -> tuple[int, ...]:
        """Positions of everything that was said of it, ascending."""
        return tuple(sorted({p for version in self.versions for p in version.cited}))


def lives(
    reported: Iterable[Noted[AdverseEventReported]],
    updated: Iterable[Noted[AdverseEventUpdated]],
    assessed: Iterable[Noted[AdverseEventAssessed]],
    zone: ZoneInfo,
) -> Mapping[str, Life]:
    """Every reported event by its name. What is said of an event nobody reported waits for it."""
    first: dict[str, Noted[AdverseEventReported]] = {}
    later: dict[str, list[Noted[Any]]] = {}
    for report in reported:
        if report.body.ae in first:
            later.setdefault(report.body.ae, []).append(report)
        else:
            first[report.body.ae] = report
    others: tuple[Noted[Any], ...] = (*updated, *assessed)
    for noted in others:
        later.setdefault(noted.body.ae, []).append(noted)
    return {
        name: Life(tuple(_versions(report, later.get(name, []), zone)))
        for name, report in first.items()
    }


def _versions(
    report: Noted[AdverseEventReported], later: list[Noted[Any]], zone: ZoneInfo
) -> Iterator[Version]:
    body = report.body
    event = _described(AdverseEvent(body.ae, body.term, body.onset), body)
    yield Version(event, _learned(report, zone), False, report.cited)
    for noted in sorted(later, key=Noted.rank):
        event = _after(event, noted.body)
        by_sponsor = isinstance(noted.body, AdverseEventAssessed) and noted.body.by == "sponsor"
        yield Version(event, _learned(noted, zone), by_sponsor, noted.cited)


def _learned(noted: Noted[Any], zone: ZoneInfo) -> datetime:
    aware = getattr(noted.body, "aware_at", None)
    return (aware or noted.when).earliest(zone)


def _after(event: AdverseEvent, body: Said) -> AdverseEvent:
    match body:
        case AdverseEventReported() | AdverseEventUpdated():
            return _described(event, body)
        case AdverseEventAssessed():
            if body.by == "sponsor":
                said = event.expected_sponsor if body.expected is None else body.expected
                return replace(event, sponsor=body.causality, expected_sponsor=said)
            said = event.expected_reported if body.expected is None else body.expected
            return replace(event, investigator=body.causality, expected_reported=said)
        case _:
            assert_never(body)


def _described(
    event: AdverseEvent, body: AdverseEventReported | AdverseEventUpdated
) -> AdverseEvent:
    said = {
        "term": body.term,
        "onset": body.onset,
        "end": body.end,
        "grade": body.grade,
        "severity": body.severity,
        "serious_reported": body.serious,
        "seriousness": body.seriousness,
        "investigator": body.causality,
        "expected_reported": body.expected,
        "action": body.action,
        "outcome": body.outcome,
        "coding": body.coding,
        "laboratory": body.laboratory,
    }
    changed: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    if body.outcome in ("recovering", "not-recovered") and body.end is None:
        # Reopened: an end that was reported before no longer holds.
        changed["end"] = None
    return replace(event, **changed)
