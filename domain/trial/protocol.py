"""A protocol version as data: what the study asks, when, of whom, and what it watches.

Times are ISO 8601 durations or whole days; visit days count from the anchor's day (day 0 there).
"""

from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from domain.eligibility.rules import Rule
from domain.kernel import Code, Number, Strict, Term
from domain.safety.words import Causality, Relation

Text = Annotated[str, Field(min_length=1, max_length=4_000)]

DAYS_MAX = 3_660
COUNT_MAX = 100_000
LIST_MAX = 1_000
WORDS_MAX = 5_000
REPEATS_MAX = 200
WORDING_MAX = 20_000
"""Characters of a criterion's legal wording."""

Days = Annotated[int, Field(ge=0, le=DAYS_MAX)]
"""A length in whole civil days."""

Count = Annotated[int, Field(ge=1, le=COUNT_MAX)]

Positive = Annotated[Number, Field(gt=0)]

Share = Annotated[Number, Field(gt=0, lt=1)]
"""A probability or rate, neither impossible nor certain."""

Mode = Literal["in-person", "telephone", "video"]


class Settings(Strict):
    """Choices of the study that rules and calendars take as parameters."""

    day_numbering: Literal["day-0", "day-1"] = "day-0"
    """Whether the day of the anchor is called day 0 or day 1 (USDM and SDTM have no day 0)."""
    sponsor_timezone: str = "UTC"
    screening_validity_days: Days = 28
    """How long after the screening visit a confirmed eligibility stands."""
    screening_attempts_max: Count = 2
    contact_attempts_min: Days = 3
    age_leap_rule: Literal["march-1", "february-28"] = "march-1"
    ctcae_version: str | None = None
    meddra_version: str | None = None
    reconsent: bool = False
    """Whether participants consent again before this version applies to them."""
    approvals: Annotated[tuple[Code, ...], Field(strict=False, max_length=LIST_MAX)] = ()
    """Whose approval a site needs before this version is activated there."""
    decisions_need_if_match: bool = False


UnitCode = Annotated[str, Field(min_length=1, max_length=40)]
"""A UCUM unit, case-sensitive."""


class Unit(Strict):
    """A unit that is accepted for a code, and what one of it is in the code's own unit."""

    unit: UnitCode
    factor: Positive = Decimal(1)


class Plausible(Strict):
    """The values that make sense, in the code's own unit; what lies outside is refused."""

    low: Number | None = None
    high: Number | None = None


class Entry(Strict):
    """One observation code of the protocol's dictionary."""

    name: Term
    kind: Literal["quantity", "titre", "presence", "items", "score", "text"]
    unit: UnitCode | None = None
    units: Annotated[tuple[Unit, ...], Field(strict=False, max_length=LIST_MAX)] = ()
    """Other units in which a value is accepted."""
    plausible: Plausible | None = None
    items: Annotated[dict[Code, Number], Field()] = {}
    """For scores and item lists: item -> weight."""
    groups: dict[Code, Annotated[tuple[Code, ...], Field(strict=False)]] = {}
    loinc: Annotated[str, Field(pattern=r"^\d{1,5}-\d$")] | None = None


class EarlierResult(Strict):
    """A result that was found up to and with the day of a visit."""

    code: Code
    """An observation code of the dictionary."""
    interpretation: Literal["positive", "negative", "indeterminate"] = "positive"


class Procedure(Strict):
    """Something done at a visit, and when it is required."""

    name: Term
    safety: bool = False
    """Whether its absence is an important deviation."""
    modes: Annotated[tuple[Mode, ...], Field(strict=False)] = ()
    """Required only in these contact modes; empty: in every mode."""
    sexes: Annotated[
        tuple[Literal["female", "male", "intersex", "unknown"], ...], Field(strict=False)
    ] = ()
    """Required only of these sexes; empty: of everybody."""
    childbearing_only: bool = False
    """Required only where there is childbearing potential."""
    after_results: Annotated[
        tuple[EarlierResult, ...], Field(strict=False, max_length=LIST_MAX)
    ] = ()
    """Required only where one of these results was found before; empty: in any case."""
    before_dose: bool = False
    """At the dosing visit it comes before the dose."""
    first: bool = False
    """At its visit it comes before every other procedure that is not first, too."""
    optional: bool = False
    """Allowed, or required only on a condition that is not modelled: never missed."""


class Repeat(Strict):
    """A visit that comes again and again, each time under a code of its own."""

    every: Annotated[int, Field(ge=1, le=DAYS_MAX)]
    """Days from one target to the next."""
    times: Annotated[int, Field(ge=2, le=REPEATS_MAX)]
    """How often it takes place, the first time included."""


