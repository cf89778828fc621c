"""Settling: a state that was judged at its real positions becomes the one that is recorded.

Events and states are frozen for whoever sees them. Until the ledger has taken them nobody does but
the append that they were judged for, and three things of them are not known: the hash of each
event, that of the event before it, and when it was recorded. They are filled in here, once; no rule
reads them, so what was derived from the state stays as it is.
"""

from collections.abc import Iterable
from datetime import datetime

from domain.kernel import Recorded
from domain.participant import Participant


def settle(
    before: Participant, after: Participant, events: Iterable[tuple[Recorded, datetime, str]]
) -> None:
    """Fill in what the ledger says of the events that led from one state to the other: of each when
    it was recorded, and its leaf hash (hex)."""
    previous, chain = before.head, list(before.chain)
    for event, recorded_at, leaf_hash in events:
        _set(event, "recorded_at", recorded_at)
        _set(event, "previous", previous)
        _set(event, "hash", leaf_hash)
        previous = leaf_hash
        chain.append(leaf_hash)
    _set(after, "head", previous)
    _set(after, "chain", tuple(chain))


_set = object.__setattr__
