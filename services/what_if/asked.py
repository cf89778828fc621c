"""What is supposed: a draft protocol, events of one participant, or both."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.kernel import Problem
from infra.protocol_files import DOCUMENT_BYTES_MAX, Unreadable
from infra.protocol_files import read as read_text
from services.door import Invalid, Malformed, Posted, TooLarge, UnknownContent, posted, strict
from services.door.content import ARRAY_MAX_EVENTS
from services.door.refused import invalid
from services.publishing import CONTENT_TYPES, Draft, draft_in

NAMELESS = "draft"
"""The version of a draft that names none."""


@dataclass(frozen=True, slots=True)
class Supposed:
    """What is to be supposed; at least one of the two."""

    posted: tuple[Posted, ...] = ()
    draft: Draft | None = None


def draft_of(body: bytes, content_type: str, study: str) -> Draft:
    """A draft protocol: YAML, JSON or USDM, as it would be published; the version may be left out.

    Raises UnknownContent, TooLarge, Malformed, Invalid.
    """
    return _draft(_document(body, content_type), study)


def supposed(body: bytes, content_type: str, study: str, participant: str) -> Supposed:
    """An event, an array of events, a draft protocol, or an object of `events` and `protocol`.

    Raises UnknownContent, TooLarge, Malformed, Invalid.
    """
    document = _document(body, content_type)
    if isinstance(document, list):
        return Supposed(_events(document, participant, ""))
    if not isinstance(document, Mapping):
        raise invalid("", "not-an-object")
    if "occurred_at" in document:
        return Supposed((_event(document, participant),))
    if "events" not in document and "protocol" not in document:
        return Supposed((), _draft(document, study))
    unknown = [name for name in document if name not in ("events", "protocol")]
    if unknown:
        raise invalid("", "extra-forbidden")
    events = document.get("events", [])
    found = _events(events if isinstance(events, list) else [events], participant, "/events")
    return Supposed(found, _inner(document["protocol"], study) if "protocol" in document else None)


def _document(body: bytes, content_type: str) -> object:
    form = CONTENT_TYPES.get(content_type.partition(";")[0].strip().lower())
    if form is None:
        raise UnknownContent(tuple(CONTENT_TYPES))
    if len(body) > DOCUMENT_BYTES_MAX:
        raise TooLarge(DOCUMENT_BYTES_MAX)
    try:
        return read_text(body, form)
    except Unreadable as error:
        raise Malformed("document", error.detail) from None


def _draft(document: object, study: str) -> Draft:
    # A USDM document has its version elsewhere.
    nameless = isinstance(document, Mapping) and not {"version", "usdmVersion"} & document.keys()
    return draft_in(document, study=study, version=NAMELESS if nameless else None)


def _inner(document: object, study: str) -> Draft:
    try:
        return _draft(document, study)
    except Invalid as error:
        raise Invalid(
            [Problem(f"/protocol{one.pointer}", one.rule) for one in error.problems]
        ) from None


def _events(documents: list[Any], participant: str, place: str) -> tuple[Posted, ...]:
    """All of them, or Invalid with the problems of all of them."""
    if not documents:
        raise invalid(place, "too-short")
    if len(documents) > ARRAY_MAX_EVENTS:
        raise TooLarge(ARRAY_MAX_EVENTS)
    found: list[Posted] = []
    problems: list[Problem] = []
    for index, document in enumerate(documents):
        try:
            found.append(_event(document, participant))
        except Invalid as error:
            problems += [
                Problem(f"{place}/{index}{one.pointer}", one.rule) for one in error.problems
            ]
    if problems:
        raise Invalid(problems)
    return tuple(found)


def _event(document: object, participant: str) -> Posted:
    # Read once more by the door's own reader, for its bounds alone: numbers lose their kind here.
    strict.document(json.dumps(document, default=str).encode())
    return posted(document, participant=participant)
