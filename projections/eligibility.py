"""Eligibility: one row per criterion, and one with the verdict and the investigator's word."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from domain.eligibility.compiling import Prepared
from domain.eligibility.evaluate import Outcome, ready_for
from domain.eligibility.logic import Applied
from domain.journey.eligibility import confirmation_problem, verdict_of
from domain.journey.screening import screening_date
from domain.participant import Participant
from domain.stage import stage
from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from projections.view import Column, OfParts, Part, Row, Timeline, View, state_at, timeline

VERDICT = "verdict"
"""The key of the participant's own row; criteria come before it in the order of keys."""

ORDER_DIGITS = 4
KEYS_KEPT = 10_000

ON_THE_WAY = ("referred", "prescreening", "consented", "screening", "eligible", "enrolled")
"""Stages before the dose, in which facts for criteria are still to come."""

_LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)
_FAR_AHEAD = datetime(9000, 1, 1, tzinfo=UTC)


def _parts(trial: Trial, participant: Participant) -> Iterator[tuple[str, Part]]:
    """The outcome of each criterion in the protocol's order, and the verdict.

    Outcomes are kept from state to state: most facts leave most of them as they are.
    """
    verdict = verdict_of(trial, participant)
    place = participant.site, trial.zone(participant.site).key, verdict.verdict
    awaited = verdict.verdict == "pending" and (stage(trial, participant, _LONG_AGO) in ON_THE_WAY)
    for index, one in enumerate(verdict.outcomes):
        yield _key(index, one.criterion), (place, awaited and one.outcome == "unknown", one)
    confirmed = _confirmed(trial, participant)
    yield VERDICT, (place, verdict.protocol, confirmed)


@lru_cache(maxsize=KEYS_KEPT)
def _key(index: int, criterion: str) -> str:
    return f"criterion/{index:0{ORDER_DIGITS}}/{criterion}"


def _made(participant: str, key: str, part: Part) -> Row:
    (site, zone, verdict), rest, last = cast("tuple[tuple[str, str, str], Any, Any]", part)
    place: dict[str, Column] = {"site": site, "zone": zone, "verdict": verdict}
    if key == VERDICT:
        told = {"participant": participant, "site": site, "protocol": rest, "verdict": verdict}
        place |= {"criterion": None, "outcome": None, "near": False, "awaited": False}
        return Row(participant, key, place, {**told, "confirmed": last})
    one: Outcome = last
    columns = {
        **place,
        "criterion": one.criterion,
        "outcome": one.outcome,
        "near": one.near_threshold,
        "awaited": rest,
    }
    return Row(participant, key, columns, _item(one))


rows = OfParts(_parts, _made)


def _item(one: Outcome) -> dict[str, Any]:
    return {
        "id": one.criterion,
        "kind": one.kind,
        "outcome": one.outcome,
        "explanation": one.explanation,
        "evidence": list(one.evidence),
        "missing": list(one.missing),
        "recheck": one.recheck,
        "near_threshold": one.near_threshold,
        "applicable": one.applicable,
        "notes": list(one.notes),
        "windows": [_window(window) for window in one.windows],
    }


def _window(applied: Applied) -> dict[str, str | None]:
    """The days of a window, both included; null is without end on that side, or not planned."""
    return {
        "anchor": applied.anchor,
        "on": _text(applied.on),
        "first": _text(applied.first),
        "last": _text(applied.last),
    }


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def awaited(row: Row) -> dict[str, Any]:
    """One line of what is missing: whose criterion waits for which facts."""
    item = row.item
    return {
        "participant": row.participant,
        "site": row.columns["site"],
        "criterion": item["id"],
        "kind": item["kind"],
        "missing": list(item["missing"]),
        "explanation": item["explanation"],
    }


def shown(rows_of_one: Sequence[Row], protocol: Protocol, day: date) -> dict[str, Any]:
    """One participant's eligibility as it reads on a civil day at the site.

    The criteria's wording stands in the protocol that they were judged by, not in every row.
    """
    prepared = {one.criterion.id: one for one in ready_for(protocol).criteria}
    head = next(row for row in rows_of_one if row.key == VERDICT).item
    confirmed = head["confirmed"]
    if confirmed is not None:
        confirmed = {**confirmed, "status": state_at(confirmed["status"], day)}
    return {
        **head,
        "confirmed": confirmed,
        "criteria": [
            _criterion(row.item, prepared.get(row.item["id"]))
            for row in rows_of_one
            if row.key != VERDICT
        ],
    }


def _criterion(item: Mapping[str, Any], prepared: Prepared | None) -> dict[str, Any]:
    text, rule_hash = (
        ("", "") if prepared is None else (prepared.criterion.text, prepared.rule_hash)
    )
    return {"id": item["id"], "kind": item["kind"], "text": text, **item, "rule_hash": rule_hash}


def _basis(trial: Trial, participant: Participant) -> tuple[object, ...]:
    """A verdict is the same as long as nothing that a criterion reads has changed: what happens
    after screening leaves the rows as they are. Beside it: where the participant is cared for, the
    stage, and what a confirmation and its standing rest on."""
    screening = participant.screening
    return (
        trial.protocols,
        trial.activated,
        trial.sites,
        verdict_of(trial, participant),
        participant.referral,
        participant.consent,
        screening.started,
        screening.failed,
        screening.reopened,
        participant.eligibility,
        participant.treatment,
        participant.closure,
        participant.oversight,
    )


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
    version=2,
    columns=("site", "zone", "verdict", "criterion", "outcome", "near", "awaited"),
    rows=rows,
    basis=_basis,
)
