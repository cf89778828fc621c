"""The page on protocols says what the code does."""

from pathlib import Path

from domain.trial.validation import RULES

PAGE = Path(__file__).parents[3] / "docs/protocol.md"


def test_every_rule_of_publishing_is_explained_on_the_page() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    explained = {row.split("`")[1]: row.split("|")[2].strip() for row in rows}
    assert {rule: explained.get(rule) for rule in RULES} == dict(RULES)
