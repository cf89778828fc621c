"""The language of criteria: rules as typed data that a clinician can read.

A rule says what would be true of a participant. An inclusion passes when its rule is true; an
exclusion states when it applies, so it passes when its rule is false. Every rule is three-valued:
true, false, or unknown until the facts are in. `rule` names the kind of each node. Lengths of time
are ISO 8601 (`P6M` calendar months, clamped at the month's end; `P12W` and `P84D` whole days).

    rule: any
    of:
      - {rule: titre, code: ana-titre, at_least: "1:160",
         within: {anchor: screening, back: P6M, until: before-day-0}}
      - {rule: finding, code: anti-dsdna, results: [positive], pick: any,
         within: {anchor: screening, back: P6M, until: before-day-0}}
"""

from typing import Annotated, Literal

from pydantic import Field

from domain.clinical.terms import HistoryCategory, Interpretation, Sex
from domain.eligibility.shapes import (
    NODES_MAX,
    YEARS_MAX,
    Anchor,
    Classes,
    Codes,
    Days,
    Length,
    Terms,
    TitreText,
)
from domain.eligibility.shapes import Limits as Limits
from domain.eligibility.shapes import Window as Window
from domain.kernel import Code, Number, Strict, Term

# --- logic ----------------------------------------------------------------------------------------


class All(Strict):
    """Every member is true. `{rule: all, of: [{rule: consent}, {rule: age, at_least: 18}]}`"""

    rule: Literal["all"]
    of: Annotated[tuple["Rule", ...], Field(strict=False, min_length=1, max_length=NODES_MAX)]


class Any(Strict):
    """At least one member is true.

    `{rule: any, of: [{rule: consent}, {rule: age, at_least: 18}]}`
    """

    rule: Literal["any"]
    of: Annotated[tuple["Rule", ...], Field(strict=False, min_length=1, max_length=NODES_MAX)]


class Not(Strict):
    """The member is false. `{rule: not, of: {rule: attested, statement: breast-feeding}}`"""

    rule: Literal["not"]
    of: "Rule"


class AtLeast(Strict):
    """At least so many members are true.

    `{rule: at-least, count: 1, of: [{rule: consent}, {rule: age, at_least: 18}]}`
    """

    rule: Literal["at-least"]
    count: Annotated[int, Field(ge=1, le=NODES_MAX)]
    of: Annotated[tuple["Rule", ...], Field(strict=False, min_length=1, max_length=NODES_MAX)]


class Decided(Strict):
    """True when `yes` is true, else false when `no` is true, else unknown: for decision tables.

    `{rule: decided, yes: {rule: finding, code: hcv-rna, results: [positive],
    within: {anchor: screening, back: P28D}}, no: {rule: finding, code: anti-hcv,
    results: [negative], within: {anchor: screening, back: P28D}}}`
    """

    rule: Literal["decided"]
    yes: "Rule"
    no: "Rule"


class AppliesTo(Strict):
    """Asked of participants of these sexes, and (if so said) of all who may become pregnant,
    whatever their sex; for the others it is `otherwise`, as not applicable.

    `{rule: applies-to, sexes: [female], childbearing_potential: true,
    of: {rule: attested, statement: breast-feeding}}`
    """

    rule: Literal["applies-to"]
    sexes: Annotated[tuple[Sex, ...], Field(strict=False)] = ()
    childbearing_potential: bool = False
    of: "Rule"
    otherwise: bool = False


class Remark(Strict):
    """`of`, with a remark for a human where `when` is true; the remark decides nothing.

    `{rule: remark, when: {rule: history, codes: [lupus-nephritis-by-biopsy]},
    note: Meets the nephritis route., of: {rule: consent}}`
    """

    rule: Literal["remark"]
    when: "Rule"
    note: Term
    of: "Rule"


# --- the person -----------------------------------------------------------------------------------


class Age(Strict):
    """Completed years at the screening visit. `{rule: age, at_least: 18, at_most: 75}`"""

    rule: Literal["age"]
    at_least: Annotated[int, Field(ge=0, le=YEARS_MAX)] | None = None
    at_most: Annotated[int, Field(ge=0, le=YEARS_MAX)] | None = None


class Consent(Strict):
    """Written consent: unknown before it, true while current, false once withdrawn.

    `{rule: consent}`
    """

    rule: Literal["consent"]


