"""Lists as PostgreSQL's binary arrays, each of one fixed type, ready to be sent as they are.

The driver's own way looks at each element for the narrowest type and goes through a dumper for it,
which costs a batch more than anything else that the client does with it.
"""

from collections.abc import Sequence
from struct import Struct, pack

from psycopg.postgres import types

_LENGTH = Struct("!i").pack
_BOUNDS = Struct("!ii").pack
_BIGINT = Struct("!iq").pack
_NULL = _LENGTH(-1)


def _head(of: str) -> bytes:
    """How an array begins: it has one dimension and may hold NULLs."""
    return pack("!iiI", 1, 1, types[of].oid)


_BIGINTS, _INTS, _TEXTS, _BYTEAS = map(_head, ("int8", "int4", "text", "bytea"))


def bigints(values: Sequence[int]) -> bytes:
    """A bigint[] without NULLs."""
    return _BIGINTS + _bounds(values) + pack("!" + "iq" * len(values), *_sized(8, values))


def nullable_bigints(values: Sequence[int | None]) -> bytes:
    """A bigint[]."""
    parts = [_NULL if one is None else _BIGINT(8, one) for one in values]
    return _BIGINTS + _bounds(values) + b"".join(parts)


def ints(values: Sequence[int]) -> bytes:
    """An integer[] without NULLs."""
    return _INTS + _bounds(values) + pack("!" + "ii" * len(values), *_sized(4, values))


def texts(values: Sequence[str | None]) -> bytes:
    """A text[]."""
    return _varied(_TEXTS, [None if one is None else one.encode() for one in values])


def utf8s(values: Sequence[bytes]) -> bytes:
    """A text[] whose texts are encoded already."""
    return _varied(_TEXTS, values)


def byteas(values: Sequence[bytes | None]) -> bytes:
    """A bytea[]."""
    return _varied(_BYTEAS, values)


def _bounds(values: Sequence[object]) -> bytes:
    """How many there are, counted from 1."""
    return _BOUNDS(len(values), 1)


def _sized(size: int, values: Sequence[int]) -> list[int]:
    """Each value after its size in bytes."""
    found = [size] * (2 * len(values))
    found[1::2] = values
    return found


def _varied(head: bytes, values: Sequence[bytes | None]) -> bytes:
    parts = [head, _bounds(values)]
    for one in values:
        if one is None:
            parts.append(_NULL)
        else:
            parts += (_LENGTH(len(one)), one)
    return b"".join(parts)
