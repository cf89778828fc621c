"""A batch of appends as the arguments of the ledger's SQL function, and its rows as outcomes."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from infra.ledger.arrays import Bigints, Byteas, Ints, Texts, Utf8s
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


def arguments(study: str, batch: Sequence[tuple[int, Append]]) -> dict[str, Any]:
    """The arguments of `append_batch`: one list per column, as the migration explains them."""
    drafts = [draft for _, append in batch for draft in append.drafts]
    numbers = {STUDY_STREAM: 1}
    for draft in drafts:
        numbers.setdefault(draft.stream, len(numbers) + 1)
    return {
        "study": study,
        "tokens": Bigints([token for token, _ in batch]),
        "study_versions": Bigints([append.study_version for _, append in batch]),
        "sizes": Ints([len(append.drafts) for _, append in batch]),
        "names": Texts(numbers),
        "stream_of": Ints([numbers[draft.stream] for draft in drafts]),
        "versions": Bigints([draft.version for draft in drafts]),
        "topics": Texts([draft.topic for draft in drafts]),
        "sources": Texts([draft.source for draft in drafts]),
        "ids": Texts([draft.event_id for draft in drafts]),
        "fingerprints": Byteas([draft.fingerprint for draft in drafts]),
        "judged": Byteas([_judged(draft.template) for draft in drafts]),
        "templates": Utf8s([draft.template for draft in drafts]),
    }


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
    return [_next(append, told.get(number), new) for number, append in enumerate(appends)]


def _next(append: Append, told: Outcome | None, new: Iterator[tuple[int, bytes, bytes]]) -> Outcome:
    """What was told of an append; else its events are new. Either way they are passed over."""
    if told is None:
        return _appended(append, new)
    deque(islice(new, len(append.drafts)), maxlen=0)
    return told


def _appended(append: Append, events: Iterator[tuple[int, bytes, bytes]]) -> Appended:
    # The drafts come first: zip must not take an event that is the next append's.
    return Appended(
        tuple(
            [
                Stored(position, draft.stream, draft.version, draft.topic, body, digest.hex())
                for draft, (position, digest, body) in zip(append.drafts, events, strict=False)
            ]
        )
    )


def _judged(template: bytes) -> bytes | None:
    start = template.find(_PREVIOUS)
    if start < 0:
        return None
    text = template[start + 2 : template.index(_MARK, start + 2)]
    return bytes.fromhex(text.decode()) if text else None
