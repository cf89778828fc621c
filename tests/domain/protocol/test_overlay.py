"""Assumptions laid over facts."""

from copy import deepcopy
from typing import Any

import pytest

from domain.kernel import Problem
from domain.trial.overlay import merged, stands

FACTS: dict[str, Any] = {
    "study": "S",
    "dose": {"route": "oral"},
    "visits": [{"code": "V1", "day": 0, "procedures": ["ecg"]}, {"code": "V2"}],
}


def overlay(**values: Any) -> dict[str, Any]:
    return {"assumptions": [{"reason": "because", "values": values.pop("values", values)}]}


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("/visits/V2/day", 3, {"visits": [FACTS["visits"][0], {"code": "V2", "day": 3}]}),
        ("/dose/amount", "1", {"dose": {"route": "oral", "amount": "1"}}),
        ("/settings/zone", "UTC", {"settings": {"zone": "UTC"}}),
        ("/accrual", 10, {"accrual": 10}),
        ("/visits/V3", {"day": 9}, {"visits": [*FACTS["visits"], {"code": "V3", "day": 9}]}),
        (
            "/visits/V2/procedures/-",
            ["ecg", "mri"],
            {"visits": [FACTS["visits"][0], {"code": "V2", "procedures": ["ecg", "mri"]}]},
        ),
    ],
)
def test_an_assumption_fills_its_place(place: str, value: Any, expected: dict[str, Any]) -> None:
    whole = merged(FACTS, overlay(values={place: value}))
    assert isinstance(whole, dict)
    listed = whole.pop("assumptions")
    assert whole == {**FACTS, **expected}
    assert set(listed.values()) == {"because"}
    assert all(stands(whole, one) for one in listed)


@pytest.mark.parametrize(
    ("place", "value", "rule"),
    [
        ("/visits/V1/day", 1, "assumption-hides-a-fact"),
        ("/dose/route", "subcutaneous", "assumption-hides-a-fact"),
        ("/dose", {"amount": "1"}, "assumption-hides-a-fact"),
        ("/visits/V1", {"day": 1}, "assumption-hides-a-fact"),
        ("/visits/V1/procedures/-", ["mri", "ecg"], "assumption-hides-a-fact"),
        ("/visits/V9/day", 1, "no-such-place"),
        ("/visits/V3", 4, "no-such-place"),
        ("/dose/route/-", ["x"], "no-such-place"),
        ("/study/name", "x", "no-such-place"),
    ],
)
def test_an_assumption_neither_hides_a_fact_nor_hangs_in_the_air(
    place: str, value: Any, rule: str
) -> None:
    pointer = "/assumptions/0/values/" + place.replace("/", "~1")
    assert merged(FACTS, overlay(values={place: value})) == [Problem(pointer, rule)]


def test_an_assumption_needs_a_reason() -> None:
    found = merged(FACTS, {"assumptions": [{"values": {"/accrual": 1}}]})
    assert found == [Problem("/assumptions/0", "assumption-without-reason")]


def test_merging_changes_neither_the_facts_nor_the_overlay() -> None:
    facts, laid = deepcopy(FACTS), overlay(values={"/visits/V2/procedures/-": ["ecg"]})
    before = deepcopy(laid)
    merged(facts, laid)
    assert (facts, laid) == (FACTS, before)
