"""Topics of events, and stored envelopes in the schema version that their classes have today."""

from collections.abc import Mapping
from functools import lru_cache

import orjson

from domain.kernel import Event
from domain.upcasting import Step, brought

TOPICS_KEPT = 1_000


def topic(family: str, event: Event) -> str:
    """`participant.<type>.v<n>` or `study.<type>.v<n>`."""
    return f"{family}.{event.type}.v{event.schema_version}"


@lru_cache(maxsize=TOPICS_KEPT)
def named(topic: str) -> tuple[str, int]:
    """The event's type and schema version that a topic names."""
    family, _, written = topic.rpartition(".v")
    return family.rpartition(".")[2], int(written)


def current(
    topic: str,
    body: bytes,
    types: Mapping[str, type[Event]],
    steps: Mapping[str, Step] | None = None,
) -> tuple[str, bytes]:
    """The event's type, and its envelope in the schema version that its class has today.

    KeyError when the type is unknown, or there is no step from an older version.
    """
    name, written = named(topic)
    today = types[name].schema_version
    if today == written:
        return name, body
    envelope = orjson.loads(body)
    full = topic.rpartition(".v")[0]
    envelope["data"] = brought(full, written, today, envelope["data"], steps)
    return name, orjson.dumps(envelope)
