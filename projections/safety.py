"""Safety: one row per adverse event with its clocks and contradictions, none left out.

What contradicts about no single event (a death without a fatal one) has a row of the participant's.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from domain.journey.safety import exposure_of, lives_of, runs_of, toxicities
from domain.participant import Participant
from domain.safety.adverse_event import AdverseEvent, Exposure, Life
from domain.safety.clocks import Run
from domain.safety.contradictions import contradictions
from domain.safety.events import ContradictionFound, SafetyClockBreached
from domain.safety.words import Relation
from domain.time import When, duration_text
from domain.trial.study import Trial
from projections.view import NO_DAY, Row, View, beside_results, state_at, timeline

EVENT = "adverse-event"
PARTICIPANT = "participant"

_FAR_AHEAD = datetime(9000, 1, 1, tzinfo=UTC)
_AN_INSTANT = timedelta(microseconds=1)
_AN_HOUR = timedelta(hours=1)

NOT_JUDGED = "not-judged"
RELATIONS: tuple[Relation, ...] = get_args(Relation)


def rows(trial: Trial, participant: Participant) -> Iterator[Row]:
    """The participant's adverse events, and what contradicts beside them."""
    lives = lives_of(trial, participant)
    zone = trial.zone(participant.site)
    found = list(contradictions(lives, participant.closure.died, zone))
    place = {"site": participant.site, "zone": zone.key}
    runs = runs_of(trial, participant)
    exposure = exposure_of(trial, participant)
    coming = {life.event.ae for life, _ in toxicities(trial, participant, _FAR_AHEAD)}
    for name, life in lives.items():
        mine = [run for run in runs if run.ae == name]
        about = [one for one in found if one.ae == name]
        limiting = ("dose-limiting", name) in participant.concluded
        yield Row(
            participant=participant.id,
            key=f"ae/{name}",
            columns={
                **place,
                "kind": EVENT,
                "onset": life.event.onset.first,
                "term": life.event.term,
                "grade": life.event.grade,
                "serious": life.event.serious,
                "suspected": life.event.suspected(exposure),
                "causality": life.event.strongest() or NOT_JUDGED,
                "since_dose": _since(life.event, exposure),
                "dose_limiting": limiting,
                "contradicted": bool(about),
                "owed_since": _owed(mine),
                "unsaid_from": _unsaid(
                    participant, mine, life if name in coming and not limiting else None
                ),
            },
            item={
                **_item(life, mine, about, limiting=limiting),
                "ctcae_version": _ctcae(trial, participant, life.event),
                "suspected": life.event.suspected(exposure),
                "days_since_dose": _since(life.event, exposure),
            },
        )
    beside = [one for one in found if one.ae is None]
    if beside:
        yield _of_participant(participant, place, beside)


def shown(item: Mapping[str, Any], moment: datetime) -> dict[str, Any]:
    """The adverse event as it reads at a moment."""
    return {
        **{name: value for name, value in item.items() if name != "found"},
        "clocks": [_clock_at(clock, moment) for clock in item["clocks"]],
        "contradictions": [one["contradiction"] for one in item["found"]],
    }


def _clock_at(clock: Mapping[str, Any], moment: datetime) -> dict[str, Any]:
    """The clock at a moment: hours left are whole ones, below zero once the limit has passed."""
    status = state_at(clock["status"], moment)
    left = datetime.fromisoformat(clock["due_at"]) - moment
    late = duration_text(left) if status == "breached" else clock["late_by"]
    hours = left // _AN_HOUR if status in ("running", "breached") else None
    return {**clock, "status": status, "late_by": late, "hours_left": hours}


def _of_participant(
    participant: Participant, place: Mapping[str, Any], found: Sequence[ContradictionFound]
) -> Row:
    return Row(
        participant=participant.id,
        key=PARTICIPANT,
        columns={
            **place,
            "kind": PARTICIPANT,
            "onset": NO_DAY,
            "term": None,
            "grade": None,
            "serious": False,
            "suspected": False,
            "causality": None,
            "since_dose": None,
            "dose_limiting": False,
            "contradicted": True,
            "owed_since": None,
            "unsaid_from": None,
        },
        item={"clocks": [], "found": [_contradiction(one) for one in found]},
    )


