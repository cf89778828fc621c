"""A calendar feed (RFC 5545, 7986): planned visits as all-day windows, without any names."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

MEDIA_TYPE = "text/calendar"

LINE_MAX_OCTETS = 75
REFRESH = "PT1H"

_STATUS = {
    "provisional": "TENTATIVE",
    "missed": "CANCELLED",
    "not-expected": "CANCELLED",
}
"""Visit status -> calendar status; anything else is confirmed. Nothing is ever left out: a
calendar keeps an event that is merely not sent again."""


def feed(
    study: str, site: str | None, items: Iterable[Mapping[str, Any]], position: int, now: datetime
) -> bytes:
    """The calendar of planned visits, as the schedule view has them at a position."""
    name = f"{study} {site}" if site else study
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
    for item in items:
        if item.get("earliest") and item.get("latest"):
            lines += _event(study, item, position, now)
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _event(study: str, item: Mapping[str, Any], position: int, now: datetime) -> Iterator[str]:
    first, last = date.fromisoformat(item["earliest"]), date.fromisoformat(item["latest"])
    summary = f"{item['participant']} {item['visit']}"
    if item.get("target"):
        summary += f" (target {item['target']})"
    told = [f"Status: {item['status']}", f"Visit: {item.get('name') or item['visit']}"]
    if item.get("booked_for"):
        told.append(f"Booked for {item['booked_for']}")
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(study)}/{_text(item['participant'])}/{_text(item['visit'])}@cairn"
    yield f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    yield f"SEQUENCE:{position}"
    yield f"DTSTART;VALUE=DATE:{first:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{last + timedelta(days=1):%Y%m%d}"
    yield f"SUMMARY:{_text(summary)}"
    yield f"DESCRIPTION:{_text(chr(10).join(told))}"
    yield f"STATUS:{_STATUS.get(item['status'], 'CONFIRMED')}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _text(value: str) -> str:
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        value = value.replace(plain, escaped)
    return "".join(character for character in value if character >= " ")


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
