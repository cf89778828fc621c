"""The components of the OpenAPI document that describe what-ifs."""

from domain.what_if import LISTS
from services.api.schema_words import Schema, null_or, record, ref

_TEXT: Schema = {"type": "string"}
_POSITION: Schema = {"type": "integer", "minimum": 0}
_FACTS: Schema = null_or({"type": "object"})

_MEANINGS = {
    "visits": "Visits that fall out of their windows or into them, that change (state, dates while"
    " they are open, booking), that appear or are no longer planned.",
    "eligibility": "Verdicts with the criteria that differ, outcomes that differ under the same"
    " verdict, and confirmations that would not stand.",
    "stages": "Stages of the journey.",
    "deviations": "Deviations that appear, vanish, or have another weight or wording.",
    "clocks": "Reporting clocks that move, start or no longer start.",
    "safety": "Serious events, dose-limiting toxicities and contradictions.",
    "reconsents": "Who would have to sign anew, and who no longer.",
}

_PARTS: dict[str, Schema] = {
    part: {
        **record({kind: {"type": "array", "items": ref("WhatIfItem")} for kind in kinds}),
        "description": _MEANINGS[part],
    }
    for part, kinds in LISTS.items()
}

_TOTALS: Schema = record(
    {
        "participants": _POSITION,
        "changed": _POSITION,
        "failed": _POSITION,
        **{part: record(dict.fromkeys(kinds, _POSITION)) for part, kinds in LISTS.items()},
    }
)

WHAT_IFS: dict[str, Schema] = {
    "WhatIfItem": record(
        {
            "participant": _TEXT,
            "site": null_or(_TEXT),
            "what": _TEXT,
            "why": _TEXT,
            "today": _FACTS,
            "what_if": _FACTS,
            "evidence": {"type": "array", "items": _POSITION},
        },
        criteria={"type": "array", "items": {"type": "object"}},
    ),
    "WhatIf": record(
        {
            "study": _TEXT,
            "position": _POSITION,
            "on": _TEXT,
            "protocols": record(
                {"today": {"type": "array", "items": _TEXT}, "what_if": _TEXT},
            ),
            "totals": _TOTALS,
            "truncated": {
                "type": "boolean",
                "description": "Whether items are left out; the lines of NDJSON have all of them.",
            },
            **_PARTS,
            "failed": {
                "type": "array",
                "items": record({"participant": _TEXT, "site": null_or(_TEXT), "why": _TEXT}),
            },
        }
    ),
    "ParticipantWhatIf": record(
        {
            "study": _TEXT,
            "participant": _TEXT,
            "site": null_or(_TEXT),
            "position": _POSITION,
            "protocols": record({"today": _TEXT, "what_if": _TEXT}),
            "totals": _TOTALS,
            **_PARTS,
        },
        would=record(
            {
                "recorded": {"type": "boolean"},
                "refusal": null_or(ref("Problem")),
                "events": {"type": "array", "items": {"type": "object"}},
            },
            replayed={"type": "boolean"},
        ),
    ),
    "Supposed": {
        "description": "An event or an array of them, a protocol, or both by name.",
        "anyOf": [
            ref("PostedEvent"),
            ref("PostedEvents"),
            ref("Protocol"),
            record({}, events=ref("PostedEvents"), protocol=ref("Protocol")),
        ],
    },
}
"""Component name -> schema."""
