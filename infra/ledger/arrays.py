"""Lists as PostgreSQL's binary arrays, each of one fixed type.

The driver's own way picks the narrowest type for each list, so that the statement is prepared anew
for every mixture of them.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any

from psycopg import Connection
from psycopg.adapt import Buffer, Dumper
from psycopg.postgres import types
from psycopg.pq import Format

_HEADER = Struct("!iiIii")
_LENGTH = Struct("!i")
_BIGINT = Struct("!iq")
_INT = Struct("!ii")
_NULL = _LENGTH.pack(-1)


class Bigints(list[int | None]):
    """A bigint[]."""


class Ints(list[int]):
    """An integer[]."""


class Texts(list[str | None]):
    """A text[]."""


class Utf8s(list[bytes]):
    """A text[] whose texts are encoded already."""


class Byteas(list[bytes | None]):
    """A bytea[]."""


class _Array(Dumper):
    """What the four have in common: a header, then each element with its length."""

    format = Format.BINARY
    of = "int8"

    def __init__(self, cls: type, context: Any = None) -> None:
        super().__init__(cls, context)
        self._element = types[self.of].oid
        self.oid = types[self.of].array_oid

    def dump(self, obj: Sequence[Any]) -> Buffer | None:
        """The list's bytes."""
        header = _HEADER.pack(1, 1, self._element, len(obj), 1)
        return header + b"".join(map(self.element, obj))

    @staticmethod
    def element(value: Any) -> bytes:
        """One element with its length."""
        return _NULL if value is None else _BIGINT.pack(8, value)


class _Ints(_Array):
    of = "int4"

    @staticmethod
    def element(value: Any) -> bytes:
        """One element with its length."""
        return _INT.pack(4, value)


class _Byteas(_Array):
    of = "bytea"

    @staticmethod
    def element(value: Any) -> bytes:
        """One element with its length."""
        return _NULL if value is None else _LENGTH.pack(len(value)) + value


class _Utf8s(_Byteas):
    of = "text"


class _Texts(_Array):
    of = "text"

    @staticmethod
    def element(value: Any) -> bytes:
        """One element with its length."""
        if value is None:
            return _NULL
        text: bytes = value.encode()
        return _LENGTH.pack(len(text)) + text


_DUMPERS: dict[type, type[_Array]] = {
    Bigints: _Array,
    Ints: _Ints,
    Texts: _Texts,
    Utf8s: _Utf8s,
    Byteas: _Byteas,
}


def register(connection: Connection[Any]) -> None:
    """Let a connection write these lists."""
    for cls, dumper in _DUMPERS.items():
        connection.adapters.register_dumper(cls, dumper)
