"""Rules on the person, compiled: age, consent, statements, whom a rule applies to, and the eGFR."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from domain.clinical.egfr import AGE_MIN_YEARS, Sex, ckd_epi_2021
from domain.clinical.interval import ANY_NUMBER, FALSE, TRUE, UNKNOWN, Interval, Truth
from domain.eligibility.facts import Facts, Reading, Years, latest_of, shown
from domain.eligibility.logic import Needs, Result, joined, merged
from domain.eligibility.measures import unit_factor
from domain.eligibility.observing import Compiled, result_in_words, unresolved
from domain.eligibility.picking import SAYS, close, holds, limits_in_words, within
from domain.eligibility.rules import Age, AppliesTo, Attested, Consent, Egfr
from domain.eligibility.windows import Resolved, resolver
from domain.kernel import cited

if TYPE_CHECKING:
    from domain.journey.screening import DemographicsRecorded
    from domain.trial.protocol import Protocol

AGE_MAX_YEARS = 120
"""No participant is older; bounds an age that is not known."""

CreatinineUnit = Literal["mg/dL", "umol/L"]

_UNIT = "mL/min/1.73 m2"


# --- age, consent, statements ---------------------------------------------------------------------


def age(rule: Age) -> Compiled:
    """Completed years at the screening visit; an age from a partial birth date is an interval."""
    asked = " and ".join(
        f"{words} {years}"
        for words, years in (("at least", rule.at_least), ("at most", rule.at_most))
        if years is not None
    )

    def evaluate(facts: Facts) -> Result:
        years = facts.years
        if years.missing:
            missing = ", ".join(years.missing)
            return Result(
                UNKNOWN,
                years.evidence,
                lambda: f"the age at the screening visit is not known yet (missing: {missing})",
                years.missing,
                years.missing,
            )
        span = Interval(Decimal(years.least), Decimal(years.most))
        truth = TRUE
        if rule.at_least is not None:
            truth = min(truth, span.at_least(Decimal(rule.at_least)))
        if rule.at_most is not None:
            truth = min(truth, TRUE - span.more_than(Decimal(rule.at_most)))
        needs = ("birth-date",)
        said = str(years.least) if years.least == years.most else f"{years.least}-{years.most}"
        on = facts.screening.on
        return Result(
            truth,
            years.evidence,
            lambda: f"{said} completed years on {on}: {SAYS[truth]} {asked}",
            needs,
            needs,
            near=years.ambiguous,
        )

    return evaluate


def consent(_rule: Consent) -> Compiled:
    """Written consent that is current."""
    needs = ("consent",)

    def evaluate(facts: Facts) -> Result:
        state = facts.read.consent
        current = state.current(facts.zone)
        if current is not None:
            return Result(
                TRUE,
                current.cited,
                lambda: (
                    f"consent form {current.body.form_version} was signed "
                    f"on {shown(current.when.civil(facts.zone))}"
                ),
                needs,
                needs,
            )
        withdrawn = state.withdrawal({"treatment", "visits"}, facts.zone)
        if withdrawn is not None and state.given:
            evidence = cited(withdrawn, state.given[-1])
            return Result(FALSE, evidence, lambda: "consent was withdrawn", needs, needs)
        return Result(UNKNOWN, (), lambda: "consent is not recorded yet", needs, needs)

    return evaluate


def attested(rule: Attested) -> Compiled:
    """A statement's last answer; on the day of the dose only a fresh one."""
    needs = (rule.statement,)
    asked = "yes" if rule.answer else "no"

    def evaluate(facts: Facts) -> Result:
        day = facts.recheck_on
        if day is None:
            answer = facts.answer(rule.statement)
        else:
            first = _earlier(day, rule.recheck_days)
            answer = facts.answer_since(rule.statement, first, day)
        truth = answer.truth if rule.answer else TRUE - answer.truth

        def words() -> str:
            if answer.truth == UNKNOWN:
                why = "conflicting answers" if answer.evidence else "not answered yet"
                return f"{rule.statement}: {why}"
            said = "yes" if answer.truth == TRUE else "no"
            on = shown(answer.when.civil(facts.zone)) if answer.when is not None else ""
            return f"{rule.statement}: {said} on {on}, {asked} is asked"

        return Result(truth, answer.evidence, words, needs, needs)

    return evaluate


def _earlier(day: date, days: int) -> date:
    return day - timedelta(days=days)


