"""The measured payload: twenty routine facts of LK-23-01, from the referral to the first visit."""

from typing import Any

STUDY = "LK-23-01"

_DAY = "2025-11-04"
_NEGATIVE = {"interpretation": "negative"}

Fact = tuple[str, str, dict[str, Any]]
"""Type, when it happened, data."""

_CONTACT = {
    "first_name": "Synthetic",
    "last_name": "Person",
    "phone": "+1 555 0100",
    "language": "en",
}


def _observed(code: str, **data: Any) -> Fact:
    return ("observation-recorded", f"{_DAY}T10:15:00-05:00", {"code": code, **data})


FACTS: tuple[Fact, ...] = (
    (
        "referred",
        "2025-10-20T10:05:00-04:00",
        {"site": "01", "channel": "clinician", "contact": _CONTACT},
    ),
    ("prescreened", "2025-10-24T14:30:00-04:00", {"proceed": True}),
    (
        "consented",
        f"{_DAY}T09:05:00-05:00",
        {"form_version": "1.0", "signed_by": "participant", "language": "en"},
    ),
    ("screening-started", f"{_DAY}T09:30:00-05:00", {}),
    (
        "demographics-recorded",
        _DAY,
        {"birth_date": "1984-07-15", "sex": "female", "childbearing_potential": True},
    ),
    _observed("weight", value="64", unit="kg"),
    _observed("height", value="168", unit="cm"),
    _observed("systolic-pressure", value="124", unit="mm[Hg]"),
    _observed("diastolic-pressure", value="78", unit="mm[Hg]"),
    (
        "medication-recorded",
        _DAY,
        {
            "medication": "M1",
            "name": "hydroxychloroquine",
            "classes": ["antimalarial"],
            "indication": "SLE",
            "dose": "200",
            "unit": "mg",
            "per": "d",
            "route": "oral",
            "started_on": "2023",
        },
    ),
    (
        "history-recorded",
        _DAY,
        {
            "item": "H1",
            "category": "non-sle-disease",
            "term": "Hypothyroidism",
            "started_on": "2018",
            "status": "ongoing",
        },
    ),
    ("attested", _DAY, {"statement": "able-to-follow-visits", "answer": True}),
    ("attested", _DAY, {"statement": "medical-history-taken", "answer": True}),
    ("attested", _DAY, {"statement": "agrees-contraception", "answer": True}),
    _observed("hbsag", **_NEGATIVE),
    _observed("hiv", **_NEGATIVE),
    _observed("creatinine", value="0.8", unit="mg/dL"),
    _observed("c3", value="71", unit="mg/dL"),
    _observed("leukocytes", value="4.1", unit="10*3/uL"),
    _observed("platelets", value="212", unit="10*3/uL"),
)


def documents(participant: str) -> list[dict[str, Any]]:
    """The journey as a client posts it, each event with an id of its own."""
    return [
        {"id": f"{participant}:{index}", "type": kind, "occurred_at": when, "data": data}
        for index, (kind, when, data) in enumerate(FACTS)
    ]