class Attested(Strict):
    """A person answered a statement so; the last answer counts.

    `{rule: attested, statement: breast-feeding, answer: true}`
    """

    rule: Literal["attested"]
    statement: Code
    answer: bool = True
    recheck_days: Days = 1
    """On the day of the dose the answer may be so many days old."""


# --- observations ---------------------------------------------------------------------------------

Pick = Literal["latest", "any", "highest", "lowest"]
"""Which of several results in the window counts; `any`: it is enough that one does."""


class Value(Limits):
    """A number with its unit, against limits.

    `{rule: value, code: weight, unit: kg, at_least: 40,
    within: {anchor: screening, back: P4W}}`
    """

    rule: Literal["value"]
    code: Code
    unit: Annotated[str, Field(min_length=1, max_length=40)]
    within: Window
    pick: Pick = "latest"
    near: Number | None = None
    """This close to a limit, a human looks again."""
    recheck_days: Days | None = None
    """On the day of the dose only results so many days old count; None: those of the window."""


class Titre(Strict):
    """A titre reaches a dilution; a censored one (>1:1280, <1:80) decides where it can.

    `{rule: titre, code: ana-titre, at_least: "1:160", within: {anchor: screening, back: P6M}}`
    """

    rule: Literal["titre"]
    code: Code
    at_least: TitreText
    within: Window
    pick: Pick = "highest"


class Finding(Strict):
    """A result reads so.

    `{rule: finding, code: hbsag, results: [positive], within: {anchor: screening, back: P28D}}`

    An indeterminate result decides only where it is asked for.
    """

    rule: Literal["finding"]
    code: Code
    results: Annotated[tuple[Interpretation, ...], Field(strict=False, min_length=1)]
    within: Window
    pick: Literal["latest", "any"] = "latest"
    recheck_days: Days | None = None
    """On the day of the dose only results so many days old count; None: those of the window."""


class OneOf(Strict):
    """A coded result is one of some values.

    `{rule: one-of, code: nephritis-class, values: [III, IV, V],
    within: {anchor: lifetime}}`
    """

    rule: Literal["one-of"]
    code: Code
    values: Annotated[Terms, Field(min_length=1)]
    within: Window
    pick: Literal["latest", "any"] = "latest"


class Items(Strict):
    """At least so many of a code's items were ever present, and so many of each group.

    `{rule: items, code: slicc-2012, at_least: 4, groups: {clinical: 1, immunologic: 1},
    only_without: {direct-coombs: haemolytic-anaemia}, within: {anchor: lifetime}}`
    """

    rule: Literal["items"]
    code: Code
    at_least: Annotated[int, Field(ge=1, le=NODES_MAX)]
    groups: dict[Code, Annotated[int, Field(ge=1, le=NODES_MAX)]] = {}
    only_without: dict[Code, Code] = {}
    """Item -> the item that must be absent for it to count."""
    within: Window


class Score(Limits):
    """The sum of the weights of a code's items that are present, against limits.

    `{rule: score, code: sledai-2k, at_least: 6, items_over: P30D, within: {anchor: screening,
    back: P0D, until: before-day-0}}`

    Unknown items count from nothing to their full weight.
    """

    rule: Literal["score"]
    code: Code
    items_over: Length | None = None
    """The time up to its day over which a score counts what was present: what is asked of whoever
    fills in the items, who alone can know it. Results are not added up over it: an item says when
    the score was taken, not when it was last present."""
    within: Window


class Egfr(Limits):
    """Estimated glomerular filtration rate (mL/min/1.73 m2): computed by CKD-EPI 2021 from
    creatinine, age and sex, or reported under its own code.

    `{rule: egfr, creatinine: creatinine, code: egfr, at_least: 30, near: "0.5",
    within: {anchor: screening, back: P0D, until: before-day-0}}`
    """

    rule: Literal["egfr"]
    creatinine: Code | None = None
    code: Code | None = None
    within: Window
    near: Number | None = None


# --- medicines ------------------------------------------------------------------------------------


class Medicines(Strict):
    """Which records of medicines count."""

    classes: Annotated[Classes, Field(min_length=1)]
    not_classes: Classes = ()
    indications: Terms = ()
    """Only for one of these; whole words, any case. A record without indication may be."""
    not_indications: Terms = ()
    """Not for these."""
    routes: Terms = ()
    """Only by these routes; empty: any. A record without route, or by one listed nowhere, may."""
    local_routes: Terms = ()
    """By these routes it does not count; a human looks again."""
    complete_when: Code | None = "medication-history-taken"
    """The statement by which what is not recorded was not taken; None: the record is complete."""


