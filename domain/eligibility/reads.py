"""Which facts a rule reads, so that a new fact decides again only the criteria that it touches."""

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar, assert_never
from zoneinfo import ZoneInfo

from domain.eligibility import rules
from domain.eligibility.rules import Medicines, Window
from domain.kernel import Event, Noted

if TYPE_CHECKING:
    from domain.journey.consent import Consent
    from domain.journey.screening import Screening
    from domain.journey.treatment import Dosed
    from domain.journey.visits import VisitBooked, VisitCancelled
    from domain.participant import Participant
    from domain.trial.protocol import Protocol

FactT = TypeVar("FactT", bound=Event)

Key = str
"""A kind of fact: `observation/<code>`, `statement/<name>`, or one of the names below."""

SCREENING, REOPENED, DAY_0, CONSENT = "screening", "reopened", "day-0", "consent"
DEMOGRAPHICS, MEDICATIONS, HISTORIES = "demographics", "medications", "histories"


def read_by(rule: rules.Rule) -> frozenset[Key]:
    """Every kind of fact that can change what the rule says."""
    return frozenset(_read_by(rule))


def _read_by(rule: rules.Rule) -> Iterator[Key]:
    match rule:
        case rules.All() | rules.Any() | rules.AtLeast():
            for member in rule.of:
                yield from _read_by(member)
        case rules.Not():
            yield from _read_by(rule.of)
        case rules.AppliesTo():
            yield DEMOGRAPHICS
            yield from _read_by(rule.of)
        case rules.Decided():
            yield from (*_read_by(rule.yes), *_read_by(rule.no))
        case rules.Remark():
            yield from (*_read_by(rule.when), *_read_by(rule.of))
        case rules.Age():
            yield from (SCREENING, DEMOGRAPHICS)
        case rules.Consent():
            yield CONSENT
        case rules.Attested():
            yield from _statement(rule.statement)
        case _:
            yield from _of_records(rule)


def _of_records(
    rule: rules.ObservationRule | rules.MedicationRule | rules.History,
) -> Iterator[Key]:
    match rule:
        case rules.Egfr():
            yield from _window(rule.within)
            yield from (SCREENING, DEMOGRAPHICS)
            yield from (f"observation/{code}" for code in (rule.creatinine, rule.code) if code)
        case rules.History():
            yield HISTORIES
            yield from _window(rule.within) if rule.within is not None else ()
            yield from _statement(rule.complete_when)
        case Medicines():
            yield MEDICATIONS
            yield from _statement(rule.complete_when)
            yield from _of_medicines(rule)
        case (
            rules.Value()
            | rules.Titre()
            | rules.Finding()
            | rules.OneOf()
            | rules.Items()
            | rules.Score()
        ):
            yield f"observation/{rule.code}"
            yield from _window(rule.within)
        case _:
            assert_never(rule)


def _of_medicines(rule: rules.MedicationRule) -> Iterator[Key]:
    match rule:
        case rules.MedicationHeld() | rules.MedicationElapsed():
            yield rule.anchor
        case rules.MedicationTaken() | rules.MedicationChanged() | rules.MedicationDays():
            yield from _window(rule.within)
        case rules.DailyDose():
            yield from (f"observation/{rule.weight}", DAY_0)
            yield from _window(rule.within)
        case _:
            assert_never(rule)


def _window(window: Window) -> Iterator[Key]:
    yield DAY_0 if window.anchor == "lifetime" else window.anchor
    if window.until in ("day-0", "before-day-0"):
        yield DAY_0


def _statement(statement: str | None) -> Iterator[Key]:
    """An answer counts within its attempt at screening, and until the dose."""
    if statement is not None:
        yield from (f"statement/{statement}", REOPENED, DAY_0)


# --- what is read of one state --------------------------------------------------------------------


class Read(NamedTuple):
    """Everything that criteria read of a participant; parts are replaced, never changed."""

    protocol: "Protocol"
    zone: ZoneInfo
    consent: "Consent"
    screening: "Screening"
    booked: "tuple[Noted[VisitBooked], ...]"
    cancelled: "tuple[Noted[VisitCancelled], ...]"
    dosed: "tuple[Noted[Dosed], ...]"

    @property
    def blank(self) -> bool:
        """Whether nothing is recorded that any criterion reads. A withdrawal says nothing without a
        consent, a cancellation without a booking, a new attempt without answers before it."""
        consent, screening = self.consent, self.screening
        return not (
            consent.given
            or self.booked
            or self.dosed
            or screening.started
            or screening.demographics
            or screening.observations
            or screening.medications
            or screening.histories
            or screening.attested
        )

    def same(self, other: "Read") -> bool:
        """Whether nothing was replaced."""
        return all(map(operator.is_, self, other))

    def changed_since(self, before: "Read") -> set[Key]:
        """The kinds of facts that were replaced, under the same protocol and zone."""
        found: set[Key] = set()
        if self.consent is not before.consent:
            found.add(CONSENT)
        if not (
            self.booked is before.booked
            and self.cancelled is before.cancelled
            and self.dosed is before.dosed
        ):
            found.add(DAY_0)
        if self.screening is not before.screening:
            _add_changed(found, self.screening, before.screening)
        return found


def read_of(protocol: "Protocol", zone: ZoneInfo, participant: "Participant") -> Read:
    """What criteria read of the participant."""
    visits = participant.visits
    return Read(
        protocol,
        zone,
        participant.consent,
        participant.screening,
        visits.booked,
        visits.cancelled,
        participant.treatment.dosed,
    )


def _add_changed(found: set[Key], now: "Screening", before: "Screening") -> None:
    if now.observations is not before.observations:
        for seen in _replaced(now.observations, before.observations):
            found.add(f"observation/{seen.body.code}")
    if now.attested is not before.attested:
        for said in _replaced(now.attested, before.attested):
            found.add(f"statement/{said.body.statement}")
    if now.medications is not before.medications:
        found.add(MEDICATIONS)
    if now.histories is not before.histories:
        found.add(HISTORIES)
    if now.demographics is not before.demographics:
        found.add(DEMOGRAPHICS)
    if now.started is not before.started:
        found.add(SCREENING)
    if now.reopened is not before.reopened:
        found.add(REOPENED)


def _replaced(
    now: tuple[Noted[FactT], ...], before: tuple[Noted[FactT], ...]
) -> list[Noted[FactT]]:
    """What stands in one of them only; facts are the same when they are one object."""
    if len(now) == len(before) + 1:
        same = list(map(operator.is_, now, before))
        place = len(before) if False not in same else same.index(False)
        if all(map(operator.is_, now[place + 1 :], before[place:])):
            return [now[place]]
    kept = {id(one) for one in now} & {id(one) for one in before}
    return [one for one in (*now, *before) if id(one) not in kept]
