"""Eligibility: one row per criterion, and one with the verdict and the investigator's word."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.journey.eligibility import confirmation_problem, verdict_of
from domain.journey.screening import screening_date
from domain.participant import Participant
from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from projections.view import Row, Timeline, View, state_at, timeline

VERDICT = "verdict"
"""The key of the participant's own row; criteria come before it in the order of keys."""

ORDER_DIGITS = 4

_LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)
_FAR_AHEAD = datetime(9000, 1, 1, tzinfo=UTC)


def rows(trial: Trial, participant: Participant) -> Iterator[Row]:
    """The outcome of each criterion in the protocol's order, and the verdict."""
    verdict = verdict_of(trial, participant)
    place = {
        "site": participant.site,
        "zone": trial.zone(participant.site).key,
        "verdict": verdict.verdict,
    }
    for index, one in enumerate(verdict.outcomes):
        yield Row(
            participant=participant.id,
            key=f"criterion/{index:0{ORDER_DIGITS}}/{one.criterion}",
            columns={**place, "criterion": one.criterion, "outcome": one.outcome},
            item={
                "id": one.criterion,
                "kind": one.kind,
                "outcome": one.outcome,
                "explanation": one.explanation,
                "evidence": list(one.evidence),
                "missing": list(one.missing),
                "recheck": one.recheck,
            },
        )
    yield Row(
        participant=participant.id,
        key=VERDICT,
        columns={**place, "criterion": None, "outcome": None},
        item={
            "participant": participant.id,
            "site": participant.site,
            "protocol": trial.version_for(participant),
            "verdict": verdict.verdict,
            "confirmed": _confirmed(trial, participant),
        },
    )


def shown(rows_of_one: Sequence[Row], protocol: Protocol, day: date) -> dict[str, Any]:
    """One participant's eligibility as it reads on a civil day at the site.

    The criteria's wording stands in the protocol that they were judged by, not in every row.
    """
    texts = {criterion.id: criterion.text for criterion in protocol.criteria}
    head = next(row for row in rows_of_one if row.key == VERDICT).item
    confirmed = head["confirmed"]
    if confirmed is not None:
        confirmed = {**confirmed, "status": state_at(confirmed["status"], day)}
    return {
        **head,
        "confirmed": confirmed,
        "criteria": [
            _criterion(row.item, texts.get(row.item["id"], ""))
            for row in rows_of_one
            if row.key != VERDICT
        ],
    }


def _criterion(item: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {"id": item["id"], "kind": item["kind"], "text": text, **item}


def _confirmed(trial: Trial, participant: Participant) -> dict[str, Any] | None:
    """The last confirmation, and while it stands."""
    if not participant.eligibility.confirmed:
        return None
    last = participant.eligibility.confirmed[-1]
    return {
        "position": last.position,
        "by": {"id": last.recorded.actor.id, "role": last.recorded.actor.role},
        "at": last.when.text,
        "status": _standing(trial, participant),
    }


def _standing(trial: Trial, participant: Participant) -> Timeline:
    """A confirmation goes stale by a new fact, or by itself with the screening it rests on."""
    now, then = (
        "stale" if confirmation_problem(trial, participant, moment) else "standing"
        for moment in (_LONG_AGO, _FAR_AHEAD)
    )
    screened = screening_date(trial, participant)
    if now == then or screened is None:
        return timeline([(None, then)])
    valid = trial.protocol_of(participant).settings.screening_validity_days
    return timeline([(None, now), (screened + timedelta(days=valid + 1), then)])


VIEW = View(
    name="eligibility",
    version=1,
    columns=("site", "zone", "verdict", "criterion", "outcome"),
    rows=rows,
)
