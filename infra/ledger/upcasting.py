"""Topics of events, and stored envelopes in the schema version that their classes have today."""

from collections.abc import Mapping

import orjson

from domain.kernel import Event
from domain.upcasting import Step, brought


def topic(family: str, event: Event) -> str:
    """`participant.<type>.v<n>` or `study.<type>.v<n>`."""
    return f"{family}.{event.type}.v{event.schema_version}"


def current(
    topic: str,
    body: bytes,
    types: Mapping[str, type[Event]],
    steps: Mapping[str, Step] | None = None,
) -> tuple[str, bytes]:
    """The event's type, and its envelope in the schema version that its class has today.

    KeyError when the type is unknown, or there is no step from an older version.
    """
    named, _, written = topic.rpartition(".v")
    name = named.rpartition(".")[2]
    today = types[name].schema_version
    if today == int(written):
        return name, body
    envelope = orjson.loads(body)
    envelope["data"] = brought(named, int(written), today, envelope["data"], steps)
    return name, orjson.dumps(envelope)
