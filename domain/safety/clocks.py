"""Reporting clocks: which duties an adverse event starts, when they are due, how they end.

The protocol says which clocks there are and which regulation each encodes. A duty in hours is due
that many hours later; a duty in days is due at the end of that calendar day, in the sponsor's zone
or the one that the clock names, the day of the start being day 0 (21 CFR 312.32(c); Regulation (EU)
536/2014, article 42) unless the clock counts it as day 1.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, assert_never
from zoneinfo import ZoneInfo

from domain.kernel import Noted, cited
from domain.safety.adverse_event import AdverseEvent, Exposure, Life, Version
from domain.safety.events import SafetyReportSubmitted
from domain.trial.protocol import Clock
from domain.trial.study import zone_named

Status = Literal["running", "met", "breached", "closed"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a clock for one event, independent of the present."""

    ae: str
    clock: str
    jurisdiction: str | None
    occasion: int
    recipient: str
    trigger: str
    started_at: datetime
    due_at: datetime
    """The limit as it is shown: for a duty in days the last second of the day."""
    over_at: datetime
    """The last moment that is still in time."""
    met_at: datetime | None = None
    closed_at: datetime | None = None
    closed_because: str | None = None
    evidence: tuple[int, ...] = ()
    met_by: tuple[int, ...] = ()

    def status(self, on: datetime) -> Status:
        """How the run stands at a moment. A late report ends it as well, with its deviation."""
        if self.met_at is not None:
            return "met"
        if self.closed_at is not None and self.closed_at <= self.over_at:
            return "closed"
        return "breached" if on > self.over_at else "running"

    @property
    def late_by(self) -> timedelta | None:
        """By how much the report missed the limit; None when it did not, or there is none yet."""
        if self.met_at is None or self.met_at <= self.over_at:
            return None
        return self.met_at - self.due_at

    def overdue_by(self, on: datetime) -> timedelta | None:
        """By how much the limit is missed at a moment, sent or not; None while it is not."""
        if self.status(on) == "breached":
            return on - self.due_at
        return self.late_by


@dataclass(frozen=True, slots=True)
class Place:
    """Where the event happened and who reports: what clocks need to know beside the event."""

    site: ZoneInfo
    sponsor: ZoneInfo
    exposure: Exposure | None
    """The first dose, if any: before it nothing is a reaction to the product."""


def runs(
    life: Life,
    clocks: Sequence[Clock],
    submissions: Iterable[Noted[SafetyReportSubmitted]],
    place: Place,
) -> Iterator[Run]:
    """Every run of every clock that the event started, in the protocol's order."""
    sent = sorted(
        (one for one in submissions if one.body.ae == life.event.ae),
        key=lambda one: (_submitted(one), one.position),
    )
    to_sponsor = {clock.clock for clock in clocks if clock.starts == "site-awareness"}
    for clock in clocks:
        mine = [one for one in sent if one.body.clock == clock.clock]
        after = {clock.after} if clock.starts == "report" else to_sponsor
        starting = [one for one in sent if one.body.clock in after]
        for occasion, spell in enumerate(_spells(clock, life.versions, place.exposure), start=1):
            start = _start(clock, life, spell, starting, place.exposure)
            if start is not None:
                yield _run(life, clock, occasion, spell, start, mine, place)


# --- when a duty begins and ends ------------------------------------------------------------------


@dataclass(slots=True)
class _Spell:
    """A stretch in which the trigger held."""

    first: Version
    initial: bool
    """Whether it held from the first report on."""
    ended: Version | None = None
    because: str | None = None


def _spells(clock: Clock, versions: Sequence[Version], exposure: Exposure | None) -> list[_Spell]:
    spells: list[_Spell] = []
    level, since = 0, None
    for index, version in enumerate(versions):
        why_not = _why_not(clock, version.event, exposure)
        if why_not is not None:
            for spell in spells:
                if spell.ended is None:
                    spell.ended, spell.because = version, why_not
            level, since = 0, None
            continue
        since = since or (version, index == 0)
        now = _level(clock, version.event)
        if now > level:
            # A stricter duty is new information of its own; a duty that only waited for the
            # stricter one to fall away has run since its trigger began.
            rising = clock.trigger == "serious" and level > 0
            first, initial = (version, False) if rising else since
            spells.append(_Spell(first, initial))
        level = max(level, now)
    return spells


def _why_not(clock: Clock, event: AdverseEvent, exposure: Exposure | None) -> str | None:
    """What the trigger lacks; None while it holds."""
    if not event.serious:
        return "no longer serious"
    if clock.trigger == "serious":
        return None
    if not event.suspected(exposure):
        return "no longer suspected to be caused by the product"
    if event.expected:
        return "judged to be expected"
    if clock.trigger == "fatal-or-life-threatening" and not event.fatal_or_life_threatening:
        return "no longer fatal or life-threatening"
    return None


