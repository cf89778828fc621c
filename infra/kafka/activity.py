"""What a process that works with brokers says of itself, for whoever watches it: numbers only."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Activity:
    """How its work goes. Written by the threads that work, read by others at any moment."""

    held: dict[str, int] = field(default_factory=dict)
    """Study -> how many partitions are this process's; for a relay 1 while it relays the study."""
    rebalances: int = 0
    """How often the group gave partitions or took them away."""
    interruptions: Counter[str] = field(default_factory=Counter)
    """Kind of trouble -> how often the work was broken off by it, and taken up again."""
    troubles: dict[str, str] = field(default_factory=dict)
    """Study ("": all of them) -> the trouble that its work waits for the end of."""

    def interrupted(self, kind: str, study: str = "") -> None:
        """The work is broken off."""
        self.interruptions[kind] += 1
        self.troubles[study] = kind

    def goes_on(self, study: str = "") -> None:
        """The work has gone round without trouble."""
        self.troubles.pop(study, None)

    def changed(self, held: dict[str, int]) -> None:
        """The group gave partitions or took them away; these are this process's now."""
        self.rebalances += 1
        self.held = held
