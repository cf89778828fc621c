"""The components of the OpenAPI document that describe schedules and calendars."""

from services.api.schema_words import Schema, list_of, null_or, record, ref

_TEXT: Schema = {"type": "string"}
_DAY: Schema = {"type": "string", "pattern": r"^\d{4}(-\d{2}(-\d{2})?)?$"}
_FLAG: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "integer"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_POSITIONS: Schema = {"type": "array", "items": _COUNT}
_STATES = ("provisional", "upcoming", "due", "overdue", "completed", "missed", "not-expected")
_STATE: Schema = {"type": "string", "enum": list(_STATES)}
_WHOSE: dict[str, Schema] = {"participant": _TEXT, "site": null_or(_TEXT)}

_CELL: dict[str, Schema] = {
    "status": _STATE,
    "target": null_or(_DAY),
    "earliest": null_or(_DAY),
    "latest": null_or(_DAY),
    "completed_on": null_or(_DAY),
    "days_from_target": null_or(_NUMBER),
    "out_of_window": null_or(_FLAG),
    "days_outside_window": null_or(
        {"type": "integer", "description": "Days outside the window; negative: early."}
    ),
    "booked_for": null_or(_TEXT),
}

_BOOKING = record(
    {
        "at": _TEXT,
        "made": _TEXT,
        "state": {"type": "string", "enum": ["standing", "moved", "cancelled"]},
        "cause": null_or(_TEXT),
        "position": _COUNT,
        "evidence": _POSITIONS,
    }
)

VISIT: dict[str, Schema] = {
    "visit": _TEXT,
    "name": _TEXT,
    "day": null_or({"type": "integer", "description": "The day as the study counts."}),
    **_CELL,
    "booked_outside_window": _FLAG,
    "warnings": {"type": "array", "items": _TEXT},
    "bookings": {"type": "array", "items": _BOOKING},
    "occurrence": {"type": "integer", "minimum": 1},
    "number": {
        "type": "integer",
        "minimum": 1,
        "description": "Which time of the visit it is, in the order of days.",
    },
    "changed": null_or(record({"position": _COUNT, "at": _TEXT})),
    "protocol": _TEXT,
    "why": _TEXT,
    "evidence": _POSITIONS,
}
"""A visit of a schedule."""

_CALENDAR: dict[str, Schema] = {
    "calendar": _TEXT,
    "site": null_or(_TEXT),
    "participant": null_or(_TEXT),
    "made_by": _TEXT,
    "made_at": _TEXT,
    "revoked_at": null_or(_TEXT),
}

UNCERTAIN_PARTICIPANTS: Schema = {
    **_COUNT,
    "description": "With `valid_at`: participants of whom something is counted although its dates,"
    " as far as they are known, may lie after that moment.",
}

LEFT_OUT: Schema = {
    "type": "array",
    "items": record({**_WHOSE, "stale_since": _COUNT}),
    "description": "With `as_of` or `valid_at`: participants of whom nothing is told, because an"
    " event of theirs (`stale_since`) cannot be read. Not there when there are none.",
}

SCHEDULES: dict[str, Schema] = {
    "Matrix": list_of(
        record(
            {**_WHOSE, "visits": {"type": "object", "additionalProperties": record(_CELL)}},
            stale_since=_COUNT,
            uncertain=_POSITIONS,
        ),
        visits={"type": "array", "items": _TEXT},
        left_out=LEFT_OUT,
    ),
    "Workload": list_of(
        record(
            {
                "week": {**_DAY, "description": "The week's Monday."},
                "site": null_or(_TEXT),
                "visits": _COUNT,
                "booked": _COUNT,
                **{state.replace("-", "_"): _COUNT for state in _STATES},
            }
        ),
        uncertain=UNCERTAIN_PARTICIPANTS,
        left_out=LEFT_OUT,
    ),
    "Adherence": list_of(
        record(
            {
                "visit": _TEXT,
                "site": null_or(_TEXT),
                "held": _COUNT,
                "in": _COUNT,
                "early": _COUNT,
                "late": _COUNT,
                "not_judged": {**_COUNT, "description": "Held, without a window to judge by."},
                "missed": _COUNT,
                "not_expected": _COUNT,
                "open": _COUNT,
            }
        ),
        uncertain=UNCERTAIN_PARTICIPANTS,
        left_out=LEFT_OUT,
    ),
    "Calendar": record(_CALENDAR),
    "Calendars": record({"items": {"type": "array", "items": ref("Calendar")}}),
    "CalendarMade": record(
        {
            **_CALENDAR,
            "token": {"type": "string", "description": "It is told only now."},
            "url": {"type": "string", "description": "What a calendar program subscribes to."},
        }
    ),
    "CalendarAsked": {
        "type": "object",
        "properties": {"site": null_or(_TEXT), "participant": null_or(_TEXT)},
        "additionalProperties": False,
    },
}
"""Component name -> schema."""
