"""SLEDAI-2K: disease activity of lupus from 24 descriptors, 0 to 105 points.

Descriptors and weights after Gladman, Ibanez and Urowitz, J Rheumatol 2002;29:288-291: present at
the visit or in the days before it (10 in the original, shown equivalent for 30).
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from domain.clinical.interval import Interval, Presence, weighed

_BY_WEIGHT = {
    8: (
        "seizure",
        "psychosis",
        "organic-brain-syndrome",
        "visual-disturbance",
        "cranial-nerve-disorder",
        "lupus-headache",
        "cva",
        "vasculitis",
    ),
    4: ("arthritis", "myositis", "urinary-casts", "haematuria", "proteinuria", "pyuria"),
    2: (
        "rash",
        "alopecia",
        "mucosal-ulcers",
        "pleurisy",
        "pericarditis",
        "low-complement",
        "increased-dna-binding",
    ),
    1: ("fever", "thrombocytopenia", "leukopenia"),
}

WEIGHTS: Mapping[str, Decimal] = MappingProxyType(
    {item: Decimal(weight) for weight, items in _BY_WEIGHT.items() for item in items}
)
"""Descriptor -> points."""

SEROLOGY = ("low-complement", "increased-dna-binding")
"""The two descriptors that the clinical SLEDAI leaves out."""


def sledai_2k(components: Mapping[str, Presence]) -> Interval:
    """Points: between those of what is present and those of what is not known to be absent."""
    return weighed(WEIGHTS, components)


def clinical_sledai_2k(components: Mapping[str, Presence]) -> Interval:
    """The points without the two descriptors of serology."""
    clinical = [item for item in WEIGHTS if item not in SEROLOGY]
    return weighed(WEIGHTS, components, only=clinical)
