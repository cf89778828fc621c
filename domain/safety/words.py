"""The words of adverse events: causes and how likely they are, seriousness, outcome, coding."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from domain.kernel import Code, Strict, Term

Causality = Literal["unrelated", "unlikely", "possible", "probable", "definite"]
"""How likely something caused the event, in rising order; `possible` and above are suspected."""

Relation = Literal["product", "procedure", "disease", "other-drug"]
"""What may have caused it: the product, its administration, the disease, another medicine."""

SeriousnessCriterion = Literal[
    "death",
    "life-threatening",
    "hospitalisation",
    "disability",
    "congenital-anomaly",
    "important-medical-event",
]
"""ICH E2A; 21 CFR 312.32(a)."""

_SUBMISSION_OUTCOMES: Mapping[str, str] = {
    "RECOVERED/RESOLVED": "recovered",
    "RECOVERED/RESOLVED WITH SEQUELAE": "recovered-with-sequelae",
    "RECOVERING/RESOLVING": "recovering",
    "NOT RECOVERED/NOT RESOLVED": "not-recovered",
    "FATAL": "fatal",
    "UNKNOWN": "unknown",
}


def _outcome(value: object) -> object:
    return _SUBMISSION_OUTCOMES.get(value, value) if isinstance(value, str) else value


Outcome = Annotated[
    Literal[
        "recovered",
        "recovered-with-sequelae",
        "recovering",
        "not-recovered",
        "fatal",
        "unknown",
    ],
    BeforeValidator(_outcome),
]
"""CDISC controlled terminology C66768; its submission values are accepted too."""

Grade = Annotated[int, Field(ge=1, le=5)]
"""By the CTCAE version that the protocol pins."""


class Coding(Strict):
    """The event's term in a dictionary (MedDRA)."""

    dictionary: Code
    version: Annotated[str, Field(max_length=40)]
    code: Code
    system_organ_class: Term | None = None