class MedicationTaken(Medicines):
    """One of the medicines was taken within the window.

    `{rule: medication-taken, classes: [cell-therapy], not_classes: [msc-therapy],
    within: {anchor: lifetime}}`
    """

    rule: Literal["medication-taken"]
    within: Window


class MedicationHeld(Medicines):
    """One of the medicines was taken without a break for at least so long before the anchor.

    `{rule: medication-held, classes: [immunosuppressant, antimalarial], not_classes: [biologic],
    indications: [SLE, lupus], at_least: P12W, anchor: screening}`
    """

    rule: Literal["medication-held"]
    at_least: Length
    anchor: Anchor


class MedicationChanged(Medicines):
    """One of the medicines was started, stopped or changed (dose, frequency, route) in the window.

    `{rule: medication-changed, classes: [immunosuppressant, antimalarial], not_classes: [biologic],
    within: {anchor: screening, back: P12W}}`
    """

    rule: Literal["medication-changed"]
    within: Window


class MedicationElapsed(Medicines):
    """Since the last of the medicines at least so many days have passed, or half-lives where that
    is longer; true as well where none was taken.

    `{rule: medication-elapsed, classes: [biologic], at_least_days: 90, half_lives: 5,
    anchor: day-0}`
    """

    rule: Literal["medication-elapsed"]
    at_least_days: Days
    half_lives: Annotated[Number, Field(gt=0)] | None = None
    anchor: Anchor


class MedicationDays(Medicines):
    """On more than so many days of the window, in total, one of the medicines was taken.

    `{rule: medication-days, classes: [corticosteroid], not_indications: [SLE, lupus],
    routes: [oral, intravenous], more_than_days: 14,
    within: {anchor: screening, back: P12W, until: day-before}}`
    """

    rule: Literal["medication-days"]
    more_than_days: Days
    within: Window


class DailyDose(Medicines):
    """The medicines' sum, in mg of prednisone a day and kg of body weight, exceeds a limit.

    `{rule: daily-dose, classes: [corticosteroid], more_than: "0.5", weight: weight,
    routes: [oral, intravenous], within: {anchor: screening, back: P4W, until: day-before}}`
    """

    rule: Literal["daily-dose"]
    more_than: Annotated[Number, Field(ge=0)]
    weight: Code
    """The observation of the body weight, in kg or what is declared to convert to it."""
    aggregate: Literal["any-day", "mean"] = "any-day"
    """One day above the limit is enough, or the mean over the window must be."""
    within: Window


# --- history --------------------------------------------------------------------------------------


class Exempt(Strict):
    """Items of the history that do not count: of one of the codes, and adequately treated."""

    codes: Codes = ()
    """Empty: of any."""
    adequately_treated: bool | None = None
    unsaid_counts: bool = False
    """Whether an item counts while its treatment is not told; else that is asked for."""


class History(Strict):
    """The medical history has such an item.

    `{rule: history, categories: [cancer], within: {anchor: lifetime},
    exempt: {codes: [melanoma-in-situ], adequately_treated: true}}`
    """

    rule: Literal["history"]
    categories: Annotated[tuple[HistoryCategory, ...], Field(strict=False)] = ()
    codes: Codes = ()
    statuses: Codes = ()
    """Only where the status is one of these; empty: any."""
    not_statuses: Codes = ()
    planned: bool = False
    """Whether planned items are meant, or those that happened."""
    lasting: bool = False
    """Whether it goes on until an end is recorded (a date, or a status that says so: resolved,
    inactive, ended, recovered); else it is over on its day."""
    within: Window | None = None
    """None: at any time."""
    exempt: Exempt | None = None
    complete_when: Code | None = "medical-history-taken"
    """The statement by which what is not recorded did not happen; None: the record is complete."""


LogicRule = All | Any | Not | AtLeast | Decided | AppliesTo | Remark
ObservationRule = Value | Titre | Finding | OneOf | Items | Score | Egfr
MedicationRule = (
    MedicationTaken
    | MedicationHeld
    | MedicationChanged
    | MedicationElapsed
    | MedicationDays
    | DailyDose
)

Rule = Annotated[
    LogicRule | Age | Consent | Attested | History | ObservationRule | MedicationRule,
    Field(discriminator="rule"),
]
"""One node of a criterion's rule."""

for _node in (All, Any, Not, AtLeast, Decided, AppliesTo, Remark):
    _node.model_rebuild()
