"""Time as clinical data has it: instants with an offset, dates, months and years.

A date is never moved through UTC: a visit's day is the site's civil day. An instant becomes a civil
date only with the zone of the site at which it happened.
"""

import calendar
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

Precision = Literal["instant", "day", "month", "year"]

PARSED_KEPT = 8_192
"""Texts whose moments are at hand: the days of a study, and the instants of what goes on now. Each
takes some 350 bytes."""

_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:[Zz]|[+-]\d{2}:\d{2})"
)


@dataclass(frozen=True, slots=True)
class When:
    """When something happened, as exactly as it is known; the text is kept as it was sent."""

    text: str
    precision: Precision
    first: date
    """The earliest civil date it may be (for an instant: the date in its own offset)."""
    last: date
    """The latest civil date it may be."""
    instant: datetime | None = None

    @classmethod
    def parse(cls, text: str) -> "When":
        """Read RFC 3339 or a partial ISO 8601 date; ValueError when it is neither."""
        return _parsed(text)

    @classmethod
    def at(cls, instant: datetime) -> Self:
        """The moment of an aware datetime."""
        text = instant.isoformat().replace("+00:00", "Z")
        return cls(text, "instant", instant.date(), instant.date(), instant)

    @classmethod
    def on(cls, day: date) -> Self:
        """The whole of a civil day."""
        return cls(day.isoformat(), "day", day, day)

    def civil(self, zone: ZoneInfo) -> tuple[date, date]:
        """The earliest and the latest civil date in the zone."""
        if self.instant is None:
            return self.first, self.last
        day = self.instant.astimezone(zone).date()
        return day, day

    def earliest(self, zone: ZoneInfo | None = None) -> datetime:
        """The first instant it may be; a date begins at midnight in the zone (UTC without one)."""
        if self.instant is not None:
            return self.instant
        return datetime.combine(self.first, datetime.min.time(), tzinfo=zone or UTC)

    def latest(self, zone: ZoneInfo | None = None) -> datetime:
        """The instant by which it is over; a date ends at the next midnight in the zone."""
        if self.instant is not None:
            return self.instant
        following = self.last + timedelta(days=1)
        return datetime.combine(following, datetime.min.time(), tzinfo=zone or UTC)

    def last_moment(self, zone: ZoneInfo | None = None) -> datetime:
        """The last moment at which it may be; of a date, the last one of its last day."""
        over = self.latest(zone)
        return over if self.instant is not None else over - timedelta(microseconds=1)

    def before(self, other: "When", zone: ZoneInfo | None = None) -> bool:
        """Whether it certainly lies before another; dates are the zone's civil days."""
        ends, begins = self.latest(zone), other.earliest(zone)
        return ends < begins or (ends == begins and self.instant is None)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Horizon:
    """A moment that the past is told of: what began after it is not true yet.

    What is known as a date, a month or a year only counts as begun as soon as it may have begun,
    and as over only when it certainly is: nothing is left out that may have been true.
    """

    moment: When
    """A date, a month or a year means its end."""
    zone: ZoneInfo
    """Where civil dates are counted."""
    end: datetime = field(init=False)
    """The instant at which it ends."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", self.moment.latest(self.zone))

    def begun(self, when: When) -> bool:
        """Whether something of that time may have begun."""
        began = when.earliest(self.zone)
        return began < self.end or (began == self.end and self.moment.instant is not None)

    def over(self, when: When) -> bool:
        """Whether that time has certainly passed."""
        ends = when.latest(self.zone)
        whole = when.instant is None or self.moment.instant is not None
        return ends < self.end or (ends == self.end and whole)

    def unsure(self, when: When) -> bool:
        """Whether it may have been at or before the moment, or after it."""
        return self.begun(when) and not self.over(when)


@lru_cache(maxsize=PARSED_KEPT)
def _parsed(text: str) -> When:
    if _INSTANT.fullmatch(text):
        instant = datetime.fromisoformat(text.upper())
        return When(text, "instant", instant.date(), instant.date(), instant)
    match = _PARTIAL.fullmatch(text)
    if match is None:
        raise ValueError("neither an instant with offset nor a date, month or year")
    year, month, day = (int(part) if part else None for part in match.groups())
    assert year is not None
    if year < 1:
        raise ValueError("the year is out of range")
    if month is None:
        return When(text, "year", date(year, 1, 1), date(year, 12, 31))
    if day is None:
        last = calendar.monthrange(year, month)[1] if 1 <= month <= 12 else 0
        return When(text, "month", date(year, month, 1), date(year, month, last))
    return When(text, "day", date(year, month, day), date(year, month, day))


def _validated(allowed: frozenset[Precision], rule: str) -> BeforeValidator:
    def read(value: object) -> When:
        if isinstance(value, str):
            try:
                moment = _parsed(value)
            except ValueError:
                raise PydanticCustomError(rule, "is not a valid {rule}", {"rule": rule}) from None
        elif isinstance(value, When):
            moment = value
        else:
            raise PydanticCustomError(rule, "must be a string: a {rule}", {"rule": rule})
        if moment.precision not in allowed:
            raise PydanticCustomError(rule, "is not a valid {rule}", {"rule": rule})
        return moment

    return BeforeValidator(read)


def _as_text(moment: When) -> str:
    return moment.text


_TEXT = PlainSerializer(_as_text, return_type=str)
_ANY = frozenset[Precision]({"instant", "day", "month", "year"})

Moment = Annotated[
    When,
    _validated(_ANY, "moment"),
    _TEXT,
    WithJsonSchema(
        {
            "type": "string",
            "description": "An instant with offset (RFC 3339), a date, a month or a year.",
            "examples": ["2026-11-02T09:15:00-05:00", "2026-11-02", "2026-11", "2026"],
        }
    ),
]
"""An instant with offset, a date, a month or a year."""

PartialDate = Annotated[
    When,
    _validated(_ANY - {"instant"}, "partial-date"),
    _TEXT,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{4}(-\d{2}(-\d{2})?)?$",
            "description": "A date, a month or a year (ISO 8601).",
        }
    ),
]
"""A date, a month or a year."""

Instant = Annotated[
    When,
    _validated(frozenset({"instant"}), "instant"),
    _TEXT,
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A point in time with its offset (RFC 3339)."""

