"""Contradictions: reports that cannot both be right. They are shown, never resolved by guessing."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from domain.kernel import Noted
from domain.safety.adverse_event import AdverseEvent, Life
from domain.safety.events import ContradictionFound, ContradictionName

if TYPE_CHECKING:
    from domain.journey.closure import Died


def contradictions(
    lives: Mapping[str, Life], died: tuple[Noted["Died"], ...], zone: ZoneInfo
) -> Iterator[ContradictionFound]:
    """Every contradiction inside the events, and between them and a reported death."""
    for life in lives.values():
        for because, explanation in _within(life.event, zone):
            yield ContradictionFound(
                ae=life.event.ae, because=because, explanation=explanation, evidence=life.cited
            )
    if died:
        yield from _about_death(lives, died[0])


def _within(event: AdverseEvent, zone: ZoneInfo) -> Iterator[tuple[ContradictionName, str]]:
    derived = [reason for reason in event.because if reason != "reported"]
    if derived and event.serious_reported is False:
        what = ", ".join(derived)
        yield "serious-not-flagged", f"it is serious ({what}) and reported as not serious"
    if event.grade == 5 and event.outcome != "fatal":
        outcome = event.outcome or "not reported"
        yield "grade-5-not-fatal", f"grade 5 is death, and the outcome is {outcome}"
    if event.end is not None and event.end.before(event.onset, zone):
        yield "end-before-onset", f"it ends on {event.end}, before its onset on {event.onset}"


def _about_death(lives: Mapping[str, Life], died: Noted["Died"]) -> Iterator[ContradictionFound]:
    fatal = [life for life in lives.values() if life.event.fatal]
    if not fatal:
        yield ContradictionFound(
            because="death-without-fatal-event",
            explanation="the participant died, and no adverse event is fatal",
            evidence=died.cited,
        )
    on = died.body.on
    for life in fatal:
        end = life.event.end
        if end is None or _overlap((on.first, on.last), (end.first, end.last)):
            continue
        yield ContradictionFound(
            ae=life.event.ae,
            because="death-date-differs",
            explanation=f"the fatal event ends on {end}, and the death was on {on}",
            evidence=tuple(sorted({*life.cited, *died.cited})),
        )


def _overlap(one: tuple[date, date], other: tuple[date, date]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
