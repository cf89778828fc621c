"""A small protocol, for nodes of the rule language that LK-23-01 uses little or not at all."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from domain.clinical.interval import FALSE, TRUE, UNKNOWN
from domain.eligibility.compiling import compiled, ready
from domain.eligibility.logic import Result
from domain.eligibility.reads import read_of
from domain.eligibility.rules import Rule
from domain.trial.protocol import Protocol
from tests.domain.eligibility.charts import NEW_YORK, Fact, chart

TRUTH = {"yes": TRUE, "no": FALSE, "open": UNKNOWN}
RULES: TypeAdapter[Any] = TypeAdapter(Rule)
AT_SCREENING = {"anchor": "screening", "back": "P14D", "until": "before-day-0"}

SMALL = Protocol.model_validate_json(
    """{
    "study": "SMALL", "version": "1", "title": "A small study",
    "dictionary": {
        "haemoglobin": {"name": "Haemoglobin", "kind": "quantity", "unit": "g/dL",
            "units": [{"unit": "g/L", "factor": "0.1"}]},
        "weight": {"name": "Weight", "kind": "quantity", "unit": "g",
            "units": [{"unit": "kg", "factor": "1000"}]},
        "creatinine": {"name": "Creatinine", "kind": "quantity", "unit": "umol/L",
            "units": [{"unit": "mg/dL", "factor": "88.4"}]},
        "class": {"name": "Nephritis class", "kind": "text"},
        "titre": {"name": "Titre", "kind": "titre"},
        "signs": {"name": "Signs", "kind": "items", "items": {"a": 1, "b": 1, "c": 1}}
    },
    "statements": {"fit": "The participant is fit.", "willing": "The participant is willing.",
        "able": "The participant is able."},
    "steroids": [{"name": "prednisone", "equals_5mg_prednisone": "5"}],
    "visits": [{"code": "V1", "name": "Dose", "kind": "dosing", "day": 0}]
    }"""
)


def says(rule: dict[str, Any], *facts: Fact) -> Result:
    """What a rule says of a chart under the small protocol."""
    prepared = ready(SMALL)
    function = compiled(RULES.validate_python(rule), SMALL)
    return function(prepared.facts(read_of(SMALL, NEW_YORK, chart(facts))))


def haemoglobin(**more: Any) -> dict[str, Any]:
    return {
        "rule": "value",
        "code": "haemoglobin",
        "unit": "g/dL",
        "within": AT_SCREENING,
        **more,
    }


def leaves() -> list[dict[str, Any]]:
    """Three rules that a person's word decides."""
    return [{"rule": "attested", "statement": name} for name in ("fit", "willing", "able")]
