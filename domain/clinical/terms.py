"""Closed vocabularies of the clinical record that events and rules share."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

DrugClass = Literal[
    "immunosuppressant",
    "antimalarial",
    "corticosteroid",
    "biologic",
    "investigational",
    "msc-therapy",
    "cell-therapy",
    "other",
]
"""What a medicine is; it may be several."""

HistoryCategory = Literal[
    "cancer", "dialysis", "major-surgery", "infection", "non-sle-disease", "other"
]
"""What an item of the medical history is."""

Sex = Literal["female", "male", "intersex", "unknown"]
"""Sex as recorded; what depends on organs goes by childbearing potential instead."""

Interpretation = Literal["positive", "negative", "indeterminate"]
"""A laboratory's reading of a result (a PCR is positive when something was detected)."""

ENDED = frozenset({"ended", "inactive", "recovered", "resolved"})
"""Statuses of a history that say it is over, where no end date is recorded."""

_ROUTES: Mapping[str, str] = MappingProxyType(
    {
        "by-mouth": "oral",
        "im": "intramuscular",
        "iv": "intravenous",
        "per-os": "oral",
        "po": "oral",
        "sc": "subcutaneous",
        "subcut": "subcutaneous",
    }
)


def route_named(text: str) -> str:
    """The route of administration in one spelling: `PO` and `oral` are the same."""
    plain = text.strip().casefold().replace(" ", "-").replace("_", "-")
    return _ROUTES.get(plain, plain)
