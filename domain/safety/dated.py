"""What of an adverse event was true by a moment: what is said of it counts from its own dates.

The event is true from its onset, its end and its final outcome from the end, a death that it led to
from the death. What has no date of its own counts from the onset where the first report says it,
else from when the later report occurred. An onset or an end that was said anew later on stands in
for the earlier word; an event that was reopened was over until then.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from domain.kernel import Noted, Recorded
from domain.safety.events import AdverseEventReported, AdverseEventUpdated
from domain.time import Horizon, When

_GOES_ON = ("recovering", "not-recovered")
"""Outcomes that end nothing."""

Told = tuple[Recorded, AdverseEventReported | AdverseEventUpdated | None, bool]
"""A report as recorded, what of it was true, if anything, and whether a date leaves it unsure."""

_Said = AdverseEventReported | AdverseEventUpdated


def told(history: Iterable[Recorded], horizon: Horizon, died: When | None) -> Iterator[Told]:
    """Every report and update of a history (corrections applied) as it was true by the moment.

    `died` is when the participant died, for what says that an event led to it.
    """
    events: dict[str, list[Noted[_Said]]] = {}
    for recorded in history:
        body = recorded.body
        if isinstance(body, AdverseEventReported | AdverseEventUpdated):
            events.setdefault(body.ae, []).append(Noted(body, recorded))
    for said in events.values():
        yield from _of_one(_in_order(said), horizon, died)


def _in_order(said: list[Noted[_Said]]) -> list[Noted[_Said]]:
    """The first report, then whatever else was said, in effective time."""
    ordered = sorted(said, key=Noted.rank)
    first = next((one for one in ordered if isinstance(one.body, AdverseEventReported)), None)
    return ordered if first is None else [first, *(one for one in ordered if one is not first)]


def _of_one(said: Sequence[Noted[_Said]], horizon: Horizon, died: When | None) -> Iterator[Told]:
    onset = next((one.body.onset for one in reversed(said) if one.body.onset is not None), None)
    ends, latest = _ends(said), _latest_onset(said, horizon)
    for number, one in enumerate(said):
        if onset is not None and not horizon.begun(onset):
            yield one.recorded, None, False
            continue
        begins = onset if number == 0 and onset is not None else one.when
        anew = one.body.onset is not None and number >= latest
        changes = {"onset": onset} if anew else {}
        body = one.body.model_copy(update={**changes, "end": ends[number]})
        part, unsure = _part(body, begins, one, horizon, died)
        first = number == 0 and onset is not None and horizon.unsure(onset)
        yield one.recorded, part, part is not None and (unsure or first)


def _latest_onset(said: Sequence[Noted[_Said]], horizon: Horizon) -> int:
    """Which of them had said the onset last by the moment: there a later word stands in for it.

    Those before it read as they were said, because clocks began by what was said then.
    """
    by_then = (
        number
        for number, one in enumerate(said)
        if one.body.onset is not None and (number == 0 or horizon.begun(one.when))
    )
    return max(by_then, default=0)


def _ends(said: Sequence[Noted[_Said]]) -> list[When | None]:
    """The end that each of them says, as it was said last: up to where the event was reopened."""
    found: list[When | None] = []
    last: When | None = None
    for one in reversed(said):
        body = one.body
        if body.end is None and body.outcome in ("recovering", "not-recovered"):
            last = None
        if body.end is not None:
            last = last or body.end
            found.append(last)
        else:
            found.append(None)
    return found[::-1]


def _part(
    body: _Said, begins: When, said: Noted[_Said], horizon: Horizon, died: When | None
) -> tuple[_Said | None, bool]:
    """What of a report was true, and whether a date leaves that unsure."""
    gone: dict[str, Any] = {}
    unsure = False
    settled = body.end or getattr(body, "aware_at", None) or said.when
    ended = horizon.over(settled)
    fatal = _fatal(body)
    if fatal:
        death = body.end or died or settled
        ended = horizon.begun(death)
        unsure = horizon.unsure(death)
        gone = {} if ended else fatal
    elif body.end is not None:
        unsure = horizon.unsure(body.end)
    final = body.outcome is not None and body.outcome not in _GOES_ON
    if not ended:
        gone = {**gone, "end": None, **({"outcome": None} if final else {})}
    if horizon.begun(begins):
        return body.model_copy(update=gone), unsure or horizon.unsure(begins)
    if not ended or (body.end is None and not fatal):
        return None, False
    # It was told later, but what ended then had ended.
    return _ending(body, fatal), unsure


def _fatal(body: _Said) -> dict[str, Any]:
    """The fields that say that it led to death, as they read before it did."""
    before: dict[str, Any] = {}
    if body.grade == 5:
        before["grade"] = None
    if body.outcome == "fatal":
        before["outcome"] = None
    if body.seriousness is not None and "death" in body.seriousness:
        others = tuple(one for one in body.seriousness if one != "death")
        before["seriousness"] = others or None
    if before and body.serious and not before.get("seriousness", body.seriousness):
        # Nothing else makes it serious.
        before["serious"] = None
    return before


def _ending(body: _Said, fatal: dict[str, Any]) -> _Said:
    """The end and the outcome of it alone, and what says that it led to death."""
    kept = {"type", "ae", "term", "onset", "aware_at", "end", "outcome", *fatal}
    gone = dict.fromkeys(type(body).model_fields.keys() - kept)
    if isinstance(body, AdverseEventUpdated):
        gone |= {"term": None, "onset": None}
    return body.model_copy(update=gone)
