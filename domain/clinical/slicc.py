"""Classification of lupus by the Systemic Lupus International Collaborating Clinics, 2012.

4 of 17 criteria with at least one clinical and one immunologic among them (Petri et al., Arthritis
Rheum 2012;64:2677-2686). A direct Coombs test counts only without haemolytic anaemia. The published
rule knows a second way, biopsy-proven nephritis with ANA or anti-dsDNA: a question of its own here.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal

from domain.clinical.interval import Interval, Presence, Truth

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


def counted(
    items: Collection[str],
    components: Mapping[str, Presence],
    only_without: Mapping[str, str],
) -> Interval:
    """How many of the items are present.

    Of an item that is present and counts only without another that is not known, exactly one of
    the two counts.
    """
    judged = dependent(components, only_without) if only_without else components
    presences = [judged.get(item, "unknown") for item in items]
    present, either = presences.count("present"), 0
    for item, other in only_without.items():
        open_ = components.get(other, "unknown") == "unknown"
        if open_ and components.get(item) == "present" and item in items and other in items:
            either += 1
    unknown = presences.count("unknown")
    return Interval(Decimal(present + either), Decimal(present + unknown - either))


def slicc_2012(components: Mapping[str, Presence]) -> Truth:
    """Whether the classification is met; unknown while the open items decide."""
    groups = (((*CLINICAL, *IMMUNOLOGIC), NEEDED), (CLINICAL, 1), (IMMUNOLOGIC, 1))
    return min(
        counted(items, components, ONLY_WITHOUT).at_least(Decimal(needed))
        for items, needed in groups
    )


def nephritis_route(nephritis_by_biopsy: Presence, ana: Presence, anti_dsdna: Presence) -> Truth:
    """The published second way: nephritis by biopsy with ANA or anti-dsDNA."""
    value: dict[Presence, Truth] = {"absent": 0, "unknown": 1, "present": 2}
    return min(value[nephritis_by_biopsy], max(value[ana], value[anti_dsdna]))
