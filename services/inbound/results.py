"""The answer to a message: what became of it, in the words of a batch's item."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from infra.kafka.inbound import Message
from infra.kafka.results import Result
from infra.kafka.topics import results_topic
from services.inbound.message import Received

CORRELATION = "correlation-id"
PASSED_ON = (CORRELATION, "traceparent")
"""Headers that a sender finds again in the answer."""
PASSED_ON_BYTES_MAX = 256


def answer_of(received: Received, item: Mapping[str, Any], until: datetime | None) -> Result:
    """The result as a message; `until` where it waits."""
    message, posted = received.message, received.posted
    document: dict[str, Any] = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
    }
    if posted is not None:
        document |= {"source": posted.source, "id": posted.id}
        if posted.participant is not None:
            document["participant"] = posted.participant
    document |= {name: value for name, value in item.items() if name != "index"}
    if until is not None:
        document["until"] = until.isoformat().replace("+00:00", "Z")
    return Result(
        topic=results_topic(received.study),
        key=_key(message),
        value=orjson.dumps(document),
        headers=(
            ("content-type", b"application/json"),
            ("status", str(item["status"]).encode()),
            *_passed_on(message),
        ),
    )


def _key(message: Message) -> bytes:
    """The message's own; without one its place, so that all its results are of one partition."""
    return _place(message) if message.key is None else message.key


def _place(message: Message) -> bytes:
    return f"{message.topic}:{message.partition}:{message.offset}".encode()


def _passed_on(message: Message) -> list[tuple[str, bytes]]:
    sent = {
        name: value
        for name, value in message.headers
        if name in PASSED_ON and value is not None and len(value) <= PASSED_ON_BYTES_MAX
    }
    return list({CORRELATION: _place(message), **sent}.items())
