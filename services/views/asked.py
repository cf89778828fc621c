"""What is asked of a view, and what is answered."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from domain.canonical import INTEGER_MAX
from domain.time import When
from services.door.refused import invalid

LIMIT_DEFAULT = 100
CURSOR_CHARACTERS_MAX = 1_000

_AN_INSTANT = timedelta(microseconds=1)
_PLAIN = re.compile(r"[ -~]{0,300}")

Place = tuple[str | int, ...]
"""Where an item stands in the order of its list."""


class Lagging(Exception):
    """The views do not reflect the position yet that the reader waited for; try again."""

    def __init__(self, position: int) -> None:
        super().__init__("the views are behind the position")
        self.position = position
        """What they reflect."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows, as of when."""

    wait_for: int | None = None
    """The position of the log that must be reflected."""
    as_of: int | When | None = None
    """As known then: a position of the log, or a moment. A date means its end: in UTC, as Cairn
    records, and on the axis of the source in the site's zone."""
    by_source: bool = False
    """The moment of `as_of` counts on the axis of `recorded_at_source`."""
    valid_at: When | None = None
    """What was true then: an instant, or a date (its end in the site's zone)."""
    on: When | None = None
    """The "now" of time-dependent states; by default that of `valid_at`, of `as_of`, or now."""
    limit: int = LIMIT_DEFAULT
    cursor: str | None = None
    """From where the next page begins, as the page before said."""
    site: str | None = None
    participant: str | None = None
    stage: str | None = None
    verdict: str | None = None
    criterion: str | None = None
    status: str | None = None
    first: date | None = None
    """`from`: the first day of a range."""
    last: date | None = None
    """`to`: the last day of a range."""
    within: int | None = None
    """So many days ahead something is near its end; None: as the list has it."""

    @property
    def past(self) -> bool:
        """Whether the answer comes from the log instead of the tables."""
        return self.as_of is not None or self.valid_at is not None

    def after(self, shape: Sequence[type]) -> Place | None:
        """The place that the cursor names, of the list's shape. Raises Invalid."""
        if self.cursor is None:
            return None
        try:
            return _place(self.cursor, shape)
        except (ValueError, RecursionError):
            raise invalid("/query/cursor", "cursor") from None


def _place(cursor: str, shape: Sequence[type]) -> Place:
    """The place in a cursor; ValueError when it is none of ours."""
    if len(cursor) > CURSOR_CHARACTERS_MAX:
        raise ValueError("too long")
    padded = cursor + "=" * (-len(cursor) % 4)
    place = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    parts = place if isinstance(place, list) else []
    return tuple(_part(part, kind) for part, kind in zip(parts, shape, strict=True))


def _part(part: object, kind: type) -> str | int:
    """One part of a place; ValueError when it is none that a cursor of ours can hold."""
    if kind is int:
        if type(part) is int and 0 <= part <= INTEGER_MAX:
            return part
    elif isinstance(part, str) and _PLAIN.fullmatch(part):
        if kind is date:
            date.fromisoformat(part)
        return part
    raise ValueError("none of ours")


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and the position that it reflects."""

    position: int
    items: list[dict[str, Any]]
    next: str | None = None
    """The cursor of the next page; None when this is the last."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else belongs to the answer, by name."""


def cursor_of(place: Place) -> str:
    """A cursor that names a place."""
    text = json.dumps(list(place), separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def day_of(on: When, zone: ZoneInfo) -> date:
    """The civil day of the "now" in a zone."""
    return on.civil(zone)[1]


def moment_of(on: When, zone: ZoneInfo) -> datetime:
    """The instant of the "now": for a date the last one of the day in the zone."""
    return on.instant if on.instant is not None else on.latest(zone) - _AN_INSTANT
