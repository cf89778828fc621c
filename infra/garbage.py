"""How often a process looks for garbage: what participants are made of are trees, which are freed
without any look, and every look walks through all that is kept of a thousand of them."""

import gc

ALLOCATIONS = 100_000
"""So many objects are made between two looks."""


def looked_for_seldom() -> None:
    """From now on, in a process that folds participants one after the other."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS)
