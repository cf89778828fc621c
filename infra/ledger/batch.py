"""A batch of appends as the arguments of the ledger's SQL function, and its rows as outcomes."""

from collections.abc import Iterable, Sequence
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
    """The outcome of each append, in order, from the function's rows.

    New events come without their append's number: they are those of the appends that no row names,
    in order.
    """
    new: list[tuple[int, bytes, bytes]] = []
    before: dict[int, list[tuple[int, bytes, bytes]]] = {}
    refused: dict[int, Outcome] = {}
    for item, outcome, index, position, stream, version, same, digest, body in rows:
        if item is None:
            new.append((position, digest, body))
        elif outcome == "appended":
            before.setdefault(item - 1, []).append((position, digest, body))
        elif outcome == "duplicate":
            refused[item - 1] = Duplicate(index, position, stream, version, same)
        else:
            refused[item - 1] = Conflict(stream, version)
    new.sort()
    fresh = iter(new)
    return [
        refused.get(i) or _appended(append, sorted(before.get(i, ())) or fresh)
        for i, append in enumerate(appends)
    ]


def _appended(append: Append, events: Iterable[tuple[int, bytes, bytes]]) -> Appended:
    # The drafts come first: zip must not take an event that is the next append's.
    return Appended(
        tuple(
            Stored(position, draft.stream, draft.version, draft.topic, body, digest.hex())
            for draft, (position, digest, body) in zip(append.drafts, events, strict=False)
        )
    )


def _judged(template: bytes) -> bytes | None:
    start = template.find(_PREVIOUS)
    if start < 0:
        return None
    text = template[start + 2 : template.index(_MARK, start + 2)]
    return bytes.fromhex(text.decode()) if text else None