Appointment = Annotated[
    When,
    _validated(frozenset({"instant", "day"}), "appointment"),
    _TEXT,
    WithJsonSchema(
        {
            "type": "string",
            "description": "An instant with offset (RFC 3339) or a whole date.",
            "examples": ["2026-12-07T09:00:00-05:00", "2026-12-07"],
        }
    ),
]
"""A point in time with its offset, or a whole civil date."""

CivilDate = Annotated[
    When,
    _validated(frozenset({"day"}), "date"),
    _TEXT,
    WithJsonSchema({"type": "string", "format": "date"}),
]
"""A whole civil date."""


def months_before(day: date, months: int) -> date:
    """Calendar months back, clamped to the month's end (2026-08-31 less 6 is 2026-02-28)."""
    count = day.year * 12 + day.month - 1 - months
    year, month = divmod(count, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def duration_text(length: timedelta) -> str:
    """A length as ISO 8601, exact to the second and rounded down (`P2DT3H`, `PT40M`, `PT0S`)."""
    minutes, seconds = divmod(int(abs(length).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
    of_day = "".join(f"{count}{unit}" for count, unit in parts if count)
    whole = f"{days}D" if days else ""
    return f"P{whole}T{of_day}" if of_day else f"P{whole}" if whole else "PT0S"


_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


@dataclass(frozen=True, slots=True)
class Duration:
    """An ISO 8601 duration: calendar months and an exact rest are kept apart."""

    months: int
    rest: timedelta

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `P6M`, `P12W`, `P90D`, `PT24H`; ValueError otherwise."""
        match = _DURATION.fullmatch(text)
        if match is None or not any(match.groups()):
            raise ValueError("not an ISO 8601 duration")
        years, months, weeks, days, hours, minutes = (int(part or 0) for part in match.groups())
        rest = timedelta(days=weeks * 7 + days, hours=hours, minutes=minutes)
        return cls(years * 12 + months, rest)

    def before(self, day: date) -> date:
        """The civil date this long before a day: months first (clamped), then whole days."""
        start = months_before(day, self.months) if self.months else day
        return start - timedelta(days=self.rest.days)

    def after(self, day: date) -> date:
        """The civil date this long after a day: months first (clamped), then whole days."""
        return months_before(day, -self.months) + timedelta(days=self.rest.days)
