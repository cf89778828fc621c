"""Older schema versions of events, brought to today's when they are read; the ledger keeps them.

Each step takes the data of one version and gives that of the next. What was written stays as it was
hashed: a step is never taken on the stored bytes.

A correction holds data of the event that it corrects, and does not say in which version: while no
type has a second one that is the first. Whoever adds the first step also gives `corrected` its
second version, which names that of its data, and changes `CORRECTED_IN` to read it.
"""

from collections.abc import Callable, Mapping
from typing import Any

Data = dict[str, Any]
Step = Callable[[Data], Data]

STEPS: Mapping[str, Step] = {}
"""By the topic that is left: `participant.consented.v1` leads to version 2. No event type has been
changed yet."""

CORRECTED_IN = 1
"""The schema version of the data in a correction."""


def brought(
    name: str, version: int, today: int, data: Data, steps: Mapping[str, Step] | None = None
) -> Data:
    """The data of an event type (`participant.consented`) in the version that its class has today.

    KeyError when there is no step from an older version.
    """
    known = STEPS if steps is None else steps
    while version < today:
        data = known[f"{name}.v{version}"](data)
        version += 1
    return data
