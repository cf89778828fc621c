"""From a parsed document to a posted event: the envelope first, then the body of its type."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints, ValidationError

from domain import catalogue
from domain.kernel import Event, ParticipantId, Strict
from domain.making import maker
from domain.time import Moment, When
from services.door.refused import Invalid, invalid, problems_of

Identifier = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,253}[!-~])?$")]
"""A sender's name for an event or for itself: 1 to 255 printable ASCII characters."""

Reason = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


@dataclass(frozen=True, slots=True)
class Posted:
    """An event as somebody sent it: valid against its schema, not judged yet."""

    body: Event
    occurred_at: When
    source: str | None = None
    id: str | None = None
    reason: str | None = None
    recorded_at_source: When | None = None
    participant: str | None = None
    """None for an event of the study's own stream."""
    content: bytes = b""
    """What was said, in one canonical form whatever the wire format: tells a repeated event
    from a reused id. It may hold protected values in clear and is only ever digested."""


_posted = maker(Posted)


class Envelope(Strict):
    """What is posted around an event's data."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    occurred_at: Moment
    data: dict[str, Any] = Field(default_factory=dict)
    id: Identifier | None = None
    source: Identifier | None = None
    participant: ParticipantId | None = None
    reason: Reason | None = None
    recorded_at_source: Moment | None = None


def posted(document: object, *, participant: str | None = None) -> Posted:
    """The posted event in a document; `participant` is the one that the path names, if any.

    Raises Invalid with every place and rule.
    """
    try:
        envelope = Envelope.model_validate(document)
    except ValidationError as error:
        raise Invalid(problems_of(error)) from None
    who = _participant(envelope, participant)
    cls = _class(envelope.type, who)
    body = _body(cls, envelope.data)
    if cls.reason_required and envelope.reason is None:
        raise invalid("/reason", "required")
    return _posted(
        body=body,
        occurred_at=envelope.occurred_at,
        source=envelope.source,
        id=envelope.id,
        reason=envelope.reason,
        recorded_at_source=envelope.recorded_at_source,
        participant=who,
        content=content_of(envelope),
    )


def _participant(envelope: Envelope, in_path: str | None) -> str | None:
    if in_path is None:
        return envelope.participant
    if envelope.participant not in (None, in_path):
        raise invalid("/participant", "differs-from-path")
    return in_path


def _class(name: str, participant: str | None) -> type[Event]:
    types = catalogue.STUDY if participant is None else catalogue.PARTICIPANT
    found = types.get(name)
    if found is not None:
        return found
    if participant is None and name in catalogue.PARTICIPANT:
        raise invalid("/participant", "required")
    if participant is not None and name in catalogue.STUDY:
        raise invalid("/participant", "not-for-study-events")
    raise invalid("/type", "unknown-type")


def _body(cls: type[Event], data: dict[str, Any]) -> Event:
    # The event's type stands in the envelope only. A body with a `type` of its own (a sample's)
    # knows the event's by another name, which is as little part of the data.
    own = cls.model_fields["type"].alias or "type"
    if own in data:
        raise invalid(f"/data/{own}", "extra-forbidden")
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise Invalid(problems_of(error, "/data")) from None


def content_of(envelope: Envelope) -> bytes:
    """What an envelope says, in one form: a member that is null is left out of the data."""
    said = {
        "type": envelope.type,
        "occurred_at": envelope.occurred_at.text,
        "data": envelope.data,
        "reason": envelope.reason,
        "recorded_at_source": envelope.recorded_at_source and envelope.recorded_at_source.text,
    }
    content = _written(said)
    if content.count(b"null") > (said["reason"] is None) + (said["recorded_at_source"] is None):
        content = _written({**said, "data": _without_nulls(envelope.data)})
    return content


def _written(said: dict[str, Any]) -> bytes:
    return orjson.dumps(said, default=_plain, option=orjson.OPT_SORT_KEYS)


def _without_nulls(value: Any) -> Any:
    """A member that is null says the same as one that is absent."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _plain(value: object) -> str:
    assert isinstance(value, Decimal)
    return format(value, "f")
