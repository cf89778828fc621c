"""From a message to a posted event, or to why it is none: one event a message, read as strictly as
a request."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from infra.kafka.inbound import UNREADABLE, Headers, Message, Partition
from services import conditions, logs
from services.door import Invalid, Malformed, Posted, TooLarge, UnknownContent, cloudevents, strict
from services.door.content import Content, form_of
from services.door.refused import invalid
from services.errors import problem_of
from services.problems import Answered, answered
from services.terms import Terms

ACCEPTED = ("application/json", "application/cloudevents+json")
CONTENT_TYPE = "content-type"


@dataclass(frozen=True, slots=True)
class Received:
    """A message, and what it says or why it says nothing."""

    study: str
    message: Message
    posted: Posted | None = None
    problem: Answered | None = None
    terms: Terms | None = None
    """Conditions of its own, from its headers."""

    @property
    def partition(self) -> Partition:
        """Where it was read."""
        return self.message.topic, self.message.partition

    @property
    def size(self) -> int:
        """Bytes of its value."""
        return len(self.message.value or b"")

    @property
    def participant(self) -> str | None:
        """Whom it is about; None for the study itself, and where it cannot be read."""
        return None if self.posted is None else self.posted.participant


def source_of(topic: str) -> str:
    """The source of events that name none."""
    return f"urn:kafka:{topic}"


def received(study: str, message: Message, terms: Terms) -> Received:
    """The message as it is recorded for the study, on the terms of whoever reads the topic."""
    try:
        posted = _identified(_posted(study, message), message)
        return Received(study, message, posted, terms=_own_terms(message.headers, terms))
    except (Malformed, Invalid, TooLarge, UnknownContent) as error:
        return Received(study, message, problem=problem_of(error))
    except Exception as error:  # noqa: BLE001 - a defect in one message must not stop the others
        logs.defect(error)
        problem = answered("internal", "The message was not recorded.")
        return Received(study, message, problem=problem)


def _posted(study: str, message: Message) -> Posted:
    headers, value = message.headers, message.value
    if headers == UNREADABLE:
        raise Malformed("record", "the record is none, or its header has no name in UTF-8")
    if value is None:
        raise Malformed("empty", "the message has no value")
    binary = any(name == f"{cloudevents.KAFKA_HEADER}specversion" for name, _ in headers)
    form = form_of(_text(headers, CONTENT_TYPE) or ACCEPTED[0], binary)
    if form in ("ndjson", "cloudevents"):
        raise UnknownContent(ACCEPTED)
    if strict.is_array(value) and form != "binary":
        raise invalid("", "one-event-a-message")
    document = strict.document(value)
    if form == "binary":
        document = cloudevents.from_kafka_headers(headers, document)
    return Content(form, [document], many=False).read(document, study)


def _identified(posted: Posted, message: Message) -> Posted:
    """With an id, so that a message that comes again is known again."""
    place = f"{message.partition}:{message.offset}"
    if posted.source is not None:
        return replace(posted, id=posted.id or f"{message.topic}:{place}")
    return replace(posted, source=source_of(message.topic), id=posted.id or place)


def _own_terms(headers: Headers, terms: Terms) -> Terms | None:
    wanted = _text(headers, "if-match")
    prefers = _text(headers, "prefer")
    strictly = prefers is not None and "strict" in conditions.handling([prefers])
    if wanted is None and not strictly:
        return None
    return replace(terms, if_match=conditions.if_match(wanted), strict=strictly)


def _text(headers: Headers, wanted: str) -> str | None:
    """The only header of the name, None when there is none. Malformed."""
    found: Sequence[bytes | None] = [value for name, value in headers if name.lower() == wanted]
    if len(found) > 1:
        raise Malformed("headers", f"there are several `{wanted}` headers")
    if not found or found[0] is None:
        return None
    try:
        return found[0].decode()
    except UnicodeDecodeError:
        raise Malformed("encoding", "a header is not UTF-8") from None
