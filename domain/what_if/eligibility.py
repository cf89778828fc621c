"""Verdicts under two readings, what the investigator confirmed, and the stage of the journey."""

from collections.abc import Iterator
from typing import NamedTuple

from domain.eligibility.evaluate import Outcome
from domain.journey.eligibility import confirmation_problem
from domain.what_if.reading import Change, Facts, Told, merged, names

KINDS = (
    *("now_eligible", "now_ineligible", "now_pending"),
    *("other_reasons", "confirmation_stale"),
)


class _Criterion(NamedTuple):
    """One criterion in both readings; None where it is not asked."""

    id: str
    one: Outcome | None
    other: Outcome | None


def changes(before: Told, after: Told) -> Iterator[Change]:
    """What differs of the verdict, its reasons, its confirmation and the stage."""
    yield from _verdict(before, after)
    if before.confirmed and not after.confirmed:
        yield _stale(before, after)
    if before.stage != after.stage:
        yield Change(
            part="stages",
            kind="changed",
            what="stage",
            why=f"{before.stage} becomes {after.stage}",
            today={"stage": before.stage},
            what_if={"stage": after.stage},
        )


def _verdict(before: Told, after: Told) -> Iterator[Change]:
    """The verdict, or outcomes that differ under the same one. A wording alone is not told."""
    differing = [
        _Criterion(name, one, other)
        for name in names(before.outcomes, after.outcomes)
        if _outcome(one := before.outcomes.get(name)) != _outcome(other := after.outcomes.get(name))
    ]
    moved = before.verdict != after.verdict
    if not (differing or moved):
        return
    both = (found for each in differing for found in (each.one, each.other))
    yield Change(
        part="eligibility",
        kind=f"now_{after.verdict}" if moved else "other_reasons",
        what=f"{before.verdict} becomes {after.verdict}" if moved else after.verdict,
        why="; ".join(map(_words, differing)),
        today=_said(before),
        what_if=_said(after),
        evidence=merged(one.evidence for one in both if one is not None),
        more={"criteria": [_criterion(one) for one in differing]},
    )


def _stale(before: Told, after: Told) -> Change:
    reading = after.reading
    blocked = confirmation_problem(reading.trial, reading.participant, reading.now)
    if blocked is None:
        why = "it has served, or the journey has ended"
    elif before.judged_by != after.judged_by:
        why = f"what was confirmed is the verdict under protocol {before.judged_by}"
    else:
        why = blocked.detail
    return Change(
        part="eligibility",
        kind="confirmation_stale",
        what="eligibility-confirmed",
        why=why,
        today=_said(before),
        what_if=_said(after),
        evidence=merged(one.cited for one in before.reading.participant.eligibility.confirmed[-1:]),
    )


def _outcome(one: Outcome | None) -> str | None:
    return None if one is None else one.outcome


def _said(told: Told) -> Facts:
    return {"verdict": told.verdict, "protocol": told.judged_by}


def _words(criterion: _Criterion) -> str:
    name, one, other = criterion
    if other is None:
        return f"{name} is not asked"
    was = "is new and" if one is None else f"{one.outcome} becomes"
    return f"{name} {was} {other.outcome}: {other.explanation}"


def _criterion(criterion: _Criterion) -> Facts:
    asked = criterion.other or criterion.one
    return {
        "id": criterion.id,
        "kind": None if asked is None else asked.kind,
        "today": _shown(criterion.one),
        "what_if": _shown(criterion.other),
    }


def _shown(one: Outcome | None) -> Facts | None:
    if one is None:
        return None
    return {
        "outcome": one.outcome,
        "explanation": one.explanation,
        "evidence": list(one.evidence),
        "missing": list(one.missing),
    }
