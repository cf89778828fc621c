"""Safety: adverse events, the duties they start, and what they mean for dose and study.

The events themselves stand in `domain.safety.events`, the rules in their neighbours there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, assert_never
from zoneinfo import ZoneInfo

from domain.in_force import InForce, governing, in_force
from domain.journey.oversight import DeviationDetected
from domain.kernel import Conclusion, Noted, Proposed, Recorded, Refused, joined
from domain.making import changing
from domain.safety.adverse_event import Exposure, Life, lives
from domain.safety.clocks import Place, Run, runs
from domain.safety.contradictions import contradictions
from domain.safety.events import (
    AdverseEventAssessed,
    AdverseEventReported,
    AdverseEventUpdated,
    ContradictionFound,
    DoseLimitingToxicityIdentified,
    SafetyClockBreached,
    SafetyClockClosed,
    SafetyClockMet,
    SafetyClockStarted,
    SafetyReportSubmitted,
    SeriousAdverseEventIdentified,
)
from domain.safety.toxicity import Finding, dose_limiting, halting, serious_class
from domain.time import When, duration_text
from domain.trial.events import SlotToxicity
from domain.trial.protocol import Protocol
from domain.trial.study import zone_named

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

ASSESSORS: Mapping[str, tuple[str, ...]] = {
    "investigator": ("investigator", "administrator"),
    "sponsor": ("sponsor", "safety-officer", "administrator"),
}
"""Whose word an assessment is -> the roles that may give it."""

# --- events: what can happen ----------------------------------------------------------------------

SafetyEvent = (
    AdverseEventReported
    | AdverseEventUpdated
    | AdverseEventAssessed
    | SafetyReportSubmitted
    | SeriousAdverseEventIdentified
    | DoseLimitingToxicityIdentified
    | ContradictionFound
    | SafetyClockStarted
    | SafetyClockMet
    | SafetyClockBreached
    | SafetyClockClosed
)

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Safety:
    """Reports, updates, assessments and submissions, each kind in effective time."""

    reported: tuple[Noted[AdverseEventReported], ...] = ()
    updated: tuple[Noted[AdverseEventUpdated], ...] = ()
    assessed: tuple[Noted[AdverseEventAssessed], ...] = ()
    submitted: tuple[Noted[SafetyReportSubmitted], ...] = ()


def lives_of(trial: "Trial", participant: "Participant") -> Mapping[str, Life]:
    """Every adverse event of the participant by its name, as it stands."""
    safety = participant.safety
    if not safety.reported:
        return {}
    zone = trial.zone(participant.site)
    return participant.derived(
        "lives",
        (safety, zone),
        lambda: lives(safety.reported, safety.updated, safety.assessed, zone),
    )


def open_adverse_events(trial: "Trial", participant: "Participant") -> int:
    """How many adverse events go on."""
    return sum(life.event.open for life in lives_of(trial, participant).values())


def exposure_of(trial: "Trial", participant: "Participant") -> Exposure | None:
    """The first dose and the zone of its day; None before it."""
    dosed = participant.treatment.dosed
    return Exposure(dosed[0].when, trial.zone(participant.site)) if dosed else None


def runs_of(trial: "Trial", participant: "Participant") -> tuple[Run, ...]:
    """Every run of a reporting clock, whatever the time is.

    Of a state that tells of a moment only those that had started by then: an event may have begun
    before anybody knew of it.
    """
    safety = participant.safety
    if not safety.reported:
        return ()
    versions = in_force(trial, participant)
    site = trial.zone(participant.site)

    def compute() -> tuple[Run, ...]:
        exposure, lived = exposure_of(trial, participant), lives_of(trial, participant).values()
        order = {one.clock: at for at, one in enumerate(versions[-1].protocol.clocks)}
        begun = [
            (number, order.get(run.clock, len(order)), run)
            for version, following in zip(versions, [*versions[1:], None], strict=True)
            for place in [Place(site, _sponsor_zone(version.protocol), exposure)]
            for number, life in enumerate(lived)
            for run in runs(life, version.protocol.clocks, safety.submitted, place)
            if _began_under(run, version, following)
        ]
        return tuple(run for _, _, run in sorted(begun, key=lambda one: one[:2]))

    # The zone and the dose are among what the versions in force are told by: anew with them.
    found = participant.derived("runs", (safety, versions), compute)
    told_at = participant.told_at
    return found if told_at is None else tuple(run for run in found if run.started_at <= told_at)


def _sponsor_zone(protocol: Protocol) -> ZoneInfo:
    return zone_named(protocol.settings.sponsor_timezone)


def _began_under(run: Run, version: InForce, following: InForce | None) -> bool:
    """A duty is that of the version in force when it began; it keeps its limit."""
    if version.began is not None and run.started_at < version.began:
        return False
    return following is None or following.began is None or run.started_at < following.began


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What one event means for the dose and for the study, whatever the time is."""

    life: Life
    finding: Finding | None
    halting: str | None
    serious_class: str | None


