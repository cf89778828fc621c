"""The components of the OpenAPI document: events from the catalogue, answers as they are sent."""

from domain import catalogue
from domain.kernel import Event, Kind
from services.api.amendment_schemas import AMENDMENTS
from services.api.schema_words import Schema, list_of, null_or, record, ref
from services.api.view_schemas import VIEWS
from services.api.what_if_schemas import WHAT_IFS
from services.problems import PROBLEMS, URN

_WHEN: Schema = {
    "type": "string",
    "description": "An instant with offset (RFC 3339), a date, a month or a year.",
    "examples": ["2026-11-02T09:15:00-05:00", "2026-11-02", "2026-11"],
}
_NAME: Schema = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}
_HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_POSITION: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}


def components() -> dict[str, Schema]:
    """Every component schema by name."""
    found = {**_ANSWERS, **AMENDMENTS, **VIEWS, **WHAT_IFS}
    participant: list[str] = []
    study: list[str] = []
    for types, variants in ((catalogue.PARTICIPANT, participant), (catalogue.STUDY, study)):
        for name, cls in types.items():
            if cls.kind is Kind.CONCLUSION:
                continue
            found[cls.__name__] = _data(cls, found)
            posted = f"Posted{cls.__name__}"
            found[posted] = _posted(name, cls)
            variants.append(posted)
    found["PostedEvent"] = {
        "description": "An event as it is posted; `type` says which.",
        "oneOf": [ref(name) for name in (*participant, *study)],
        "discriminator": {
            "propertyName": "type",
            "mapping": {
                found[name]["properties"]["type"]["const"]: f"#/components/schemas/{name}"
                for name in (*participant, *study)
            },
        },
    }
    found["PostedEvents"] = {
        "type": "array",
        "items": ref("PostedEvent"),
        "description": "Events that are recorded all or nothing, or as a batch.",
    }
    return found


def _data(cls: type[Event], found: dict[str, Schema]) -> Schema:
    schema = cls.model_json_schema(ref_template="#/components/schemas/{model}")
    found.update(schema.pop("$defs", {}))
    own = cls.model_fields["type"].alias or "type"
    schema["properties"].pop(own, None)
    schema["required"] = [name for name in schema.get("required", ()) if name != own]
    for name, known in cls.model_fields.items():
        if "_written_by_cairn" in repr(known.metadata):
            schema["properties"].pop(known.alias or name, None)
    if not schema["required"]:
        del schema["required"]
    return schema


def _posted(name: str, cls: type[Event]) -> Schema:
    schema = record(
        {"type": {"type": "string", "const": name}, "occurred_at": _WHEN},
        data=ref(cls.__name__),
        id=null_or({"type": "string", "minLength": 1, "maxLength": 255}),
        source=null_or({"type": "string", "minLength": 1, "maxLength": 255}),
        reason=null_or({"type": "string", "minLength": 1, "maxLength": 2000}),
        recorded_at_source=null_or(_WHEN),
    )
    if name in catalogue.PARTICIPANT:
        schema["properties"]["participant"] = null_or(_NAME)
    if any(field.is_required() for field in cls.model_fields.values()):
        schema["required"].append("data")
    if cls.reason_required:
        schema["properties"]["reason"] = {"type": "string", "minLength": 1, "maxLength": 2000}
        schema["required"].append("reason")
    return {**schema, "additionalProperties": False, "description": cls.__doc__ or name}


_RECORDED = record(
    {
        "position": _POSITION,
        "participant": null_or(_NAME),
        "version": {"type": "integer", "minimum": 1},
        "id": null_or(_TEXT),
        "source": null_or(_TEXT),
        "type": _TEXT,
        "schema": {"type": "integer", "minimum": 1},
        "kind": {"type": "string", "enum": ["fact", "decision", "conclusion"]},
        "occurred_at": _WHEN,
        "recorded_at": {"type": "string", "format": "date-time"},
        "actor": record({"id": _TEXT, "role": _TEXT}),
        "protocol": null_or(_TEXT),
        "cause": null_or(_POSITION),
        "reason": null_or(_TEXT),
        "data": {"type": "object"},
        "previous": null_or(_HASH),
        "hash": _HASH,
    },
    recorded_at_source=_WHEN,
)

