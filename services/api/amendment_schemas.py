"""Schemas of what the API answers about amendments."""

from services.api.schema_words import Schema, list_of, null_or, record, ref

_TEXT: Schema = {"type": "string"}
_DAY: Schema = {"type": "string", "format": "date"}
_POSITION: Schema = {"type": "integer", "minimum": 0}
_ACT = {
    "position": _POSITION,
    "type": _TEXT,
    "occurred_at": _TEXT,
    "recorded_at": {"type": "string", "format": "date-time"},
}
_CAUSE = record(_ACT, protocol=_TEXT)

AMENDMENTS: dict[str, Schema] = {
    "Governing": list_of(
        record(
            {
                "protocol": _TEXT,
                "since": null_or(_DAY),
                "until": null_or(_DAY),
                "by": null_or(_CAUSE),
            }
        ),
        participant=_TEXT,
        awaited={**null_or(_CAUSE), "description": "Active at the site, without consent to it."},
    ),
    "ActiveSite": record(
        {
            "site": _TEXT,
            "active": {
                "type": "array",
                "items": record({**_ACT, "protocol": _TEXT, "until": null_or(_TEXT)}),
            },
            "approvals": {
                "type": "array",
                "items": record({**_ACT, "by": _TEXT, "reference": null_or(_TEXT)}),
            },
        }
    ),
    "ActiveSites": list_of(ref("ActiveSite")),
    "Adopted": list_of(
        record(
            {
                "participant": _TEXT,
                "site": null_or(_TEXT),
                "status": {"type": "string", "enum": ["in-force", "awaits-consent", "over"]},
                "protocol": _TEXT,
                "since": null_or(_DAY),
            }
        )
    ),
}
