"""Canonical JSON: one spelling for each document, so that equal content has equal bytes.

A profile of RFC 8785: keys are sorted, there is no white space, texts are escaped in one way. Keys
are ASCII (where code-unit order and byte order agree), integers lie below 2**53 and there are no
floats: decimals are written as text before they come here.
"""

import json
from collections.abc import Iterable
from hashlib import sha256

INTEGER_MAX = 2**53 - 1

_written = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
).encode
_PLAIN = frozenset((str, bool, type(None)))
"""Most parts of a document are of these types, which need no look inside."""


class NotCanonical(ValueError):
    """The value has no canonical form in this profile."""


def canonical(value: object) -> bytes:
    """The canonical bytes of plain objects; NotCanonical for what the profile leaves out."""
    _check(value)
    try:
        return _written(value).encode()
    except UnicodeEncodeError:
        raise NotCanonical("a text has a lone surrogate") from None


def address(content: bytes) -> str:
    """SHA-256 of the bytes, in hex."""
    return sha256(content).hexdigest()


def _check(value: object) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            if abs(value) > INTEGER_MAX:
                raise NotCanonical("an integer is out of range")
        case dict():
            for key in value:
                if not isinstance(key, str) or not key.isascii():
                    raise NotCanonical("a key is not ASCII text")
            _check_parts(value.values())
        case list() | tuple():
            _check_parts(value)
        case _:
            raise NotCanonical(f"{type(value).__name__} has no canonical form")


def _check_parts(parts: Iterable[object]) -> None:
    for part in parts:
        if type(part) not in _PLAIN:
            _check(part)
