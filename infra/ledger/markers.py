"""Blanks in an event's bytes that only the ledger can fill: positions, the hash before, the time.

Canonical JSON cannot contain a raw control character, so a blank stands between two of them and is
never mistaken for content. The ledger's SQL function reads the same blanks.
"""

import hashlib
import re

MARK = "\x03"
"""Encloses a blank: `<k>` the position of the append's k-th event (from 0), `P<hash>` the stream's
leaf hash before this event (with the hash it was judged on, or nothing), `T<instant>` the time of
recording (not before this instant, nor before the event before). The last three blanks of an event
are its own position, the hash before it and its time."""

BEGINNING = "0001-01-01T00:00:00.000000Z"
"""The time of recording before anything was recorded."""

_BLANK = re.compile(rf"{MARK}([^{MARK}]*){MARK}")


def position_blank(index: int) -> str:
    """The position of the append's event at `index`."""
    return f"{MARK}{index}{MARK}"


def previous_blank(judged_on: str | None) -> str:
    """The hash (hex) of the stream's event before; `judged_on` is what it must be, if known."""
    return f"{MARK}P{judged_on or ''}{MARK}"


def time_blank(instant: str) -> str:
    """The time of recording, at the earliest this instant (fixed-width UTC, microseconds)."""
    return f"{MARK}T{instant}{MARK}"


def judged_on(template: str) -> str | None:
    """The leaf hash that the event says comes before it, or None when it does not say."""
    found = re.search(rf"{MARK}P([0-9a-f]+){MARK}", template)
    return found[1] if found else None


def filled(template: str, first: int, previous: str | None, last: str) -> tuple[str, str]:
    """The text with its blanks filled, and its recording time.

    `first` is the position of the append's first event, `last` the recording time before it.
    """
    at = last

    def fill(blank: re.Match[str]) -> str:
        nonlocal at
        content = blank[1]
        if content.startswith("T"):
            at = max(at, content[1:])
            return at
        if content.startswith("P"):
            return "null" if previous is None else f'"{previous}"'
        return str(first + int(content))

    return _BLANK.sub(fill, template), at


def leaf(body: bytes) -> str:
    """The leaf hash (RFC 9162): SHA-256(0x00 || body), hex."""
    return hashlib.sha256(b"\x00" + body).hexdigest()
