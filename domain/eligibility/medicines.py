"""Rules on medicines, compiled. What is not recorded was not taken only once the medication history
is said to be taken; until then only what is recorded can decide.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, NamedTuple

from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Truth
from domain.eligibility.courses import Course, Filter, courses
from domain.eligibility.disputed import DIFFER, under_each
from domain.eligibility.facts import Days, Facts, Span, days_between, shown
from domain.eligibility.logic import SEPARATOR, Needs, Result, merged, opposite
from domain.eligibility.observing import Compiled, unresolved
from domain.eligibility.rules import (
    MedicationChanged,
    MedicationElapsed,
    MedicationHeld,
    MedicationTaken,
    Medicines,
    Window,
)
from domain.eligibility.windows import ANCHOR_NAMES, Resolved, Resolver, resolver

if TYPE_CHECKING:
    from domain.trial.protocol import Protocol

ONE_DAY = timedelta(days=1)


class Judged(NamedTuple):
    """What one course (or item of the history) means for a rule."""

    truth: Truth
    words: Callable[[], str]
    needs: Needs = ()
    """The parts of its record that would tell, where it is unknown."""
    evidence: tuple[int, ...] = ()


Judge = Callable[[Course, Span], Judged]


class Completeness(NamedTuple):
    """Whether the record is complete, on whose word, and what is missing for it."""

    complete: bool
    evidence: tuple[int, ...] = ()
    needs: Needs = ()


def completeness(facts: Facts, complete_when: str | None) -> Completeness:
    """Whether what is not recorded did not happen."""
    if complete_when is None:
        return Completeness(True)
    answer = facts.answer(complete_when)
    if answer.truth == TRUE:
        return Completeness(True, answer.evidence)
    return Completeness(False, answer.evidence, (complete_when,))


def exists(
    judged: Sequence[Judged],
    record: Completeness,
    window: Resolved,
    nothing: str,
    changed_away: Sequence[tuple[int, ...]] = (),
) -> Result:
    """Whether any of them fits: known as soon as one does, denied only by a complete record.

    `changed_away` is the evidence of what was of the kind once, and by a later record is not.
    """
    truth = max([one.truth for one in judged], default=FALSE)
    deciding = [one for one in judged if one.truth == truth]
    # The unknown rests on what is known as well: by it alone it is not decided.
    evidence = [one.evidence for one in (judged if truth == UNKNOWN else deciding)]
    if truth != TRUE:
        evidence += (record.evidence, *changed_away)
    if truth == FALSE and not record.complete:
        truth = UNKNOWN
    open_needs = tuple([need for one in judged if one.truth == UNKNOWN for need in one.needs])
    for_false = (*open_needs, *record.needs)

    def words() -> str:
        found = [one.words() for one in deciding] or [nothing]
        if truth != TRUE and not record.complete:
            found.append("the history is not said to be complete")
        return SEPARATOR.join(found)

    return Result(
        truth,
        merged((*evidence, window.evidence)),
        words,
        for_true=open_needs[:1] or for_false,
        for_false=for_false,
        windows=window.applied,
    )


def _existential(rule: Medicines, resolve: Resolver, judge: Judge, nothing: str) -> Compiled:
    """A rule that one fitting course makes true."""
    filter_ = Filter(rule)

    def evaluate(facts: Facts) -> Result:
        window, record = resolve(facts), completeness(facts, rule.complete_when)
        span = window.span
        if span is None:
            known = any(
                filter_.matches(course)[0] != FALSE for ways in courses(facts) for course in ways
            )
            return unresolved(nothing, window, () if known else record.needs, record.needs)

        def says(found: Sequence[Course]) -> Result:
            judged, changed_away = [], []
            for course in found:
                matches, needs = filter_.matches(course)
                if matches == FALSE:
                    if filter_.once_meant(course):
                        changed_away.append(course.evidence)
                    continue
                truth, words, more, _ = judge(course, span)
                if truth == UNKNOWN:
                    needs = (*needs, *more)
                judged.append(Judged(min(matches, truth), words, needs, course.evidence))
            return exists(judged, record, window, nothing, changed_away)

        meant = filter_.meant(facts)
        return noted(under_each(meant, says), meant, filter_)

    return evaluate


def noted(result: Result, meant: Sequence[Sequence[Course]], filter_: Filter) -> Result:
    """The result with what a person has to look at: medicines that only their local route keeps
    from counting, and those of which two records of one moment differ."""
    notes = []
    for ways in meant:
        if any(map(filter_.is_local, ways)):
            notes.append(f"{ways[0].name}: local use is not counted")
        if len(ways) > 1:
            notes.append(f"{ways[0].name}: {DIFFER}")
    return result._replace(notes=(*result.notes, *notes), near=True) if notes else result


def classes_in_words(rule: Medicines) -> str:
    """The medicines that a rule means, as people say them."""
    return "medicine of class " + " or ".join(rule.classes)


# --- taken, held, changed -------------------------------------------------------------------------


def taken(rule: MedicationTaken) -> Compiled:
    """One of the medicines was taken in the window."""

    def judge(course: Course, span: Span) -> Judged:
        return Judged(
            course.taken_in(span), lambda: _course_in_words(course), course.dates_needed()
        )

    return _existential(rule, resolver(rule.within), judge, f"no {classes_in_words(rule)}")


def held(rule: MedicationHeld) -> Compiled:
    """One of the medicines covers the whole time before the anchor."""
    window = Window(anchor=rule.anchor, back=rule.at_least)

    def judge(course: Course, span: Span) -> Judged:
        truth = _covers(course, span)
        says = {TRUE: "covers", FALSE: "does not cover", UNKNOWN: "may or may not cover"}[truth]
        return Judged(
            truth,
            lambda: f"{_course_in_words(course)}: {says} {span}",
            course.dates_needed(),
        )

    return _existential(rule, resolver(window), judge, f"no {classes_in_words(rule)}")


def _covers(course: Course, span: Span) -> Truth:
    assert span.first is not None
    assert span.last is not None
    start, end = course.start, course.end
    if start[0] > span.first or (end is not None and end[1] < span.last):
        return FALSE
    if start[1] <= span.first and (end is None or end[0] >= span.last):
        return TRUE
    return UNKNOWN


def changed(rule: MedicationChanged) -> Compiled:
    """One of the medicines was started, stopped or changed in the window."""

    def judge(course: Course, span: Span) -> Judged:
        changes = [(what, days, span.holds(days)) for what, days in course.changes()]
        truth = max(inside for _, _, inside in changes)

        def words() -> str:
            found = [f"{what} {shown(days)}" for what, days, inside in changes if inside == truth]
            where = {TRUE: "in", FALSE: "not in", UNKNOWN: "perhaps in"}[truth]
            return f"{course.name} {', '.join(found)}: {where} {span}"

        return Judged(truth, words, _dates_of(course, changes))

    return _existential(
        rule, resolver(rule.within), judge, f"no change of {classes_in_words(rule)}"
    )


_DATES = {"started": "started_on", "changed": "changed_on", "stopped": "ended_on"}


def _dates_of(course: Course, changes: Sequence[tuple[str, Days, Truth]]) -> Needs:
    return tuple(course.need(_DATES[what]) for what, _, inside in changes if inside == UNKNOWN)


def _course_in_words(course: Course) -> str:
    until = f"until {shown(course.end)}" if course.end is not None else "without an end"
    return f"{course.name} from {shown(course.start)} {until}"


# --- elapsed --------------------------------------------------------------------------------------


def elapsed(rule: MedicationElapsed, protocol: "Protocol") -> Compiled:
    """Since each of the medicines enough time has passed: the longer of days and half-lives."""
    window = Window(anchor=rule.anchor, until="day-before")
    half_lives = {name.casefold(): one.days for name, one in protocol.half_lives.items()}
    anchor = ANCHOR_NAMES[rule.anchor]

    def too_recent(course: Course, span: Span) -> Judged:
        assert span.last is not None
        day = span.last + ONE_DAY
        least, most = _since_last(course, day)
        shortest, longest = _washout(rule, course, half_lives)
        if course.start[0] >= day or (longest is not None and least >= longest):
            truth = FALSE
        else:
            truth = TRUE if most < shortest and course.start[1] < day else UNKNOWN

        def words() -> str:
            passed = str(least) if least == most else f"{least} to {most}"
            asked = str(shortest) if shortest == longest else f"{shortest} or more"
            return f"{course.name}: {passed} days before {anchor} ({day}), {asked} are asked"

        needs = course.dates_needed() if least != most else ()
        if longest is None:
            needs = (*needs, course.need("half_life_days"))
        return Judged(truth, words, needs or course.dates_needed())

    recent = _existential(rule, resolver(window), too_recent, f"no {classes_in_words(rule)}")
    return lambda facts: opposite(recent(facts))


def _since_last(course: Course, day: date) -> tuple[int, int]:
    """Days from the last intake to a day, at least and at most; nothing while it goes on."""
    if course.end is None:
        return 0, 0
    first, last = (min(one, day) for one in course.end)
    return days_between(last, day), days_between(first, day)


def _washout(
    rule: MedicationElapsed, course: Course, half_lives: dict[str, Decimal]
) -> tuple[int, int | None]:
    """Days that are asked, at least and at most; None where the half-life is not known."""
    if rule.half_lives is None:
        return rule.at_least_days, rule.at_least_days
    half_life = course.body.half_life_days
    if half_life is None:
        half_life = half_lives.get(course.body.name.casefold())
    if half_life is None:
        return rule.at_least_days, None
    days = int((rule.half_lives * half_life).to_integral_value(ROUND_CEILING))
    longer = max(rule.at_least_days, days)
    return longer, longer
