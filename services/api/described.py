"""What each operation takes and answers, beyond what its signature says: data for OpenAPI."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.api.schema_words import ref

Content = Mapping[str, Any]
"""Media type -> schema."""

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
TEXT: Mapping[str, Any] = {"type": "string"}

_AUTHENTICATED = (401,)
_SCOPED = (401, 403, 404)
_STORE = (503,)
_POSTS = (400, *_SCOPED, 409, 412, 413, 415, 422, 428, 429, 503, 507)
_READS = (*_SCOPED, 422, *_STORE)
_WHAT_IFS = (400, *_SCOPED, 413, 415, 422, 429, *_STORE)


@dataclass(frozen=True, slots=True)
class Described:
    """One operation."""

    answers: Mapping[int, Content]
    problems: tuple[int, ...] = ()
    takes: Content | None = None
    conditions: tuple[str, ...] = ()
    """Names of the request headers it honours."""
    open: bool = False
    """Needs no token."""
    example: Any = None


_EVENT = {
    "id": "EDC-88121",
    "source": "urn:edc:site-01",
    "type": "consented",
    "occurred_at": "2026-11-02T09:15:00-05:00",
    "data": {"form_version": "1.0", "signed_by": "participant"},
}

_TAKES_EVENTS: Content = {
    JSON: {"anyOf": [ref("PostedEvent"), ref("PostedEvents")]},
    NDJSON: {"type": "string", "description": "A posted event a line."},
    "application/cloudevents+json": ref("CloudEvent"),
    "application/cloudevents-batch+json": ref("CloudEvents"),
}

_ANSWER: Content = {JSON: ref("Answer")}
_ANSWER_OR_BATCH: Content = {
    JSON: {"anyOf": [ref("Answer"), ref("BatchResults")]},
    NDJSON: {"type": "string", "description": "A result a line."},
}
_EVENTS_HEADERS = ("If-Match", "Prefer", "Idempotency-Key")

_HISTORY: Content = {
    JSON: ref("Log"),
    NDJSON: TEXT,
    CSV: TEXT,
    "application/cloudevents-batch+json": ref("CloudEvents"),
}


def view(name: str, *, listed: bool = False) -> Described:
    """A view's operation, as JSON or CSV. Few may read a study's past at a time."""
    problems = (*_READS, 429) if listed else _READS
    return Described(answers={200: {JSON: ref(name), CSV: TEXT}}, problems=problems)


OPERATIONS: Mapping[str, Described] = {
    "post_participant_events": Described(
        answers={201: _ANSWER, 200: {**_ANSWER, NDJSON: TEXT}},
        problems=_POSTS,
        takes=_TAKES_EVENTS,
        conditions=_EVENTS_HEADERS,
        example=_EVENT,
    ),
    "post_participant": Described(
        answers={201: _ANSWER, 200: _ANSWER},
        problems=_POSTS,
        takes={
            JSON: ref("PostedReferred"),
            "application/cloudevents+json": ref("CloudEvent"),
        },
        conditions=("Prefer", "Idempotency-Key"),
        example={
            "type": "referred",
            "occurred_at": "2026-11-01",
            "data": {"site": "01", "channel": "clinician"},
        },
    ),
    "post_study_events": Described(
        answers={201: _ANSWER, 200: _ANSWER_OR_BATCH},
        problems=_POSTS,
        takes=_TAKES_EVENTS,
        conditions=_EVENTS_HEADERS,
        example=[{**_EVENT, "participant": "01-004"}],
    ),
    "put_protocol": Described(
        answers={201: {JSON: ref("PublishedVersion")}, 200: {JSON: ref("PublishedVersion")}},
        problems=(400, *_SCOPED, 409, 413, 415, 422, 503, 507),
        takes={JSON: ref("Protocol"), "application/yaml": TEXT},
    ),
    "get_studies": Described({200: {JSON: ref("Studies")}}, (401, 403, 422, 503)),
    "get_study": Described({200: {JSON: ref("Study")}}, _READS),
    "get_protocols": Described({200: {JSON: ref("PublishedVersions")}}, _READS),
    "get_protocol": Described({200: {JSON: ref("Protocol"), "application/yaml": TEXT}}, _READS),
    "get_participant_protocols": Described({200: {JSON: ref("Governing")}}, _READS),
    "get_protocol_sites": Described({200: {JSON: ref("ActiveSites")}}, _READS),
    "get_protocol_participants": Described({200: {JSON: ref("Adopted"), CSV: TEXT}}, _READS),
    "get_sites": Described({200: {JSON: ref("Sites")}}, _READS),
    "get_history": Described({200: {**_HISTORY, JSON: ref("History")}}, _READS),
    "get_audit_trail": Described({200: {JSON: ref("AuditTrail"), CSV: TEXT}}, _READS),
    "get_replay": Described({200: {JSON: ref("Replay")}}, _READS),
    "get_replay_check": Described({200: {NDJSON: TEXT}}, (*_READS, 429)),
    "get_log": Described(
        {200: {**_HISTORY, "text/event-stream": TEXT}},
        (400, *_READS, 429),
        conditions=("Last-Event-ID",),
    ),
    "get_summary": view("Summary"),
    "get_participant_eligibility": view("Eligibility"),
    "get_participant_schedule": view("Schedule"),
    "get_participant_safety": view("Safety"),
    "get_participants": view("Summaries", listed=True),
    "get_eligibility": view("EligibilityList", listed=True),
    "get_missing": view("Missing", listed=True),
    "get_criteria": view("Criteria", listed=True),
    "get_schedule": view("ScheduleList", listed=True),
    "get_safety": view("SafetyList", listed=True),
    "get_deviations": view("DeviationList", listed=True),
    "get_enrolment": view("Enrolment", listed=True),
    "get_worklist": view("Worklist", listed=True),
    "get_matrix": view("Matrix", listed=True),
    "get_workload": view("Workload", listed=True),
    "get_adherence": view("Adherence", listed=True),
    "get_calendar": Described(
        {200: {"text/calendar": TEXT}, 304: {}}, _READS, conditions=("If-None-Match",)
    ),
    "get_calendars": Described({200: {JSON: ref("Calendars")}}, _READS),
    "post_calendar": Described(
        answers={201: {JSON: ref("CalendarMade")}},
        problems=(400, *_SCOPED, 413, 422, 503),
        takes={JSON: ref("CalendarAsked")},
        example={"site": "01"},
    ),
    "delete_calendar": Described({200: {JSON: ref("Calendar")}}, _READS),
    "post_what_if": Described(
        answers={200: {JSON: ref("WhatIf"), NDJSON: TEXT}},
        problems=_WHAT_IFS,
        takes={JSON: ref("Protocol"), "application/yaml": TEXT},
    ),
    "post_participant_what_if": Described(
        answers={200: {JSON: ref("ParticipantWhatIf")}},
        problems=(*_WHAT_IFS, 409, 412, 428),
        takes={JSON: ref("Supposed"), "application/yaml": TEXT},
        conditions=("If-Match", "Prefer"),
        example=_EVENT,
    ),
    "get_log_key": Described({200: {"text/plain": TEXT}}, _READS),
    "get_refusals": Described({200: {JSON: ref("Refusals"), CSV: TEXT}}, _READS),
    "get_live": Described({200: {JSON: ref("Health")}}, open=True),
    "get_ready": Described({200: {JSON: ref("Health")}, 503: {JSON: ref("Health")}}, open=True),
    "get_metrics": Described({200: {"text/plain": TEXT}}, open=True),
}
"""Operation id -> what it takes and answers."""

CONDITIONS: Mapping[str, str] = {
    "If-Match": 'The participant\'s version that the events rest on: `"7"`.',
    "Prefer": "`handling=strict` refuses a fact that would deviate; `handling=atomic` makes a"
    " batch all or nothing.",
    "Idempotency-Key": "An alias for `id` on a single event.",
    "If-None-Match": "The `ETag` of the answer that the reader has.",
    "Last-Event-ID": "The position after which the feed goes on.",
}

PATHS: Mapping[str, tuple[str, str]] = {
    "study": ("The study's code.", "^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$"),
    "participant": ("The participant's name in the study.", "^[A-Za-z0-9._-]{1,64}$"),
    "calendar": ("The calendar's name in the study.", "^[0-9a-f]{16}$"),
    "version": ("The protocol version.", "^[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}$"),
}
"""Path parameter -> what it is and how it looks."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A group of operations."""

    name: str
    description: str
    members: tuple[str, ...] = field(default=())


TAGS = (
    Tag("Events", "What happened comes in: one event, arrays, batches and streams."),
    Tag("Studies", "Protocol versions, sites and the study itself."),
    Tag("Views", "What coordinators work from."),
    Tag("What if", "What a draft protocol, or events that are not recorded, would change."),
    Tag("Audit", "Histories and the log as they were recorded, and what was refused."),
    Tag("Health", "Whether the process is well."),
)
