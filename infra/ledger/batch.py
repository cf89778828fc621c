"""A batch of appends as the arguments of the ledger's SQL function, and its rows as outcomes."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from infra.ledger.arrays import bigints, byteas, ints, nullable_bigints, texts, utf8s
from infra.ledger.types import (
    STUDY_STREAM,
    Append,
    Appended,
    Conflict,
    Duplicate,
    Outcome,
    Stored,
)

_MARK = b"\x03"
_PREVIOUS = b"\x03P"


def arguments(study: str, batch: Sequence[tuple[int, Append]]) -> list[bytes]:
    """The arguments of `append_batch`, in their order: one list per column, as the migration
    explains them, each in PostgreSQL's binary format."""
    drafts = [draft for _, append in batch for draft in append.drafts]
    numbers = {STUDY_STREAM: 1}
    for draft in drafts:
        numbers.setdefault(draft.stream, len(numbers) + 1)
    return [
        study.encode(),
        bigints([token for token, _ in batch]),
        nullable_bigints([append.study_version for _, append in batch]),
        ints([len(append.drafts) for _, append in batch]),
        texts(list(numbers)),
        ints([numbers[draft.stream] for draft in drafts]),
        bigints([draft.version for draft in drafts]),
        texts([draft.topic for draft in drafts]),
        texts([draft.source for draft in drafts]),
        texts([draft.event_id for draft in drafts]),
        byteas([draft.fingerprint for draft in drafts]),
        byteas([_judged(draft.template) for draft in drafts]),
        utf8s([draft.template for draft in drafts]),
    ]


def outcomes(appends: Sequence[Append], rows: Iterable[tuple[Any, ...]]) -> list[Outcome]:
    """The outcome of each append, in order, from the function's rows."""
    told: dict[int, Outcome] = {}
    new: Iterator[tuple[int, bytes, bytes]] = iter(())
    for item, outcome, index, stream, version, same, positions, hashes, bodies in rows:
        if item is None:
            new = zip(positions, hashes, bodies, strict=True)
        elif outcome == "appended":
            events = zip(positions, hashes, bodies, strict=True)
            told[item - 1] = _appended(appends[item - 1], events)
        elif outcome == "duplicate":
            told[item - 1] = Duplicate(index, positions[0], stream, version, same)
        else:
            told[item - 1] = Conflict(stream, version)
    if not told:
        return [_appended(append, new) for append in appends]
    return [_next(append, told.get(number), new) for number, append in enumerate(appends)]


def _next(append: Append, told: Outcome | None, new: Iterator[tuple[int, bytes, bytes]]) -> Outcome:
    """What was told of an append; else its events are new. Either way they are passed over."""
    if told is None:
        return _appended(append, new)
    deque(islice(new, len(append.drafts)), maxlen=0)
    return told


def _appended(append: Append, events: Iterator[tuple[int, bytes, bytes]]) -> Appended:
    stored = []
    for draft in append.drafts:
        position, digest, body = next(events)
        stored.append(
            Stored(position, draft.stream, draft.version, draft.topic, body, digest.hex())
        )
    return Appended(tuple(stored))


def _judged(template: bytes) -> bytes | None:
    start = template.rfind(_PREVIOUS) + len(_PREVIOUS)
    if start < len(_PREVIOUS) or template.startswith(_MARK, start):
        return None
    return bytes.fromhex(template[start : template.index(_MARK, start)].decode())
