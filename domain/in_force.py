"""Which protocol version was in force for a participant, and since when."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from domain.trial.protocol import Protocol

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial


@dataclass(frozen=True, slots=True)
class InForce:
    """A version, and the civil days at the site on which it was in force."""

    protocol: Protocol
    since: date | None = None
    """The day on which it reached the participant; None for the first one."""
    until: date | None = None
    """The day on which the next one did; None for the one in force now."""


def in_force(trial: "Trial", participant: "Participant") -> tuple[InForce, ...]:
    """The versions in order; the last is the one in force now.

    A version can only begin when it is activated at the site, or when a consent lets it reach the
    participant.
    """
    now = trial.protocol_of(participant)
    active = [one for one in trial.activated if one.body.site == participant.site]
    if len({one.body.protocol for one in active}) < 2:
        return (InForce(now),)
    zone = trial.zone(participant.site)
    moments = {one.when.earliest(zone) for one in (*active, *participant.consent.given)}
    found: list[tuple[date | None, Protocol]] = []
    for moment in sorted(moments):
        protocol = trial.protocol_of(participant, moment)
        if not found or found[-1][1] is not protocol:
            found.append((moment.astimezone(zone).date() if found else None, protocol))
    if found[-1][1] is not now:
        found.append((max(moments).astimezone(zone).date(), now))
    ends = [since for since, _ in found[1:]]
    return tuple(
        InForce(protocol, since, until)
        for (since, protocol), until in zip(found, [*ends, None], strict=True)
    )
