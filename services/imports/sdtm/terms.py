"""CDISC terms and the words that stand for them here; dates of SDTM as times.

Terms are those of CDISC controlled terminology: sex C66731, mode of contact C171445, outcome
C66768, action taken C66767, severity C66769. Relationships to the product have no list of their
own: the terms here are those of ICH E2B and of common usage.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from domain.time import When

SEX: Mapping[str, str] = MappingProxyType(
    {"F": "female", "M": "male", "U": "unknown", "UNDIFFERENTIATED": "intersex"}
)

CONTACT_MODE: Mapping[str, str] = MappingProxyType(
    {
        "IN PERSON": "in-person",
        "TELEPHONE CALL": "telephone",
        "REMOTE AUDIO VIDEO": "video",
        "REMOTE AUDIO": "telephone",
    }
)

CAUSALITY: Mapping[str, str] = MappingProxyType(
    {
        "NONE": "unrelated",
        "NOT RELATED": "unrelated",
        "UNRELATED": "unrelated",
        "REMOTE": "unlikely",
        "UNLIKELY": "unlikely",
        "UNLIKELY RELATED": "unlikely",
        "POSSIBLE": "possible",
        "POSSIBLY RELATED": "possible",
        "PROBABLE": "probable",
        "PROBABLY RELATED": "probable",
        "RELATED": "definite",
        "DEFINITE": "definite",
    }
)

OUTCOME: Mapping[str, str] = MappingProxyType(
    {
        "RECOVERED/RESOLVED": "recovered",
        "RECOVERED/RESOLVED WITH SEQUELAE": "recovered-with-sequelae",
        "RECOVERING/RESOLVING": "recovering",
        "NOT RECOVERED/NOT RESOLVED": "not-recovered",
        "FATAL": "fatal",
        "UNKNOWN": "unknown",
    }
)

SERIOUSNESS: Mapping[str, str] = MappingProxyType(
    {
        "AESDTH": "death",
        "AESLIFE": "life-threatening",
        "AESHOSP": "hospitalisation",
        "AESDISAB": "disability",
        "AESCONG": "congenital-anomaly",
        "AESMIE": "important-medical-event",
        "AESCAN": "important-medical-event",
        "AESOD": "important-medical-event",
    }
)
"""Flag -> criterion. Cancer and overdose are no criteria of their own under ICH E2A: they count as
important medical events."""

_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")
_CLOCK = re.compile(r"T(\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?")
_OFFSET = re.compile(r"Z|[+-]\d{2}:\d{2}")


def moment(text: str | None, zone: ZoneInfo | None) -> str | None:
    """A date/time of SDTM as exactly as it can be kept; None when it is missing or has no year.

    A time of day without an offset is an instant only where the site's zone is known; otherwise
    its date is kept. What follows a missing part (`2014-07--`, `2014---15`) is dropped.
    """
    found = _DATE.match(text or "")
    if text is None or found is None:
        return None
    date, rest = found[0], text[found.end() :]
    clock = _CLOCK.match(rest) if len(date) == 10 else None
    if clock is not None:
        offset = rest[clock.end() :]
        if _OFFSET.fullmatch(offset):
            return text
        if zone is not None and not offset:
            return _local(date, clock, zone)
    return date


def instant(text: str, zone: ZoneInfo | None) -> str:
    """The first instant that a moment may be: a date begins at midnight in the zone, else UTC."""
    return When.at(When.parse(text).earliest(zone).astimezone(zone or UTC)).text


def coded(text: str) -> str:
    """A term as a code: lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9.+]+", "-", text.lower()).strip("-.+") or "other"


def _local(date: str, clock: re.Match[str], zone: ZoneInfo) -> str:
    try:
        local = datetime.fromisoformat(f"{date}T{clock[1]}:{clock[2]}:{clock[3] or '00'}")
    except ValueError:
        return date
    return local.replace(tzinfo=zone).isoformat()