_ANSWERS: dict[str, Schema] = {
    "Problem": record(
        {
            "type": {"type": "string", "enum": [URN + name for name in PROBLEMS]},
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _TEXT,
        },
        rule={**_TEXT, "description": "The rule that says no."},
        rules={"type": "array", "items": _TEXT},
        blocked_by={"type": "array", "items": _POSITION},
        problems={
            "type": "array",
            "items": record({"pointer": _TEXT, "rule": _TEXT}, detail=_TEXT),
        },
        items={"type": "array", "items": ref("BatchResult")},
        current_version=_POSITION,
        missed=_TEXT,
        accepted={"type": "array", "items": _TEXT},
        limit=_POSITION,
    ),
    "RecordedEvent": {**_RECORDED, "description": "An event as the ledger has it."},
    "Receipt": record(
        {"position": _POSITION, "hash": _HASH, "signature": {**_TEXT, "description": "Ed25519."}}
    ),
    "Answer": record(
        {
            "version": _POSITION,
            "position": _POSITION,
            "receipt": ref("Receipt"),
            "events": {"type": "array", "items": ref("RecordedEvent")},
        },
        participant=_NAME,
    ),
    "BatchResult": record(
        {"index": _POSITION, "status": {"type": "integer"}},
        position=_POSITION,
        version=_POSITION,
        problem=ref("Problem"),
    ),
    "BatchResults": {"type": "array", "items": ref("BatchResult")},
    "CloudEvent": record(
        {
            "specversion": {"type": "string", "const": "1.0"},
            "id": _TEXT,
            "source": _TEXT,
            "type": {
                "type": "string",
                "examples": ["cairn.participant.consented.v1"],
            },
        },
        subject=_TEXT,
        time={"type": "string", "format": "date-time"},
        occurredat=_WHEN,
        recordedatsource=_WHEN,
        reason=_TEXT,
        datacontenttype=_TEXT,
        data={"type": "object"},
    ),
    "CloudEvents": {"type": "array", "items": ref("CloudEvent")},
    "Log": list_of(
        ref("RecordedEvent"),
        gaps={
            "type": "boolean",
            "const": True,
            "description": "Positions outside the token's site are left out.",
        },
    ),
    "History": list_of(
        {
            **_RECORDED,
            "properties": {
                **_RECORDED["properties"],
                "corrected_by": _POSITION,
                "retracted_by": _POSITION,
                "now": null_or(record({"occurred_at": _WHEN, "data": {"type": "object"}})),
            },
            "description": "An event as the ledger has it; behind its hash, how it reads since.",
        }
    ),
    "AuditTrail": list_of(
        record(
            {
                "position": _POSITION,
                "version": {"type": "integer", "minimum": 1},
                "type": _TEXT,
                "field": {**_TEXT, "description": "A JSON pointer; empty for the whole event."},
                "how": {"type": "string", "enum": ["corrected", "retracted", "restored"]},
                "was": {},
                "now": {},
                "recorded_at": {"type": "string", "format": "date-time"},
                "recorded_by": record({"id": _TEXT, "role": _TEXT}),
                "changed_at": {"type": "string", "format": "date-time"},
                "changed_by": record({"id": _TEXT, "role": _TEXT}),
                "reason": null_or(_TEXT),
                "change": {**_POSITION, "description": "Of the correction or retraction."},
            }
        )
    ),
    "Replay": record(
        {
            "study": _TEXT,
            "participant": _NAME,
            "version": _POSITION,
            "position": _POSITION,
            "event": {"type": "object"},
            "before": null_or({"type": "object"}),
            "state": {"type": "object"},
            "changes": {
                "type": "array",
                "items": record({"path": _TEXT, "before": {}, "after": {}}),
            },
            "why": {"type": "object"},
        }
    ),
    "Refusal": record(
        {
            "number": {"type": "integer", "minimum": 1},
            "at": {"type": "string", "format": "date-time"},
            "actor": record({"id": _TEXT, "role": _TEXT}),
            "participant": null_or(_NAME),
            "site": null_or(_TEXT),
            "type": _TEXT,
            "problem": {"type": "string", "enum": ["refused", "impossible", "would-deviate"]},
            "rule": _TEXT,
            "rules": {"type": "array", "items": _TEXT},
            "blocked_by": {"type": "array", "items": _POSITION},
            "source": null_or(_TEXT),
            "id": null_or(_TEXT),
        }
    ),
    "Refusals": list_of(ref("Refusal")),
    "PublishedVersion": record(
        {
            "study": _TEXT,
            "version": _TEXT,
            "sha256": _HASH,
            "position": _POSITION,
            "recorded_at": {"type": "string", "format": "date-time"},
        },
        left_out={"type": "array", "items": _TEXT},
    ),
    "PublishedVersions": list_of(
        {
            "allOf": [
                ref("PublishedVersion"),
                record({}, sites={"type": "array", "items": ref("ActiveSite")}),
            ]
        }
    ),
    "StudySummary": record(
        {
            "study": _TEXT,
            "title": _TEXT,
            "registry": null_or(_TEXT),
            "version": _POSITION,
            "protocols": {"type": "array", "items": _TEXT},
            "sites": {"type": "array", "items": _TEXT},
        }
    ),
    "Studies": list_of(ref("StudySummary")),
    "Study": {
        "allOf": [
            ref("StudySummary"),
            record(
                {
                    "position": _POSITION,
                    "consent_forms": {"type": "array", "items": {"type": "object"}},
                    "holds": {"type": "array", "items": {"type": "object"}},
                    "boundaries": {"type": "array", "items": {"type": "object"}},
                    "accrual": record({"cap": null_or(_POSITION), "taken": _POSITION}),
                }
            ),
        ]
    },
    "Sites": list_of(
        record(
            {
                "site": _TEXT,
                "name": _TEXT,
                "timezone": _TEXT,
                "protocol": null_or(_TEXT),
                "opened": _WHEN,
                "position": _POSITION,
            }
        )
    ),
    "Protocol": {"type": "object", "description": "A protocol version as data."},
    "Health": record(
        {"status": _TEXT},
        problems={"type": "array", "items": _TEXT},
        lag={"type": "object"},
        reads={"enum": ["primary", "standby", "away"]},
        relay_halted={"type": "object", "additionalProperties": _TEXT},
    ),
}
"""What is answered, by component name."""
