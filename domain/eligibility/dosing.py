"""Rules on how much was taken, compiled: days in total, and the daily dose for the body weight."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Interval, Truth
from domain.clinical.steroids import NOTHING, Conversion
from domain.eligibility.courses import Course, Filter, dose_on, peak_within
from domain.eligibility.disputed import under_each
from domain.eligibility.facts import Facts, Span, days_between, latest_of
from domain.eligibility.logic import Needs, Result, merged
from domain.eligibility.measures import unit_factor
from domain.eligibility.medicines import Completeness, classes_in_words, completeness, noted
from domain.eligibility.observing import Compiled, unresolved
from domain.eligibility.picking import SAYS, within
from domain.eligibility.rules import DailyDose, MedicationDays
from domain.eligibility.windows import Resolved, resolver

if TYPE_CHECKING:
    from domain.trial.protocol import Protocol

ONE_DAY = timedelta(days=1)
KILOGRAM = "kg"


class _Counted(NamedTuple):
    """A course that surely (TRUE) or perhaps (UNKNOWN) counts."""

    course: Course
    matches: Truth
    needs: Needs


def _changed_away(
    found: Sequence[Course], filter_: Filter, counted: Sequence[_Counted]
) -> list[tuple[int, ...]]:
    """The evidence of courses that do not count by their last record, and may have before."""
    counts = {one.course.body.medication for one in counted}
    return [
        course.evidence
        for course in found
        if course.body.medication not in counts and filter_.once_meant(course)
    ]


def _counted(courses: Sequence[Course], filter_: Filter, span: Span) -> list[_Counted]:
    found = []
    for course in courses:
        matches, needs = filter_.matches(course)
        if matches != FALSE and course.taken_in(span) != FALSE:
            found.append(_Counted(course, matches, needs))
    return found


# --- days in total --------------------------------------------------------------------------------


def total_days(rule: MedicationDays) -> Compiled:
    """Distinct days of the window on which any of the medicines was taken."""
    filter_, resolve = Filter(rule), resolver(rule.within)
    name = classes_in_words(rule)

    def evaluate(facts: Facts) -> Result:
        window, record = resolve(facts), completeness(facts, rule.complete_when)
        span = window.span
        if span is None or span.first is None or span.last is None:
            return _uncounted(name, window, record, facts)

        def says(found: Sequence[Course]) -> Result:
            counted = _counted(found, filter_, span)
            least = _union(_surely(one, span) for one in counted)
            most = _union(_perhaps(one, span) for one in counted)
            truth = _above(rule.more_than_days, least, most, record)

            def words() -> str:
                days = str(least) if least == most else f"{least} to {most}"
                asked = f"more than {rule.more_than_days}"
                return f"{name}: {days} days of {span}, {SAYS[truth]} {asked}"

            away = _changed_away(found, filter_, counted)
            return _summed(truth, counted, record, window, words, changed_away=away)

        meant = filter_.meant(facts)
        return noted(under_each(meant, says), meant, filter_)

    return evaluate


def _uncounted(name: str, window: Resolved, record: Completeness, facts: Facts) -> Result:
    """Days are counted between two of them: a window up to day 0 waits until it is planned."""
    missing = window.missing or facts.day_0.missing
    return unresolved(name, window._replace(missing=missing), record.needs)


def _above(limit: int, least: int, most: int, record: Completeness) -> Truth:
    if least > limit:
        return TRUE
    return FALSE if most <= limit and record.complete else UNKNOWN


def _surely(one: _Counted, span: Span) -> tuple[date, date] | None:
    """The days on which it was surely taken."""
    assert span.first is not None
    assert span.last is not None
    if one.matches != TRUE:
        return None
    first = max(one.course.start[1], span.first)
    last = span.last if one.course.end is None else min(one.course.end[0], span.last)
    return (first, last) if first <= last else None


def _perhaps(one: _Counted, span: Span) -> tuple[date, date] | None:
    assert span.first is not None
    assert span.last is not None
    first = max(one.course.start[0], span.first)
    last = span.last if one.course.end is None else min(one.course.end[1], span.last)
    return (first, last) if first <= last else None


def _union(intervals: Iterable[tuple[date, date] | None]) -> int:
    """How many days several intervals have together; a day counts once."""
    total = 0
    reached: date | None = None
    for first, last in sorted(one for one in intervals if one is not None):
        start = first if reached is None or first > reached else reached + ONE_DAY
        if start <= last:
            total += days_between(start, last) + 1
            reached = last
    return total


def _summed(
    truth: Truth,
    counted: Sequence[_Counted],
    record: Completeness,
    window: Resolved,
    words: Callable[[], str],
    *,
    changed_away: Sequence[tuple[int, ...]],
    beside: tuple[int, ...] = (),
    needs: Needs = (),
) -> Result:
    """A result on the sum of all courses that count."""
    evidence = [one.course.evidence for one in counted if truth != TRUE or one.matches == TRUE]
    if truth != TRUE:
        evidence += (record.evidence, *changed_away)
    assert window.span is not None
    span = window.span
    details: Needs = (
        ()
        if truth != UNKNOWN
        else tuple(need for one in counted for need in (*one.needs, *_dates_open(one.course, span)))
    )
    for_true = (*details, *needs)
    for_false = (*for_true, *record.needs)
    return Result(
        truth,
        merged((*evidence, window.evidence, beside)),
        words,
        for_true or for_false,
        for_false,
        windows=window.applied,
    )


def _dates_open(course: Course, span: Span) -> list[str]:
    """The dates of the record that decide which days of the window count, and are not known."""
    assert span.first is not None
    assert span.last is not None
    found = []
    if course.start[0] != course.start[1] and course.start[1] > span.first:
        found.append(course.need("started_on"))
    if course.end is not None and course.end[0] != course.end[1] and course.end[0] < span.last:
        found.append(course.need("ended_on"))
    return found


# --- daily dose -----------------------------------------------------------------------------------


class _Bounds(NamedTuple):
    """Milligrams of prednisone: surely, and at most (None: no bound)."""

    low: Fraction
    high: Fraction | None


def daily_dose(rule: DailyDose, protocol: "Protocol") -> Compiled:
    """The sum of all courses on the highest day (or the mean day), for each kg of body weight."""
    filter_, resolve = Filter(rule), resolver(rule.within)
    weighing = resolver(rule.within.model_copy(update={"until": "before-day-0"}))
    conversion = Conversion(
        tuple((one.name, one.equals_5mg_prednisone) for one in protocol.steroids)
    )
    unit = protocol.dictionary[rule.weight].unit or KILOGRAM
    kilogram = unit_factor(protocol.dictionary[rule.weight], KILOGRAM) or Decimal(1)
    limit = Fraction(rule.more_than) / Fraction(kilogram)
    name, aggregate = classes_in_words(rule), _mean if rule.aggregate == "mean" else _highest

    def evaluate(facts: Facts) -> Result:
        window, record = resolve(facts), completeness(facts, rule.complete_when)
        span = window.span
        if span is None or span.first is None or span.last is None:
            return _uncounted(name, window, record, facts)
        weight, weighed_by = _weight(facts, rule.weight, weighing(facts))

        def says(found: Sequence[Course]) -> Result:
            counted = _counted(found, filter_, span)
            dose = aggregate(counted, span, conversion)
            truth = _exceeds(dose, limit, weight)
            if truth == FALSE and not record.complete:
                truth = UNKNOWN
            return _summed(
                truth,
                counted,
                record,
                window,
                lambda: _dose_in_words(name, dose, _shown(weight, unit), rule, truth),
                changed_away=_changed_away(found, filter_, counted),
                beside=weighed_by if counted else (),
                needs=_asked_for(rule, counted, weight, conversion) if truth == UNKNOWN else (),
            )

        meant = filter_.meant(facts)
        return noted(under_each(meant, says), meant, filter_)

    return evaluate


def _exceeds(dose: _Bounds, limit: Fraction, weight: Interval) -> Truth:
    if weight.high is not None:
        most = _times(limit, weight.high)
        if dose.low > most or (weight.high_open and dose.low == most):
            return TRUE
    least = _times(limit, weight.low) if weight.low is not None else NOTHING
    return FALSE if dose.high is not None and dose.high <= least else UNKNOWN


@lru_cache(maxsize=1_024)
def _times(limit: Fraction, weight: Decimal) -> Fraction:
    return limit * Fraction(weight)


def _stretches(counted: Sequence[_Counted], span: Span) -> list[tuple[date, date]]:
    """The window in stretches of days on which nothing changes."""
    assert span.first is not None
    assert span.last is not None
    starts = {span.first}
    for one in counted:
        course = one.course
        starts.update(course.start)
        if course.end is not None:
            starts.update(day + ONE_DAY for day in course.end if day < date.max)
        starts.update(day for phase in course.phases for day in phase.since)
    inside = sorted(day for day in starts if span.first <= day <= span.last)
    return [
        (day, (inside[at + 1] - ONE_DAY) if at + 1 < len(inside) else span.last)
        for at, day in enumerate(inside)
    ]


def _sum_on(counted: Sequence[_Counted], day: date, conversion: Conversion) -> _Bounds:
    doses = [dose_on(one.course, day, conversion) for one in counted]
    sure = [least for one, (least, _) in zip(counted, doses, strict=True) if one.matches == TRUE]
    most = [high for _, high in doses if high is not None]
    low = sum(sure, NOTHING)
    # Exact doses, all of which count, are added once.
    high = low if most == sure else sum(most, NOTHING)
    return _Bounds(low, high if len(most) == len(doses) else None)


def _highest(counted: Sequence[_Counted], span: Span, conversion: Conversion) -> _Bounds:
    sums = [_sum_on(counted, first, conversion) for first, _ in _stretches(counted, span)]
    peaks = [peak_within(one.course, span, conversion) for one in counted if one.matches == TRUE]
    highs = [one.high for one in sums]
    high = None if None in highs else max(most for most in highs if most is not None)
    return _Bounds(max((*(one.low for one in sums), *peaks)), high)


def _mean(counted: Sequence[_Counted], span: Span, conversion: Conversion) -> _Bounds:
    low, high = Fraction(0), Fraction(0)
    bounded, days = True, 0
    for first, last in _stretches(counted, span):
        length = days_between(first, last) + 1
        least, most = _sum_on(counted, first, conversion)
        low += least * length
        bounded = bounded and most is not None
        high += (most or 0) * length
        days += length
    return _Bounds(low / days, high / days if bounded else None)


def _weight(facts: Facts, code: str, window: Resolved) -> tuple[Interval, tuple[int, ...]]:
    """The last body weight of the window or the screening after it, in the code's own unit."""
    assert window.span is not None
    certain, possible = within(facts.readings(code), window.span)
    last = latest_of(certain, possible)
    if not certain:
        return Interval(Decimal(0), None), ()
    evidence = merged(one.evidence for one in last)
    if len(last) == 1:
        return last[0].number or Interval(Decimal(0), None), evidence
    numbers = [one.number or Interval(Decimal(0), None) for one in last]
    lows, highs = [one.low for one in numbers], [one.high for one in numbers]
    low = min((value for value in lows if value is not None), default=None)
    high = max((value for value in highs if value is not None), default=None)
    return Interval(None if None in lows else low, None if None in highs else high), evidence


