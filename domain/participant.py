"""The participant: the chapters' states side by side, folded from the history. Routing only."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar, get_args, get_type_hints
from zoneinfo import ZoneInfo

from domain import catalogue
from domain.journey import (
    closure,
    consent,
    eligibility,
    oversight,
    referral,
    safety,
    screening,
    treatment,
    visits,
)
from domain.journey.closure import Closure
from domain.journey.consent import Consent
from domain.journey.eligibility import Eligibility
from domain.journey.oversight import Corrected, DeviationDetected, Oversight, Retracted
from domain.journey.referral import Referral
from domain.journey.safety import Safety
from domain.journey.screening import Screening
from domain.journey.treatment import Treatment
from domain.journey.visits import Visits
from domain.kernel import STORED, Conclusion, Event, Key, Kind, Noted, Recorded, in_order, joined
from domain.making import changing
from domain.upcasting import CORRECTED_IN, brought

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Participant:
    """One participant's journey, a pure function of the events recorded so far."""

    id: str
    version: int = 0
    position: int = 0
    """The position of the last event recorded for the participant."""
    head: str | None = None
    """Leaf hash (hex) of that event."""
    history: tuple[Recorded, ...] = ()
    """Facts and decisions as recorded, in the log's order; corrections not applied."""
    chain: tuple[str, ...] = ()
    """Leaf hash (hex) of every event recorded for the participant, by version."""
    told_at: datetime | None = None
    """The moment that it tells of, where what came later is left out; None: nothing is."""
    concluded: Mapping[Key, Recorded] = field(default_factory=dict)
    """The conclusions that stand in the log, by key."""
    referral: Referral = field(default_factory=Referral)
    consent: Consent = field(default_factory=Consent)
    screening: Screening = field(default_factory=Screening)
    eligibility: Eligibility = field(default_factory=Eligibility)
    treatment: Treatment = field(default_factory=Treatment)
    visits: Visits = field(default_factory=Visits)
    safety: Safety = field(default_factory=Safety)
    closure: Closure = field(default_factory=Closure)
    oversight: Oversight = field(default_factory=Oversight)
    _computed: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    _derived: dict[str, tuple[tuple[object, ...], Any]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def site(self) -> str | None:
        """Where the participant is cared for: the last transfer, else the last referral."""
        if self.oversight.transferred:
            return self.oversight.transferred[-1].body.site
        return self.referral.referred[-1].body.site if self.referral.referred else None

    @property
    def sites(self) -> set[str]:
        """Every site that cared for the participant, or still does."""
        referred, moved = self.referral.referred, self.oversight.transferred
        return {one.body.site for one in referred} | {one.body.site for one in moved}

    def recorded_at(self, position: int) -> Recorded | None:
        """The fact or decision (or standing conclusion) at a position of the log."""
        for recorded in (*self.history, *self.concluded.values()):
            if recorded.position == position:
                return recorded
        return None

    def subject_at(self, position: int) -> Recorded | None:
        """What a correction of the event at a position is about in the end.

        That is the event itself or, where it is a correction or retraction, the one that it names.
        """
        target = self.recorded_at(position)
        while target is not None and isinstance(target.body, Corrected | Retracted):
            target = self.recorded_at(target.body.position)
        return target

    def detected(self) -> set[int]:
        """Positions of the standing deviations that Cairn detected."""
        standing = self.concluded.values()
        return {one.position for one in standing if isinstance(one.body, DeviationDetected)}

    def lapsed(self) -> frozenset[str]:
        """The visits of which the log says that their window closed without one."""
        return self.derived(
            "lapsed",
            (self.concluded,),
            lambda: self.steady(
                "lapsed visits", frozenset([key[1] for key in self.concluded if key[0] == "lapsed"])
            ),
        )

    def first_dose_cited(self) -> tuple[int, ...]:
        """The evidence that the participant was dosed."""
        return self.treatment.dosed[0].cited if self.treatment.dosed else ()

    def ended(self) -> Noted[Any] | None:
        """What ended the journey, or None while it goes on."""
        if self.closure.died:
            return self.closure.died[0]
        if self.closure.completed:
            return self.closure.completed[0]
        if self.closure.discontinued:
            return self.closure.discontinued[0]
        return self.closure.standing_loss

    def site_at(self, moment: datetime, zone: ZoneInfo) -> str | None:
        """Where the participant was cared for at a moment; dates are the zone's civil days."""
        for moved in reversed(self.oversight.transferred):
            if moved.when.earliest(zone) <= moment:
                return moved.body.site
        referred = self.referral.referred
        known = [one for one in referred if one.when.earliest(zone) <= moment] or referred[:1]
        return known[-1].body.site if known else None

    def over(self, zone: ZoneInfo) -> datetime | None:
        """The last moment of the journey, by the first of what ended it; None while it goes on."""
        closure, dosed = self.closure, bool(self.treatment.dosed)
        if not any(_endings(self)):
            return None
        left = {"visits"} if dosed else {"visits", "treatment"}
        ends = [
            one.when.last_moment(zone)
            for one in (
                *closure.completed[:1],
                *closure.discontinued[:1],
                closure.standing_loss,
                self.consent.withdrawal(left, zone),
                None if dosed else self.screening.failure,
                None if self.referral.open or self.consent.given else self.referral.closed[-1],
            )
            if one is not None
        ]
        ends += [died.body.on.last_moment(zone) for died in closure.died[:1]]
        return min(ends, default=None)

    def once(self, key: object, compute: Callable[[], T]) -> T:
        """A value derived from this state alone, computed at most once for it."""
        if key not in self._computed:
            self._computed[key] = compute()
        found: T = self._computed[key]
        return found

    def derived(self, key: str, inputs: tuple[object, ...], compute: Callable[[], T]) -> T:
        """A value derived from the inputs, kept from state to state while they are the same.

        Inputs are compared by identity: chapters and protocols are never changed, only replaced.
        """
        known = self._derived.get(key)
        if known is not None and all(map(operator.is_, known[0], inputs)):
            found: T = known[1]
            return found
        value = compute()
        # One assignment: another thread that derives the same sees the old entry or this one.
        self._derived[key] = (inputs, value)
        return value

    def here(self, key: str, inputs: tuple[object, ...], compute: Callable[[], T]) -> T:
        """A value derived from this state and the inputs, kept for this state alone: asked for
        often, it is not held against all that it rests on each time."""
        known = self._computed.get(key)
        if known is not None and all(map(operator.is_, known[0], inputs)):
            found: T = known[1]
            return found
        value = compute()
        self._computed[key] = (inputs, value)
        return value

    def steady(self, key: str, value: T) -> T:
        """The value, or the one that was given under the key before where both are equal: what is
        derived from it is then kept."""
        known = self._derived.get(key)
        if known is not None and known[1] == value:
            found: T = known[1]
            return found
        self._derived[key] = ((), value)
        return value


_endings = operator.attrgetter(
    "closure.completed",
    "closure.discontinued",
    "closure.lost",
    "closure.died",
    "consent.withdrawn",
    "screening.failed",
    "referral.closed",
)
"""What may end a journey; of most participants there is none of it."""

_CHAPTERS: tuple[tuple[str, Any, Any], ...] = (
    ("referral", referral, referral.ReferralEvent),
    ("consent", consent, consent.ConsentEvent),
    ("screening", screening, screening.ScreeningEvent),
    ("eligibility", eligibility, eligibility.EligibilityEvent),
    ("treatment", treatment, treatment.TreatmentEvent),
    ("visits", visits, visits.VisitEvent),
    ("safety", safety, safety.SafetyEvent),
    ("closure", closure, closure.ClosureEvent),
    ("oversight", oversight, oversight.OversightEvent),
)

CHAPTERS = tuple(module for _, module, _ in _CHAPTERS)
"""The chapters' modules, each with check, evolve and conclude."""

CHAPTER_OF: dict[type[Event], tuple[str, Any]] = {
    event: (name, module) for name, module, union in _CHAPTERS for event in union.__args__
}


def chapter_of(event: Event) -> Any:
    """The module of the chapter an event belongs to."""
    return CHAPTER_OF[type(event)][1]


def evolve(participant: Participant, recorded: Recorded) -> Participant:
    """The participant after one more event; it never refuses."""
    standing: dict[str, Any] = {
        "version": recorded.version,
        "position": recorded.position,
        "head": recorded.hash or None,
        "chain": (*participant.chain, recorded.hash),
        "_computed": {},
    }
    body = recorded.body
    if isinstance(body, Conclusion):
        concluded = dict(participant.concluded)
        concluded.pop(body.key(), None)
        if not body.cleared:
            concluded[body.key()] = recorded
        standing["concluded"] = concluded
        return _changed(participant, **standing)
    standing["history"] = history = (*participant.history, recorded)
    if body.type in _AMENDING:
        return _changed(participant, **_remembered(effective_history(history)), **standing)
    name, module = CHAPTER_OF[type(body)]
    standing[name] = module.evolve(getattr(participant, name), recorded)
    return _changed(participant, **standing)


_changed = changing(Participant)

_STATES = {name: type(getattr(Participant(""), name)) for name, _, _ in _CHAPTERS}
_CHANGED = {name: changing(state) for name, state in _STATES.items()}
_PARTS: dict[str, tuple[str, str]] = {
    event.model_fields["type"].default: (name, part)
    for name, state in _STATES.items()
    for part, hint in get_type_hints(state).items()
    for noted in get_args(hint)[:1]
    for event in get_args(noted)
}
"""Where a type of event is remembered: the chapter, and the part of its state whose annotation says
`tuple[Noted[<that type>], ...]`."""


_AMENDING = frozenset(("corrected", "retracted"))
"""Types that say how others read; no chapter keeps them."""


def _remembered(effective: Iterable[Recorded]) -> dict[str, Any]:
    """Every chapter's state after a history in which corrections are applied.

    It is what the chapters' `evolve` gives after each of the events, made in one pass: facts of a
    type are gathered first, and put in order of effective time once.
    """
    chapters: dict[str, dict[str, Any]] = {name: {} for name in _STATES}
    for event, alike in _by_type(effective).items():
        if event not in _AMENDING:
            chapter, part = _PARTS[event]
            chapters[chapter][part] = in_order(alike)
    return {name: _STATES[name](**parts) for name, parts in chapters.items()}


def effective_history(history: Iterable[Recorded]) -> list[Recorded]:
    """The history as it reads now: corrections applied, what was retracted left out."""
    read = reading(history)
    return [read.events[position] for position in sorted(read.events.keys() - read.retracted)]


@dataclass(frozen=True, slots=True)
class Reading:
    """A history as it reads now, by position."""

    events: Mapping[int, Recorded]
    """Every event, corrections applied."""
    retracted: Mapping[int, int]
    """What was taken back -> the retraction that stands."""


def reading(history: Iterable[Recorded]) -> Reading:
    """How each event of a history reads now.

    The latest word wins: corrections are read from the newest back, so that a correction that
    was itself corrected or retracted acts as it now reads, or not at all.
    """
    events = {recorded.position: recorded for recorded in history}
    retracted: dict[int, int] = {}
    corrected: set[int] = set()
    for position in sorted(events, reverse=True):
        recorded = events[position]
        body = recorded.body
        if position in retracted or not isinstance(body, Corrected | Retracted):
            continue
        target = body.position
        if target not in events or target in retracted or target in corrected:
            continue
        if isinstance(body, Retracted):
            retracted[target] = position
        else:
            corrected.add(target)
            # A correction that was itself corrected says what the newer one has it say.
            by = recorded.corrected_by or position
            events[target] = as_corrected(events[target], body, by)
    return Reading(events, retracted)


def as_corrected(target: Recorded, correction: Corrected, by: int) -> Recorded:
    """The target as the correction at position `by` says it."""
    body = target.body
    if correction.data is not None:
        cls = catalogue.PARTICIPANT[target.type]
        name, today = f"participant.{target.type}", cls.schema_version
        data = brought(name, CORRECTED_IN, today, correction.data)
        body = cls.model_validate(data, context=STORED)
    occurred_at = correction.occurred_at or target.occurred_at
    return replace(target, body=body, occurred_at=occurred_at, corrected_by=by)


def replay(participant: str, history: Iterable[Recorded]) -> Participant:
    """The participant after a history, or a prefix of it: as `evolve` after each of its events."""
    return extended(Participant(participant), list(history))


def extended(participant: Participant, events: Sequence[Recorded]) -> Participant:
    """The participant after several more events: as `evolve` after each of them, in one pass."""
    if not events:
        return participant
    said: list[Recorded] = []
    concluded: dict[Key, Recorded] | None = None
    amended = False
    for one in events:
        body: Any = one.body
        if body.kind is Kind.CONCLUSION:
            if concluded is None:
                concluded = dict(participant.concluded)
            # The one that is recorded last stands at the end.
            concluded.pop(key := body.key(), None)
            if not body.cleared:
                concluded[key] = one
        else:
            said.append(one)
            amended = amended or body.type in _AMENDING
    last = events[-1]
    standing: dict[str, Any] = {
        "version": last.version,
        "position": last.position,
        "head": last.hash or None,
        "chain": (*participant.chain, *[one.hash for one in events]),
        "_computed": {},
    }
    if concluded is not None:
        standing["concluded"] = concluded
    if said:
        standing["history"] = history = (*participant.history, *said)
        standing |= (
            _remembered(effective_history(history)) if amended else _joined(participant, said)
        )
    return _changed(participant, **standing)


def _joined(participant: Participant, said: Iterable[Recorded]) -> dict[str, Any]:
    """The chapters' states that change when more is said, none of which amends what was."""
    chapters: dict[str, dict[str, Any]] = {}
    for event, alike in _by_type(said).items():
        chapter, part = _PARTS[event]
        known: tuple[Noted[Any], ...] = getattr(getattr(participant, chapter), part)
        if known:
            # Only the new ones look for their place among what may be many.
            for one in alike:
                known = joined(known, one.body, one.recorded)
        else:
            known = in_order(alike)
        chapters.setdefault(chapter, {})[part] = known
    return {
        name: _CHANGED[name](getattr(participant, name), **parts)
        for name, parts in chapters.items()
    }


def _by_type(said: Iterable[Recorded]) -> dict[str, list[Noted[Any]]]:
    facts: dict[str, list[Noted[Any]]] = {}
    for recorded in said:
        body = recorded.body
        facts.setdefault(body.type, []).append(Noted(body, recorded))
    return facts
