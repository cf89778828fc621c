"""Closure: how a journey ends, and what may still reopen it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import BeforeValidator, Field

from domain.kernel import (
    Code,
    Conclusion,
    Decision,
    Fact,
    Noted,
    Proposed,
    Recorded,
    Refused,
    joined,
)
from domain.making import changing
from domain.time import PartialDate

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial

# --- events: what can happen ----------------------------------------------------------------------


def _submission_value(value: object) -> object:
    """CDISC writes the terms in capitals (`ADVERSE EVENT`); here they are kebab-case."""
    return value.lower().replace(" ", "-") if isinstance(value, str) and value.isupper() else value


NonCompletion = Annotated[
    Literal[
        "adverse-event",
        "death",
        "lack-of-efficacy",
        "lost-to-follow-up",
        "non-compliance-with-study-drug",
        "other",
        "physician-decision",
        "pregnancy",
        "progressive-disease",
        "protocol-deviation",
        "protocol-violation",
        "recovery",
        "screen-failure",
        "site-terminated-by-sponsor",
        "study-terminated-by-sponsor",
        "technical-problems",
        "withdrawal-by-parent/guardian",
        "withdrawal-by-subject",
    ],
    BeforeValidator(_submission_value),
]
"""CDISC controlled terminology C66727, completion/reason for non-completion."""


class Discontinued(Fact):
    """The participant left the study early."""

    type: Literal["discontinued"] = "discontinued"
    cause: NonCompletion


class LostToFollowUp(Decision):
    """Nobody could reach the participant any more."""

    type: Literal["lost-to-follow-up"] = "lost-to-follow-up"
    attempts: Annotated[int, Field(ge=1, le=1000)]


class Recontacted(Fact):
    """A participant who was lost was reached again."""

    type: Literal["recontacted"] = "recontacted"


class Died(Fact):
    """The participant died."""

    type: Literal["died"] = "died"
    on: PartialDate
    cause: Code | None = None


class Completed(Decision):
    """The participant finished the study as planned."""

    type: Literal["completed"] = "completed"


ClosureEvent = Discontinued | LostToFollowUp | Recontacted | Died | Completed

# --- state: what we remember ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Closure:
    """Endings and returns, in effective time."""

    discontinued: tuple[Noted[Discontinued], ...] = ()
    lost: tuple[Noted[LostToFollowUp], ...] = ()
    recontacted: tuple[Noted[Recontacted], ...] = ()
    died: tuple[Noted[Died], ...] = ()
    completed: tuple[Noted[Completed], ...] = ()

    @property
    def standing_loss(self) -> Noted[LostToFollowUp] | None:
        """The last loss that no later contact ended."""
        if not self.lost:
            return None
        last = self.lost[-1]
        found = any(again.after(last) for again in self.recontacted)
        return None if found else last


# --- check: what is refused -----------------------------------------------------------------------


def check(trial: "Trial", participant: "Participant", proposed: Proposed) -> None:
    """Endings that are reported are facts; those that the site declares follow their order."""
    body = proposed.body
    assert isinstance(body, ClosureEvent)
    match body:
        case Discontinued() | Recontacted() | Died():
            return
        case LostToFollowUp():
            _may_be_lost(trial, participant, body)
        case Completed():
            _may_complete(trial, participant)
        case _:
            assert_never(body)


def _may_be_lost(trial: "Trial", participant: "Participant", body: LostToFollowUp) -> None:
    ended = participant.ended()
    if ended is not None:
        raise Refused("terminal", "the participant's journey has ended", ended.cited)
    least = trial.protocol_of(participant).settings.contact_attempts_min
    if body.attempts < least:
        raise Refused("attempts", f"at least {least} documented attempts come first")


def _may_complete(trial: "Trial", participant: "Participant") -> None:
    ended = participant.ended()
    if ended is not None:
        raise Refused("terminal", "the participant's journey has ended", ended.cited)
    if not participant.treatment.dosed:
        raise Refused("not-dosed", "only a dosed participant completes the study")
    last = trial.protocol_of(participant).end_visit
    if last is None or participant.visits.closed(last.code):
        return
    if ("lapsed", last.code) not in participant.concluded:
        raise Refused("order", f"the last visit ({last.code}) is neither completed nor missed")


# --- evolve: how memory changes -------------------------------------------------------------------

_changed = changing(Closure)


def evolve(closure: Closure, recorded: Recorded) -> Closure:
    """Remember one more event of this chapter; no rule lives here."""
    body = recorded.body
    assert isinstance(body, ClosureEvent)
    match body:
        case Discontinued():
            return _changed(closure, discontinued=joined(closure.discontinued, body, recorded))
        case LostToFollowUp():
            return _changed(closure, lost=joined(closure.lost, body, recorded))
        case Recontacted():
            return _changed(closure, recontacted=joined(closure.recontacted, body, recorded))
        case Died():
            return _changed(closure, died=joined(closure.died, body, recorded))
        case Completed():
            return _changed(closure, completed=joined(closure.completed, body, recorded))
        case _:
            assert_never(body)


# --- conclude: what follows -----------------------------------------------------------------------


def conclude(
    _trial: "Trial", _participant: "Participant", _now: datetime
) -> tuple[Conclusion, ...]:
    """A death that contradicts other facts is found in the chapter of safety."""
    return ()