def _item(
    life: Life, runs: Sequence[Run], found: Sequence[ContradictionFound], *, limiting: bool
) -> dict[str, Any]:
    event = life.event
    return {
        "ae": event.ae,
        "term": event.term,
        "status": life.status,
        "onset": event.onset.text,
        "end": event.end.text if event.end is not None else None,
        "grade": event.grade,
        "severity": event.severity,
        "serious": event.serious,
        "serious_reported": event.serious_reported,
        "seriousness": list(event.seriousness),
        "because": list(event.because),
        "causality": {"investigator": event.investigator, "sponsor": event.sponsor},
        "relations": {
            cause: dict(zip(("investigator", "sponsor"), event.judged(cause), strict=True))
            for cause in RELATIONS
        },
        "expected": event.expected,
        "dose_limiting": limiting,
        "action": event.action,
        "outcome": event.outcome,
        "coding": event.coding.model_dump(mode="json") if event.coding is not None else None,
        "clocks": [_clock(run) for run in runs],
        "found": [_contradiction(one) for one in found],
        "evidence": list(life.cited),
    }


def _clock(run: Run) -> dict[str, Any]:
    after = run.over_at + _AN_INSTANT
    return {
        "clock": run.clock,
        "jurisdiction": run.jurisdiction,
        "occasion": run.occasion,
        "recipient": run.recipient,
        "started_at": When.at(run.started_at).text,
        "due_at": When.at(run.due_at).text,
        "met_at": When.at(run.met_at).text if run.met_at is not None else None,
        "status": timeline([(None, run.status(run.over_at)), (after, run.status(after))]),
        "late": run.late_by is not None,
        "late_by": duration_text(run.late_by) if run.late_by is not None else None,
        "closed_because": run.closed_because if run.met_at is None else None,
        "evidence": list(run.evidence),
    }


def _contradiction(found: ContradictionFound) -> dict[str, Any]:
    return {
        "ae": found.ae,
        "contradiction": found.because,
        "explanation": found.explanation,
        "sides": [side.model_dump(mode="json") for side in found.sides],
        "evidence": list(found.evidence),
    }


def _since(event: AdverseEvent, exposure: Exposure | None) -> int | None:
    """Whole civil days from the first dose to the onset, below zero before it; None: no dose."""
    if exposure is None:
        return None
    return (event.onset.civil(exposure.zone)[0] - exposure.window(0)[0]).days


def _ctcae(trial: Trial, participant: Participant, event: AdverseEvent) -> str | None:
    """The version that the grade is by: that of the protocol under which it was given."""
    if event.grade is None:
        return None
    graded = trial.protocols.get(event.graded_under or "") or trial.protocol_of(participant)
    return graded.settings.ctcae_version


def _owed(runs: Sequence[Run]) -> datetime | None:
    """The first limit of a report that was not sent and is still called for."""
    return min(
        (run.over_at for run in runs if run.met_at is None and run.closed_at is None),
        default=None,
    )


def _unsaid(participant: Participant, runs: Sequence[Run], lasting: Life | None) -> datetime | None:
    """From when on time alone may bring a conclusion that the log does not have.

    A limit that passes, or a toxicity (`lasting`) that counts once it has lasted long enough.
    """
    moments = [
        run.over_at
        for run in runs
        if run.status(run.over_at + _AN_INSTANT) == "breached" and not _said(participant, run)
    ]
    if lasting is not None:
        moments.append(lasting.event.onset.earliest())
    return min(moments, default=None)


def _said(participant: Participant, run: Run) -> bool:
    standing = participant.concluded.get(("clock-ended", run.ae, run.clock, str(run.occasion)))
    if standing is None or not isinstance(standing.body, SafetyClockBreached):
        return False
    return standing.body.due_at.earliest() == run.due_at


VIEW = View(
    name="safety",
    version=2,
    columns=(
        "site",
        "zone",
        "kind",
        "onset",
        "term",
        "grade",
        "serious",
        "suspected",
        "causality",
        "since_dose",
        "dose_limiting",
        "contradicted",
        "owed_since",
        "unsaid_from",
    ),
    rows=rows,
    halts=True,
    basis=beside_results,
)
