"""How often a process looks for garbage: what participants are made of are trees, which are freed
without any look, and every look walks through all that is kept of a thousand of them."""

import gc

ALLOCATIONS = 100_000
"""So many objects are made between two looks."""


def looked_for_seldom(allocations: int = ALLOCATIONS) -> None:
    """From now on, in a process that folds participants one after the other; what is there stays,
    and no look goes through it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(allocations)
