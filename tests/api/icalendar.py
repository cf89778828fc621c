"""A strict reader of calendars (RFC 5545, 7986): whatever a careful program would stumble over is
an error. Written from the grammar, not from what we send."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

OCTETS_MAX = 75
INTEGER_MAX = 2**31 - 1

_LINE = re.compile(
    r'([A-Z0-9-]+)((?:;[A-Z0-9-]+=(?:"[^"\x00-\x1f]*"|[^";:,\x00-\x1f]*))*):(.*)', re.DOTALL
)
_TEXT = re.compile(r"(?:[^\\;,\x00-\x08\x0a-\x1f\x7f]|\\[\\;,nN])*")
_ONCE = {"UID", "DTSTAMP", "DTSTART", "DTEND", "SEQUENCE", "SUMMARY", "DESCRIPTION", "STATUS"}
_CALENDAR = {"VERSION", "PRODID", "CALSCALE", "METHOD", "NAME", "REFRESH-INTERVAL"}


@dataclass
class Event:
    uid: str
    sequence: int
    stamp: datetime
    first: date
    last: date
    status: str
    summary: str
    description: str


@dataclass
class Calendar:
    name: str
    events: dict[str, Event] = field(default_factory=dict)


def read(body: bytes) -> Calendar:
    """The calendar; AssertionError where it is not what the standards ask for."""
    assert body.endswith(b"\r\n")
    physical = body[:-2].split(b"\r\n")
    for line in physical:
        assert line, "an empty line"
        assert len(line) <= OCTETS_MAX, len(line)
        assert not {b"\r", b"\n"} & {line[at : at + 1] for at in range(len(line))}
        line.decode()
    lines = [_content(line) for line in body.decode().replace("\r\n ", "").split("\r\n")[:-1]]
    assert lines[0][0::2] == ("BEGIN", "VCALENDAR")
    assert lines[-1][0::2] == ("END", "VCALENDAR")
    head: dict[str, str] = {}
    found: list[Event] = []
    inside: dict[str, tuple[str, str]] | None = None
    for name, parameters, value in lines[1:-1]:
        if name == "BEGIN":
            assert (value, inside) == ("VEVENT", None)
            inside = {}
        elif name == "END":
            assert value == "VEVENT"
            assert inside is not None
            found.append(_event(inside))
            inside = None
        elif inside is None:
            assert not found, "a property of the calendar after its events"
            assert name not in head
            assert name in _CALENDAR or name.startswith("X-"), name
            head[name] = value
        else:
            assert name not in inside, f"{name} twice"
            inside[name] = (parameters, value)
    assert inside is None
    assert head["VERSION"] == "2.0"
    assert head["PRODID"]
    assert head["METHOD"] == "PUBLISH"
    events = {one.uid: one for one in found}
    assert len(events) == len(found), "a UID twice"
    return Calendar(_unescaped(head["NAME"]), events)


def _content(line: str) -> tuple[str, str, str]:
    match = _LINE.fullmatch(line)
    assert match is not None, line
    return match[1], match[2], match[3]


def _event(properties: dict[str, tuple[str, str]]) -> Event:
    assert properties.keys() >= _ONCE, _ONCE - properties.keys()
    assert not properties.keys() - _ONCE - {"LAST-MODIFIED", "TRANSP"}
    first, after = (_day(*properties[name]) for name in ("DTSTART", "DTEND"))
    assert after > first
    status = properties["STATUS"][1]
    assert status in {"TENTATIVE", "CONFIRMED", "CANCELLED"}
    sequence = properties["SEQUENCE"][1]
    assert sequence.isdecimal()
    assert int(sequence) <= INTEGER_MAX
    stamp = datetime.strptime(properties["DTSTAMP"][1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return Event(
        uid=_unescaped(properties["UID"][1]),
        sequence=int(sequence),
        stamp=stamp,
        first=first,
        last=date.fromordinal(after.toordinal() - 1),
        status=status,
        summary=_unescaped(properties["SUMMARY"][1]),
        description=_unescaped(properties["DESCRIPTION"][1]),
    )


def _day(parameters: str, value: str) -> date:
    assert parameters == ";VALUE=DATE", parameters
    return datetime.strptime(value, "%Y%m%d").replace(tzinfo=UTC).date()


def _unescaped(value: str) -> str:
    assert _TEXT.fullmatch(value), value
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nN" else m[1], value)