class Visit(Strict):
    """A planned encounter: its day from the anchor and the window around it, in whole days."""

    code: Code
    name: Term
    kind: Literal["screening", "dosing", "follow-up", "end", "early-termination", "unscheduled"] = (
        "follow-up"
    )
    anchor: Literal["dose", "screening"] = "dose"
    day: Annotated[int, Field(ge=-DAYS_MAX, le=DAYS_MAX)] | None = None
    """Days from the anchor (None: not planned by day, as early termination)."""
    before: Days = 0
    after: Days = 0
    windowed: bool = True
    """False: the protocol states no window, so the visit is never early, late or lapsed."""
    after_previous: Days | None = None
    """At least so many days after the visit before it in the list."""
    repeat: Repeat | None = None
    """The visit comes several times: `V7` as `V7.1`, `V7.2`, ... in the calendar."""
    mode: Mode | None = None
    """How it is held; None: in any mode."""
    safety: bool = False
    """Whether missing it is an important deviation."""
    procedures: Annotated[tuple[Code, ...], Field(strict=False)] = ()


class Dose(Strict):
    """What is given, and how the study guards it."""

    visit: Code | None = None
    product: Term | None = None
    amount: Positive | None = None
    unit: UnitCode | None = None
    route: Code | None = None
    single: bool = True
    authorisation: bool = True
    """Whether a dose needs `dose-authorised` before it."""


class Stagger(Strict):
    """The first doses of the study keep a distance in days."""

    first: Count
    days: Days


class Criterion(Strict):
    """An eligibility criterion: the legal wording and, where it can be computed, its rule."""

    id: Code
    kind: Literal["inclusion", "exclusion"]
    text: Annotated[str, Field(min_length=1, max_length=WORDING_MAX)]
    recheck: bool = False
    """Evaluated again on day 0 before the dose."""
    rule: Rule | None = None
    """None: only an investigator can judge it (an imported text without a rule)."""
    source: Code | None = None
    """One of the protocol's sources."""


class Clock(Strict):
    """A reporting duty: who owes what to whom, from which moment, within which limit."""

    clock: Code
    jurisdiction: Code | None = None
    """Whose rule it is (`US`, `EU`, `GB`); None: the study's own, or everybody's."""
    starts: Literal["site-awareness", "sponsor-receipt", "sponsor-judgement", "report"]
    """From when it counts: the site knows; the sponsor has the site's report; the sponsor has
    judged that the event qualifies (its receipt, until then); the report of another duty."""
    after: Code | None = None
    """For a duty that starts with a report: the clock whose report it is."""
    trigger: Literal["serious", "fatal-or-life-threatening", "suspected-unexpected-serious"]
    hours: Annotated[int, Field(ge=1, le=24 * DAYS_MAX)] | None = None
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] | None = None
    """Calendar days; the limit is the end of the last one."""
    first_day: Literal[0, 1] = 0
    """Whether the day of the start is day 0 or already day 1."""
    timezone: Annotated[str, Field(max_length=64)] | None = None
    """IANA name of the zone in which days are counted; None: the sponsor's."""
    recipient: Code
    regulation: Text


class Bayesian(Strict):
    """Stop when P(toxicity rate > theta) > confidence under a Beta prior."""

    design: Literal["bayesian"] = "bayesian"
    theta: Share
    prior_a: Positive
    prior_b: Positive
    confidence: Share


class Pocock(Strict):
    """A continuous boundary of Pocock's type: reference rate and overall crossing probability."""

    design: Literal["pocock"] = "pocock"
    theta: Share
    phi: Share


class ThreePlusThree(Strict):
    """The 3+3 design's safety half."""

    design: Literal["3+3"] = "3+3"


class Boin(Strict):
    """Bayesian optimal interval design: target rate."""

    design: Literal["boin"] = "boin"
    target: Share


Grade = Annotated[int, Field(ge=1, le=5)]
"""A CTCAE grade."""


