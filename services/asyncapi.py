"""The AsyncAPI document: what goes over the topics, from the same catalogue as everything else.

`make docs` writes it to `docs/asyncapi.yaml`; a test fails while it differs from the code.
"""

from importlib.metadata import version
from typing import Any

import yaml

from domain import catalogue
from domain.kernel import Event
from services.api.schema_words import Schema, null_or, record, ref
from services.api.schemas import components

SPECIFICATION = "3.1.0"
CLOUDEVENT = "application/cloudevents+json"
JSON = "application/json"

_TEXT: Schema = {"type": "string"}
_DIGITS: Schema = {"type": "string", "pattern": "^[1-9][0-9]*$"}
_HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_WHEN: Schema = {"type": "string", "examples": ["2026-11-02", "2026-11", "2026"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_KEY = "The participant's number; for an event of the study itself, the study's name."

Written = dict[str, tuple[str, type[Event]]]
"""Name of a message -> its CloudEvents type and the event's class."""


def document() -> dict[str, Any]:
    """The whole document."""
    written = _written()
    return {
        "asyncapi": SPECIFICATION,
        "info": {
            "title": "Cairn",
            "version": version("cairn-trial"),
            "description": "A participant's journey through a clinical trial, over Apache Kafka.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "channels": _channels(written),
        "operations": _operations(),
        "components": {
            "schemas": _schemas(written),
            "messages": {**_outbound(written), **_INBOUND, **_RESULT},
        },
    }


def text() -> str:
    """The document as YAML, the same bytes each time."""
    return yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)


class _Plain(yaml.SafeDumper):
    """Writes what stands in several places in each of them."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Whatever it is, it is written out."""
        return True


def _written() -> Written:
    return {
        f"{family}.{name}.v{cls.schema_version}": (
            f"cairn.{family}.{name}.v{cls.schema_version}",
            cls,
        )
        for family, types in (("participant", catalogue.PARTICIPANT), ("study", catalogue.STUDY))
        for name, cls in types.items()
    }


def _channels(written: Written) -> dict[str, Any]:
    return {
        "events": _channel(
            "cairn.{study}.events",
            "The study's ledger. A participant's events are in one partition, in the order of the"
            " ledger and without a gap; the study's own are in every partition, at their place."
            " At least once: who keeps the last position of each partition and skips what is not"
            " above it has every event once.",
            list(written),
        ),
        "inbound": _channel(
            "cairn.{study}.inbound",
            "Events that other systems post, one a message: the same JSON as over REST, the same"
            " checks.",
            list(_INBOUND),
        ),
        "inboundResults": _channel(
            "cairn.{study}.inbound-results",
            "What became of each inbound message. At least once: one result for each topic,"
            " partition and offset, but that `202` is followed by a last word.",
            list(_RESULT),
        ),
    }


def _channel(address: str, description: str, messages: list[str]) -> dict[str, Any]:
    return {
        "address": address,
        "description": description,
        "parameters": {"study": {"description": "The study's name."}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operations() -> dict[str, Any]:
    def operation(action: str, channel: str, summary: str) -> dict[str, Any]:
        return {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": summary,
        }

    return {
        "relayEvents": operation("send", "events", "The relay hands out the ledger."),
        "receiveInbound": operation("receive", "inbound", "Events are posted over Kafka.")
        | {"reply": {"channel": {"$ref": "#/channels/inboundResults"}}},
        "answerInbound": operation("send", "inboundResults", "Every inbound message is answered."),
    }


def _outbound(written: Written) -> dict[str, Any]:
    return {
        name: {
            "name": name,
            "title": cls.__name__,
            "summary": (cls.__doc__ or name).strip().splitlines()[0],
            "contentType": CLOUDEVENT,
            "headers": ref("EventHeaders"),
            "payload": ref(_payload(name)),
            "bindings": _bindings(),
        }
        for name, (_, cls) in written.items()
    }


def _bindings() -> dict[str, Any]:
    return {"kafka": {"key": {**_TEXT, "description": _KEY}}}


def _payload(name: str) -> str:
    return f"written.{name}"


def _schemas(written: Written) -> dict[str, Schema]:
    found = components()
    used = {name: found[name] for name in _reached(found, "PostedEvent", "CloudEvent", "Problem")}
    # OpenAPI's discriminator is an object, AsyncAPI's the name of a property.
    used["PostedEvent"] = {**used["PostedEvent"], "discriminator": "type"}
    used["EventHeaders"] = _HEADERS
    used["Sealed"] = _SEALED
    for name, (kind, cls) in written.items():
        used[_payload(name)] = _cloud_event(kind, cls)
    used["InboundResult"] = _RESULT_PAYLOAD
    return used


def _reached(found: dict[str, Schema], *names: str) -> list[str]:
    """The components that these need, themselves included, in the order of the components."""
    waiting, reached = list(names), set()
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += list(_references(found[name]))
    return [name for name in found if name in reached]


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"].rsplit("/", 1)[1]] if isinstance(value.get("$ref"), str) else []
        return own + [name for inner in value.values() for name in _references(inner)]
    if isinstance(value, list):
        return [name for inner in value for name in _references(inner)]
    return []


def _cloud_event(kind: str, cls: type[Event]) -> Schema:
    schema = cls.model_json_schema()
    named = schema.pop("$defs", {})
    own = cls.model_fields["type"].alias or "type"
    schema["properties"].pop(own, None)
    schema["required"] = [name for name in schema.get("required", ()) if name != own]
    data = _stored(_inlined(schema, named))
    family = kind.split(".")[1]
    subject = "^[^/]+/[A-Za-z0-9._-]{1,64}$" if family == "participant" else "^[^/]+$"
    return record(
        {
            "specversion": {"type": "string", "const": "1.0"},
            "id": _TEXT,
            "source": _TEXT,
            "type": {"type": "string", "const": kind},
            "subject": {"type": "string", "pattern": subject},
            "datacontenttype": {"type": "string", "const": JSON},
            "recordedtime": {"type": "string", "format": "date-time"},
            "position": _DIGITS,
            "streamversion": _DIGITS,
            "actor": _TEXT,
            "leafhash": _HASH,
            "data": data,
        },
        time={"type": "string", "format": "date-time"},
        occurredat=_WHEN,
        recordedatsource=_TEXT,
        causationid=_DIGITS,
        origin=_TEXT,
        protocolversion=_TEXT,
        reason=_TEXT,
        prevhash=_HASH,
    )


def _inlined(value: Any, named: dict[str, Any]) -> Any:
    """Shapes of a schema in place: those of several events may share a name."""
    if isinstance(value, dict):
        if "$ref" in value:
            return _inlined(named[value["$ref"].rsplit("/", 1)[1]], named)
        return {name: _inlined(inner, named) for name, inner in value.items()}
    if isinstance(value, list):
        return [_inlined(inner, named) for inner in value]
    return value


def _stored(value: Any) -> Any:
    """The schema of what the ledger keeps: a protected value is ciphertext."""
    if isinstance(value, dict):
        if value.get("x-protected"):
            return null_or(ref("Sealed"))
        return {name: _stored(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_stored(inner) for inner in value]
    return value


_SEALED: Schema = record({"sealed": _TEXT, "key": _TEXT}) | {
    "description": "Ciphertext under the participant's key; nobody reads it off the topic."
}

_HEADERS: Schema = record(
    {
        "content-type": {"type": "string", "const": CLOUDEVENT},
        "position": _DIGITS,
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": _TEXT,
        "ce_source": _TEXT,
        "ce_type": _TEXT,
        "ce_subject": _TEXT,
        "ce_streamversion": _DIGITS,
    },
    ce_time={"type": "string", "format": "date-time"},
)

_INBOUND: dict[str, Any] = {
    "postedEvent": {
        "name": "postedEvent",
        "title": "An event as it is posted",
        "contentType": JSON,
        "payload": ref("PostedEvent"),
        "bindings": _bindings(),
    },
    "postedCloudEvent": {
        "name": "postedCloudEvent",
        "title": "The same as a CloudEvent; in binary mode its attributes are `ce_*` headers",
        "contentType": CLOUDEVENT,
        "payload": ref("CloudEvent"),
        "bindings": _bindings(),
    },
}

_RESULT_PAYLOAD: Schema = record(
    {"topic": _TEXT, "partition": _COUNT, "offset": _COUNT, "status": {"type": "integer"}},
    participant=null_or(_TEXT),
    id=null_or(_TEXT),
    source=null_or(_TEXT),
    position=_COUNT,
    version=_COUNT,
    problem=ref("Problem"),
    until={**_TEXT, "format": "date-time"},
)

_RESULT: dict[str, Any] = {
    "inboundResult": {
        "name": "inboundResult",
        "title": "What became of an inbound message",
        "contentType": JSON,
        "payload": ref("InboundResult"),
        "bindings": {"kafka": {"key": {**_TEXT, "description": "The key of the message."}}},
    }
}
