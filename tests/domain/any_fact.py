"""Any fact of the catalogue, drawn: each type with what it may say, at any moment of a journey."""

from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from domain.kernel import Sealed
from tests.specs import Said, said

START = date(2026, 11, 20)
DAYS = 240


@st.composite
def days(draw: st.DrawFn) -> str:
    """A civil day, at times only its month."""
    day = START + timedelta(days=draw(st.integers(0, DAYS)))
    return day.isoformat()[: draw(st.sampled_from([10, 10, 10, 7]))]


@st.composite
def instants(draw: st.DrawFn) -> str:
    """An instant; few hours, so that some coincide."""
    day = START + timedelta(days=draw(st.integers(0, DAYS)))
    return f"{day}T{draw(st.sampled_from([0, 8, 9, 23])):02}:00:00-05:00"


moments = st.one_of(days(), instants(), instants())
appointments = st.one_of(days().filter(lambda day: len(day) == 10), instants())

MEANT = st.sampled_from(["one", "another"])
"""Protected values, as the ledger has them: sealed."""


def protected(text: str) -> Sealed:
    return Sealed(sealed=text, key="k1")


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _data(
    optional: dict[str, st.SearchStrategy[Any]] | None = None, /, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields, optional=optional or {})


CODES = st.sampled_from(["V0", "V1", "V2", "V5", "V7", "V11", "ET", "UNS"])
AES = st.sampled_from(["AE-1", "AE-2"])
ABOUT = {
    "end": moments,
    "grade": st.integers(1, 5),
    "severity": st.sampled_from(["mild", "severe"]),
    "serious": st.booleans(),
    "seriousness": st.sampled_from([[], ["hospitalisation"], ["life-threatening"], ["death"]]),
    "causality": st.sampled_from(["unrelated", "possible", "definite"]),
    "expected": st.booleans(),
    "action": st.sampled_from(["none", "drug-withdrawn"]),
    "outcome": st.sampled_from(["recovered", "not-recovered", "fatal"]),
    "laboratory": st.booleans(),
}
SAMPLE = {
    "visit": CODES,
    "volume_ml": st.sampled_from(["5", "8.5"]),
    "status": st.sampled_from(["collected", "processed", "destroyed"]),
}
PROCEDURES = st.sampled_from(
    [[{"code": "blood-count", "done": False}], [{"code": "sf-36", "done": True}]]
)
RESULTS = st.sampled_from(
    [
        {"code": "egfr", "value": "64", "unit": "mL/min/{1.73_m2}"},
        {"code": "egfr", "value": "46", "unit": "mL/min/{1.73_m2}"},
        {"code": "creatinine", "value": "0.8", "unit": "mg/dL"},
        {"code": "weight", "value": "64", "unit": "kg"},
        {"code": "hcg-urine", "interpretation": "negative"},
        {"code": "hcg-urine", "interpretation": "positive"},
        {"code": "ana-titre", "value": "1:160"},
        {"code": "acr-1997", "components": {"malar-rash": "present", "ana": "unknown"}},
    ]
)
MEDICINES = st.sampled_from(
    [
        {"name": "hydroxychloroquine", "classes": ["antimalarial"], "dose": "200", "unit": "mg",
         "per": "d", "route": "oral"},
        {"name": "prednisone", "classes": ["corticosteroid"], "dose": "10", "unit": "mg",
         "per": "d", "route": "oral"},
        {"name": "belimumab", "classes": ["biologic", "immunosuppressant"]},
    ]
)  # fmt: skip

FACTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "referred": _data(site=st.sampled_from(["01", "02"]), channel=st.just("clinician")),
    "prescreened": _data({"note": MEANT.map(protected)}, proceed=st.booleans()),
    "consented": _data(
        {"witnessed": st.booleans()},
        form_version=st.sampled_from(["1.0", "2.0"]),
        signed_by=st.just("participant"),
    ),
    "consent-withdrawn": _data(
        scope=st.sampled_from([["visits"], ["treatment"], ["samples", "data"]])
    ),
    "screening-started": _data(),
    "demographics-recorded": _data(
        {"childbearing_potential": st.booleans()},
        birth_date=MEANT.map(protected),
        sex=st.sampled_from(["female", "male", "unknown"]),
    ),
    "observation-recorded": RESULTS,
    "medication-recorded": st.builds(
        lambda what, more: {**what, **more},
        MEDICINES,
        _data(
            {"ended_on": days(), "changed_on": days()},
            medication=st.sampled_from(["M1", "M2"]),
            started_on=st.one_of(st.just("2023"), days()),
        ),
    ),
    "history-recorded": _data(
        {"started_on": days(), "ended_on": days(), "status": st.sampled_from(["ongoing", "ended"]),
         "adequately_treated": st.booleans(), "planned": st.booleans()},
        item=st.sampled_from(["H1", "H2"]),
        category=st.sampled_from(["cancer", "dialysis", "infection", "non-sle-disease"]),
        term=st.sampled_from(["One", "Another"]),
    ),
    "attested": _data(
        statement=st.sampled_from(
            ["able-to-follow-visits", "breast-feeding", "medical-history-taken"]
        ),
        answer=st.booleans(),
    ),
    "dosed": _data(
        {"lot": st.sampled_from(["L1", "L2"])},
        product=st.just("UC-MSC"),
        amount=st.sampled_from(["60", "60.0", "30"]),
        unit=st.just("10*6"),
        route=st.sampled_from(["subcutaneous", "intravenous"]),
    ),
    "dose-not-given": _data(cause=st.just("fever")),
    "visit-booked": _data(visit=CODES, at=appointments),
    "visit-cancelled": _data({"at": appointments}, visit=CODES),
    "visit-completed": _data(
        {"procedures": PROCEDURES}, visit=CODES, mode=st.sampled_from(["in-person", "telephone"])
    ),
    "visit-missed": _data(visit=CODES),
    "sample-collected": _data(
        SAMPLE, sample=st.sampled_from(["S1", "S2"]), type=st.sampled_from(["serum", "plasma"])
    ),
    "sample-updated": _data(SAMPLE, sample=st.sampled_from(["S1", "S2"])),
    "adverse-event-reported": _data(
        ABOUT, ae=AES, term=st.sampled_from(["Headache", "Sepsis"]), onset=moments,
        aware_at=instants(),
    ),
    "adverse-event-updated": _data(ABOUT | {"onset": moments, "aware_at": instants()}, ae=AES),
    "safety-report-submitted": _data(
        ae=AES, clock=st.sampled_from(["site-to-sponsor", "sponsor-15-day"]),
        recipient=st.just("sponsor"), submitted_at=instants(),
    ),
    "discontinued": _data(cause=st.sampled_from(["other", "adverse-event"])),
    "recontacted": _data(),
    "died": _data(on=days()),
    "deviation-recorded": _data(
        category=st.sampled_from(["consent", "other"]),
        importance=st.sampled_from(["important", "minor"]),
    ),
    "note-added": _data(text=MEANT.map(protected)),
}  # fmt: skip
"""Type -> what it may say."""


def fact(kind: str) -> st.SearchStrategy[Said]:
    """Any fact of a type."""
    return st.builds(lambda at, data: said(kind, at, **data), moments, FACTS[kind])


facts = st.sampled_from(sorted(FACTS)).flatmap(fact)
journeys = st.lists(facts, min_size=1, max_size=12)