def _level(clock: Clock, event: AdverseEvent) -> int:
    """How strict the duty is; a rise starts a run."""
    match clock.trigger:
        case "serious":
            return 2 if event.fatal_or_life_threatening else 1
        case "fatal-or-life-threatening":
            return 1
        case "suspected-unexpected-serious":
            return 0 if event.fatal_or_life_threatening else 1
        case _:
            assert_never(clock.trigger)


# --- when it is due, and how it ends --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Start:
    """From when a duty counts, and what says so beside the spell's own reports."""

    at: datetime
    cited: tuple[int, ...] = ()


def _start(
    clock: Clock,
    life: Life,
    spell: _Spell,
    starting: Sequence[Noted[SafetyReportSubmitted]],
    exposure: Exposure | None,
) -> _Start | None:
    """From when the duty counts by the clock's own rule; None when nothing has started it yet."""
    learned = spell.first.learned_at
    report = _first(starting, None if spell.initial else learned)
    sent = _Start(_submitted(report), report.cited) if report is not None else None
    match clock.starts:
        case "site-awareness":
            return _Start(learned)
        case "sponsor-receipt":
            return _Start(learned) if spell.first.by_sponsor else sent or _Start(learned)
        case "sponsor-judgement":
            # Until the sponsor has judged, its receipt counts: silence may not put a limit off.
            return _judged(clock, life, spell, exposure) or sent or _Start(learned)
        case "report":
            return sent
        case _:
            assert_never(clock.starts)


def _judged(clock: Clock, life: Life, spell: _Spell, exposure: Exposure | None) -> _Start | None:
    """The sponsor's first judgement, in the spell, under which the event qualifies."""
    begun = False
    for version in life.versions:
        begun = begun or version is spell.first
        if version is spell.ended:
            return None
        if begun and version.by_sponsor and _why_not(clock, version.event, exposure) is None:
            return _Start(version.learned_at, version.cited)
    return None


def zone_of(clock: Clock, sponsor: ZoneInfo) -> ZoneInfo:
    """The zone in which the clock counts its days."""
    return sponsor if clock.timezone is None else zone_named(clock.timezone)


def _run(
    life: Life,
    clock: Clock,
    occasion: int,
    spell: _Spell,
    start: _Start,
    mine: Sequence[Noted[SafetyReportSubmitted]],
    place: Place,
) -> Run:
    since = start.at if clock.starts == "report" else spell.first.learned_at
    met = _first(mine, None if spell.initial and clock.starts != "report" else since)
    counted_in = zone_of(clock, place.sponsor)
    zone = place.site if clock.starts == "site-awareness" else counted_in
    due, over = limit(clock, start.at, zone, counted_in)
    ended = spell.ended
    return Run(
        ae=life.event.ae,
        clock=clock.clock,
        jurisdiction=clock.jurisdiction,
        occasion=occasion,
        recipient=clock.recipient,
        trigger=clock.trigger,
        started_at=start.at.astimezone(zone),
        due_at=due,
        over_at=over,
        met_at=_submitted(met).astimezone(zone) if met is not None else None,
        closed_at=ended.learned_at if ended is not None else None,
        closed_because=spell.because,
        evidence=tuple(sorted({*_known_by(life, spell), *start.cited})),
        met_by=cited(met),
    )


def _known_by(life: Life, spell: _Spell) -> Iterator[int]:
    """Positions of what was said of the event up to the start of the spell, and of its end."""
    for version in life.versions:
        yield from version.cited
        if version is spell.first:
            break
    if spell.ended is not None:
        yield from spell.ended.cited


def _first(
    sent: Sequence[Noted[SafetyReportSubmitted]], since: datetime | None
) -> Noted[SafetyReportSubmitted] | None:
    return next((one for one in sent if since is None or _submitted(one) >= since), None)


def _submitted(one: Noted[SafetyReportSubmitted]) -> datetime:
    return one.body.submitted_at.earliest()


def limit(
    clock: Clock, started: datetime, shown_in: ZoneInfo, counted_in: ZoneInfo
) -> tuple[datetime, datetime]:
    """The limit as it is shown, and the last moment that is still in time."""
    if clock.hours is not None:
        due = (started.astimezone(UTC) + timedelta(hours=clock.hours)).astimezone(shown_in)
        return due, due
    assert clock.days is not None
    first = started.astimezone(counted_in).date()
    due = _last_second(first + timedelta(days=clock.days - clock.first_day), counted_in)
    return due, due.replace(microsecond=999_999)


def _last_second(day: date, zone: ZoneInfo) -> datetime:
    # fold=1: where clocks go back over midnight, the day ends with the second 23:59:59.
    return datetime.combine(day, time(23, 59, 59), tzinfo=zone).replace(fold=1)
