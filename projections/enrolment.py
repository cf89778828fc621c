"""Enrolment: one row per participant, the summary that coordinators see first."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.journey.consent import reconsent_due
from domain.journey.eligibility import verdict_of
from domain.journey.safety import open_adverse_events
from domain.journey.screening import screening_date
from domain.journey.treatment import dose_date
from domain.participant import Participant
from domain.stage import stage
from domain.trial.study import Trial
from projections.view import Row, Timeline, View, state_at, timeline

MILESTONES = ("consented", "screened", "confirmed", "enrolled", "dosed", "completed")
"""What a participant has ever reached, in the order of the funnel."""

_LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)
_FAR_AHEAD = datetime(9000, 1, 1, tzinfo=UTC)

KEY = "summary"


def rows(trial: Trial, participant: Participant) -> Iterator[Row]:
    """The participant's one row."""
    stages = _stages(trial, participant)
    site = participant.site
    yield Row(
        participant=participant.id,
        key=KEY,
        columns={
            "site": site,
            "zone": trial.zone(site).key,
            "stage": stages[0][1],
            "stage_then": stages[-1][1],
            "stage_until": None if len(stages) == 1 else date.fromisoformat(str(stages[-1][0])),
            "reconsent_due": reconsent_due(trial, participant),
            **_reached(participant),
        },
        item={
            "participant": participant.id,
            "site": site,
            "stage": stages,
            "version": participant.version,
            "protocol": trial.version_for(participant),
            "position": participant.position,
            "consent": consent(trial, participant),
            "verdict": verdict_of(trial, participant).verdict,
            "dosed_on": _text(dose_date(trial, participant)),
            "open_adverse_events": open_adverse_events(trial, participant),
        },
    )


def shown(item: Mapping[str, Any], day: date) -> dict[str, Any]:
    """The summary as it reads on a civil day at the site."""
    return {**item, "stage": state_at(item["stage"], day)}


def consent(trial: Trial, participant: Participant) -> dict[str, Any]:
    """What the participant agreed to, as coordinators say it."""
    given = participant.consent.given[-1] if participant.consent.given else None
    return {
        "status": participant.consent.status(trial.zone(participant.site)),
        "form_version": given.body.form_version if given else None,
        "on": _day(given.when.text, given.when.first, given.when.precision) if given else None,
    }


def _stages(trial: Trial, participant: Participant) -> Timeline:
    """The stage over time: only a confirmed eligibility ends by itself, with its screening."""
    if not participant.eligibility.confirmed:
        return timeline([(None, stage(trial, participant, _LONG_AGO))])
    now, then = (stage(trial, participant, moment) for moment in (_LONG_AGO, _FAR_AHEAD))
    screened = screening_date(trial, participant)
    if now == then or screened is None:
        return timeline([(None, then)])
    valid = trial.protocol_of(participant).settings.screening_validity_days
    return timeline([(None, now), (screened + timedelta(days=valid + 1), then)])


def _reached(participant: Participant) -> dict[str, bool]:
    return {
        "consented": bool(participant.consent.given),
        "screened": bool(participant.screening.started),
        "confirmed": bool(participant.eligibility.confirmed),
        "enrolled": bool(participant.treatment.enrolled),
        "dosed": bool(participant.treatment.dosed),
        "completed": bool(participant.closure.completed),
    }


def _day(text: str, first: date, precision: str) -> str:
    """The day in the offset it was reported with; a partial date stays as it is."""
    return first.isoformat() if precision == "instant" else text


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


VIEW = View(
    name="enrolment",
    version=1,
    columns=(
        "site",
        "zone",
        "stage",
        "stage_then",
        "stage_until",
        "reconsent_due",
        *MILESTONES,
    ),
    rows=rows,
)
