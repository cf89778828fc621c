"""Deviations, reporting clocks, what is safety-relevant and what must be signed anew."""

from collections.abc import Iterator
from datetime import datetime

from domain.journey.oversight import DeviationDetected
from domain.kernel import Conclusion
from domain.safety.clocks import Run
from domain.safety.events import (
    ContradictionFound,
    DoseLimitingToxicityIdentified,
    SeriousAdverseEventIdentified,
)
from domain.time import When
from domain.what_if.reading import Change, Facts, Told, merged, names

_SAFETY = (SeriousAdverseEventIdentified, DoseLimitingToxicityIdentified, ContradictionFound)


def changes(before: Told, after: Told) -> Iterator[Change]:
    """What differs of all these, part by part."""
    yield from _conclusions("deviations", (DeviationDetected,), before, after)
    yield from _clocks(before, after)
    yield from _conclusions("safety", _SAFETY, before, after)
    yield from _reconsents(before, after)


# --- conclusions ----------------------------------------------------------------------------------


def _conclusions(
    part: str, kinds: tuple[type[Conclusion], ...], before: Told, after: Told
) -> Iterator[Change]:
    """Conclusions that appear, go, or say something else; evidence alone is no difference."""
    mine, others = (
        {key: one for key, one in told.conclusions.items() if isinstance(one, kinds)}
        for told in (before, after)
    )
    for key in names(mine, others):
        one, other = mine.get(key), others.get(key)
        if one is not None and other is not None and one.substance() == other.substance():
            continue
        yield Change(
            part=part,
            kind="new" if one is None else "gone" if other is None else "changed",
            what=" ".join(word for word in key[1:] if word),
            why="what it rests on is not so" if other is None else _words(other),
            today=_data(one),
            what_if=_data(other),
            evidence=merged(found.evidence for found in (one, other) if found is not None),
        )


def _words(one: Conclusion) -> str:
    said = getattr(one, "explanation", None) or getattr(one, "because", "")
    return ", ".join(said) if isinstance(said, tuple) else str(said)


def _data(one: Conclusion | None) -> Facts | None:
    return None if one is None else one.model_dump(mode="json", exclude_none=True)


# --- clocks ---------------------------------------------------------------------------------------


def _clocks(before: Told, after: Told) -> Iterator[Change]:
    now, then = before.reading.now, after.reading.now
    for key in names(before.runs, after.runs):
        one, other = before.runs.get(key), after.runs.get(key)
        kind, why = _differs(one, other, now, then)
        if not why:
            continue
        ae, clock, occasion = key
        yield Change(
            part="clocks",
            kind=kind,
            what=f"{ae} {clock}" if occasion == "1" else f"{ae} {clock}, start {occasion}",
            why=why,
            today=_clock(one, now),
            what_if=_clock(other, then),
            evidence=merged(run.evidence for run in (one, other) if run is not None),
        )


def _differs(one: Run | None, other: Run | None, now: datetime, then: datetime) -> tuple[str, str]:
    """How a clock's run differs, and why; no words where it does not."""
    if other is None:
        return "gone", "nothing starts it"
    if one is None:
        return "new", f"{other.trigger}, due {_text(other.due_at)}"
    found = []
    if one.due_at != other.due_at:
        found.append(f"due {_text(one.due_at)} becomes {_text(other.due_at)}")
    elif one.started_at != other.started_at:
        found.append(f"started {_text(one.started_at)} becomes {_text(other.started_at)}")
    if one.status(now) != other.status(then):
        found.append(f"{one.status(now)} becomes {other.status(then)}")
    if (one.late_by is None) != (other.late_by is None):
        found.append("sent in time" if other.late_by is None else "sent late")
    return "moved", "; ".join(found)


def _clock(run: Run | None, now: datetime) -> Facts | None:
    if run is None:
        return None
    return {
        "ae": run.ae,
        "clock": run.clock,
        "occasion": run.occasion,
        "recipient": run.recipient,
        "started_at": _text(run.started_at),
        "due_at": _text(run.due_at),
        "met_at": None if run.met_at is None else _text(run.met_at),
        "status": run.status(now),
        "late": run.late_by is not None,
    }


def _text(moment: datetime) -> str:
    return When.at(moment).text


# --- consent --------------------------------------------------------------------------------------


def _reconsents(before: Told, after: Told) -> Iterator[Change]:
    """Who would have to sign anew: a form that asks for it, or a protocol that does."""
    due, was = after.reconsent or _asking(before, after), before.reconsent
    if due == was:
        return
    given = after.reading.participant.consent.given[-1:]
    yield Change(
        part="reconsents",
        kind="settled" if due is None else "needed",
        what=due or str(was),
        why=f"{due} asks for a new signature" if due else "nothing asks for a new signature",
        today={"due": was},
        what_if={"due": due},
        evidence=merged(one.cited for one in given),
    )


def _asking(before: Told, after: Told) -> str | None:
    """The draft that asks for a new signature, of somebody who takes part and is not on it yet."""
    reading = after.reading
    if not after.protocol.settings.reconsent or after.protocol == before.protocol:
        return None
    if reading.trial.protocols == before.reading.trial.protocols:
        # No draft: what is in force was signed for, or asks for no signature.
        return None
    takes_part = after.stage in ("consented", "screening", "eligible", "enrolled", "follow-up")
    return f"protocol {after.protocol.version}" if takes_part else None
