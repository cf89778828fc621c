"""Classification of lupus by the American College of Rheumatology: 4 of 11 criteria.

After Tan et al., Arthritis Rheum 1982;25:1271-1277, revised by Hochberg, Arthritis Rheum
1997;40:1725. The criteria count serially or simultaneously: once present, a criterion stays.
"""

from collections.abc import Mapping
from decimal import Decimal

from domain.clinical.interval import Interval, Presence, Truth, weighed

ITEMS = (
    "malar-rash",
    "discoid-rash",
    "photosensitivity",
    "oral-ulcers",
    "arthritis",
    "serositis",
    "renal",
    "neurologic",
    "haematologic",
    "immunologic",
    "ana",
)
NEEDED = 4

_ONE_EACH = dict.fromkeys(ITEMS, Decimal(1))


def count(components: Mapping[str, Presence]) -> Interval:
    """How many of the 11 criteria are met."""
    return weighed(_ONE_EACH, components)


def acr_1997(components: Mapping[str, Presence]) -> Truth:
    """Whether the classification is met; unknown while the open items decide."""
    return count(components).at_least(Decimal(NEEDED))
