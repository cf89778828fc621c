"""Who may do what: roles by operations, as data.

The scope of a token (study, site) is another matter and is looked at first: what lies outside it
is answered as if it did not exist.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from domain import catalogue
from domain.kernel import Kind

Role = Literal[
    "administrator",
    "system",
    "coordinator",
    "investigator",
    "safety-officer",
    "sponsor",
    "data-manager",
    "monitor",
    "auditor",
    "privacy-officer",
]

Operation = Literal["read", "audit", "publish"]
"""read: views and histories; audit: the study's log and refusals; publish: protocol versions."""

FACTS = frozenset(name for name, cls in catalogue.PARTICIPANT.items() if cls.kind is Kind.FACT)
"""Reports of what happened to a participant."""

CONCLUSIONS = frozenset(
    name
    for name, cls in (*catalogue.PARTICIPANT.items(), *catalogue.STUDY.items())
    if cls.kind is Kind.CONCLUSION
)
"""What only Cairn says; whoever posts it is told so by the rule `signer`."""

CORRECTIONS = frozenset({"corrected", "retracted"})

SITE_DECISIONS = frozenset(
    {
        "adverse-event-assessed",
        "completed",
        "deviation-assessed",
        "dose-authorised",
        "eligibility-confirmed",
        "enrolled",
        "lost-to-follow-up",
        "referral-closed",
        "rescreening-opened",
        "screen-failed",
        "signed",
        "transferred",
    }
)

STUDY_DECISIONS = frozenset(
    name for name, cls in catalogue.STUDY.items() if cls.kind is Kind.DECISION
)

SAFETY_DECISIONS = frozenset(
    {"adverse-event-assessed", "deviation-assessed", "hold-placed", "hold-released"}
)

SAFETY_FACTS = frozenset(
    {"adverse-event-reported", "adverse-event-updated", "safety-report-submitted"}
)

EVERYTHING = frozenset((*catalogue.PARTICIPANT, *catalogue.STUDY))

RECORDS: Mapping[Role, frozenset[str]] = MappingProxyType(
    {
        "administrator": EVERYTHING - {"signed"},
        "system": FACTS,
        "coordinator": FACTS | {"referral-closed", "lost-to-follow-up"},
        "investigator": FACTS | SITE_DECISIONS,
        "safety-officer": SAFETY_FACTS | SAFETY_DECISIONS,
        "sponsor": STUDY_DECISIONS | {"adverse-event-assessed"},
        "data-manager": FACTS | CORRECTIONS | {"deviation-assessed"},
        "monitor": frozenset(),
        "auditor": frozenset(),
        "privacy-officer": frozenset({"identity-erased"}),
    }
)
"""Role -> the event types that it may post."""

_READ: frozenset[Operation] = frozenset({"read"})
_AUDIT: frozenset[Operation] = frozenset({"read", "audit"})

DOES: Mapping[Role, frozenset[Operation]] = MappingProxyType(
    {
        "administrator": frozenset({"read", "audit", "publish"}),
        "system": frozenset(),
        "coordinator": _AUDIT,
        "investigator": _AUDIT,
        "safety-officer": _AUDIT,
        "sponsor": frozenset({"read", "audit", "publish"}),
        "data-manager": _AUDIT,
        "monitor": _AUDIT,
        "auditor": _AUDIT,
        "privacy-officer": _READ,
    }
)
"""Role -> what else it may do."""


def may_record(role: Role, event_type: str) -> bool:
    """Whether the role may post the event type; conclusions are refused by their own rule."""
    writes = RECORDS[role]
    return event_type in writes or (bool(writes) and event_type in CONCLUSIONS)