# --- whom a rule applies to -----------------------------------------------------------------------


def applies_to(rule: AppliesTo, inner: Compiled) -> Compiled:
    """The inner rule where it applies, `otherwise` where it does not."""
    sexes = frozenset(rule.sexes)
    otherwise = TRUE if rule.otherwise else FALSE

    def evaluate(facts: Facts) -> Result:
        known = facts.demographics
        applies, missing = _applies(facts, sexes, rule)
        evidence = cited(*known)
        if applies == FALSE:
            return Result(
                otherwise, evidence, lambda: "not applicable", missing, missing, applicable=False
            )
        result = inner(facts)
        if applies == TRUE:
            return result._replace(evidence=joined(result.evidence, evidence))
        if result.truth == otherwise:
            return result
        needs = _both(missing, result, otherwise)
        return Result(
            UNKNOWN,
            merged((result.evidence, evidence)),
            lambda: f"whether it applies is not known yet (missing: {', '.join(missing)})",
            needs[0],
            needs[1],
            notes=result.notes,
        )

    return evaluate


def applies(rule: AppliesTo) -> Callable[[Facts], Truth]:
    """Whether the rule applies to the participant."""
    sexes = frozenset(rule.sexes)
    return lambda facts: _applies(facts, sexes, rule)[0]


def _both(missing: Needs, result: Result, otherwise: Truth) -> tuple[Needs, Needs]:
    """That it does not apply settles it as `otherwise`; the other way the inner rule must hold."""
    if otherwise == FALSE:
        return (*missing, *result.for_true), missing
    return missing, (*missing, *result.for_false)


def _applies(facts: Facts, sexes: frozenset[str], rule: AppliesTo) -> tuple[Truth, Needs]:
    """Of records of one moment that differ in it, it is unknown; a correction settles it."""
    told = {_applies_by(one.body, sexes, rule) for one in facts.demographics}
    if not told:
        return UNKNOWN, ("sex",)
    if len({truth for truth, _ in told}) > 1:
        differ = len({one.body.sex for one in facts.demographics}) > 1
        return UNKNOWN, ("sex",) if differ else ("childbearing-potential",)
    return min(told)


def _applies_by(
    body: "DemographicsRecorded", sexes: frozenset[str], rule: AppliesTo
) -> tuple[Truth, Needs]:
    sex, bearing = body.sex, body.childbearing_potential
    by_sex = UNKNOWN if sex == "unknown" and sexes else TRUE if sex in sexes else FALSE
    by_organs = FALSE
    if rule.childbearing_potential:
        unsaid = FALSE if sex == "male" else UNKNOWN
        by_organs = unsaid if bearing is None else TRUE if bearing else FALSE
    missing = ("sex",) if by_sex == UNKNOWN else ("childbearing-potential",)
    return max(by_sex, by_organs), missing


# --- eGFR -----------------------------------------------------------------------------------------


class _Estimate:
    """A result that gives an eGFR: where it was taken from, and between which values it lies."""

    __slots__ = ("computed", "number", "reading", "told")

    def __init__(self, reading: Reading, number: Interval, *, computed: bool) -> None:
        self.reading = reading
        self.number = number
        self.computed = computed
        self.told = number.low is not None or number.high is not None


def egfr(rule: Egfr, protocol: "Protocol") -> Compiled:
    """The last eGFR of the window, computed from creatinine or reported."""
    resolve, asked = resolver(rule.within), limits_in_words(rule)
    unit = _creatinine_unit(rule, protocol)

    def evaluate(facts: Facts) -> Result:
        computed = facts.readings(rule.creatinine) if rule.creatinine else []
        reported = facts.readings(rule.code) if rule.code else []
        needs = _asked_for(rule, facts)
        window = resolve(facts)
        if window.span is None:
            return unresolved("eGFR", window, () if computed or reported else needs)
        certain, possible = within((*computed, *reported), window.span)
        last = _informative(
            [
                _Estimate(one, _estimated(facts, one, unit), computed=True)
                if one.body.code == rule.creatinine
                else _Estimate(one, one.number or ANY_NUMBER, computed=False)
                for one in latest_of(certain, possible)
            ]
        )
        truths = {holds(rule, one.number) for one in last}
        truth = truths.pop() if certain and len(truths) == 1 else UNKNOWN
        return _result(rule, facts, window, last, truth, needs, asked)

    return evaluate


