"""Which protocol version was in force for a participant, since when and by what."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from domain.kernel import Noted
from domain.time import When
from domain.trial.protocol import Protocol

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.events import ProtocolActivated
    from domain.trial.study import Trial


@dataclass(frozen=True, slots=True)
class InForce:
    """A version, and the civil days at the site on which it was in force."""

    protocol: Protocol
    since: date | None = None
    """The day on which it reached the participant; None for the first one."""
    until: date | None = None
    """The day on which the next one did; None for the one in force now."""
    began: datetime | None = None
    """The moment on that day."""
    by: Noted[Any] | None = None
    """The activation, consent or transfer by which it reached the participant."""


def in_force(trial: "Trial", participant: "Participant") -> tuple[InForce, ...]:
    """The versions in order; the last is the one in force now.

    A version can only begin when it is activated at the site, when a consent lets it reach the
    participant, or when the participant moves to another site. One that was over before the
    participant was known at all did not govern anything.
    """
    read = (
        trial.protocols,
        trial.activated,
        trial.sites,
        participant.consent,
        participant.referral,
        participant.oversight,
        participant.closure,
        participant.screening.failed,
        participant.screening.reopened,
        participant.treatment.dosed,
    )
    return participant.derived("in force", read, lambda: _in_force(trial, participant))


def governing(trial: "Trial", participant: "Participant", act: When) -> Protocol:
    """The version that governed an act: the one in force at the last moment at which it may be."""
    versions = in_force(trial, participant)
    if len(versions) > 1:
        moment = act.last_moment(trial.zone(participant.site))
        for one in reversed(versions[1:]):
            if one.began is not None and one.began <= moment:
                return one.protocol
    return versions[0].protocol


def judging(trial: "Trial", participant: "Participant") -> Protocol:
    """The version whose criteria are judged: the one in force until the dose, then the dose's own.

    Screening serves the dose; an amendment that comes after it selects nobody anew.
    """
    dosed = participant.treatment.dosed
    if not dosed:
        return trial.protocol_of(participant)
    return governing(trial, participant, dosed[0].when)


def awaited(trial: "Trial", participant: "Participant") -> "Noted[ProtocolActivated] | None":
    """The activation at the site that has not reached the participant: they are to consent anew."""
    active = [one for one in trial.activated if one.body.site == participant.site]
    if not active or participant.over(trial.zone(participant.site)) is not None:
        return None
    newest = active[-1]
    reached = newest.body.protocol == trial.version_for(participant)
    return None if reached else newest


def _in_force(trial: "Trial", participant: "Participant") -> tuple[InForce, ...]:
    now = trial.protocol_of(participant)
    moved = participant.oversight.transferred
    sites = participant.sites
    active = [one for one in trial.activated if one.body.site in sites]
    if len({one.body.protocol for one in active} | {now.version}) < 2 and not moved:
        return (InForce(now),)
    zone = trial.zone(participant.site)
    known = _known(participant, zone)
    causes: dict[datetime, Noted[Any]] = {}
    for one in (*active, *participant.consent.given, *moved):
        causes.setdefault(one.when.earliest(zone), one)
    found: list[InForce] = []
    first = min(causes, default=None) if known is None else known
    for moment in sorted({*causes, *([first] if first is not None else [])}):
        if first is not None and moment < first:
            continue
        protocol = trial.protocol_of(participant, moment)
        if not found:
            found.append(InForce(protocol))
        elif found[-1].protocol is not protocol:
            day = moment.astimezone(zone).date()
            found.append(InForce(protocol, day, None, moment, causes.get(moment)))
    if not found or found[-1].protocol is not now:
        return (InForce(now),)
    ends = [one.since for one in found[1:]]
    return tuple(replace(one, until=until) for one, until in zip(found, [*ends, None], strict=True))


def _known(participant: "Participant", zone: ZoneInfo) -> datetime | None:
    """The moment by which the participant was known for certain: referred, or consented."""
    firsts = (*participant.referral.referred[:1], *participant.consent.given[:1])
    return min((one.when.last_moment(zone) for one in firsts), default=None)
