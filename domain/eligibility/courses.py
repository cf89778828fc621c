"""Medicines as courses: the records of one id, read together.

The same record id again is a change of it: the last record says what the medicine is, when it was
started and when it ended; the ones before say how much was taken until a change. The change is on
`changed_on`, else on the day of the record that tells it. Days that are partly known are intervals.
"""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Truth
from domain.clinical.steroids import UNREADABLE, Conversion, Dose
from domain.clinical.terms import route_named
from domain.eligibility.disputed import Order, orders
from domain.eligibility.facts import Days, Facts, Span, surely_before
from domain.eligibility.logic import Needs
from domain.eligibility.rules import Medicines
from domain.kernel import Noted, cited

if TYPE_CHECKING:
    from domain.journey.screening import MedicationRecorded

_KEY = "courses"


class Course:
    """One medicine as it was taken."""

    __slots__ = ("body", "classes", "end", "evidence", "others", "phases", "start")

    def __init__(
        self,
        told: "Order[MedicationRecorded]",
        records: "Sequence[Noted[MedicationRecorded]]",
        facts: Facts,
    ) -> None:
        last = told[-1]
        self.body = last.body
        self.classes = frozenset(last.body.classes)
        self.others = tuple(one.body for one in records if one is not last)
        """What else was said of it, before or beside the record that stands."""
        self.evidence = cited(*records)
        self.start: Days = (self.body.started_on.first, self.body.started_on.last)
        ended = self.body.ended_on
        self.end: Days | None = (ended.first, ended.last) if ended is not None else None
        if self.end is not None and self.end[1] < self.start[0]:
            # The dates contradict each other: it may have been either way round.
            self.start, self.end = (self.end[0], self.start[1]), (self.end[0], self.start[1])
        self.phases = _phases(told, self.start, facts)

    @property
    def name(self) -> str:
        """The medicine and its record, for people."""
        return f"{self.body.name} ({self.body.medication})"

    def says(self) -> str:
        """All that rules read of it: two courses that say the same are one."""
        taken = [
            (one.since, one.is_change, one.body and (one.body.name, *_as_taken(one.body)))
            for one in self.phases
        ]
        return repr((self.body, taken))

    def need(self, part: str) -> str:
        """A part of the record that is asked for."""
        return f"medication/{self.body.medication}/{part}"

    def dates_needed(self) -> Needs:
        """The dates that are not known to the day."""
        found = [
            self.need(name)
            for name, days in (("started_on", self.start), ("ended_on", self.end))
            if days is not None and days[0] != days[1]
        ]
        return tuple(found) or (self.need("started_on"),)

    def taken_in(self, span: Span) -> Truth:
        """Whether it was taken on a day of the span."""
        return span.meets(self.start, self.end)

    def changes(self) -> list[tuple[str, Days]]:
        """Start, stop and every change between, each with its day."""
        found = [("started", self.start)]
        found += [("changed", phase.since) for phase in self.phases if phase.is_change]
        if self.end is not None:
            found.append(("stopped", self.end))
        return found


class Phase(NamedTuple):
    """A stretch of a course with one dose."""

    since: Days
    body: "MedicationRecorded | None"
    """None: the dose before a change that is all we know of."""
    is_change: bool


def _phases(records: "Order[MedicationRecorded]", start: Days, facts: Facts) -> tuple[Phase, ...]:
    first = records[0].body
    phases = [Phase(start, first, is_change=False)]
    if first.changed_on is not None:
        changed = (first.changed_on.first, first.changed_on.last)
        phases = [Phase(start, None, is_change=False), Phase(changed, first, is_change=True)]
    before = first
    for noted in records[1:]:
        body = noted.body
        said = body.changed_on if body.changed_on != before.changed_on else None
        if said is not None:
            phases.append(Phase((said.first, said.last), body, is_change=True))
        elif _as_taken(body) != _as_taken(before):
            phases.append(Phase(noted.when.civil(facts.zone), body, is_change=True))
        before = body
    return tuple(phases)


def _as_taken(body: "MedicationRecorded") -> tuple[object, ...]:
    route = route_named(body.route) if body.route else None
    return (body.dose, body.unit, body.per, route)


def courses(facts: Facts) -> list[tuple[Course, ...]]:
    """Every medicine of the participant, in the order of record ids, in each way in which its
    records may be read: usually one."""
    found = facts.kept.get(_KEY)
    if found is None:
        by_id: dict[str, list[Noted[MedicationRecorded]]] = {}
        for noted in facts.record.medications:
            by_id.setdefault(noted.body.medication, []).append(noted)
        found = facts.kept[_KEY] = [_read(by_id[one], facts) for one in sorted(by_id)]
    assert isinstance(found, list)
    return found


def _read(records: "list[Noted[MedicationRecorded]]", facts: Facts) -> tuple[Course, ...]:
    def before(one: "Noted[MedicationRecorded]", other: "Noted[MedicationRecorded]") -> bool:
        if one.when == other.when:
            return _is_change(one.body, other.body)
        return surely_before(one.when, other.when, facts.zone)

    ways = [Course(told, records, facts) for told in orders(records, before)]
    if len(ways) == 1:
        return (ways[0],)
    different: dict[str, Course] = {}
    for way in ways:
        different.setdefault(way.says(), way)
    return tuple(different.values())


_CHANGES = ("dose", "unit", "per", "route", "ended_on", "changed_on")


