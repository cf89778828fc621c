"""Deviations: one row for each that stands, whether Cairn detected it or a person recorded it."""

from collections.abc import Iterator
from typing import Any

from domain.journey.oversight import DeviationAssessed, DeviationDetected, DeviationRecorded
from domain.kernel import Noted, Recorded
from domain.participant import Participant
from domain.trial.study import Trial
from projections.view import Row, View, beside_results, instant_text

POSITION_DIGITS = 16


def rows(_trial: Trial, participant: Participant) -> Iterator[Row]:
    """The participant's standing deviations. What people wrote about them stays sealed."""
    assessed = _assessed(participant)
    for recorded in participant.concluded.values():
        body = recorded.body
        if isinstance(body, DeviationDetected):
            found: dict[str, Any] = {
                "rule": body.rule,
                "subject": body.subject,
                "explanation": body.explanation,
                "evidence": list(body.evidence),
            }
            yield _row(participant, recorded, body, found, assessed.get(recorded.position))
    for noted in participant.oversight.deviations:
        said = {
            "rule": None,
            "subject": None,
            "explanation": None,
            "evidence": list(noted.cited),
        }
        yield _row(participant, noted.recorded, noted.body, said, assessed.get(noted.position))


def _assessed(participant: Participant) -> dict[int, Noted[DeviationAssessed]]:
    """The last judgement of each deviation, by the deviation's position."""
    return {
        noted.body.deviation: noted
        for noted in participant.oversight.assessed
        if noted.body.deviation is not None
    }


def _row(
    participant: Participant,
    recorded: Recorded,
    body: DeviationDetected | DeviationRecorded,
    about: dict[str, Any],
    assessed: Noted[DeviationAssessed] | None,
) -> Row:
    standing = body if assessed is None else assessed.body
    return Row(
        participant=participant.id,
        key=_key(recorded, body),
        columns={
            "site": participant.site,
            "position": recorded.position,
            "category": standing.category,
            "importance": standing.importance,
        },
        item={
            "position": recorded.position,
            **about,
            "category": standing.category,
            "importance": standing.importance,
            "detected": isinstance(body, DeviationDetected),
            "occurred_at": recorded.occurred_at.text,
            "recorded_at": instant_text(recorded.recorded_at),
            "protocol": recorded.protocol,
            "assessment": None if assessed is None else _assessment(assessed),
        },
    )


def _key(recorded: Recorded, body: DeviationDetected | DeviationRecorded) -> str:
    """The deviation's place. What the log does not have (it is concluded anew, of a part of the
    history) stands where its evidence does, maybe beside others, and is told apart by its rule."""
    place = f"{recorded.position:0{POSITION_DIGITS}}"
    if isinstance(body, DeviationDetected) and recorded.cause == recorded.position:
        return f"{place}/{body.rule}/{body.subject or ''}"
    return place


def _assessment(assessed: Noted[DeviationAssessed]) -> dict[str, Any]:
    return {
        "position": assessed.position,
        "category": assessed.body.category,
        "importance": assessed.body.importance,
        "by": {"id": assessed.recorded.actor.id, "role": assessed.recorded.actor.role},
        "at": assessed.when.text,
    }


VIEW = View(
    name="deviations",
    version=1,
    columns=("site", "position", "category", "importance"),
    rows=rows,
    basis=beside_results,
)
