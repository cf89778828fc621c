"""What a participant's history means for the study's own stream: slots and stopping boundaries."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from domain.journey.safety import slot_toxicities
from domain.kernel import PROVISIONAL, Actor, Conclusion, Noted, Recorded, cited
from domain.time import When
from domain.trial.events import SlotFreed, SlotTaken
from domain.trial.stopping import crossed
from domain.trial.study import Trial, zone_named

if TYPE_CHECKING:
    from domain.participant import Participant


def crossings(trial: Trial, participant: "Participant", now: datetime) -> Iterator[Conclusion]:
    """The study events that follow from a participant's change, in order."""
    slot = slot_of(trial, participant)
    standing = trial.slots.get(participant.id)
    if slot is None:
        if standing is not None:
            yield SlotFreed(participant=participant.id, evidence=standing.cited)
        return
    if standing is not None and standing.body.substance() == slot.substance():
        return
    yield slot
    protocol = trial.protocol_of(participant)
    today = now.astimezone(zone_named(protocol.settings.sponsor_timezone)).date()
    provisional = Recorded(slot, PROVISIONAL, 0, When.at(now), now, Actor(id="", role=""))
    slots = {**trial.slots, participant.id: Noted(slot, provisional)}
    yield from crossed(replace(trial, slots=slots), protocol, today)


def slot_of(trial: Trial, participant: "Participant") -> SlotTaken | None:
    """What cross-participant rules must know of the participant; None without any claim."""
    treatment = participant.treatment
    if not (treatment.enrolled or treatment.authorised or treatment.dosed):
        return None
    zone = trial.zone(participant.site)
    firsts = [
        kept[0] if kept else None
        for kept in (treatment.enrolled, treatment.authorised, treatment.dosed)
    ]
    days = [When.on(first.when.civil(zone)[0]) if first else None for first in firsts]
    return SlotTaken(
        participant=participant.id,
        site=participant.site,
        enrolled=bool(treatment.enrolled),
        authorised_on=days[1],
        dosed_on=days[2],
        toxicities=slot_toxicities(trial, participant),
        evidence=cited(*firsts),
    )