def _result(
    rule: Egfr,
    facts: Facts,
    window: Resolved,
    last: Sequence[_Estimate],
    truth: Truth,
    needs: Needs,
    asked: str,
) -> Result:
    evidence = [one.reading.evidence for one in last]
    if any(one.computed and one.told for one in last):
        evidence.append(facts.years.evidence)
        evidence.append(cited(*facts.demographics))

    def words() -> str:
        if not last:
            return f"eGFR: no result ({window.span})"
        found = ", ".join(_estimate_in_words(one) for one in last)
        return f"eGFR {found}: {SAYS[truth]} {asked} {_UNIT} ({window.span})"

    return Result(
        truth,
        merged((*evidence, window.evidence)),
        words,
        needs,
        needs,
        near=any(close(rule, one.number, rule.near) for one in last),
        windows=window.applied,
    )


def _estimate_in_words(one: _Estimate) -> str:
    on = shown(one.reading.days)
    number = one.number
    reported = result_in_words(one.reading.body)
    if not one.computed:
        return f"{reported} on {on}"
    if number.low is not None and number.low == number.high:
        return f"{number.low:.2f} from creatinine {reported} on {on}"
    if one.told:
        low = f"{number.low:.2f}" if number.low is not None else "0"
        high = f"{number.high:.2f}" if number.high is not None else "any"
        return f"between {low} and {high} from creatinine {reported} on {on}"
    return f"not computable from creatinine {reported} on {on}"


def _informative(last: Sequence[_Estimate]) -> list[_Estimate]:
    """What cannot be computed gives way to a reported result of the same time."""
    told = [one for one in last if one.told]
    return told if any(not one.computed for one in told) else list(last)


def _asked_for(rule: Egfr, facts: Facts) -> Needs:
    """The shortest list: a reported eGFR alone, or a creatinine with what it needs beside it."""
    beside: list[str] = []
    if len(_sexes(facts)) > 1:
        beside.append("sex")
    beside += [one for one in facts.years.missing if one != "screening-visit"]
    if rule.creatinine is None:
        return (rule.code,) if rule.code is not None else ()
    needs = (rule.creatinine, *beside)
    if rule.code is not None and len(needs) > 1:
        return (rule.code,)
    return needs


def _creatinine_unit(rule: Egfr, protocol: "Protocol") -> tuple[CreatinineUnit, Decimal]:
    """The unit that the equation takes, and what one of it is in the code's own unit."""
    entry = protocol.dictionary.get(rule.creatinine or "")
    if entry is None or entry.unit == "mg/dL":
        return "mg/dL", Decimal(1)
    if entry.unit == "umol/L":
        return "umol/L", Decimal(1)
    in_mg = unit_factor(entry, "mg/dL")
    return (
        ("mg/dL", in_mg)
        if in_mg is not None
        else ("umol/L", unit_factor(entry, "umol/L") or Decimal(1))
    )


BOTH: frozenset[Sex] = frozenset({"female", "male"})


def _sexes(facts: Facts) -> frozenset[Sex]:
    """The sexes for which the equation may have to be solved."""
    told = {one.body.sex for one in facts.demographics}
    return BOTH & told if told and told <= BOTH else BOTH


def _estimated(facts: Facts, one: Reading, measured: tuple[CreatinineUnit, Decimal]) -> Interval:
    """Bounds of the eGFR; an unknown age or sex is every one that it may be."""
    number, ages = one.number, _ages(facts.years)
    if number is None or ages is None:
        return ANY_NUMBER
    unit, factor = measured
    if factor != 1:
        number = number.scaled(Decimal(1) / factor)
    sexes = _sexes(facts)
    high = low = None
    if number.low is not None and number.low > 0:
        high = max(ckd_epi_2021(number.low, ages[0], sex, unit) for sex in sexes)
    if number.high is not None and number.high > 0:
        low = min(ckd_epi_2021(number.high, ages[1], sex, unit) for sex in sexes)
    return Interval(low, high, number.high_open, number.low_open)


def _ages(years: Years) -> tuple[int, int] | None:
    """The ages that may be meant; None where the equation does not hold for all of them."""
    if years.missing:
        return AGE_MIN_YEARS, AGE_MAX_YEARS
    return (years.least, years.most) if years.least >= AGE_MIN_YEARS else None
