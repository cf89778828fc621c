"""A protocol version as data: what the study asks, when, of whom, and what it watches.

Times are ISO 8601 durations or whole days; visit days count from the anchor's day (day 0 there).
"""

from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from domain.eligibility.rules import Rule
from domain.kernel import Code, Number, Strict, Term

Text = Annotated[str, Field(min_length=1, max_length=4_000)]


class Settings(Strict):
    """Choices of the study that rules and calendars take as parameters."""

    day_numbering: Literal["day-0", "day-1"] = "day-0"
    """Whether the day of the anchor is called day 0 or day 1 (USDM and SDTM have no day 0)."""
    sponsor_timezone: str = "UTC"
    screening_validity_days: int = 28
    """How long after the screening visit a confirmed eligibility stands."""
    screening_attempts_max: int = 2
    contact_attempts_min: int = 3
    age_leap_rule: Literal["march-1", "february-28"] = "march-1"
    sledai_window_days: int = 30
    ctcae_version: str | None = None
    meddra_version: str | None = None
    reconsent: bool = False
    """Whether participants consent again before this version applies to them."""
    decisions_need_if_match: bool = False


class Unit(Strict):
    """A unit that is accepted for a code, and what one of it is in the code's own unit."""

    unit: str
    factor: Number = Decimal(1)


class Plausible(Strict):
    """Values outside are refused as impossible; `confirm` values are flagged for a person."""

    low: Number | None = None
    high: Number | None = None


class Entry(Strict):
    """One observation code of the protocol's dictionary."""

    name: Term
    kind: Literal["quantity", "titre", "presence", "items", "score", "text"]
    unit: str | None = None
    units: Annotated[tuple[Unit, ...], Field(strict=False)] = ()
    plausible: Plausible | None = None
    items: Annotated[dict[Code, Number], Field()] = {}
    """For scores and item lists: item -> weight."""
    groups: dict[Code, Annotated[tuple[Code, ...], Field(strict=False)]] = {}
    loinc: str | None = None


class Procedure(Strict):
    """Something done at a visit, and when it is required."""

    name: Term
    safety: bool = False
    """Whether its absence is an important deviation."""
    modes: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Required only in these contact modes; empty: in every mode."""
    sexes: Annotated[tuple[str, ...], Field(strict=False)] = ()
    childbearing_only: bool = False
    before_dose: bool = False
    optional: bool = False


class Visit(Strict):
    """A planned encounter: its day from the anchor and the window around it, in whole days."""

    code: Code
    name: Term
    kind: Literal[
        "screening", "dosing", "follow-up", "end", "early-termination", "unscheduled"
    ] = "follow-up"
    anchor: Literal["dose", "screening"] = "dose"
    day: int | None = None
    """Days from the anchor (None: not planned by day, as early termination)."""
    before: int = 0
    after: int = 0
    after_previous: int | None = None
    """At least so many days after the visit before it in the list."""
    mode: Literal["in-person", "telephone", "video"] | None = None
    safety: bool = False
    """Whether missing it is an important deviation."""
    procedures: Annotated[tuple[Code, ...], Field(strict=False)] = ()


class Dose(Strict):
    """What is given, and how the study guards it."""

    visit: Code | None = None
    product: Term | None = None
    amount: Number | None = None
    unit: str | None = None
    route: Code | None = None
    single: bool = True
    authorisation: bool = True
    """Whether a dose needs `dose-authorised` before it."""


class Stagger(Strict):
    """The first doses of the study keep a distance in days."""

    first: int
    days: int


class Criterion(Strict):
    """An eligibility criterion: the legal wording and, where it can be computed, its rule."""

    id: Code
    kind: Literal["inclusion", "exclusion"]
    text: Text
    recheck: bool = False
    """Evaluated again on day 0 before the dose."""
    rule: Rule | None = None
    """None: only an investigator can judge it (an imported text without a rule)."""
    source: str | None = None


class Clock(Strict):
    """A reporting duty: who owes what to whom, from which moment, within which limit."""

    clock: Code
    starts: Literal["site-awareness", "sponsor-receipt"]
    trigger: Literal["serious", "fatal-or-life-threatening", "suspected-unexpected-serious"]
    hours: int | None = None
    days: int | None = None
    recipient: Code
    regulation: str


class Bayesian(Strict):
    """Stop when P(toxicity rate > theta) > confidence under a Beta prior."""

    design: Literal["bayesian"] = "bayesian"
    theta: Number
    prior_a: Number
    prior_b: Number
    confidence: Number


class Pocock(Strict):
    """A continuous boundary of Pocock's type: reference rate and overall crossing probability."""

    design: Literal["pocock"] = "pocock"
    theta: Number
    phi: Number


class ThreePlusThree(Strict):
    """The 3+3 design's safety half."""

    design: Literal["3+3"] = "3+3"


class Boin(Strict):
    """Bayesian optimal interval design: target rate."""

    design: Literal["boin"] = "boin"
    target: Number


class Toxicity(Strict):
    """Dose-limiting toxicity as data, the stopping boundary and the absolute halts."""

    window_days: int = 28
    grade_any: int = 4
    """At or above this grade, any event that is at least possibly related."""
    grade_non_laboratory: int = 3
    laboratory_days: int = 7
    """A grade 3 laboratory event counts when it lasts longer than this."""
    local_reaction_hours: int = 72
    always: Annotated[tuple[Code, ...], Field(strict=False)] = ()
    """Coded categories that always count (anaphylaxis, thromboembolism, ...)."""
    boundary: Annotated[
        Bayesian | Pocock | ThreePlusThree | Boin, Field(discriminator="design")
    ]
    halt_grade: int = 4
    halt_same_class: int = 2
    """So many related serious events of one system organ class halt the study."""


class Steroid(Strict):
    """How many milligrams of a corticosteroid equal 5 mg of prednisone."""

    name: Term
    equals_5mg_prednisone: Number


class Protocol(Strict):
    """One immutable version of a study's protocol."""

    study: Code
    version: Code
    title: Text
    registry: Code | None = None
    settings: Settings = Settings()
    accrual: int | None = None
    stagger: Stagger | None = None
    dose: Dose = Dose()
    dictionary: dict[Code, Entry] = {}
    statements: dict[Code, Text] = {}
    procedures: dict[Code, Procedure] = {}
    visits: Annotated[tuple[Visit, ...], Field(strict=False)] = ()
    criteria: Annotated[tuple[Criterion, ...], Field(strict=False)] = ()
    clocks: Annotated[tuple[Clock, ...], Field(strict=False)] = ()
    toxicity: Toxicity | None = None
    steroids: Annotated[tuple[Steroid, ...], Field(strict=False)] = ()
    steroid_table: str | None = None
    """Name and edition of the steroid table."""
    sources: dict[str, Text] = {}
    assumptions: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Paths of the values that are not public and came from the assumptions overlay."""

    @cached_property
    def visits_by_code(self) -> dict[str, Visit]:
        """Visit code -> visit."""
        return {visit.code: visit for visit in self.visits}

    @cached_property
    def end_visit(self) -> Visit | None:
        """The visit that ends the study: of kind `end`, else the last planned one."""
        planned = [visit for visit in self.visits if visit.day is not None]
        ends = [visit for visit in planned if visit.kind == "end"]
        return ends[-1] if ends else None

    @cached_property
    def dosing_visit(self) -> Visit | None:
        """The visit of day 0."""
        if self.dose.visit is not None:
            return self.visits_by_code.get(self.dose.visit)
        return next((visit for visit in self.visits if visit.kind == "dosing"), None)
