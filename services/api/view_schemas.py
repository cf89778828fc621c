"""The components of the OpenAPI document that describe views."""

from typing import get_args

from domain.stage import Stage
from services.api.figure_schemas import FIGURES
from services.api.schedule_schemas import LEFT_OUT, SCHEDULES, UNCERTAIN_PARTICIPANTS, VISIT
from services.api.schema_words import Schema, list_of, null_or, record, ref

_TEXT: Schema = {"type": "string"}
_DAY: Schema = {"type": "string", "pattern": r"^\d{4}(-\d{2}(-\d{2})?)?$"}
_FLAG: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "integer"}
_POSITION: Schema = {"type": "integer", "minimum": 0}
_POSITIONS: Schema = {"type": "array", "items": _POSITION}
_ACTOR: Schema = record({"id": _TEXT, "role": _TEXT})


def _words(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


_WHOSE: dict[str, Schema] = {"participant": _TEXT, "site": null_or(_TEXT)}
_VERDICT = _words("pending", "eligible", "ineligible")
_UNCERTAIN: dict[str, Schema] = {
    "uncertain": {
        **_POSITIONS,
        "description": "With `valid_at`: events of the participant that are told of although their"
        " dates, as far as they are known, may lie after that moment.",
    }
}
_ITEM_OF_A_LIST: dict[str, Schema] = {
    **_UNCERTAIN,
    "stale_since": {
        **_POSITION,
        "description": "The participant's rows do not reflect what was recorded from here on.",
    },
}

_SUMMARY: dict[str, Schema] = {
    **_WHOSE,
    "stage": _words(*get_args(Stage)),
    "version": _POSITION,
    "protocol": _TEXT,
    "position": _POSITION,
    "consent": record(
        {
            "status": _words("none", "given", "withdrawn"),
            "form_version": null_or(_TEXT),
            "on": null_or(_DAY),
        }
    ),
    "verdict": _VERDICT,
    "dosed_on": null_or(_DAY),
    "open_adverse_events": _POSITION,
}

_KIND = _words("inclusion", "exclusion")

_WINDOW = record(
    {
        "anchor": _TEXT,
        "on": null_or({**_DAY, "description": "The anchor's day."}),
        "first": null_or(_DAY),
        "last": null_or(_DAY),
    }
)

_CRITERION = record(
    {
        "id": _TEXT,
        "kind": _KIND,
        "text": _TEXT,
        "outcome": _words("passed", "failed", "unknown"),
        "explanation": _TEXT,
        "evidence": _POSITIONS,
        "missing": {
            "type": "array",
            "items": _TEXT,
            "description": "For the unknown: the fewest facts that could let it pass.",
        },
        "recheck": {**_FLAG, "description": "Evaluated again on the day of the dose."},
        "near_threshold": {
            **_FLAG,
            "description": "Close to a limit, or ambiguous: a person looks again.",
        },
        "applicable": {**_FLAG, "description": "Whether the rule concerns the participant at all."},
        "notes": {"type": "array", "items": _TEXT},
        "windows": {"type": "array", "items": _WINDOW},
        "rule_hash": {
            "type": "string",
            "pattern": "^([0-9a-f]{64})?$",
            "description": "SHA-256 of the rule; empty where a person judges without one.",
        },
    }
)

_AWAITED: dict[str, Schema] = {
    **_WHOSE,
    "criterion": _TEXT,
    "kind": _KIND,
    "missing": {"type": "array", "items": _TEXT},
    "explanation": _TEXT,
}

_COUNTS: dict[str, Schema] = {
    "criterion": _TEXT,
    "kind": _KIND,
    "text": _TEXT,
    "rule": null_or({"type": "string", "description": "The rule in English."}),
    "failed": _POSITION,
    "unknown": _POSITION,
    "passed": _POSITION,
    "near_threshold": {**_POSITION, "description": "Of all of these, those close to a limit."},
}

_ELIGIBILITY: dict[str, Schema] = {
    "participant": _TEXT,
    "protocol": _TEXT,
    "verdict": _VERDICT,
    "confirmed": null_or(
        record(
            {
                "position": _POSITION,
                "by": _ACTOR,
                "at": _TEXT,
                "status": _words("standing", "stale"),
            }
        )
    ),
    "criteria": {"type": "array", "items": _CRITERION},
}

_CLOCK: dict[str, Schema] = {
    "clock": _TEXT,
    "jurisdiction": null_or(_TEXT),
    "occasion": _NUMBER,
    "recipient": _TEXT,
    "started_at": _TEXT,
    "due_at": _TEXT,
    "met_at": null_or(_TEXT),
    "status": _words("running", "met", "breached", "closed"),
    "late": _FLAG,
    "late_by": null_or({"type": "string", "description": "ISO 8601; so far, while not sent."}),
    "hours_left": null_or(
        {"type": "integer", "description": "Whole hours; below zero once the limit has passed."}
    ),
    "closed_because": null_or(_TEXT),
    "evidence": _POSITIONS,
}

_OPINIONS = record({"investigator": null_or(_TEXT), "sponsor": null_or(_TEXT)})

_ADVERSE_EVENT: dict[str, Schema] = {
    "ae": _TEXT,
    "term": _TEXT,
    "onset": _DAY,
    "end": null_or(_DAY),
    "status": _words("open", "closed", "reopened"),
    "days_since_dose": null_or(_NUMBER),
    "grade": null_or(_NUMBER),
    "ctcae_version": null_or(
        {"type": "string", "description": "By the protocol under which it was graded."}
    ),
    "serious": _FLAG,
    "serious_reported": null_or(_FLAG),
    "seriousness": {"type": "array", "items": _TEXT},
    "because": {"type": "array", "items": _TEXT},
    "causality": _OPINIONS,
    "suspected": _FLAG,
    "relations": record(
        {
            "product": _OPINIONS,
            "procedure": _OPINIONS,
            "disease": _OPINIONS,
            "other-drug": _OPINIONS,
        }
    ),
    "expected": null_or(_FLAG),
    "dose_limiting": _FLAG,
    "outcome": null_or(_TEXT),
    "clocks": {"type": "array", "items": record(_CLOCK)},
    "contradictions": {"type": "array", "items": _TEXT},
}

_CONTRADICTION: dict[str, Schema] = {
    "ae": null_or(_TEXT),
    "contradiction": _TEXT,
    "explanation": _TEXT,
    "sides": {"type": "array", "items": record({"said": _TEXT, "evidence": _POSITIONS})},
    "evidence": _POSITIONS,
}

_DEVIATION: dict[str, Schema] = {
    **_WHOSE,
    "position": _POSITION,
    "rule": null_or(_TEXT),
    "subject": null_or(_TEXT),
    "explanation": null_or(_TEXT),
    "evidence": _POSITIONS,
    "category": _TEXT,
    "importance": _words("important", "minor"),
    "detected": _FLAG,
    "assessment": null_or({"type": "object"}),
}

VIEWS: dict[str, Schema] = {
    **SCHEDULES,
    "Summary": record(_SUMMARY, **_ITEM_OF_A_LIST),
    "Summaries": list_of(ref("Summary"), left_out=LEFT_OUT),
    "Eligibility": record({**_ELIGIBILITY, "position": _POSITION}, **_UNCERTAIN),
    "EligibilityList": list_of(
        record({**_ELIGIBILITY, **_WHOSE}, **_ITEM_OF_A_LIST), left_out=LEFT_OUT
    ),
    "Missing": list_of(record(_AWAITED, **_ITEM_OF_A_LIST), left_out=LEFT_OUT),
    "Criteria": list_of(record(_COUNTS), uncertain=UNCERTAIN_PARTICIPANTS, left_out=LEFT_OUT),
    "Schedule": record(
        {
            "participant": _TEXT,
            "anchor": null_or(
                record({"visit": null_or(_TEXT), "date": _DAY, "provisional": _FLAG})
            ),
            "visits": {"type": "array", "items": record(VISIT)},
            "position": _POSITION,
        },
        **_UNCERTAIN,
    ),
    "ScheduleList": list_of(record({**_WHOSE, **VISIT}, **_ITEM_OF_A_LIST), left_out=LEFT_OUT),
    "Safety": record(
        {
            "participant": _TEXT,
            "adverse_events": {"type": "array", "items": record(_ADVERSE_EVENT)},
            "contradictions": {"type": "array", "items": record(_CONTRADICTION)},
            "position": _POSITION,
        },
        **_UNCERTAIN,
    ),
    "SafetyList": {
        "allOf": [
            list_of(record({**_WHOSE, **_ADVERSE_EVENT}, **_ITEM_OF_A_LIST), left_out=LEFT_OUT),
            record(
                {
                    "clocks": {
                        "type": "array",
                        "items": record({**_WHOSE, "ae": _TEXT, **_CLOCK}),
                    },
                    "toxicity": record(
                        {
                            "dosed": _POSITION,
                            "evaluable": _POSITION,
                            "pending": _POSITION,
                            "with_dlt": _POSITION,
                            "boundary": null_or(_POSITION),
                            "crossed": _FLAG,
                        }
                    ),
                    "contradictions": {
                        "type": "array",
                        "items": record({**_WHOSE, **_CONTRADICTION}),
                    },
                },
                figures=ref("SafetyFigures"),
            ),
        ]
    },
    "SafetyFigures": FIGURES,
    "DeviationList": list_of(record(_DEVIATION, **_ITEM_OF_A_LIST), left_out=LEFT_OUT),
    "Enrolment": list_of(
        record({"site": null_or(_TEXT), "stage": _TEXT, "participants": _POSITION}),
        funnel={"type": "object", "additionalProperties": _POSITION},
        accrual=record({"cap": null_or(_POSITION), "taken": _POSITION}),
        uncertain=UNCERTAIN_PARTICIPANTS,
        left_out=LEFT_OUT,
    ),
    "Worklist": list_of(
        record(
            {
                **_WHOSE,
                "task": _words(
                    "today",
                    "overdue",
                    "closing",
                    "due",
                    "nothing-booked",
                    "clock-running",
                    "clock-breached",
                    "re-consent",
                    "eligibility-expiring",
                ),
                "due": _TEXT,
            },
            **_UNCERTAIN,
        ),
        left_out=LEFT_OUT,
    ),
}
"""Component name -> schema, for each view."""
