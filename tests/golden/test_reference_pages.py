"""The generated pages say what the code says, and the registry of rules is complete."""

import ast
from pathlib import Path

import pytest

from domain.refusals import IMPOSSIBLE, REFUSED
from services.reference import DOCS, pages

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["events.md", "errors.md", "asyncapi.yaml"])
def test_the_page_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], "run `make docs`"


@pytest.mark.parametrize(("refusal", "known"), [("Refused", REFUSED), ("Impossible", IMPOSSIBLE)])
def test_every_rule_of_the_core_is_registered(refusal: str, known: dict[str, str]) -> None:
    used = {
        call.args[0].value
        for path in (ROOT / "domain").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", getattr(call.func, "attr", None)) == refusal
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }
    assert used, "no rule was found: the test looks at the wrong thing"
    assert used <= known.keys()
