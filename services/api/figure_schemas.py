"""The component of the OpenAPI document that describes the figures for a safety board."""

from services.api.schema_words import Schema, null_or, record

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_DAY: Schema = {"type": "string", "format": "date"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_LIMIT: Schema = null_or({"type": "integer", "description": "Inclusive; null: without limit."})
_WHOSE: dict[str, Schema] = {"participant": _TEXT, "site": null_or(_TEXT)}

_COUNTS: dict[str, Schema] = {
    "events": _COUNT,
    "participants": _COUNT,
    "serious": _COUNT,
    "suspected": _COUNT,
    "dose_limiting": _COUNT,
}


def _many(fields: dict[str, Schema]) -> Schema:
    return {"type": "array", "items": record(fields)}


_SERIOUS: dict[str, Schema] = {
    **_WHOSE,
    "ae": _TEXT,
    "term": _TEXT,
    "onset": _TEXT,
    "days_since_dose": null_or({"type": "integer"}),
    "grade": null_or({"type": "integer"}),
    "because": _TEXTS,
    "suspected": _FLAG,
    "expected": null_or(_FLAG),
    "outcome": null_or(_TEXT),
    "status": _TEXT,
    "dose_limiting": _FLAG,
    "contradictions": _TEXTS,
    "owed": {**_TEXTS, "description": "Clocks whose report is not sent."},
}

_TOXICITY: dict[str, Schema] = {
    "statuses": {"type": "object", "additionalProperties": _COUNT},
    "participants": _many(
        {
            **_WHOSE,
            "dosed_on": _DAY,
            "window_ends": _DAY,
            "status": {"type": "string", "enum": ["with-dlt", "completed", "pending", "left"]},
            "events": _TEXTS,
        }
    ),
    "design": null_or(_TEXT),
    "boundary": _many({"evaluable": _COUNT, "stops_at": null_or(_COUNT)}),
    "rules": _many(
        {
            "rule": _TEXT,
            "status": {"type": "string", "enum": ["standing", "lifted"]},
            "count": _COUNT,
            "explanation": _TEXT,
            "position": _COUNT,
            "evidence": {"type": "array", "items": _COUNT},
        }
    ),
    "holds": _many({"scope": _TEXT, "cause": _TEXT, "position": _COUNT}),
}

FIGURES: Schema = {
    **record(
        {
            "adverse_events": record(_COUNTS),
            "by_grade": _many({"grade": null_or({"type": "integer"}), **_COUNTS}),
            "by_term": _many({"term": _TEXT, **_COUNTS}),
            "by_causality": _many({"causality": _TEXT, **_COUNTS}),
            "by_days_since_dose": _many({"from": _LIMIT, "to": _LIMIT, "dosed": _FLAG, **_COUNTS}),
            "exposure": record({"enrolled": _COUNT, "dosed": _COUNT, "participant_days": _COUNT}),
            "serious": _many(_SERIOUS),
            "clocks_by_hours_left": _many({"from": _LIMIT, "to": _LIMIT, "clocks": _COUNT}),
            "toxicity": record(_TOXICITY),
        }
    ),
    "description": "Figures for a safety board at the cut that is asked for; on the first page.",
}
