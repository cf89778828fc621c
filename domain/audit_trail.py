"""The audit trail: what was said, what it says since, who changed it, when and why.

Whoever reads a record must see its changes beside the first entry, and the reason for each
(ICH E6(R3) 4.2.2, 21 CFR 11.10(e)). The log keeps every word; this tells them fact by fact.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from domain.journey.oversight import Corrected, Retracted
from domain.kernel import Recorded
from domain.participant import Reading, reading

How = Literal["corrected", "retracted", "restored"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a fact or decision said, and what it says since."""

    subject: Recorded
    """The event as it was recorded first."""
    how: How
    field: str
    """A JSON pointer into the recorded event; the whole of it is the empty one."""
    was: Any
    """None: nothing stood there, or the event was taken back."""
    now: Any
    by: Recorded
    """The correction or retraction."""


def changes(history: Iterable[Recorded]) -> Iterator[Change]:
    """Every change in the order of the log, each with the field that it is about.

    A correction of a correction, and whatever else changes how an event reads, is told as a change
    of that event. One that leaves it reading as before changes nothing and is not told.
    """
    subjects: dict[int, int] = {}
    """Position of an event -> that of the event which it is about in the end."""
    words: dict[int, list[Recorded]] = {}
    """Position of an event -> itself and what was said about it since."""
    for recorded in history:
        if not isinstance(recorded.body, Corrected | Retracted):
            subjects[recorded.position] = recorded.position
            words[recorded.position] = [recorded]
            continue
        subject = subjects.get(recorded.body.position)
        if subject is None:
            continue
        subjects[recorded.position] = subject
        said = words[subject]
        before = _read(said, subject)
        said.append(recorded)
        yield from _changed(said[0], before, _read(said, subject), recorded)


def said(recorded: Recorded) -> dict[str, Any]:
    """What an event says: when it happened and its data, protected values sealed."""
    data = recorded.body.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    return {"occurred_at": recorded.occurred_at.text, "data": data}


def now_reads(read: Reading, position: int) -> dict[str, Any]:
    """How an event reads since it was corrected or taken back; nothing where it was not."""
    by = read.retracted.get(position)
    if by is not None:
        return {"retracted_by": by, "now": None}
    recorded = read.events.get(position)
    if recorded is None or recorded.corrected_by is None:
        return {}
    return {"corrected_by": recorded.corrected_by, "now": said(recorded)}


def _read(words: list[Recorded], position: int) -> dict[str, Any] | None:
    found = reading(words)
    return None if position in found.retracted else said(found.events[position])


def _changed(
    subject: Recorded, before: dict[str, Any] | None, after: dict[str, Any] | None, by: Recorded
) -> Iterator[Change]:
    if before is None or after is None:
        if before != after:
            how: How = "retracted" if after is None else "restored"
            yield Change(subject, how, "", before, after, by)
        return
    if before["occurred_at"] != after["occurred_at"]:
        was, now = before["occurred_at"], after["occurred_at"]
        yield Change(subject, "corrected", "/occurred_at", was, now, by)
    mine, others = _members(before), _members(after)
    for name in sorted(mine.keys() | others.keys()):
        if mine.get(name) != others.get(name):
            field = "/data/" + name.replace("~", "~0").replace("/", "~1")
            yield Change(subject, "corrected", field, mine.get(name), others.get(name), by)


def _members(says: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = says["data"]
    return found
