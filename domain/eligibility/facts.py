"""The facts of one participant as rules ask for them: anchors, windows, results, answers.

Days are civil days at the site. A fact whose date is only partly known may lie in a window or not;
then it decides only where both readings agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from zoneinfo import ZoneInfo

from domain.clinical.interval import FALSE, TRUE, UNKNOWN, Interval, Truth
from domain.eligibility.logic import Needs, Result
from domain.eligibility.measures import Reader
from domain.journey.visits import booking_of
from domain.kernel import Noted, cited
from domain.time import When

if TYPE_CHECKING:
    from domain.clinical.age import AgeAtScreening
    from domain.eligibility.reads import Read
    from domain.journey.screening import (
        Attested,
        DemographicsRecorded,
        ObservationRecorded,
        Screening,
    )

Days = tuple[date, date]
"""The earliest and the latest civil day that something may have been."""


class Anchored(NamedTuple):
    """The day of an anchor with its evidence, or what is missing for it."""

    on: date | None
    evidence: tuple[int, ...] = ()
    missing: Needs = ()


class Span(NamedTuple):
    """Civil days from first to last, both included; None where it is open."""

    first: date | None
    last: date | None

    def holds(self, days: Days) -> Truth:
        """Whether a single day, known as an interval, lies within."""
        earliest, latest = days
        if (self.last is not None and earliest > self.last) or (
            self.first is not None and latest < self.first
        ):
            return FALSE
        inside = (self.first is None or earliest >= self.first) and (
            self.last is None or latest <= self.last
        )
        return TRUE if inside else UNKNOWN

    def meets(self, start: Days, end: Days | None) -> Truth:
        """Whether something that lasted from start to end (None: no end) touches it."""
        if (self.last is not None and start[0] > self.last) or (
            self.first is not None and end is not None and end[1] < self.first
        ):
            return FALSE
        touches = (self.last is None or start[1] <= self.last) and (
            self.first is None or end is None or end[0] >= self.first
        )
        return TRUE if touches else UNKNOWN

    def __str__(self) -> str:
        if self.first is None:
            return "at any time" if self.last is None else f"up to {self.last}"
        return f"since {self.first}" if self.last is None else f"{self.first} to {self.last}"


class Reading:
    """One result: when it may have been taken, and its number in the code's own unit."""

    __slots__ = ("body", "days", "evidence", "number", "when", "zone")

    def __init__(
        self, noted: "Noted[ObservationRecorded]", zone: ZoneInfo, number: Interval | None
    ) -> None:
        self.when, self.zone = noted.when, zone
        self.body = noted.body
        self.evidence = noted.cited
        self.days: Days = noted.when.civil(zone)
        self.number = number

    def surely_before(self, other: "Reading") -> bool:
        """Whether it was taken before the other, however partial the dates are."""
        return surely_before(self.when, other.when, self.zone)


def latest_of(certain: Sequence[Reading], possible: Sequence[Reading]) -> list[Reading]:
    """Those that may be the last one in a window; `certain` ones are sure to lie in it."""
    everything = (*certain, *possible)
    if len(everything) == 1:
        return list(everything)
    return [
        one
        for one in everything
        if not any(one.surely_before(other) for other in certain if other is not one)
    ]


class Answer(NamedTuple):
    """The last answer to a statement; UNKNOWN when there is none or two that conflict."""

    truth: Truth
    evidence: tuple[int, ...] = ()
    when: When | None = None


NO_ANSWER = Answer(UNKNOWN)


@dataclass(frozen=True, slots=True)
class Years:
    """Completed years at the screening visit, or what is missing for them."""

    least: int = 0
    most: int = 0
    evidence: tuple[int, ...] = ()
    missing: Needs = ()
    ambiguous: bool = False


