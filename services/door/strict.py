"""Strict JSON: one reading of every text, exact numbers, and bounds before anything else looks.

Refused: duplicate member names, NaN and Infinity, numbers that a double cannot hold, integers
beyond 2^53, NUL, lone surrogates, invalid UTF-8, nesting and member counts beyond the bounds.
Fractions arrive as `Decimal`, integers as `int`; nothing is ever a float.
"""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from domain.kernel import PROVISIONAL
from services.door.refused import Malformed, TooLarge

EVENT_MAX_BYTES = 65_536
DEPTH_MAX_LEVELS = 32
KEYS_MAX = 1_000
NUMBER_MAX_CHARACTERS = 100
EXPONENT_MAX = 307
"""Beyond it a double is infinite or loses the number; such numbers are refused."""

_SPACE = re.compile(r"[ \t\n\r]*")


def document(body: bytes) -> Any:
    """The one JSON value in the body, within the bounds of an event. Malformed, TooLarge."""
    if len(body) > EVENT_MAX_BYTES:
        raise TooLarge(EVENT_MAX_BYTES)
    text = decoded(body)
    value, end = _value(text, _space(text, 0), DEPTH_MAX_LEVELS, KEYS_MAX)
    _nothing_after(text, end)
    return value


def is_array(body: bytes) -> bool:
    """Whether the first thing in the body opens an array."""
    return body[:64].lstrip(b" \t\n\r")[:1] == b"["


def elements(body: bytes, most: int) -> list[Any]:
    """The elements of the one JSON array in the body, each within the bounds of an event.

    Malformed, or TooLarge when an element is too large or there are more than `most`.
    """
    text = decoded(body)
    values = []
    for value, size in _elements(text):
        if size > EVENT_MAX_BYTES:
            raise TooLarge(EVENT_MAX_BYTES)
        values.append(value)
        if len(values) > most:
            raise TooLarge(most)
    return values


def decoded(body: bytes) -> str:
    """The body as text; it must be UTF-8 without a byte order mark."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("encoding", "the body is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise Malformed("encoding", "the body begins with a byte order mark")
    return text


def _elements(text: str) -> Iterator[tuple[Any, int]]:
    at = _space(text, 0)
    if text[at : at + 1] != "[":
        raise Malformed("not-json", "the body is not a JSON array")
    at = _space(text, at + 1)
    if text[at : at + 1] == "]":
        return _nothing_after(text, at + 1)
    while True:
        value, end = _value(text, at, DEPTH_MAX_LEVELS, KEYS_MAX)
        yield value, _bytes(text, at, end)
        at = _space(text, end)
        separator = text[at : at + 1]
        if separator == "]":
            return _nothing_after(text, at + 1)
        if separator != ",":
            raise Malformed("not-json", "the body is not JSON")
        at = _space(text, at + 1)


def _bytes(text: str, start: int, end: int) -> int:
    size = end - start
    if size * 4 <= EVENT_MAX_BYTES or text.isascii():
        return size
    return len(text[start:end].encode())


def _value(text: str, start: int, depth: int, keys: int) -> tuple[Any, int]:
    """The value that starts here and where it ends, checked against the bounds."""
    try:
        value, end = _SCAN(text, start)
    except StopIteration:
        raise Malformed("not-json", "the body is not JSON") from None
    except json.JSONDecodeError:
        raise Malformed("not-json", "the body is not JSON") from None
    except RecursionError:
        raise Malformed("too-deep", "the nesting is too deep") from None
    # Counting brackets and colons is an upper bound that nearly every event stays below; only
    # beyond it is the value itself walked.
    if text.count("{", start, end) + text.count("[", start, end) > depth:
        _within_depth(value, depth)
    if text.count(":", start, end) > keys and _members(value) > keys:
        raise Malformed("too-many-keys", "there are too many members")
    if text.find("\\u", start, end) >= 0:
        _clean(value)
    return value, end


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _nothing_after(text: str, at: int) -> None:
    if _space(text, at) != len(text):
        raise Malformed("not-json", "something follows the JSON value")


def _within_depth(value: Any, depth: int) -> None:
    if isinstance(value, dict | list):
        if depth == 0:
            raise Malformed("too-deep", "the nesting is too deep")
        for child in value.values() if isinstance(value, dict) else value:
            _within_depth(child, depth - 1)


def _members(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_members, value.values()))
    return sum(map(_members, value)) if isinstance(value, list) else 0


def _clean(value: Any) -> None:
    """Escapes can write what UTF-8 cannot: half a surrogate pair, and NUL."""
    if isinstance(value, str):
        if "\x00" in value:
            raise Malformed("nul", "a string holds NUL")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise Malformed("surrogate", "a string holds half a surrogate pair")
    elif isinstance(value, dict):
        for name, child in value.items():
            _clean(name)
            _clean(child)
    elif isinstance(value, list):
        for child in value:
            _clean(child)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("duplicate-key", "an object names a member twice")
    return members


def _integer(text: str) -> int:
    if len(text) > NUMBER_MAX_CHARACTERS or abs(number := int(text)) >= PROVISIONAL:
        raise Malformed("number", "an integer is beyond 2^53")
    return number


def _fraction(text: str) -> Decimal:
    if len(text) > NUMBER_MAX_CHARACTERS:
        raise Malformed("number", "a number has too many digits")
    number = Decimal(text)
    if number and abs(number.adjusted()) > EXPONENT_MAX:
        raise Malformed("number", "a number is out of range")
    return number


def _constant(_text: str) -> Any:
    raise Malformed("number", "NaN and Infinity are not JSON")


_DECODER: Any = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
    strict=True,
)
_SCAN: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once
"""Reads the value that starts at an index; documented as an attribute, but not typed as one."""
