"""One participant's views: the same rows as everybody's, in the shape of one."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from domain.participant import Participant
from domain.time import When
from domain.trial.study import Trial, zone_named
from projections import eligibility, enrolment, safety, schedule
from projections.view import Row, View
from services.views.asked import day_of, moment_of

Shape = Callable[[Sequence[Row], Trial, When], dict[str, Any]]
"""From the participant's rows of a view to its answer."""


def summary(rows: Sequence[Row], _trial: Trial, on: When) -> dict[str, Any]:
    """Where the journey stands."""
    return enrolment.shown(rows[0].item, day_of(on, _zone(rows[0])))


def of_eligibility(rows: Sequence[Row], trial: Trial, on: When) -> dict[str, Any]:
    """The verdict, and each criterion with its evidence."""
    head = next(row for row in rows if row.key == eligibility.VERDICT)
    protocol = trial.protocols[head.item["protocol"]]
    return eligibility.shown(rows, protocol, day_of(on, _zone(head)))


def of_schedule(rows: Sequence[Row], _trial: Trial, on: When) -> dict[str, Any]:
    """Every visit, in the protocol's order."""
    return {"visits": [schedule.shown(row.item, day_of(on, _zone(row))) for row in rows]}


def of_safety(rows: Sequence[Row], _trial: Trial, on: When) -> dict[str, Any]:
    """Every adverse event, and everything that contradicts."""
    return {
        "adverse_events": [
            safety.shown(row.item, moment_of(on, _zone(row)))
            for row in rows
            if row.columns["kind"] == safety.EVENT
        ],
        "contradictions": [one for row in rows for one in row.item["found"]],
    }


SHAPES: Mapping[str, tuple[View, Shape]] = MappingProxyType(
    {
        "summary": (enrolment.VIEW, summary),
        "eligibility": (eligibility.VIEW, of_eligibility),
        "schedule": (schedule.VIEW, of_schedule),
        "safety": (safety.VIEW, of_safety),
    }
)
"""View of one participant -> whose rows it is made of, and how."""


def answer(view: str, trial: Trial, participant: Participant, on: When) -> dict[str, Any]:
    """The participant's view on a day, without the position that it reflects."""
    of_view, shape = SHAPES[view]
    found = shape(list(of_view.rows(trial, participant)), trial, on)
    head: dict[str, Any] = {"participant": participant.id, "site": participant.site}
    if of_view is schedule.VIEW:
        head["anchor"] = schedule.anchor(trial, participant)
    return {**head, **found}


def stale(
    view: str, trial: Trial, name: str, rows: Sequence[Row], since: int | None, on: When
) -> dict[str, Any]:
    """The view as its table still has it, of a participant whose events cannot be projected.

    `since` is the first event that is missing.
    """
    of_view, shape = SHAPES[view]
    if of_view is schedule.VIEW:
        rows = sorted(rows, key=lambda row: (str(row.columns["day"]), row.key))
    head: dict[str, Any] = {
        "participant": name,
        "site": rows[0].columns["site"],
        "stale_since": since,
    }
    if of_view is schedule.VIEW:
        head["anchor"] = None
    return {**head, **shape(rows, trial, on)}


def _zone(row: Row) -> Any:
    return zone_named(str(row.columns["zone"]))
