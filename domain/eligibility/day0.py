"""The check before the dose: criteria that rest on day 0, with facts as fresh as each asks."""

from datetime import date
from typing import TYPE_CHECKING

from domain.eligibility.evaluate import Blocked, Outcome, outcome_of, ready_for
from domain.eligibility.logic import merged
from domain.eligibility.reads import read_of

if TYPE_CHECKING:
    from domain.participant import Participant
    from domain.trial.study import Trial


def rechecked(trial: "Trial", participant: "Participant", day: date) -> tuple[Outcome, ...]:
    """The criteria that are evaluated again on a day of dosing, as if the dose were on it."""
    protocol = trial.protocol_of(participant)
    prepared = ready_for(protocol)
    zone = trial.zone(participant.site)
    with prepared.facts(read_of(protocol, zone, participant), recheck_on=day) as facts:
        return tuple(
            outcome_of(one, facts, protocol.version)
            for one in prepared.criteria
            if one.criterion.recheck
        )


def recheck(trial: "Trial", participant: "Participant", day: date) -> Blocked | None:
    """None when every criterion of day 0 passes on the day; else which does not, and why."""
    outcomes = rechecked(trial, participant, day)
    failed = [one for one in outcomes if one.outcome == "failed"]
    open_ones = [one for one in outcomes if one.outcome == "unknown"]
    if not failed and not open_ones:
        return None
    names = ", ".join(one.criterion for one in failed or open_ones)
    evidence = merged(one.evidence for one in failed or open_ones)
    if failed:
        return Blocked("verdict", f"not met on the day of the dose: {names}", evidence)
    missing = ", ".join(dict.fromkeys(need for one in open_ones for need in one.missing))
    detail = f"not known on the day of the dose: {names} (missing: {missing})"
    return Blocked("verdict", detail, evidence)
