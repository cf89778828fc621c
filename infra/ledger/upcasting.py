"""Older schema versions of events, brought to today's when they are read; the ledger keeps them.

Each step takes the data of one version and gives that of the next. What was written stays as it was
hashed: a step is never taken on the stored bytes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from domain.kernel import Event

Step = Callable[[dict[str, Any]], dict[str, Any]]

STEPS: Mapping[str, Step] = {}
"""By the topic that is left: `participant.consented.v1` leads to version 2. No event type has been
changed yet."""


def topic(family: str, event: Event) -> str:
    """`participant.<type>.v<n>` or `study.<type>.v<n>`."""
    return f"{family}.{event.type}.v{event.schema_version}"


def current(
    topic: str, body: bytes, types: Mapping[str, type[Event]], steps: Mapping[str, Step] = STEPS
) -> tuple[str, bytes]:
    """The event's type, and its envelope in the schema version that its class has today.

    KeyError when the type is unknown, or there is no step from an older version.
    """
    named, _, written = topic.rpartition(".v")
    name = named.rpartition(".")[2]
    version = int(written)
    if types[name].schema_version == version:
        return name, body
    envelope = orjson.loads(body)
    while version < types[name].schema_version:
        envelope["data"] = steps[f"{named}.v{version}"](envelope["data"])
        version += 1
    return name, orjson.dumps(envelope)
