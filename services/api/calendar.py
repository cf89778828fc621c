"""A calendar feed (RFC 5545, 7986): visits as all-day windows, without any names.

The feed is a function of the schedule view alone: at one position of the log it is the same to the
byte, whoever reads it and whenever. `UID` names the visit for good, `SEQUENCE` is the position
of the event that last touched it, `DTSTAMP` and `LAST-MODIFIED` are when that was recorded.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

MEDIA_TYPE = "text/calendar"

LINE_MAX_OCTETS = 75
REFRESH = "PT1H"
SEQUENCE_MAX = 2**31 - 1
"""What RFC 5545 allows for an integer."""

_STATUS = {"on": "CONFIRMED", "provisional": "TENTATIVE", "off": "CANCELLED"}
"""Nothing is ever left out: a calendar keeps an event that is merely not sent again."""


def feed(name: str, study: str, entries: Iterable[Mapping[str, Any]]) -> bytes:
    """The calendar of visits, as the schedule view has them at a position."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Cairn//Schedule//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{_text(name)}",
        f"X-WR-CALNAME:{_text(name)}",
        f"REFRESH-INTERVAL;VALUE=DURATION:{REFRESH}",
        f"X-PUBLISHED-TTL:{REFRESH}",
    ]
    for entry in entries:
        lines += _event(study, entry)
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _event(study: str, entry: Mapping[str, Any]) -> Iterator[str]:
    first, last = date.fromisoformat(entry["first"]), date.fromisoformat(entry["last"])
    number = "" if entry["number"] == 1 else f"/{entry['number']}"
    changed = f"{datetime.fromisoformat(entry['changed']['at']).astimezone(UTC):%Y%m%dT%H%M%SZ}"
    summary = f"{entry['participant']} {entry['visit']}"
    if entry["target"]:
        summary += f" (target {entry['target']})"
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(study)}/{_text(entry['participant'])}/{_text(entry['visit'])}{number}@cairn"
    yield f"DTSTAMP:{changed}"
    yield f"LAST-MODIFIED:{changed}"
    yield f"SEQUENCE:{min(entry['changed']['position'], SEQUENCE_MAX)}"
    yield f"DTSTART;VALUE=DATE:{first:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{last + timedelta(days=1):%Y%m%d}"
    yield f"SUMMARY:{_text(summary)}"
    yield f"DESCRIPTION:{_text(chr(10).join(_told(entry)))}"
    yield f"STATUS:{_STATUS[entry['state']]}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _told(entry: Mapping[str, Any]) -> Iterator[str]:
    """What is worth saying beside the days; nothing that changes by time alone."""
    yield f"Visit: {entry['name']}"
    if entry["completed_on"]:
        yield f"Held on {entry['completed_on']}"
    elif entry["state"] == "provisional":
        yield "Provisional: counted from the planned dose"
    elif entry["state"] == "off":
        yield "Missed" if entry["settled"] == "missed" else "Not expected"
    if entry["booked_for"]:
        yield f"Booked for {entry['booked_for']}"
    for warning in entry["warnings"]:
        yield f"Warning: {warning}"


def _text(value: str) -> str:
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        value = value.replace(plain, escaped)
    return "".join(character for character in value if character >= " " and character != "\x7f")


def _folded(line: str) -> bytes:
    """The line in pieces of at most 75 octets, never within a character."""
    folded, piece, room = [], b"", LINE_MAX_OCTETS
    for character in line:
        octets = character.encode()
        if len(piece) + len(octets) > room:
            folded.append(piece)
            piece, room = b"", LINE_MAX_OCTETS - 1
        piece += octets
    return b"\r\n ".join([*folded, piece]) + b"\r\n"
