"""SLEDAI-2K, ACR 1997 and SLICC 2012: reference sums, and bounds for what is not known."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clinical import acr, sledai, slicc
from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Presence
from tests.domain.tables import table, words

TRUTH = {"met": TRUE, "not met": FALSE, "open": UNKNOWN}


def components(items: Any, present: list[str], unknown: list[str]) -> dict[str, Presence]:
    """All items of a list: absent unless they are named; `*` names all others."""
    everything = list(items)
    assert set(present) | set(unknown) - {"*"} <= set(everything)
    rest: Presence = "unknown" if "*" in unknown else "absent"
    found: dict[str, Presence] = dict.fromkeys(everything, rest)
    found.update(dict.fromkeys((one for one in unknown if one != "*"), "unknown"))
    found.update(dict.fromkeys(present, "present"))
    return found


def test_there_are_24_descriptors_and_105_points() -> None:
    assert len(sledai.WEIGHTS) == 24
    assert sum(sledai.WEIGHTS.values()) == 105


@table(
    """
    present                               | unknown       | low | high | why
    arthritis rash low-complement         |               | 8   | 8    | three descriptors
    alopecia increased-dna-binding low-complement |       | 6   | 6    | three times two
    fever leukopenia thrombocytopenia rash |              | 5   | 5    | five points
    seizure                               | *             | 8   | 105  | one known, the others not
                                          | *             | 0   | 105  | nothing known
                                          |               | 0   | 0    | nothing present
    arthritis                             | pyuria fever  | 4   | 9    | two unknown
    vasculitis cva psychosis              |               | 24  | 24   | three times eight
    haematuria proteinuria pyuria urinary-casts |         | 16  | 16   | the kidney descriptors
    rash                                  | seizure       | 2   | 10   | a heavy one unknown
    """
)
def test_sledai_points(present: str | None, unknown: str | None, low: str, high: str) -> None:
    found = sledai.sledai_2k(components(sledai.WEIGHTS, words(present), words(unknown)))
    assert (found.low, found.high) == (int(low), int(high))


def test_the_clinical_score_leaves_serology_out() -> None:
    present = ["arthritis", "low-complement", "increased-dna-binding"]
    found = sledai.clinical_sledai_2k(components(sledai.WEIGHTS, present, []))
    assert (found.low, found.high) == (4, 4)


@table(
    """
    present                          | unknown             | truth   | why
    malar-rash arthritis renal ana   |                     | met     | exactly four
    malar-rash arthritis renal       |                     | not met | three and no more
    malar-rash arthritis renal       | ana                 | open    | three and one unknown
    malar-rash arthritis             | ana                 | not met | two and one unknown
    malar-rash arthritis renal ana   | *                   | met     | four whatever the others
                                     | *                   | open    | nothing known
    serositis                        | ana renal neurologic | open   | one and three unknown
    serositis                        | ana renal           | not met | one and two unknown
    """
)
def test_acr(present: str | None, unknown: str | None, truth: str) -> None:
    found = acr.acr_1997(components(acr.ITEMS, words(present), words(unknown)))
    assert found == TRUTH[truth]


@table(
    """
    present                        | unknown | truth   | why
    synovitis renal ana dsdna      |         | met     | two and two
    synovitis renal alopecia ana   |         | met     | three clinical and one other
    renal ana dsdna sm             |         | met     | one clinical and three others
    synovitis renal alopecia serositis |     | not met | four clinical only
    ana dsdna sm low-complement    |         | not met | four immunologic only
    synovitis renal alopecia serositis | ana | open    | the immunologic one is unknown
    synovitis renal ana            |         | not met | three
    synovitis renal ana            | sm      | open    | three and one unknown
    synovitis ana                  | sm      | not met | two and one unknown
    synovitis renal ana coombs     |         | met     | Coombs counts without anaemia
    synovitis ana coombs haemolysis |        | not met | Coombs does not count with it
    synovitis renal ana coombs     | haemolysis | met  | one of the two is the fourth
    renal synovitis alopecia coombs | haemolysis | open | Coombs would be the immunologic one
    synovitis renal ana haemolysis | coombs  | met     | four without Coombs
    synovitis renal ana            | coombs haemolysis | open | either could be the fourth
    synovitis ana coombs           | haemolysis | not met | not both of the two
    """
)
def test_slicc(present: str | None, unknown: str | None, truth: str) -> None:
    everything = (*slicc.CLINICAL, *slicc.IMMUNOLOGIC)
    found = slicc.slicc_2012(components(everything, long(present), long(unknown)))
    assert found == TRUTH[truth]


def long(cell: str | None) -> list[str]:
    """Items of SLICC by their full names."""
    short = {"dsdna": "anti-dsdna", "sm": "anti-sm", "coombs": "direct-coombs"}
    return [{**short, "haemolysis": "haemolytic-anaemia"}.get(one, one) for one in words(cell)]


@table(
    """
    biopsy  | ana     | dsdna   | truth   | why
    present | present | absent  | met     | nephritis with ANA
    present | absent  | present | met     | nephritis with anti-dsDNA
    present | absent  | absent  | not met | nephritis without antibodies
    absent  | present | present | not met | antibodies without nephritis
    present | unknown | absent  | open    | antibodies unknown
    unknown | absent  | absent  | not met | no antibodies whatever the biopsy
    """
)
def test_the_nephritis_route(biopsy: Any, ana: Any, dsdna: Any, truth: str) -> None:
    assert slicc.nephritis_route(biopsy, ana, dsdna) == TRUTH[truth]


_presence = st.sampled_from(["present", "absent", "unknown"])


@pytest.mark.parametrize("item", slicc.ONLY_WITHOUT)
def test_only_declared_items_depend_on_another(item: str) -> None:
    assert item in slicc.IMMUNOLOGIC
    assert slicc.ONLY_WITHOUT[item] in slicc.CLINICAL


@given(st.fixed_dictionaries(dict.fromkeys(sledai.WEIGHTS, _presence)), st.data())
def test_learning_an_item_only_narrows_the_score(known: dict[str, Any], data: Any) -> None:
    open_items = [item for item, presence in known.items() if presence == "unknown"]
    learned = {item: data.draw(st.sampled_from(["present", "absent"])) for item in open_items}
    before, after = sledai.sledai_2k(known), sledai.sledai_2k({**known, **learned})
    assert before.low is not None
    assert before.high is not None
    assert after.low == after.high
    assert before.low <= after.low <= before.high  # type: ignore[operator]
