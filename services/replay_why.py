"""Why a version is as it is: who or which rule, the windows, what was signed or corrected."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from domain.eligibility.evaluate import evaluate
from domain.journey.eligibility import EligibilityConfirmed, verdict_of
from domain.journey.oversight import Corrected, ProtocolVersionAssigned, Retracted, Signed
from domain.kernel import Conclusion, Event, Recorded
from domain.participant import Participant, effective_history
from domain.schedule import schedule
from domain.trial.study import Trial

Document = dict[str, Any]


def why(
    trial: Trial,
    before: Participant,
    after: Participant,
    event: Recorded,
    led_to: Sequence[Recorded],
) -> Document:
    """What is behind an event, between the participant's states before and after it.

    `led_to` is what was concluded from it, in the same append.
    """
    body = event.body
    told: Document = {
        "kind": body.kind.value,
        "by": {"id": event.actor.id, "role": event.actor.role},
        "reason": event.reason,
        "rule": None,
        "explanation": None,
        "protocol": event.protocol,
        "cause": event.cause,
        "evidence": [],
        "windows": list(_windows(trial, before, after, body)),
        "signature": _signature(trial, before, event),
        "corrects": _corrects(before, after, body),
        "followed_by": [cited(one) for one in led_to],
    }
    if isinstance(body, Conclusion):
        known = {one.position: one for one in (*before.history, *before.concluded.values())}
        told["rule"] = rule_of(body)
        told["explanation"] = _explanation(body)
        told["evidence"] = [
            cited(known[position]) if position in known else {"position": position}
            for position in body.evidence
        ]
    return told


_REACHED = {
    "activated": "the site activated it",
    "consented": "a consent was signed after the site activated it",
    "transferred": "the participant moved to a site that works under it",
}
"""Why a protocol version reached somebody, in words."""


def rule_of(body: Conclusion) -> str:
    """The rule a conclusion rests on: its own name of it, else what it is about."""
    for name in ("rule", "criterion", "clock", "because"):
        found = getattr(body, name, None)
        if isinstance(found, str):
            return found
    return body.type


def _explanation(body: Conclusion) -> str | None:
    if body.cleared:
        return "what was concluded before no longer holds"
    if isinstance(body, ProtocolVersionAssigned):
        why = _REACHED[body.because]
        return f"protocol {body.protocol} instead of {body.previous} from {body.since.text}: {why}"
    found = getattr(body, "explanation", None)
    return found if isinstance(found, str) else None


def cited(one: Recorded) -> Document:
    """An event in a line: enough to find it and to know what it is."""
    told: Document = {
        "position": one.position,
        "version": one.version,
        "type": one.type,
        "occurred_at": one.occurred_at.text,
    }
    return {**told, "rule": rule_of(one.body)} if isinstance(one.body, Conclusion) else told


# --- windows --------------------------------------------------------------------------------------


def _windows(
    trial: Trial, before: Participant, after: Participant, body: Event
) -> Iterator[Document]:
    """The days between which facts counted for a criterion, or a visit was to be held."""
    criterion = getattr(body, "criterion", None)
    if criterion is not None:
        outcomes = evaluate(trial, before).outcomes
        for applied in (
            one for told in outcomes if told.criterion == criterion for one in told.windows
        ):
            yield _window(applied.anchor, applied.on, applied.first, applied.last)
        return
    about = getattr(body, "visit", None) or getattr(body, "subject", None)
    if about is None:
        return
    for one in schedule(trial, after):
        if about in (one.visit, one.subject) and one.earliest is not None:
            told = _window(one.subject, one.target, one.earliest, one.latest)
            yield {**told, "why": one.why}


def _window(anchor: str, on: date | None, first: date | None, last: date | None) -> Document:
    """Both ends included; null is without end on that side, or not known."""
    days = {"on": on, "first": first, "last": last}
    return {
        "anchor": anchor,
        **{name: None if day is None else day.isoformat() for name, day in days.items()},
    }


# --- signatures -----------------------------------------------------------------------------------


def _signature(trial: Trial, before: Participant, event: Recorded) -> Document | None:
    """What a person put their name to, the hash it is bound by, and whether that is what is there:
    the history up to a version, or the verdict that was confirmed."""
    match event.body:
        case Signed() as body:
            last = body.up_to_version
            there = before.chain[last - 1] if last <= len(before.chain) else None
            told: Document = {"binds": "history", "meaning": body.meaning, "up_to_version": last}
            bound = body.signed_hash
        case EligibilityConfirmed() as body:
            there = verdict_of(trial, before).digest()
            told, bound = {"binds": "verdict"}, body.verdict_hash
        case _:
            return None
    return {**told, "hash": bound, "holds": bound == there}


# --- corrections ----------------------------------------------------------------------------------


def _corrects(before: Participant, after: Participant, body: Event) -> Document | None:
    """The event that reads otherwise now, whatever chain of corrections leads to it: what was
    recorded first, what it said until now and what it says now; null: it does not count."""
    if not isinstance(body, Corrected | Retracted):
        return None
    known = {one.position: one for one in before.history}
    target = known.get(body.position)
    while target is not None and isinstance(target.body, Corrected | Retracted):
        target = known.get(target.body.position)
    if target is None:
        return None
    return {
        **cited(target),
        "recorded": says(target),
        "said": _reads(before, target.position),
        "says": _reads(after, target.position),
    }


def _reads(participant: Participant, position: int) -> Document | None:
    effective = effective_history(participant.history)
    return next((says(one) for one in effective if one.position == position), None)


def says(one: Recorded) -> Document:
    """What an event reports: when, and its data."""
    data = one.body.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    return {"occurred_at": one.occurred_at.text, **data}
