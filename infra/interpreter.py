"""How a process's interpreter is set: when it looks for garbage, how soon a thread has its turn."""

import gc
import sys

ALLOCATIONS = 100_000
"""So many objects are made between two looks."""
TURN_SECONDS = 0.001
"""A thread that has come back from PostgreSQL waits so long for one that computes: 5 ms, as Python
has it, would be longer than most of what it writes takes."""


def looked_for_seldom(allocations: int = ALLOCATIONS) -> None:
    """Look for garbage seldom from now on: what participants are made of are trees, which are freed
    without any look, and every look walks through all that is kept of a thousand of them. What is
    there stays, and no look goes through it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(allocations)


def set_to_fold() -> None:
    """For a process that folds participants one after the other, and writes rows meanwhile."""
    looked_for_seldom()
    sys.setswitchinterval(TURN_SECONDS)
