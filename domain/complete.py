"""What Cairn itself writes into a proposed event before it is judged."""

from datetime import date
from typing import Any

from domain.clinical.age import age_at
from domain.journey.eligibility import EligibilityConfirmed, verdict_of
from domain.journey.oversight import Corrected, Retracted, Signed
from domain.journey.screening import DemographicsRecorded, ScreeningStarted, screening_date
from domain.kernel import Event, Proposed
from domain.participant import Participant
from domain.trial.study import Trial


def completed(trial: Trial, participant: Participant, proposed: Proposed) -> Event:
    """The body with the fields that only Cairn fills: verdict hash, signed hash, age."""
    body = proposed.body
    match body:
        case EligibilityConfirmed():
            digest = verdict_of(trial, participant).digest()
            return body.model_copy(update={"verdict_hash": digest})
        case Signed() if body.up_to_version <= len(participant.chain):
            signed = participant.chain[body.up_to_version - 1]
            return body.model_copy(update={"signed_hash": signed})
        case ScreeningStarted():
            day = proposed.occurred_at.civil(trial.zone(participant.site))[0]
            return _with_age(trial, participant, proposed, body, day)
        case DemographicsRecorded():
            return _with_age(trial, participant, proposed, body, screening_date(trial, participant))
        case Corrected():
            return _corrected_age(trial, participant, proposed, body)
        case _:
            return body


def _with_age(
    trial: Trial, participant: Participant, proposed: Proposed, body: Event, day: date | None
) -> Event:
    if proposed.birth is None or day is None:
        return body
    rule = trial.protocol_of(participant).settings.age_leap_rule
    return body.model_copy(update={"age_at_screening": age_at(proposed.birth, day, rule)})


def _corrected_age(
    trial: Trial, participant: Participant, proposed: Proposed, body: Corrected
) -> Corrected:
    """A correction of the screening visit's date or of the birth date changes the age too.

    The one of a correction does so by what it makes that correction say.
    """
    target, subject = participant.recorded_at(body.position), participant.subject_at(body.position)
    if target is None or subject is None or proposed.birth is None:
        return body
    if isinstance(target.body, Corrected):
        if body.data is None:
            return body
        inner = Corrected.model_validate(body.data)
        said = _corrected_age(trial, participant, proposed, inner)
        return body.model_copy(update={"data": _plain(said)})
    if isinstance(target.body, Retracted):
        # What takes an event back says no age, whatever the event was.
        return body
    zone = trial.zone(participant.site)
    match subject.body:
        case ScreeningStarted():
            day: date | None = (body.occurred_at or subject.occurred_at).civil(zone)[0]
        case DemographicsRecorded():
            day = screening_date(trial, participant)
        case _:
            return body
    if day is None:
        return body
    rule = trial.protocol_of(participant).settings.age_leap_rule
    age = age_at(proposed.birth, day, rule).model_dump(mode="json")
    data = body.data if body.data is not None else _plain(subject.body)
    return body.model_copy(update={"data": {**data, "age_at_screening": age}})


def _plain(body: Event) -> dict[str, Any]:
    return body.model_dump(mode="json", exclude_none=True)
