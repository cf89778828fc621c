"""One participant's views: the same rows as everybody's, in the shape of one."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from domain.participant import Participant
from domain.time import When
from domain.trial.study import Trial
from projections import eligibility, enrolment, safety, schedule
from services.views.asked import day_of, moment_of

Shape = Callable[[Trial, Participant, When], dict[str, Any]]


def summary(trial: Trial, participant: Participant, on: When) -> dict[str, Any]:
    """Where the journey stands."""
    day = day_of(on, trial.zone(participant.site))
    (row,) = enrolment.rows(trial, participant)
    return enrolment.shown(row.item, day)


def of_eligibility(trial: Trial, participant: Participant, on: When) -> dict[str, Any]:
    """The verdict, and each criterion with its evidence."""
    day = day_of(on, trial.zone(participant.site))
    protocol = trial.protocol_of(participant)
    return eligibility.shown(list(eligibility.rows(trial, participant)), protocol, day)


def of_schedule(trial: Trial, participant: Participant, on: When) -> dict[str, Any]:
    """Every visit, in the protocol's order."""
    day = day_of(on, trial.zone(participant.site))
    return {
        "participant": participant.id,
        "site": participant.site,
        "anchor": schedule.anchor(trial, participant),
        "visits": [
            schedule.shown(row.item, day) for row in schedule.rows(trial, participant)
        ],
    }


def of_safety(trial: Trial, participant: Participant, on: When) -> dict[str, Any]:
    """Every adverse event, and what contradicts about none of them."""
    moment = moment_of(on, trial.zone(participant.site))
    rows = list(safety.rows(trial, participant))
    return {
        "participant": participant.id,
        "site": participant.site,
        "adverse_events": [
            safety.shown(row.item, moment)
            for row in rows
            if row.columns["kind"] == safety.EVENT
        ],
        "contradictions": [one for row in rows for one in row.item["found"]],
    }


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "summary": summary,
        "eligibility": of_eligibility,
        "schedule": of_schedule,
        "safety": of_safety,
    }
)
"""View of one participant -> its answer, without the position."""
