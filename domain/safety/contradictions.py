"""Contradictions: reports that cannot both be right. They are shown, never resolved by guessing.

Each names what stands against what, and the events that say so.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from domain.kernel import Noted
from domain.safety.adverse_event import Life
from domain.safety.events import ContradictionFound, ContradictionName, Side

if TYPE_CHECKING:
    from domain.journey.closure import Died


def contradictions(
    lives: Mapping[str, Life], died: tuple[Noted["Died"], ...], zone: ZoneInfo
) -> Iterator[ContradictionFound]:
    """Every contradiction inside the events, and between them and a reported death."""
    for life in lives.values():
        yield from _within(life, zone)
    if died:
        yield from _about_death(lives, died[0])


def _within(life: Life, zone: ZoneInfo) -> Iterator[ContradictionFound]:
    event = life.event
    derived = [reason for reason in event.because if reason != "reported"]
    if derived and event.serious_reported is False:
        what = ", ".join(derived)
        yield _found(
            life.event.ae,
            "serious-not-flagged",
            f"it is serious ({what}) and reported as not serious",
            _side(life, f"it is serious: {what}", *_reasons(life)),
            _side(life, "it is not serious", "serious_reported"),
        )
    if event.grade == 5 and event.outcome != "fatal":
        outcome = event.outcome or "not reported"
        yield _found(
            event.ae,
            "grade-5-not-fatal",
            f"grade 5 is death, and the outcome is {outcome}",
            _side(life, "grade 5", "grade"),
            _side(life, f"outcome {outcome}", "outcome"),
        )
    yield from _fatal_or_not(life)
    if event.end is not None and event.end.before(event.onset, zone):
        yield _found(
            event.ae,
            "end-before-onset",
            f"it ends on {event.end}, before its onset on {event.onset}",
            _side(life, f"it ends on {event.end}", "end"),
            _side(life, f"it begins on {event.onset}", "onset"),
        )


def _fatal_or_not(life: Life) -> Iterator[ContradictionFound]:
    """Grade 5, the fatal outcome and the criterion of death are one thing said in three ways."""
    event = life.event
    if event.outcome == "fatal" and event.grade not in (None, 5):
        yield _found(
            event.ae,
            "fatal-not-grade-5",
            f"the outcome is fatal, and the grade is {event.grade}",
            _side(life, "outcome fatal", "outcome"),
            _side(life, f"grade {event.grade}", "grade"),
        )
    if "death" in event.seriousness and event.outcome not in (None, "fatal"):
        yield _found(
            event.ae,
            "death-criterion-not-fatal",
            f"it is serious by death, and the outcome is {event.outcome}",
            _side(life, "serious by death", "seriousness"),
            _side(life, f"outcome {event.outcome}", "outcome"),
        )


def _about_death(lives: Mapping[str, Life], died: Noted["Died"]) -> Iterator[ContradictionFound]:
    fatal = [life for life in lives.values() if life.event.fatal]
    on = died.body.on
    death = Side(said=f"the participant died on {on}", evidence=died.cited)
    if not fatal:
        others = tuple(sorted({p for life in lives.values() for p in life.cited}))
        yield ContradictionFound(
            because="death-without-fatal-event",
            explanation="the participant died, and no adverse event is fatal",
            sides=(death, Side(said="no adverse event is fatal", evidence=others)),
            evidence=died.cited,
        )
    for life in fatal:
        end = life.event.end
        if end is None or _overlap((on.first, on.last), (end.first, end.last)):
            continue
        yield _found(
            life.event.ae,
            "death-date-differs",
            f"the fatal event ends on {end}, and the death was on {on}",
            _side(life, f"the fatal event ends on {end}", "end", *_fatal(life)),
            death,
        )


def _found(
    ae: str, because: ContradictionName, explanation: str, *sides: Side
) -> ContradictionFound:
    evidence = tuple(sorted({position for side in sides for position in side.evidence}))
    return ContradictionFound(
        ae=ae, because=because, explanation=explanation, sides=sides, evidence=evidence
    )


def _side(life: Life, said: str, *fields: str) -> Side:
    """Who said it: the events that the fields are from; what nobody said is the first report's."""
    told = life.versions[-1].told
    positions = {p for field in fields for p in told.get(field, life.versions[0].cited)}
    return Side(said=said, evidence=tuple(sorted(positions)))


def _reasons(life: Life) -> Iterator[str]:
    """The fields that make the event serious."""
    event = life.event
    if event.seriousness:
        yield "seriousness"
    if event.outcome == "fatal":
        yield "outcome"
    if event.grade == 5:
        yield "grade"


def _fatal(life: Life) -> Iterator[str]:
    """The fields that make the event fatal."""
    event = life.event
    if event.outcome == "fatal":
        yield "outcome"
    if event.grade == 5:
        yield "grade"
    if "death" in event.seriousness:
        yield "seriousness"


def _overlap(one: tuple[date, date], other: tuple[date, date]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
