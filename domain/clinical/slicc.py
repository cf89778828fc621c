"""Classification of lupus by the Systemic Lupus International Collaborating Clinics, 2012.

4 of 17 criteria with at least one clinical and one immunologic among them (Petri et al., Arthritis
Rheum 2012;64:2677-2686). A direct Coombs test counts only without haemolytic anaemia. The published
rule knows a second way, biopsy-proven nephritis with ANA or anti-dsDNA: a question of its own here.
"""

from collections.abc import Mapping
from decimal import Decimal

from domain.clinical.interval import Interval, Presence, Truth, weighed

CLINICAL = (
    "acute-cutaneous",
    "chronic-cutaneous",
    "oral-nasal-ulcers",
    "alopecia",
    "synovitis",
    "serositis",
    "renal",
    "neurologic",
    "haemolytic-anaemia",
    "leukopenia",
    "thrombocytopenia",
)
IMMUNOLOGIC = (
    "ana",
    "anti-dsdna",
    "anti-sm",
    "antiphospholipid",
    "low-complement",
    "direct-coombs",
)
ONLY_WITHOUT = {"direct-coombs": "haemolytic-anaemia"}
"""Item -> the item that must be absent for it to count."""
NEEDED = 4

_ONE_EACH = dict.fromkeys((*CLINICAL, *IMMUNOLOGIC), Decimal(1))


def dependent(
    components: Mapping[str, Presence], only_without: Mapping[str, str]
) -> dict[str, Presence]:
    """The components with items that count only in another's absence judged by that other."""
    judged = dict(components)
    for item, other in only_without.items():
        stands = components.get(item, "unknown")
        against = components.get(other, "unknown")
        if stands == "absent" or against == "present":
            judged[item] = "absent"
        elif against == "unknown":
            judged[item] = "unknown"
    return judged


def count(components: Mapping[str, Presence]) -> Interval:
    """How many of the 17 criteria are met."""
    return weighed(_ONE_EACH, dependent(components, ONLY_WITHOUT))


def slicc_2012(components: Mapping[str, Presence]) -> Truth:
    """Whether the classification is met; unknown while the open items decide."""
    judged = dependent(components, ONLY_WITHOUT)
    one = Decimal(1)
    return min(
        weighed(_ONE_EACH, judged).at_least(Decimal(NEEDED)),
        weighed(_ONE_EACH, judged, only=CLINICAL).at_least(one),
        weighed(_ONE_EACH, judged, only=IMMUNOLOGIC).at_least(one),
    )


def nephritis_route(
    nephritis_by_biopsy: Presence, ana: Presence, anti_dsdna: Presence
) -> Truth:
    """The published second way: nephritis by biopsy with ANA or anti-dsDNA."""
    value: dict[Presence, Truth] = {"absent": 0, "unknown": 1, "present": 2}
    return min(value[nephritis_by_biopsy], max(value[ana], value[anti_dsdna]))
