"""Parts that many rules share: lengths, anchors, windows, limits."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from domain.clinical.terms import DrugClass
from domain.kernel import Code, Number, Strict, Term

NODES_MAX = 200
"""Members of one node."""

YEARS_MAX = 150
DAYS_MAX = 3_660

Length = Annotated[str, StringConstraints(pattern=r"^P\d{1,4}[YMWD]$")]
"""A length of time: years, calendar months, weeks or days."""

TitreText = Annotated[str, StringConstraints(pattern=r"^1:[1-9]\d{0,8}$")]
"""A titre as its dilution: `1:160`."""

Days = Annotated[int, Field(ge=0, le=DAYS_MAX)]

Anchor = Literal["screening", "day-0", "consent"]
"""The screening visit's day, the (planned, then actual) day of the dose, the first consent's."""

Codes = Annotated[tuple[Code, ...], Field(strict=False, max_length=NODES_MAX)]
Terms = Annotated[tuple[Term, ...], Field(strict=False, max_length=NODES_MAX)]
Classes = Annotated[tuple[DrugClass, ...], Field(strict=False)]


class Window(Strict):
    """The civil days in which a fact counts, both ends included.

    `{anchor: screening, back: P6M}` is from six months before the screening visit to it;
    `{anchor: screening, back: P0D, until: before-day-0}` is the screening period;
    `{anchor: lifetime}` is everything up to day 0.
    """

    anchor: Literal["screening", "day-0", "consent", "lifetime"]
    back: Length | None = None
    """How long before the anchor it begins; None: without limit."""
    until: Literal["anchor", "day-before", "before-day-0", "day-0"] = "anchor"
    """Its last day: the anchor's, the one before it, or what day 0 sets (open while unplanned)."""


class Limits(Strict):
    """What a number is held against; those given must all hold. Compared exactly, unrounded."""

    at_least: Number | None = None
    more_than: Number | None = None
    at_most: Number | None = None
    less_than: Number | None = None
