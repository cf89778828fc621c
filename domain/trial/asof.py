"""The study on the two time axes: what governed it at a moment, and what was known to.

What defines the words is never left out: the registration, a site's name and zone, and the protocol
versions that registered the study, were published or were active by then. What governs is:
activations, consent forms, holds. What crosses participants follows anew from them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from domain.asof import recorded_by_source
from domain.kernel import Actor, BodyT, Noted, Recorded
from domain.time import Horizon, When
from domain.trial.events import (
    HoldPlaced,
    HoldReleased,
    ProtocolActivated,
    ProtocolPublished,
    SiteOpened,
    SlotFreed,
    SlotTaken,
    StoppingBoundaryCrossed,
    StudyRegistered,
)
from domain.trial.protocol import Protocol
from domain.trial.stopping import crossed
from domain.trial.study import Trial, evolve, zone_named

NOBODY = Actor(id="", role="")

Crossing = Noted[StoppingBoundaryCrossed]
Counts = Callable[[Recorded], bool]
"""Whether an event counts on the axes that are asked for."""

_DEFINES = StudyRegistered | SiteOpened | ProtocolPublished
_FOLLOWS = SlotTaken | SlotFreed | StoppingBoundaryCrossed


def told(
    trial: Trial,
    history: Sequence[Recorded],
    documents: Mapping[str, Protocol],
    *,
    known_by: When | None = None,
    true_at: When | None = None,
) -> Trial:
    """The study as the sources had recorded it by a moment, as was true at one, or both.

    `trial` is all of its history. A date means its end: at the site that an event is about, else in
    the sponsor's zone. What it knows of participants is not told: see `with_slots`.
    """

    def counts(one: Recorded) -> bool:
        zone = _zone(trial, one)
        known = known_by is None or Horizon(known_by, zone).over(recorded_by_source(one))
        return known and (true_at is None or Horizon(true_at, zone).begun(one.occurred_at))

    def place(one: Recorded) -> tuple[datetime, int]:
        return one.occurred_at.earliest(_zone(trial, one)), one.position

    history = sorted(history, key=_position if true_at is None else place)
    acts = [one for one in history if not isinstance(one.body, _DEFINES | _FOLLOWS) and counts(one)]
    found = _defined(Trial(trial.study), sorted(history, key=_position), documents, acts, counts)
    for one in acts:
        found = evolve(found, one, documents)
    boundaries, lifted = _crossings(history, counts)
    return replace(
        found,
        version=trial.version,
        position=trial.position,
        head=trial.head,
        boundaries=boundaries,
        lifted=lifted,
    )


def _defined(
    found: Trial,
    history: Iterable[Recorded],
    documents: Mapping[str, Protocol],
    acts: Iterable[Recorded],
    counts: Counts,
) -> Trial:
    """The study with what defines its words, in the log's order."""
    active = {one.body.protocol for one in acts if isinstance(one.body, ProtocolActivated)}
    for one in history:
        match one.body:
            case ProtocolPublished(version=version):
                if not found.protocols or version in active or counts(one):
                    found = evolve(found, one, documents)
            case StudyRegistered() | SiteOpened():
                found = evolve(found, one, documents)
    return found


def with_slots(
    trial: Trial, slots: Mapping[str, SlotTaken], protocol: Protocol, moment: When
) -> Trial:
    """The study of a moment with the slots of those who were there, and the rules that these meet.

    A crossing that a named person lifted counts as lifted once the hold was released by then.
    """
    zone = zone_named(protocol.settings.sponsor_timezone)
    at = Horizon(moment, zone).end

    def noted(body: BodyT, position: int) -> Noted[BodyT]:
        return Noted(body, Recorded(body, position, 0, moment, at, NOBODY))

    taken = {who: noted(slot, max(slot.evidence, default=0)) for who, slot in slots.items()}
    then = replace(trial, slots=taken, boundaries={}, lifted={})
    standing, lifted = {}, {}
    for one in crossed(then, protocol, moment.civil(zone)[1]):
        let_go, logged = trial.lifted.get(one.rule), trial.boundaries.get(one.rule)
        if let_go is not None and one.with_toxicity <= let_go.body.with_toxicity:
            lifted[one.rule] = let_go
        else:
            place = logged.position if logged is not None else max(one.evidence, default=0)
            standing[one.rule] = noted(one, place)
    return replace(then, boundaries=standing, lifted=lifted)


def _crossings(
    history: Iterable[Recorded], counts: Counts
) -> tuple[dict[str, Crossing], dict[str, Crossing]]:
    """The crossings that the log has, standing and lifted, where only some releases count."""
    standing: dict[str, Crossing] = {}
    lifted: dict[str, Crossing] = {}
    for one in sorted(history, key=_position):
        match one.body:
            case StoppingBoundaryCrossed(rule=rule, cleared=True):
                standing.pop(rule, None)
                lifted.pop(rule, None)
            case StoppingBoundaryCrossed(rule=rule) as body:
                standing[rule] = Noted(body, one)
            case HoldReleased(scope="study") if counts(one):
                lifted |= standing
                standing = {}
    return standing, lifted


def _position(one: Recorded) -> int:
    return one.position


def _zone(trial: Trial, one: Recorded) -> ZoneInfo:
    """Where the civil dates of an event of the study are counted."""
    match one.body:
        case SiteOpened(site=site) | ProtocolActivated(site=site):
            return trial.zone(site)
        case HoldPlaced(scope=scope) | HoldReleased(scope=scope) if scope in trial.sites:
            return trial.zone(scope)
        case _:
            first = next(iter(trial.protocols.values()), None)
            return zone_named(first.settings.sponsor_timezone if first else "UTC")
