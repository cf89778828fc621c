"""The auditor's replay: a participant's whole state after a version, the state before, what changed
and why.

Only what was recorded up to that version is read, and time is the time of recording: whoever
replays a version at whatever moment gets the same document, to the byte (`canonical`).
"""

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson

from domain.kernel import Noted, Recorded
from domain.participant import Participant, evolve
from domain.participant import replay as folded
from domain.planned import PlannedVisit
from domain.schedule import schedule
from domain.stage import stage
from domain.trial.study import Trial
from infra.ledger.types import STUDY_STREAM, Stored
from services.replay_why import Document, says, why
from services.state import HotState, NotFound, recorded

CHAPTERS = (
    "referral",
    "consent",
    "screening",
    "eligibility",
    "treatment",
    "visits",
    "safety",
    "closure",
    "oversight",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the states: a JSON pointer, and what stands there before and after.

    Facts in a list are named by their position in the log, conclusions by what they are about.
    """

    path: str
    before: Any = None
    after: Any = None

    def document(self) -> Document:
        """As the API shows it; null where nothing stood."""
        return {"path": self.path, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class Replay:
    """One version of a participant's history, replayed."""

    study: str
    event: Document
    state: Document
    before: Document | None
    """None before the first version."""
    changes: tuple[Change, ...]
    why: Document

    def document(self) -> Document:
        """As the API answers it."""
        return {
            "study": self.study,
            "participant": self.event["participant"],
            "version": self.event["version"],
            "position": self.event["position"],
            "event": self.event,
            "before": self.before,
            "state": self.state,
            "changes": [change.document() for change in self.changes],
            "why": self.why,
        }


def replay(hot: HotState, study: str, participant: str, version: int) -> Replay:
    """Replay one version. NotFound when there is no such study, participant or version."""
    history = hot.history(study, participant)
    if not history:
        raise NotFound("participant")
    if not 1 <= version <= len(history):
        raise NotFound("version")
    events = [recorded(stored) for stored in history]
    event = events[version - 1]
    before = folded(participant, events[: version - 1])
    trial = hot.trial_as_of(study, event.position)
    return _replayed(trial, before, evolve(before, event), history[version - 1], events)


def replay_all(hot: HotState, study: str, participant: str) -> Iterator[Replay]:
    """Every version in order; NotFound."""
    history = hot.history(study, participant)
    if not history:
        raise NotFound("participant")
    events = [recorded(stored) for stored in history]
    changed_at = [stored.position for stored in hot.history(study, STUDY_STREAM)]
    before, told, trial = Participant(participant), -1, Trial(study)
    for stored, event in zip(history, events, strict=True):
        if (count := bisect(changed_at, event.position)) != told:
            told, trial = count, hot.trial_as_of(study, event.position)
        after = evolve(before, event)
        yield _replayed(trial, before, after, stored, events)
        before = after


def _replayed(
    trial: Trial,
    before: Participant,
    after: Participant,
    stored: Stored,
    events: Sequence[Recorded],
) -> Replay:
    """Both states under the study as it stood when the event was recorded."""
    event = events[stored.version - 1]
    state = state_of(trial, after, event)
    earlier = state_of(trial, before, event) if before.version else None
    led_to = [one for one in events[stored.version :] if one.cause == stored.position]
    return Replay(
        study=trial.study,
        event=_envelope(stored),
        state=state,
        before=earlier,
        changes=tuple(_changes("", earlier or {}, state)),
        why=why(trial, before, after, event, led_to),
    )


# --- state ----------------------------------------------------------------------------------------


def state_of(trial: Trial, participant: Participant, at: Recorded) -> Document:
    """The whole state as plain data: facts as they now read, and what is concluded from them."""
    return {
        "stage": stage(trial, participant, at.recorded_at),
        "site": participant.site,
        "protocol": trial.version_for(participant),
        "consent": participant.consent.status(trial.zone(participant.site)),
        "calendar": {one.subject: _planned(one) for one in schedule(trial, participant)},
        "facts": {
            chapter: found
            for chapter in CHAPTERS
            if (found := _facts(getattr(participant, chapter)))
        },
        "conclusions": {
            "/".join(part for part in key if part): _concluded(one)
            for key, one in sorted(participant.concluded.items())
        },
    }


def _planned(one: PlannedVisit) -> Document:
    """A visit of the calendar: its window, what became of it, and why; no state of the moment."""
    days = {"earliest": one.earliest, "target": one.target, "latest": one.latest}
    return {
        **{name: day.isoformat() for name, day in days.items() if day is not None},
        **({"completed_on": one.completed_on} if one.held is not None else {}),
        "why": one.why,
    }


def _facts(chapter: Any) -> dict[str, list[Document]]:
    """What a chapter remembers, each kind in the order of effective time."""
    kept = {one.name: getattr(chapter, one.name) for one in fields(chapter)}
    return {name: [_fact(noted) for noted in facts] for name, facts in kept.items() if facts}


def _fact(noted: Noted[Any]) -> Document:
    found = {"position": noted.position, **says(noted.recorded)}
    by = noted.recorded.corrected_by
    return found if by is None else {**found, "corrected_by": by}


def _concluded(one: Recorded) -> Document:
    body = one.body.model_dump(mode="json", exclude_none=True)
    return {"position": one.position, **body}


def _envelope(stored: Stored) -> Document:
    """The recorded event as the ledger has it."""
    found: Document = orjson.loads(stored.body)
    return {**found, "hash": stored.hash}


# --- changes --------------------------------------------------------------------------------------


def _changes(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    mine, others = _named(before), _named(after)
    if mine is None or others is None:
        yield Change(path, before, after)
        return
    for name in [*others, *(name for name in mine if name not in others)]:
        place = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in mine:
            yield from _appeared(place, others[name])
        elif name not in others:
            yield Change(place, before=mine[name])
        else:
            yield from _changes(place, mine[name], others[name])


def _appeared(path: str, after: Any) -> Iterator[Change]:
    """What is new: containers are opened, so that each fact or conclusion is one change."""
    named = _named(after)
    if named is None or "position" in named:
        yield Change(path, after=after)
        return
    for name, part in named.items():
        yield from _appeared(f"{path}/{name.replace('~', '~0').replace('/', '~1')}", part)


def _named(value: Any) -> Mapping[str, Any] | None:
    """The parts of a container by name; None for what has no parts of its own."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and all(map(_placed, value)):
        return {str(one["position"]): one for one in value}
    return None


def _placed(value: Any) -> bool:
    return isinstance(value, dict) and "position" in value
