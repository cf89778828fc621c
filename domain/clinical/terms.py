"""Closed vocabularies of the clinical record that events and rules share."""

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
