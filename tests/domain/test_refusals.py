"""The registry of refusals names every rule by which the core refuses, and each is in use."""

import ast
from collections.abc import Iterator
from pathlib import Path

from domain.refusals import IMPOSSIBLE, REFUSED

CORE = Path(__file__).parent.parent.parent / "domain"
REGISTRIES = {"Refused": REFUSED, "Blocked": REFUSED, "Impossible": IMPOSSIBLE}


def used() -> Iterator[tuple[str, str, str]]:
    """Where a refusal is made, of which kind, by which rule."""
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            first = node.args[0] if node.args else None
            if node.func.id in REGISTRIES and isinstance(first, ast.Constant):
                yield f"{path.name}:{node.lineno}", node.func.id, str(first.value)


def test_every_rule_that_refuses_is_in_its_registry() -> None:
    unknown = [one for one in used() if one[2] not in REGISTRIES[one[1]]]
    assert unknown == []


def test_the_rules_of_the_journeys_gates_are_all_in_use() -> None:
    named = {rule for _, kind, rule in used() if kind != "Impossible"}
    # There is no blinding and no lock of data yet: nothing can be refused for them.
    assert set(REFUSED) - named == {"open-label", "locked"}
