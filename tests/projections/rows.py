"""What a row says, as bytes: those of rows that are equal are equal."""

import hashlib
from collections.abc import Iterable

from domain.canonical import canonical
from projections.view import Row, plain


def content(row: Row) -> bytes:
    """Key, columns and item, in canonical JSON."""
    columns = {name: plain(value) for name, value in row.columns.items()}
    return canonical([row.key, columns, row.item])


def digest(rows: Iterable[Row]) -> str:
    """SHA-256 (hex) over the contents of rows, in the order of participant and key."""
    total = hashlib.sha256()
    for row in sorted(rows, key=lambda row: (row.participant, row.key)):
        total.update(row.participant.encode() + b"\0" + content(row) + b"\n")
    return total.hexdigest()