class Facts:
    """What is known of a participant, as of one state; computed lazily and once."""

    def __init__(
        self,
        read: "Read",
        readers: Mapping[str, Reader],
        dosing_visit: str | None,
        recheck_on: date | None = None,
    ) -> None:
        self.read = read
        self.record: Screening = read.screening
        """Everything that screening found out."""
        self.zone = read.zone
        self.recheck_on = recheck_on
        """The day of a planned dose, when this is the check before it."""
        self.kept: dict[str, object] = {}
        """What compiled rules derive once for all rules (courses of medicines)."""
        self.results: dict[int, Result] = {}
        """What rules that ask the facts have said, by the identity of the rule."""
        self._readers = readers
        self._dosing_visit = dosing_visit
        self._readings: dict[str, list[Reading]] = {}
        self._answers: dict[str, Answer] = {}
        self._years: Years | None = None
        self._screening: Anchored | None = None
        self._day_0: Anchored | None = None
        self._consent: Anchored | None = None
        self._codes: dict[str, list[Noted[ObservationRecorded]]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Let go of what leaves say of the facts, which holds the facts in turn: so all of it is
        freed without the garbage collector."""
        self.results.clear()

    # --- anchors ----------------------------------------------------------------------------------

    @property
    def screening(self) -> Anchored:
        """The day of the screening visit."""
        found = self._screening
        if found is None:
            found = self._screening = self._of_screening()
        return found

    @property
    def day_0(self) -> Anchored:
        """The dose's day; before it the planned one."""
        found = self._day_0
        if found is None:
            found = self._day_0 = self._of_day_0()
        return found

    @property
    def consent(self) -> Anchored:
        """The day of the first consent."""
        found = self._consent
        if found is None:
            found = self._consent = self._of_consent()
        return found

    def anchor(self, name: str) -> Anchored:
        """The anchor of a name: screening, day-0 or consent."""
        if name == "screening":
            return self.screening
        return self.day_0 if name == "day-0" else self.consent

    def _of_screening(self) -> Anchored:
        attempt = self.record.attempt
        return (
            self._exact(attempt.when, attempt.cited, "screening-visit")
            if attempt
            else (Anchored(None, (), ("screening-visit",)))
        )

    def _of_consent(self) -> Anchored:
        given = self.read.consent.given
        if not given:
            return Anchored(None, (), ("consent",))
        return self._exact(given[0].when, given[0].cited, "consent")

    def _of_day_0(self) -> Anchored:
        """Before the dose it is planned by the latest booking of the dosing visit."""
        if self.recheck_on is not None:
            return Anchored(self.recheck_on)
        dosed = self.read.dosed
        if dosed:
            return self._exact(dosed[0].when, dosed[0].cited, "planned-day-0")
        if self._dosing_visit is not None:
            booked = booking_of(self._dosing_visit, self.read.booked, self.read.cancelled)
            if booked is not None:
                return self._exact(booked.body.at, booked.cited, "planned-day-0")
        return Anchored(None, (), ("planned-day-0",))

    def _exact(self, moment: When, evidence: tuple[int, ...], name: str) -> Anchored:
        """An anchor counts days, so it must be known to the day."""
        first, last = moment.civil(self.zone)
        return Anchored(first, evidence) if first == last else Anchored(None, evidence, (name,))

    # --- results and answers ----------------------------------------------------------------------

    def readings(self, code: str) -> list[Reading]:
        """The results of a code, in effective time."""
        found = self._readings.get(code)
        if found is None:
            read = self._readers.get(code)
            found = [
                Reading(noted, self.zone, read(noted.body) if read else None)
                for noted in self._by_code().get(code, ())
            ]
            self._readings[code] = found
        return found

    def has(self, code: str) -> bool:
        """Whether there is any result of the code."""
        return code in self._by_code()

    def _by_code(self) -> "dict[str, list[Noted[ObservationRecorded]]]":
        found = self._codes
        if found is None:
            found = self._codes = _by_code(self.record.observations, self._readers)
        return found

    def answer(self, statement: str) -> Answer:
        """The last answer to a statement in the current attempt at screening."""
        found = self._answers.get(statement)
        if found is None:
            found = self._answers[statement] = self._answered(statement)
        return found

    def answer_since(self, statement: str, first: date, last: date) -> Answer:
        """The last answer to a statement of those given on certain days."""
        return self._answered(statement, Span(first, last))

    def _answered(self, statement: str, span: Span | None = None) -> Answer:
        given = [
            one
            for one in self.record.attested
            if one.body.statement == statement and self._counts(one, span)
        ]
        if not given:
            return NO_ANSWER
        last = given[-1]
        if len(given) == 1:
            return Answer(TRUE if last.body.answer else FALSE, last.cited, last.when)
        zone = self.zone
        same = [one for one in given if one is last or not surely_before(one.when, last.when, zone)]
        conflict = any(one.body.answer != last.body.answer for one in same)
        truth = UNKNOWN if conflict else TRUE if last.body.answer else FALSE
        return Answer(truth, cited(*same), last.when)

    def _counts(self, one: "Noted[Attested]", span: Span | None) -> bool:
        """What was said in an earlier attempt at screening, or after the dose, does not count."""
        if span is not None:
            return span.holds(one.when.civil(self.zone)) == TRUE
        reopened = self.record.reopened
        if reopened and surely_before(one.when, reopened[-1].when, self.zone):
            return False
        if not self.read.dosed or self.day_0.on is None:
            return True
        return one.when.civil(self.zone)[0] <= self.day_0.on

    # --- the person -------------------------------------------------------------------------------

    @property
    def demographics(self) -> "tuple[Noted[DemographicsRecorded], ...]":
        """The last record of sex and childbearing potential, and what no order tells from it."""
        recorded = self.record.demographics
        if len(recorded) < 2:
            return recorded
        last, zone = recorded[-1].when, self.zone
        return tuple([one for one in recorded if not surely_before(one.when, last, zone)])

    @property
    def years(self) -> Years:
        """The age at the screening visit."""
        if self._years is None:
            self._years = self._age()
        return self._years

    def _age(self) -> Years:
        missing = list(self.screening.missing)
        if not self.record.demographics:
            missing.append("birth-date")
        if missing or self.screening.on is None:
            return Years(missing=tuple(missing))
        started = self.record.started[-1]
        told: list[tuple[Noted[Any], AgeAtScreening | None]] = [
            (started, started.body.age_at_screening)
        ]
        told += [(noted, noted.body.age_at_screening) for noted in self.record.demographics]
        known = [
            (noted, age)
            for noted, age in told
            if age is not None and (age.on is None or age.on.first == self.screening.on)
        ]
        last = max(self.record.demographics, key=_last_recorded)
        latest = _last_recorded(last)
        # Of birth dates of one moment no order tells which of them stands.
        beside = [one for one in known if one[0] is not started and one[0].when == last.when]
        # An age that was computed before the birth date was last told of is not taken.
        known = [one for one in known if _last_recorded(one[0]) >= latest]
        if not known:
            return Years(missing=("birth-date",))
        noted, age = max(known, key=lambda one: _last_recorded(one[0]))
        least, most = _agreed((age, *(one for _, one in beside)))
        evidence = cited(noted, started, *self.demographics, *(one for one, _ in beside))
        return Years(least, most, evidence, (), age.ambiguous_leap_day)


def _agreed(ages: "Sequence[AgeAtScreening]") -> tuple[int, int]:
    """The years that all ages allow; where they exclude each other, those that any allows."""
    least, most = max(one.least for one in ages), min(one.most for one in ages)
    if least <= most:
        return least, most
    return min(one.least for one in ages), max(one.most for one in ages)


def _last_recorded(noted: Noted[Any]) -> int:
    """The position at which it was told, or corrected last."""
    return noted.cited[-1]


def surely_before(one: When, other: When, zone: ZoneInfo) -> bool:
    """Whether one was over when the other began, however partial both are; never of one moment."""
    start = other.earliest(zone)
    return one.latest(zone) <= start and one.earliest(zone) < start


def _by_code(
    observations: Iterable[Noted["ObservationRecorded"]], wanted: Mapping[str, Reader]
) -> dict[str, list[Noted["ObservationRecorded"]]]:
    found: dict[str, list[Noted[ObservationRecorded]]] = {}
    for noted in observations:
        code = noted.body.code
        if code in wanted:
            found.setdefault(code, []).append(noted)
    return found


def shown(days: Days) -> str:
    """A day as it is known, for people."""
    earliest, latest = days
    return str(earliest) if earliest == latest else f"{earliest}/{latest}"


def days_between(earlier: date, later: date) -> int:
    """Whole civil days from one day to a later one."""
    return (later - earlier) // timedelta(days=1)
