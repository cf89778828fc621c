"""Sealing at the door: protected fields become ciphertext before anything is judged or kept."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from domain import catalogue
from domain.journey.oversight import Corrected
from domain.journey.screening import DemographicsRecorded
from domain.kernel import Clear, Conclusion, Event, Protects, Sealed
from domain.participant import Participant
from domain.time import When
from infra.vault.keyring import KeyRing
from services.door import Invalid
from services.door.refused import pointer, problems_of


def has_protected(body: Event) -> bool:
    """Whether the body holds a protected value in clear."""
    return any(isinstance(getattr(body, name), Clear) for name in protected_in(type(body)))


@cache
def protected_in(cls: type[Event]) -> tuple[str, ...]:
    """The fields of a type of event that hold protected values; most types have none."""
    return tuple(
        name
        for name, one in cls.model_fields.items()
        if any(isinstance(mark, Protects) for mark in one.metadata)
    )


def sealed(keys: KeyRing, study: str, participant: str, body: Event) -> Event:
    """The body with every protected value sealed under the participant's key."""
    hidden = {
        name: keys.seal(study, participant, f"{body.type}.{name}", _plain(value.value))
        for name in protected_in(type(body))
        if isinstance(value := getattr(body, name), Clear)
    }
    return body.model_copy(update=hidden) if hidden else body


def corrected(
    keys: KeyRing,
    study: str,
    participant: Participant,
    correction: Corrected,
    at: str = "/data/data",
) -> tuple[Event, Corrected]:
    """What the corrected event says then, protected values in clear; and the correction, sealed.

    A correction of a correction says in the end how the event reads that both are about: it is
    checked and sealed as that event. `at` is where the new data stand. Raises Invalid when they are
    not valid against the event's schema; what cannot be corrected at all is told by its rule.
    """
    target = participant.recorded_at(correction.position)
    if correction.data is None or target is None or isinstance(target.body, Conclusion):
        return correction, correction
    clear = body = _opened(keys, study, participant.id, correction.data, target.type, at)
    if isinstance(body, Corrected):
        clear, body = corrected(keys, study, participant, body, at + "/data")
    hidden = sealed(keys, study, participant.id, body)
    data = hidden.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    # What the correction leaves as it is stays the same to the byte: it was not changed.
    data |= {name: value for name, value in correction.data.items() if _is_sealed(value)}
    return clear, correction.model_copy(update={"data": data})


def _opened(
    keys: KeyRing, study: str, participant: str, posted: dict[str, Any], target: str, at: str
) -> Event:
    """An event's new data as posted: validated, protected values still in clear.

    A protected field that the correction leaves as the ledger shows it (sealed) stays as it is.
    """
    data = dict(posted)
    for name, value in data.items():
        if _is_sealed(value):
            kept = _kept(value, at + pointer((name,)))
            clear = keys.unseal(study, participant, f"{target}.{name}", kept)
            data[name] = kept if clear is None else clear
    try:
        return catalogue.PARTICIPANT[target].model_validate(data)
    except ValidationError as error:
        raise Invalid(problems_of(error, at)) from None


def _is_sealed(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"sealed", "key"}


def _kept(value: dict[str, Any], at: str) -> Sealed:
    try:
        return Sealed.model_validate(value)
    except ValidationError as error:
        raise Invalid(problems_of(error, at)) from None


def birth_of(keys: KeyRing, study: str, participant: Participant, body: Event) -> When | None:
    """The birth date in clear, for judging one event: from the event itself, else unsealed."""
    if isinstance(body, DemographicsRecorded) and isinstance(body.birth_date, Clear):
        found = body.birth_date.value
        return found if isinstance(found, When) else None
    known = participant.screening.demographics
    if not known:
        return None
    kept = known[-1].body.birth_date
    if not isinstance(kept, Sealed):
        return None

    def unsealed() -> When | None:
        text = keys.unseal(study, participant.id, "demographics-recorded.birth_date", kept)
        return When.parse(text) if isinstance(text, str) else None

    # Kept from state to state while nothing can have erased it: erasure is part of oversight.
    return participant.derived("birth", (kept, participant.oversight), unsealed)


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return value.text if isinstance(value, When) else value
