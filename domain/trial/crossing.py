"""What a participant's history means for the study's own stream: slots and stopping boundaries."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from domain.journey.safety import slot_toxicities
from domain.kernel import PROVISIONAL, Actor, Conclusion, Noted, Recorded, cited
from domain.time import When
from domain.trial.events import SlotFreed, SlotTaken
from domain.trial.stopping import crossed
from domain.trial.study import Trial, zone_named

if TYPE_CHECKING:
    from domain.participant import Participant

_NOBODY = Actor(id="", role="")


def crossings(
    trial: Trial, participant: "Participant", now: datetime, first: int = PROVISIONAL
) -> Iterator[Conclusion]:
    """The study events that follow from a participant's change, in order.

    `first` is the provisional position of the first of them: a boundary's crossing names the slot
    recorded with it as evidence.
    """
    slot = slot_of(trial, participant, now)
    standing = trial.slots.get(participant.id)
    if slot is None:
        if standing is None:
            return
        yield SlotFreed(participant=participant.id, evidence=standing.cited)
        slots = {who: one for who, one in trial.slots.items() if who != participant.id}
    else:
        if standing is not None and standing.body.substance() == slot.substance():
            return
        yield slot
        slots = dict(trial.slots)
        slots[participant.id] = Noted(slot, Recorded(slot, first, 0, When.at(now), now, _NOBODY))
    protocol = trial.protocol_of(participant)
    today = now.astimezone(zone_named(protocol.settings.sponsor_timezone)).date()
    yield from crossed(replace(trial, slots=slots), protocol, today)


def slot_of(trial: Trial, participant: "Participant", now: datetime) -> SlotTaken | None:
    """What cross-participant rules must know of the participant; None without any claim."""
    treatment = participant.treatment
    if not (treatment.enrolled or treatment.authorised or treatment.dosed):
        return None
    zone = trial.zone(participant.site)
    enrolled = treatment.enrolled[0] if treatment.enrolled else None
    authorised = treatment.standing_authorisation
    dosed = treatment.dosed[0] if treatment.dosed else None
    return SlotTaken(
        participant=participant.id,
        site=participant.site,
        enrolled=enrolled is not None,
        authorised_on=_day(authorised, zone),
        dosed_on=_day(dosed, zone),
        left_on=_left(trial, participant, zone),
        toxicities=slot_toxicities(trial, participant, now),
        evidence=cited(enrolled, authorised, dosed),
    )


def _left(trial: Trial, participant: "Participant", zone: ZoneInfo) -> When | None:
    """The day on which the journey of somebody dosed ended before the window did."""
    rules, ended = trial.protocol_of(participant).toxicity, participant.ended()
    if rules is None or ended is None or not participant.treatment.dosed:
        return None
    _, last = participant.treatment.dosed[0].when.civil(zone)
    day = ended.when.civil(zone)[1]
    return When.on(day) if day < last + timedelta(days=rules.window_days) else None


def _day(act: Noted[Any] | None, zone: ZoneInfo) -> When | None:
    return When.on(act.when.civil(zone)[0]) if act is not None else None