def _meanings(trial: "Trial", participant: "Participant") -> tuple[_Meaning, ...]:
    """The events that mean anything there, by their names; each by the version in force at its
    onset."""
    exposure = exposure_of(trial, participant)
    if exposure is None or not participant.safety.reported:
        return ()
    versions = in_force(trial, participant)

    def compute() -> tuple[_Meaning, ...]:
        found = (
            _Meaning(
                life=life,
                finding=dose_limiting(life.event, rules, exposure),
                halting=halting(life.event, rules, exposure),
                serious_class=serious_class(life.event, rules, exposure),
            )
            for _, life in sorted(lives_of(trial, participant).items())
            if (rules := governing(trial, participant, life.event.onset).toxicity) is not None
        )
        return tuple(one for one in found if one.finding or one.halting or one.serious_class)

    # The zone and the dose are among what the versions in force are told by: anew with them.
    return participant.derived("meanings", (participant.safety, versions), compute)


def toxicities(
    trial: "Trial", participant: "Participant", now: datetime
) -> Iterator[tuple[Life, Finding]]:
    """The events that are dose-limiting toxicities at a moment, and why."""
    for one in _meanings(trial, participant):
        if one.finding is not None and one.finding.holds(now):
            yield one.life, one.finding


def slot_toxicities(
    trial: "Trial", participant: "Participant", now: datetime
) -> tuple[SlotToxicity, ...]:
    """What the participant's events mean for the study's stopping rules; nothing else of them."""
    return tuple(
        SlotToxicity(
            ae=one.life.event.ae,
            dose_limiting=limiting,
            halting=one.halting,
            related_serious_class=one.serious_class,
        )
        for one in _meanings(trial, participant)
        if (limiting := one.finding is not None and one.finding.holds(now))
        or one.halting
        or one.serious_class
    )


# --- check: what is refused -----------------------------------------------------------------------


