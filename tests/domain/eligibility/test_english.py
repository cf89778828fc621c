"""The shape of rules, and how they read in English."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from domain.eligibility import rules
from domain.eligibility.english import english
from infra.protocol_files import read
from tests.domain.eligibility.small import AT_SCREENING, RULES, SMALL, haemoglobin, leaves
from tests.specs import lk_23_01

SIGNS = {"rule": "score", "code": "signs", "at_least": 2, "within": AT_SCREENING}
WHEN = "from 14 days before the screening visit to the day before day 0"


@pytest.mark.parametrize(
    "rule",
    [
        {"rule": "perhaps"},
        {"rule": "age", "at_least": "eighteen"},
        {"rule": "all", "of": []},
        {"rule": "titre", "code": "t", "at_least": "1:0", "within": AT_SCREENING},
        {"rule": "score", "code": "s", "within": {"anchor": "birth"}},
        {"rule": "score", "code": "s", "within": {"anchor": "screening", "back": "six months"}},
        {"rule": "attested", "statement": "fit", "answer": "yes"},
        {"rule": "consent", "surprise": 1},
    ],
)
def test_what_is_no_rule_is_not_read(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RULES.validate_json(json.dumps(rule))


NODES: tuple[type[Any], ...] = (
    *get_args(rules.LogicRule),
    *get_args(rules.ObservationRule),
    *get_args(rules.MedicationRule),
    rules.Age,
    rules.Consent,
    rules.Attested,
    rules.History,
)
FIT = "attested: The participant is fit"
BIOLOGIC = "a medicine (biologic)"
WITHIN = "from 14 days before the screening visit to the day before day 0"


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"rule": "age", "at_least": 18}, "age at the screening visit at least 18"),
        (haemoglobin(at_least="10"), f"Haemoglobin at least 10 g/dL, the latest result, {WITHIN}"),
        ({"rule": "not", "of": {"rule": "consent"}}, "not (written consent is current)"),
        ({"rule": "attested", "statement": "fit"}, FIT),
        (
            {"rule": "at-least", "count": 2, "of": leaves()[:2]},
            f"at least 2 of: ({FIT}); (attested: The participant is willing)",
        ),
        (
            {**SIGNS, "items_over": "P30D"},
            f"Signs at least 2 points for what was present in the 30 days up to its day, {WHEN}",
        ),
        (
            {
                "rule": "medication-elapsed",
                "classes": ["biologic"],
                "at_least_days": 90,
                "half_lives": "5",
                "anchor": "day-0",
            },
            f"at least 90 days or 5 half-lives, whichever is longer, from {BIOLOGIC} to day 0",
        ),
    ],
)
def test_rules_in_english(rule: dict[str, Any], sentence: str) -> None:
    assert english(RULES.validate_python(rule), SMALL) == sentence


def test_every_criterion_of_lk_23_01_reads_as_a_sentence() -> None:
    protocol = lk_23_01()
    for criterion in protocol.criteria:
        assert criterion.rule is not None
        text = english(criterion.rule, protocol)
        assert "Rule" not in text
        assert "None" not in text
        assert not text.endswith(".")


@pytest.mark.parametrize("node", NODES, ids=lambda node: node.__name__)
def test_the_example_of_every_node_is_a_rule_of_its_kind(node: type[Any]) -> None:
    examples = re.findall(r"`(\{rule:.*?\})`", node.__doc__ or "", flags=re.DOTALL)
    assert examples, "no example"
    for example in examples:
        document = json.dumps(read(example.encode(), "yaml"), default=str)
        assert isinstance(RULES.validate_json(document), node)