def _is_change(before: "MedicationRecorded", body: "MedicationRecorded") -> bool:
    """Whether a record says of itself that it is a later change, of what is else the same."""
    changed, earlier = body.changed_on, before.changed_on
    if changed is None or (earlier is not None and earlier.last >= changed.first):
        return False
    return body.model_copy(update={name: getattr(before, name) for name in _CHANGES}) == before


# --- which records count --------------------------------------------------------------------------


class Filter:
    """Which courses a rule means; unknown where the record leaves it open."""

    def __init__(self, rule: Medicines) -> None:
        self._classes = frozenset(rule.classes)
        self._not_classes = frozenset(rule.not_classes)
        self._indications = tuple(map(_words, rule.indications))
        self._not_indications = tuple(map(_words, rule.not_indications))
        self._routes = frozenset(map(route_named, rule.routes))
        self._local = frozenset(map(route_named, rule.local_routes))

    def matches(self, course: Course) -> tuple[Truth, Needs]:
        """Whether the course counts, and the parts of its record that would tell."""
        if not self._is_of_kind(course):
            return FALSE, ()
        body, needs = course.body, []
        by_indication = self._by_indication(body.indication)
        if by_indication == UNKNOWN:
            needs.append(course.need("indication"))
        by_route = self._by_route(body.route)
        if by_route == UNKNOWN:
            needs.append(course.need("route"))
        return min(by_indication, by_route), tuple(needs)

    def _is_of_kind(self, course: Course) -> bool:
        apart = self._classes.isdisjoint(course.classes)
        return not apart and self._not_classes.isdisjoint(course.classes)

    def once_meant(self, course: Course) -> bool:
        """Whether another record was of a class that counts: a change that takes a medicine
        out of what counts bears on the result as well."""
        return any(self._classes.intersection(body.classes) for body in course.others)

    def meant(self, facts: Facts) -> list[tuple[Course, ...]]:
        """The courses as they may be read; in one way where it makes no difference here."""
        found = courses(facts)
        if max(map(len, found), default=0) < 2:
            return found
        return [ways if any(map(self._may_mean, ways)) else ways[:1] for ways in found]

    def _may_mean(self, course: Course) -> bool:
        return not self._classes.isdisjoint(course.classes)

    def is_local(self, course: Course) -> bool:
        """Whether it would count, had it not been taken by a local route."""
        if not self._local or not self._is_of_kind(course):
            return False
        route = course.body.route
        return route is not None and route_named(route) in self._local

    def _by_indication(self, indication: str | None) -> Truth:
        if not self._indications and not self._not_indications:
            return TRUE
        if indication is None:
            return UNKNOWN
        words = _words(indication)
        if self._indications and not any(_says(words, one) for one in self._indications):
            return FALSE
        return FALSE if any(_says(words, one) for one in self._not_indications) else TRUE

    def _by_route(self, route: str | None) -> Truth:
        if not self._routes:
            return TRUE
        if route is None:
            return UNKNOWN
        named = route_named(route)
        if named in self._routes:
            return TRUE
        return FALSE if named in self._local else UNKNOWN


def _words(text: str) -> tuple[str, ...]:
    return tuple("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def _says(words: tuple[str, ...], term: tuple[str, ...]) -> bool:
    """Whether the term stands among the words, and not behind a `non`."""
    length = len(term)
    return any(
        words[at : at + length] == term and (at == 0 or words[at - 1] not in ("non", "not"))
        for at in range(len(words) - length + 1)
    )


# --- doses ----------------------------------------------------------------------------------------


def dose_on(course: Course, day: date, conversion: Conversion) -> tuple[Fraction, Fraction | None]:
    """Milligrams of prednisone on a day: at least, at most (None: no bound)."""
    started, ended = course.start, course.end
    if day < started[0] or (ended is not None and day > ended[1]):
        return Fraction(0), Fraction(0)
    doses = [_dose(course, phase, conversion) for phase in _phases_on(course, day)]
    surely = day >= started[1] and (ended is None or day <= ended[0])
    low = min(dose.low for dose in doses) if surely else Fraction(0)
    highs = [dose.high for dose in doses]
    return low, None if None in highs else max(high for high in highs if high is not None)


def peak_within(course: Course, span: Span, conversion: Conversion) -> Fraction:
    """What some day of the span certainly has, for a medicine taken less often than daily."""
    assert span.first is not None
    assert span.last is not None
    first = max(span.first, course.start[1])
    last = span.last if course.end is None else min(span.last, course.end[0])
    if len(course.phases) > 1:
        return Fraction(0)
    dose = _dose(course, course.phases[0], conversion)
    return dose.peak if (last - first).days + 1 >= dose.period else Fraction(0)


def _phases_on(course: Course, day: date) -> list[Phase]:
    """The phases that may have been in force on a day of the course."""
    found = []
    for index, phase in enumerate(course.phases):
        following = course.phases[index + 1] if index + 1 < len(course.phases) else None
        begun = index == 0 or phase.since[0] <= day
        over = following is not None and following.since[1] <= day
        if begun and not over:
            found.append(phase)
    return found or [course.phases[-1]]


def _dose(course: Course, phase: Phase, conversion: Conversion) -> Dose:
    body = phase.body
    if body is None:
        return UNREADABLE
    start, end = course.start, course.end
    one_day = start == end and start[0] == start[1]
    return conversion.dose(body.name, body.dose, body.unit, body.per, one_day)