def check(_trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    """Reports are facts; a judgement needs its event and the role whose judgement it is."""
    body = proposed.body
    assert isinstance(body, SafetyEvent)
    match body:
        case AdverseEventReported() | AdverseEventUpdated() | SafetyReportSubmitted():
            return
        case AdverseEventAssessed():
            _may_assess(participant, proposed, body)
        case (
            SeriousAdverseEventIdentified()
            | DoseLimitingToxicityIdentified()
            | ContradictionFound()
            | SafetyClockStarted()
            | SafetyClockMet()
            | SafetyClockBreached()
            | SafetyClockClosed()
        ):
            raise Refused("signer", "a conclusion is drawn by Cairn only")
        case _:
            assert_never(body)


def _may_assess(participant: "Participant", proposed: Proposed, body: AdverseEventAssessed) -> None:
    if proposed.actor.role not in ASSESSORS[body.by]:
        raise Refused("signer", f"this is the {body.by}'s judgement to give")
    if all(report.body.ae != body.ae for report in participant.safety.reported):
        raise Refused("order", "no adverse event of that name was reported")


# --- evolve: how memory changes -------------------------------------------------------------------

_changed = changing(Safety)


def evolve(safety: Safety, recorded: Recorded) -> Safety:
    """Remember one more event of this chapter; no rule lives here."""
    body = recorded.body
    assert isinstance(body, SafetyEvent)
    match body:
        case AdverseEventReported():
            return _changed(safety, reported=joined(safety.reported, body, recorded))
        case AdverseEventUpdated():
            return _changed(safety, updated=joined(safety.updated, body, recorded))
        case AdverseEventAssessed():
            return _changed(safety, assessed=joined(safety.assessed, body, recorded))
        case SafetyReportSubmitted():
            return _changed(safety, submitted=joined(safety.submitted, body, recorded))
        case (
            SeriousAdverseEventIdentified()
            | DoseLimitingToxicityIdentified()
            | ContradictionFound()
            | SafetyClockStarted()
            | SafetyClockMet()
            | SafetyClockBreached()
            | SafetyClockClosed()
        ):
            return safety
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(trial: "Trial", participant: "Participant", now: datetime) -> tuple[Conclusion, ...]:
    """Serious events, contradictions, dose-limiting toxicities, clocks and late reports."""
    if not (participant.safety.reported or participant.closure.died):
        return tuple(_dropped(participant, ()))
    timeless = participant.derived(
        "safety conclusions",
        (
            participant.safety,
            participant.closure.died,
            trial.zone(participant.site),
        ),
        lambda: tuple(_timeless(trial, participant)),
    )
    meanings, current = _meanings(trial, participant), runs_of(trial, participant)
    told = participant.derived(
        "safety's now",
        (timeless, meanings, current, _passed(meanings, current, now)),
        lambda: (
            *timeless,
            *_toxicities(meanings, participant, now),
            *_clocks(current, now),
        ),
    )
    dropped = tuple(_dropped(participant, current))
    return (*told, *dropped) if dropped else told


def _passed(meanings: Sequence[_Meaning], current: Sequence[Run], now: datetime) -> int:
    """How many of the moments have passed after which a toxicity counts or a duty is breached:
    as long as it is the same, time alone changes nothing."""
    moments = [run.over_at for run in current]
    moments += [
        one.finding.after
        for one in meanings
        if one.finding is not None and one.finding.after is not None
    ]
    return sum([now > moment for moment in moments])


def _toxicities(
    meanings: Sequence[_Meaning], participant: "Participant", now: datetime
) -> Iterator[Conclusion]:
    for one in meanings:
        if one.finding is not None and one.finding.holds(now):
            yield DoseLimitingToxicityIdentified(
                ae=one.life.event.ae,
                because=one.finding.because,
                explanation=one.finding.explanation,
                evidence=tuple(sorted({*one.life.cited, *participant.first_dose_cited()})),
            )


def _timeless(trial: "Trial", participant: "Participant") -> Iterator[Conclusion]:
    found = lives_of(trial, participant)
    for life in found.values():
        if life.event.serious:
            yield SeriousAdverseEventIdentified(
                ae=life.event.ae, because=life.event.because, evidence=life.cited
            )
    yield from contradictions(found, participant.closure.died, trial.zone(participant.site))


def _clocks(current: Sequence[Run], now: datetime) -> Iterator[Conclusion]:
    for run in current:
        yield SafetyClockStarted(
            ae=run.ae,
            clock=run.clock,
            occasion=run.occasion,
            started_at=When.at(run.started_at),
            due_at=When.at(run.due_at),
            recipient=run.recipient,
            because=run.trigger,
            evidence=run.evidence,
        )
        ended = _ended(run, now)
        if ended is not None:
            yield ended
        if run.late_by is not None or run.status(now) == "breached":
            yield _late(run)


def _ended(run: Run, now: datetime) -> Conclusion | None:
    started, due = When.at(run.started_at), When.at(run.due_at)
    match run.status(now):
        case "running":
            return None
        case "met":
            assert run.met_at is not None
            return SafetyClockMet(
                ae=run.ae,
                clock=run.clock,
                occasion=run.occasion,
                started_at=started,
                due_at=due,
                met_at=When.at(run.met_at),
                late=run.late_by is not None,
                late_by=duration_text(run.late_by) if run.late_by is not None else None,
                evidence=tuple(sorted({*run.evidence, *run.met_by})),
            )
        case "breached":
            return SafetyClockBreached(
                ae=run.ae,
                clock=run.clock,
                occasion=run.occasion,
                started_at=started,
                due_at=due,
                evidence=run.evidence,
            )
        case "closed":
            return SafetyClockClosed(
                ae=run.ae,
                clock=run.clock,
                occasion=run.occasion,
                started_at=started,
                due_at=due,
                because=run.closed_because or "",
                evidence=run.evidence,
            )


def _late(run: Run) -> DeviationDetected:
    sent = "not sent"
    if run.met_at is not None:
        by = f", late by {duration_text(run.late_by)}" if run.late_by is not None else ""
        sent = f"sent at {run.met_at.isoformat()}{by}"
    name = run.clock if run.occasion == 1 else f"{run.clock}, start {run.occasion}"
    return DeviationDetected(
        rule="safety-report-late",
        subject=f"{run.ae} {run.clock} {run.occasion}",
        category="safety-reporting-late",
        importance="important",
        explanation=f"the report ({name}) was due at {run.due_at.isoformat()}, and was {sent}",
        evidence=tuple(sorted({*run.evidence, *run.met_by})),
    )


def _dropped(participant: "Participant", current: Sequence[Run]) -> Iterator[Conclusion]:
    """Runs that the log knows and the facts no longer call for: closed, never deleted."""
    concluded = participant.concluded
    standing = participant.derived(
        "clocks that were started",
        (concluded,),
        lambda: [
            one.body for one in concluded.values() if isinstance(one.body, SafetyClockStarted)
        ],
    )
    called_for = {(run.ae, run.clock, run.occasion) for run in current} if standing else set()
    for body in standing:
        if (body.ae, body.clock, body.occasion) in called_for:
            continue
        yield body
        yield SafetyClockClosed(
            ae=body.ae,
            clock=body.clock,
            occasion=body.occasion,
            started_at=body.started_at,
            due_at=body.due_at,
            because="a correction took back what it rested on",
            evidence=body.evidence,
        )