class Toxicity(Strict):
    """Dose-limiting toxicity as data, the stopping boundary and the absolute halts."""

    window_days: Days = 28
    related_to: Annotated[
        tuple[Relation, ...], Field(strict=False, min_length=1, max_length=LIST_MAX)
    ] = ("product",)
    """The causes that count, here and for the halts; one of them is enough."""
    related_from: Causality = "possible"
    """The weakest judgement that counts, the investigator's or the sponsor's."""
    grade_any: Grade = 4
    """At or above this grade, any event that is related."""
    grade_non_laboratory: Grade = 3
    laboratory_days: Days = 7
    """A grade 3 laboratory event counts when it lasts longer than this."""
    local_reaction_hours: Annotated[int, Field(ge=0, le=24 * DAYS_MAX)] = 72
    local_reactions: Annotated[tuple[Code, ...], Field(strict=False)] = ()
    """Words of the terms of local reactions: `injection-site` is in `injection-site-pain`."""
    always: Annotated[tuple[Code, ...], Field(strict=False)] = ()
    """Categories that always count (anaphylaxis, thromboembolism, ...), by code or by term."""
    boundary: Annotated[Bayesian | Pocock | ThreePlusThree | Boin, Field(discriminator="design")]
    halt_grade: Grade = 4
    """At or above this grade, or fatal, one event that is related halts."""
    halt_always: Annotated[tuple[Code, ...], Field(strict=False)] = ()
    """Categories of which one event after the dose halts the study, whatever its grade."""
    halt_same_class: Count = 2
    """So many related serious events of one system organ class halt the study."""


class Steroid(Strict):
    """How many milligrams of a corticosteroid equal 5 mg of prednisone."""

    name: Term
    equals_5mg_prednisone: Positive


class HalfLife(Strict):
    """An elimination half-life, with where the figure is from."""

    days: Positive
    source: Text


Place = Annotated[str, Field(pattern=r"^/", max_length=400)]
"""A path in the document: list items are named by their code, clock or id, not by their index."""


class Protocol(Strict):
    """One immutable version of a study's protocol."""

    study: Code
    version: Code
    title: Text
    registry: Code | None = None
    settings: Settings = Settings()
    accrual: Count | None = None
    """So many participants at most are enrolled."""
    stagger: Stagger | None = None
    dose: Dose = Dose()
    dictionary: Annotated[dict[Code, Entry], Field(max_length=WORDS_MAX)] = {}
    statements: Annotated[dict[Code, Text], Field(max_length=WORDS_MAX)] = {}
    procedures: Annotated[dict[Code, Procedure], Field(max_length=WORDS_MAX)] = {}
    visits: Annotated[tuple[Visit, ...], Field(strict=False, max_length=LIST_MAX)] = ()
    criteria: Annotated[tuple[Criterion, ...], Field(strict=False, max_length=LIST_MAX)] = ()
    clocks: Annotated[tuple[Clock, ...], Field(strict=False, max_length=LIST_MAX)] = ()
    toxicity: Toxicity | None = None
    steroids: Annotated[tuple[Steroid, ...], Field(strict=False, max_length=LIST_MAX)] = ()
    steroid_table: Term | None = None
    """Name and edition of the steroid table."""
    half_lives: Annotated[dict[Code, HalfLife], Field(max_length=WORDS_MAX)] = {}
    """Medicine -> its elimination half-life, for washouts where a report states none."""
    sources: Annotated[dict[Code, Text], Field(max_length=WORDS_MAX)] = {}
    assumptions: Annotated[dict[Place, Text], Field(max_length=WORDS_MAX)] = {}
    """Place of each value that is not public -> why it was chosen."""

    @cached_property
    def calendar(self) -> tuple[Visit, ...]:
        """The visits one by one: those that repeat stand for each time, in the order of days."""
        return tuple(one for visit in self.visits for one in each_time(visit))

    @cached_property
    def visits_by_code(self) -> dict[str, Visit]:
        """Visit code -> visit, each time of one that repeats under its own code."""
        return {visit.code: visit for visit in self.calendar}

    @cached_property
    def end_visit(self) -> Visit | None:
        """The visit that ends the study: of kind `end`, else the last planned one."""
        planned = [visit for visit in self.calendar if visit.day is not None]
        ends = [visit for visit in planned if visit.kind == "end"]
        return ends[-1] if ends else None

    @cached_property
    def dosing_visit(self) -> Visit | None:
        """The visit of day 0."""
        if self.dose.visit is not None:
            return self.visits_by_code.get(self.dose.visit)
        return next((visit for visit in self.visits if visit.kind == "dosing"), None)


def each_time(visit: Visit) -> tuple[Visit, ...]:
    """The visit itself, or each time of one that repeats."""
    if visit.repeat is None or visit.day is None:
        return (visit,)
    return tuple(
        visit.model_copy(
            update={
                "code": f"{visit.code}.{number}",
                "name": f"{visit.name} ({number})",
                "day": visit.day + visit.repeat.every * (number - 1),
                "repeat": None,
            }
        )
        for number in range(1, visit.repeat.times + 1)
    )
