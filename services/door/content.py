"""What a body holds, by its content type: one event or many, Cairn's own form or CloudEvents."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from services.door import cloudevents, strict
from services.door.posted import Posted, posted
from services.door.refused import TooLarge, UnknownContent

Form = Literal["json", "ndjson", "cloudevent", "cloudevents", "binary"]

BATCH_MAX_BYTES = 16 * 1024 * 1024
BATCH_MAX_EVENTS = 10_000
ARRAY_MAX_EVENTS = 1_000
"""Events of one participant that are recorded together, all or nothing."""
FORMS_MAX = 64
"""Content types, as they were sent, of which it is kept what they say."""

_FORMS: dict[str, Form] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/cloudevents+json": "cloudevent",
    "application/cloudevents-batch+json": "cloudevents",
}
ACCEPTED = tuple(_FORMS)


@dataclass(frozen=True, slots=True)
class Content:
    """The documents of a body, not read as events yet."""

    form: Form
    documents: list[Any]
    many: bool
    """Whether they came as an array, so that the answer is one too."""

    def read(self, document: object, study: str, participant: str | None = None) -> Posted:
        """One of the documents as a posted event; Invalid."""
        if self.form in ("cloudevent", "cloudevents", "binary"):
            return cloudevents.read(document, study, participant)
        return posted(document, participant=participant)


@lru_cache(maxsize=FORMS_MAX)
def form_of(content_type: str | None, binary: bool = False) -> Form:
    """What a content type says about the body; UnknownContent."""
    media, *parameters = [part.strip().lower() for part in (content_type or "").split(";")]
    found = _FORMS.get(media)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            found = None
    if found is None:
        raise UnknownContent(ACCEPTED)
    return "binary" if binary and found == "json" else found


def parsed(
    form: Form,
    body: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
    most: int = BATCH_MAX_EVENTS,
) -> Content:
    """The documents in a body; Malformed, TooLarge. NDJSON is read line by line elsewhere."""
    if len(body) > BATCH_MAX_BYTES:
        raise TooLarge(BATCH_MAX_BYTES)
    if form == "binary":
        document = cloudevents.from_headers(headers, strict.document(body))
        return Content(form, [document], many=False)
    if form == "cloudevents" or (form == "json" and strict.is_array(body)):
        return Content(form, strict.elements(body, most), many=True)
    return Content(form, [strict.document(body)], many=False)
