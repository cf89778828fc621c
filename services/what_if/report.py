"""What is told of a what-if: every difference as an item of its list, and how many there are."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from domain.what_if import LISTS, Change

ITEMS_MAX = 10_000
"""So many items stand in one JSON document; beyond them only the totals go on. A stream of lines
has all of them."""

Failing = Literal["history", "today", "what-if"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One participant: what differs, or why it cannot be told."""

    participant: str
    site: str | None
    changes: tuple[Change, ...] = ()
    failed: Failing | None = None
    """What could not be read or judged."""

    def items(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Part, list and item of everything that differs."""
        for change in self.changes:
            yield change.part, change.kind, self._item(change)

    def failure(self) -> dict[str, Any]:
        """Who cannot be compared, and why not."""
        return {
            "participant": self.participant,
            "site": self.site,
            "why": {
                None: "",
                "history": "the history cannot be read",
                "today": "the participant cannot be judged as things are",
                "what-if": "the participant cannot be judged under what is supposed",
            }[self.failed],
        }

    def _item(self, change: Change) -> dict[str, Any]:
        return {
            "participant": self.participant,
            "site": self.site,
            "what": change.what,
            "why": change.why,
            "today": change.today,
            "what_if": change.what_if,
            "evidence": list(change.evidence),
            **change.more,
        }


@dataclass(slots=True)
class Report:
    """What was compared so far."""

    participants: int = 0
    changed: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    items: int = 0
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    lists: dict[str, dict[str, list[dict[str, Any]]]] = field(
        default_factory=lambda: {part: {kind: [] for kind in LISTS[part]} for part in LISTS}
    )

    def add(self, one: Compared, *, keep: bool = True) -> None:
        """One more participant; with `keep` its items too, as far as the document takes them."""
        self.participants += 1
        self.changed += bool(one.changes)
        if one.failed is not None:
            self.failures.append(one.failure())
        for change in one.changes:
            self.counted[change.part, change.kind] += 1
        if not keep:
            return
        for part, kind, item in one.items():
            if self.items < ITEMS_MAX:
                self.lists[part][kind].append(item)
                self.items += 1

    def totals(self) -> dict[str, Any]:
        """How many participants were compared, differ, cannot be told, and how many items."""
        return {
            "participants": self.participants,
            "changed": self.changed,
            "failed": len(self.failures),
            **{
                part: {kind: self.counted[part, kind] for kind in kinds}
                for part, kinds in LISTS.items()
            },
        }

    def document(self) -> dict[str, Any]:
        """Every list and the totals; `truncated` where items were left out."""
        return {
            "totals": self.totals(),
            "truncated": self.counted.total() > self.items,
            **self.lists,
            "failed": self.failures,
        }
