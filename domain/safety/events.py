"""What can happen to an adverse event: reports, judgements, submissions, and what follows."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from domain.kernel import Code, Conclusion, Decision, Fact, Key, Strict, Term
from domain.safety.words import (
    Causality,
    Coding,
    Grade,
    Outcome,
    Relation,
    SeriousnessCriterion,
)
from domain.time import Instant, Moment


class _Described(Fact):
    """What may be said of an adverse event, at first or later."""

    ae: Code
    """The sender's name of the event, one per participant."""
    end: Moment | None = None
    grade: Grade | None = None
    severity: Literal["mild", "moderate", "severe"] | None = None
    serious: bool | None = None
    """As the reporter says; what is serious is derived."""
    seriousness: Annotated[tuple[SeriousnessCriterion, ...] | None, Field(strict=False)] = None
    causality: Causality | None = None
    """The investigator's, for the product."""
    relations: dict[Relation, Causality] | None = None
    """The investigator's, each cause apart; `product` says the same as `causality`."""
    expected: bool | None = None
    action: Code | None = None
    outcome: Outcome | None = None
    coding: Coding | None = None
    laboratory: bool | None = None
    """Whether it is an abnormal result of the laboratory."""

    @model_validator(mode="after")
    def _one_word_on_the_product(self) -> Self:
        _agree(self.causality, self.relations)
        return self


def _agree(causality: Causality | None, relations: Mapping[Relation, Causality] | None) -> None:
    """The product's causality is said once, or twice alike."""
    product = (relations or {}).get("product")
    if causality is not None and product is not None and causality != product:
        raise PydanticCustomError("two-causalities", "the product has one causality")


# --- facts and decisions --------------------------------------------------------------------------


class AdverseEventReported(_Described):
    """An untoward medical occurrence, whatever caused it (ICH E6)."""

    type: Literal["adverse-event-reported"] = "adverse-event-reported"
    term: Term
    onset: Moment
    aware_at: Instant
    """When the site learned of it: reporting limits count from here."""


class AdverseEventUpdated(_Described):
    """More was learned of an event; fields left out stay as they were."""

    type: Literal["adverse-event-updated"] = "adverse-event-updated"
    term: Term | None = None
    onset: Moment | None = None
    aware_at: Instant | None = None
    """When the site learned of the change; without it, when the update occurred."""


class AdverseEventAssessed(Decision):
    """The investigator or the sponsor judges what caused an event; either suspicion counts."""

    type: Literal["adverse-event-assessed"] = "adverse-event-assessed"
    ae: Code
    by: Literal["investigator", "sponsor"]
    causality: Causality
    """For the product."""
    relations: dict[Relation, Causality] | None = None
    """Each cause apart, where the assessor says more than of the product."""
    expected: bool | None = None

    @model_validator(mode="after")
    def _one_word_on_the_product(self) -> Self:
        _agree(self.causality, self.relations)
        return self


class SafetyReportSubmitted(Fact):
    """An event was reported to whom it is owed; late is a fact too."""

    type: Literal["safety-report-submitted"] = "safety-report-submitted"
    ae: Code
    clock: Code
    recipient: Code
    submitted_at: Instant


# --- conclusions ----------------------------------------------------------------------------------


class SeriousAdverseEventIdentified(Conclusion):
    """The event is serious, whatever its flag says."""

    type: Literal["serious-adverse-event-identified"] = "serious-adverse-event-identified"
    ae: Code
    because: Annotated[tuple[str, ...], Field(strict=False)]
    """Criteria met, `fatal`, `grade-5` or `reported`."""

    def key(self) -> Key:
        """One per event."""
        return ("serious", self.ae)

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when the reasons change."""
        return (self.because,)


class DoseLimitingToxicityIdentified(Conclusion):
    """The event meets the protocol's definition of a dose-limiting toxicity."""

    type: Literal["dose-limiting-toxicity-identified"] = "dose-limiting-toxicity-identified"
    ae: Code
    because: str
    explanation: str

    def key(self) -> Key:
        """One per event."""
        return ("dose-limiting", self.ae)

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when the reason changes."""
        return (self.because,)


ContradictionName = Literal[
    "serious-not-flagged",
    "grade-5-not-fatal",
    "fatal-not-grade-5",
    "death-criterion-not-fatal",
    "end-before-onset",
    "death-without-fatal-event",
    "death-date-differs",
]


class Side(Strict):
    """One of two things that cannot both be right."""

    said: str
    evidence: Annotated[tuple[int, ...], Field(strict=False)] = ()
    """Positions of the events that say so."""


class ContradictionFound(Conclusion):
    """Two things that were reported cannot both be right; neither is trusted or changed."""

    type: Literal["contradiction-found"] = "contradiction-found"
    ae: Code | None = None
    """None where it is about no single event."""
    because: ContradictionName
    explanation: str
    sides: Annotated[tuple[Side, ...], Field(strict=False)] = ()
    """What stands against what; of conclusions from before this field, nothing."""

    def key(self) -> Key:
        """One of a name per event."""
        return ("contradiction", self.because, self.ae or "")

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when what is said changes."""
        return (self.explanation,)


class _ClockConclusion(Conclusion):
    ae: Code
    clock: Code
    occasion: Annotated[int, Field(ge=1)] = 1
    """1 for the first start; an upgrade starts the same clock again under the next number."""
    started_at: Instant
    due_at: Instant

    def key(self) -> Key:
        """One end of a clock's run."""
        return ("clock-ended", self.ae, self.clock, str(self.occasion))

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when the start or the limit moves."""
        return (self.started_at.text, self.due_at.text)


class SafetyClockStarted(_ClockConclusion):
    """A reporting duty runs."""

    type: Literal["safety-clock-started"] = "safety-clock-started"
    recipient: Code
    because: str
    """The duty's trigger."""

    def key(self) -> Key:
        """One start of a clock's run; it stands however the run ends."""
        return ("clock", self.ae, self.clock, str(self.occasion))


class SafetyClockMet(_ClockConclusion):
    """The report went out; `late` when its limit had passed."""

    type: Literal["safety-clock-met"] = "safety-clock-met"
    met_at: Instant
    late: bool
    late_by: str | None = None
    """By how much the limit was missed, as an ISO 8601 duration."""

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when the limit or the submission changes."""
        return (self.started_at.text, self.due_at.text, self.met_at.text)


class SafetyClockBreached(_ClockConclusion):
    """The limit passed without a report."""

    type: Literal["safety-clock-breached"] = "safety-clock-breached"


class SafetyClockClosed(_ClockConclusion):
    """The duty ended without a report, because what called for it no longer holds."""

    type: Literal["safety-clock-closed"] = "safety-clock-closed"
    because: str

    def substance(self) -> tuple[object, ...]:
        """Recorded anew when the reason changes."""
        return (self.because,)
