"""An adverse event as it stands: its reports, updates and assessments merged in effective time."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, assert_never, get_args
from zoneinfo import ZoneInfo

from domain.kernel import Noted
from domain.safety.events import (
    AdverseEventAssessed,
    AdverseEventReported,
    AdverseEventUpdated,
)
from domain.safety.words import Causality, Coding, Relation
from domain.time import When

CAUSALITIES: tuple[Causality, ...] = get_args(Causality)
"""Judgements from the weakest to the strongest."""

SUSPECTED: Causality = "possible"
"""From here on a reaction is suspected: a reasonable possibility (ICH E2A; 21 CFR 312.32(a))."""

PRODUCT: tuple[Relation, ...] = ("product",)
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
    graded_under: str | None = None
    """The protocol version under which it was graded: a grade keeps that version's CTCAE."""
    severity: str | None = None
    serious_reported: bool | None = None
    seriousness: tuple[str, ...] = ()
    investigator: Causality | None = None
    """The product caused it, as the investigator judges."""
    sponsor: Causality | None = None
    by_investigator: Mapping[Relation, Causality] = field(default_factory=dict)
    """Causes beside the product, each apart, as the investigator judges."""
    by_sponsor: Mapping[Relation, Causality] = field(default_factory=dict)
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

    def judged(self, relation: Relation) -> tuple[Causality | None, Causality | None]:
        """What the investigator and the sponsor say of one cause."""
        if relation == "product":
            return self.investigator, self.sponsor
        return self.by_investigator.get(relation), self.by_sponsor.get(relation)

    def strongest(self, causes: Iterable[Relation] = PRODUCT) -> Causality | None:
        """The strongest judgement of any of the causes by either of the two; None: nobody's."""
        said = [one for cause in causes for one in self.judged(cause) if one is not None]
        return max(said, key=CAUSALITIES.index, default=None)

    def suspected(
        self,
        exposure: "Exposure | None",
        causes: Iterable[Relation] = PRODUCT,
        at_least: Causality = SUSPECTED,
    ) -> bool:
        """Whether a cause may be behind it: the investigator's or the sponsor's suspicion.

        Until somebody has judged it, every event that may have begun after the dose is suspected.
        """
        strongest = self.strongest(causes)
        if strongest is not None:
            return CAUSALITIES.index(strongest) >= CAUSALITIES.index(at_least)
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
    told: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Field of the event -> positions of what said it last."""


@dataclass(frozen=True, slots=True)
class Life:
    """One event's versions, the first report first."""

    versions: tuple[Version, ...]

    @property
    def event(self) -> AdverseEvent:
        """As it stands."""
        return self.versions[-1].event

    @property
    def status(self) -> str:
        """`open`, `closed`, or `reopened` when it was closed before and goes on."""
        if not self.event.open:
            return "closed"
        return "open" if all(one.event.open for one in self.versions) else "reopened"

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
    event = AdverseEvent(body.ae, body.term, body.onset)
    told: dict[str, tuple[int, ...]] = {}
    for noted in (report, *sorted(later, key=Noted.rank)):
        changes = _changes(event, noted)
        event = replace(event, **changes)
        told = {**told, **dict.fromkeys(changes, noted.cited)}
        by_sponsor = isinstance(noted.body, AdverseEventAssessed) and noted.body.by == "sponsor"
        yield Version(event, _learned(noted, zone), by_sponsor, noted.cited, told)


def _learned(noted: Noted[Any], zone: ZoneInfo) -> datetime:
    aware = getattr(noted.body, "aware_at", None)
    return (aware or noted.when).earliest(zone)


def _changes(event: AdverseEvent, noted: Noted[Said]) -> dict[str, Any]:
    """The fields that it says, with their values."""
    body = noted.body
    match body:
        case AdverseEventReported() | AdverseEventUpdated():
            return _described(event, body, noted.recorded.protocol)
        case AdverseEventAssessed():
            return _assessed(event, body)
        case _:
            assert_never(body)


def _assessed(event: AdverseEvent, body: AdverseEventAssessed) -> dict[str, Any]:
    others = _beside(body.relations)
    if body.by == "sponsor":
        changes: dict[str, Any] = {"sponsor": body.causality}
        if body.expected is not None:
            changes["expected_sponsor"] = body.expected
        return {**changes, "by_sponsor": {**event.by_sponsor, **others}} if others else changes
    changes = {"investigator": body.causality}
    if body.expected is not None:
        changes["expected_reported"] = body.expected
    return (
        {**changes, "by_investigator": {**event.by_investigator, **others}} if others else changes
    )


def _beside(relations: Mapping[Relation, Causality] | None) -> dict[Relation, Causality]:
    """The causes beside the product, whose causality has a field of its own."""
    return {cause: said for cause, said in (relations or {}).items() if cause != "product"}


def _described(
    event: AdverseEvent, body: AdverseEventReported | AdverseEventUpdated, protocol: str | None
) -> dict[str, Any]:
    others = _beside(body.relations)
    said = {
        "term": body.term,
        "onset": body.onset,
        "end": body.end,
        "grade": body.grade,
        "severity": body.severity,
        "serious_reported": body.serious,
        "seriousness": body.seriousness,
        "investigator": body.causality or (body.relations or {}).get("product"),
        "by_investigator": {**event.by_investigator, **others} if others else None,
        "expected_reported": body.expected,
        "action": body.action,
        "outcome": body.outcome,
        "coding": body.coding,
        "laboratory": body.laboratory,
    }
    changed: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    if body.grade is not None:
        changed["graded_under"] = protocol
    if body.outcome in ("recovering", "not-recovered") and body.end is None:
        # Reopened: an end that was reported before no longer holds.
        changed["end"] = None
    return changed