def _asked_for(
    rule: DailyDose, counted: Sequence[_Counted], weight: Interval, conversion: Conversion
) -> Needs:
    """Doses that cannot be read or converted, days of changes, and the weight, where something was
    taken and they are not known exactly."""
    needs: list[str] = []
    for one in counted:
        changes = [phase.since for phase in one.course.phases if phase.is_change]
        if any(first != last for first, last in changes):
            needs.append(one.course.need("changed_on"))
        if any(dose_on(one.course, day, conversion)[1] is None for day in _days_of(one.course)):
            needs.append(one.course.need("dose"))
    if counted and (weight.low is None or weight.low != weight.high):
        needs.append(rule.weight)
    return tuple(needs)


def _days_of(course: Course) -> tuple[date, ...]:
    return tuple(phase.since[1] for phase in course.phases)


def _shown(weight: Interval, unit: str) -> str:
    if weight.low is None or weight.low != weight.high:
        return "a weight that is not known exactly"
    return f"{weight.low:f} {unit}"


def _dose_in_words(name: str, dose: _Bounds, weight: str, rule: DailyDose, truth: Truth) -> str:
    low = _rounded(dose.low)
    high = "any number of" if dose.high is None else _rounded(dose.high)
    amount = low if low == high else f"{low} to {high}"
    day = "the mean day" if rule.aggregate == "mean" else "the highest day"
    asked = f"{SAYS[truth]} more than {rule.more_than:f} mg/kg"
    return f"{name}: {amount} mg of prednisone on {day} at {weight}, {asked}"


def _rounded(amount: Fraction) -> str:
    """For people; the comparison is exact."""
    number = Decimal(amount.numerator) / Decimal(amount.denominator)
    return f"{number:.2f}".rstrip("0").rstrip(".")
