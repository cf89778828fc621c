"""Tests as sentences: given what happened, when something is posted, then this is recorded.

A small ledger stands behind them: it numbers events as the real one does and folds them, nothing
more. Every moment is written out; nothing reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import pytest

from domain import admit as judge
from domain import catalogue
from domain import participant as journey
from domain.journey.eligibility import EligibilityDetermined
from domain.journey.oversight import DeviationDetected
from domain.kernel import (
    PROVISIONAL,
    Actor,
    Conclusion,
    Event,
    Impossible,
    Proposed,
    Recorded,
    Refusal,
    Refused,
    WouldDeviate,
)
from domain.participant import Participant
from domain.safety.events import ContradictionFound
from domain.time import When
from domain.trial import study as studies
from domain.trial.events import ProtocolPublished, StudyRegistered
from domain.trial.overlay import merged
from domain.trial.protocol import Protocol
from domain.trial.reading import read
from domain.trial.study import Trial
from infra.protocol_files import built_in

WHO = "01-001"
ZONE = "America/New_York"


@lru_cache
def lk_23_01() -> Protocol:
    """The built-in protocol, whole."""
    whole = merged(built_in("lk-23-01.yaml"), built_in("lk-23-01.assumptions.yaml"))  # type: ignore[arg-type]
    found = read(whole)
    assert isinstance(found, Protocol), (whole, found)
    return found


@lru_cache
def open_protocol() -> Protocol:
    """LK-23-01 without its criteria: everybody is eligible, all other rules stand."""
    fields = {name: getattr(lk_23_01(), name) for name in Protocol.model_fields}
    return Protocol.model_validate({**fields, "criteria": ()})


def protocol_but(**changes: Any) -> Protocol:
    """The open protocol with other values; nested parts as dictionaries of what differs."""
    base = open_protocol()
    for name, value in changes.items():
        part = getattr(base, name)
        if isinstance(value, dict) and hasattr(part, "model_copy"):
            fields = {field: getattr(part, field) for field in type(part).model_fields}
            changes[name] = type(part).model_validate({**fields, **value})
    # Not model_copy: what was computed once from the fields must not be copied with them.
    fields = {name: getattr(base, name) for name in Protocol.model_fields}
    return Protocol.model_validate({**fields, **changes})


# --- what is said ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """An event as somebody posts it."""

    body: Event
    at: str
    role: str = "coordinator"
    reason: str | None = None
    source: str | None = "urn:test"
    id: str | None = None

    def on(self, at: str) -> Said:
        """The same at another time."""
        return replace(self, at=at)

    def by(self, role: str) -> Said:
        """The same from somebody else."""
        return replace(self, role=role)

    def but(self, **data: Any) -> Said:
        """The same with other data."""
        kept = {**self.body.model_dump(mode="json", exclude_none=True), **data}
        return replace(self, body=type(self.body).model_validate(kept))

    @property
    def when(self) -> When:
        return When.parse(self.at)


def said(name: str, at: str, role: str = "coordinator", /, **data: Any) -> Said:
    """An event of a type, with its data as a client would send them."""
    cls = {**catalogue.PARTICIPANT, **catalogue.STUDY}[name]
    reason = "typing error" if cls.reason_required else None
    return Said(cls.model_validate(data), at, role, reason)


referred = said("referred", "2026-11-01T10:00:00-05:00", site="01", channel="clinician")
consented = said(
    "consented", "2026-11-02T09:15:00-05:00", form_version="1.0", signed_by="participant"
)
screened = said("screening-started", "2026-11-23T09:00:00-05:00")
screening_visit = said("visit-completed", "2026-11-23T09:30:00-05:00", visit="V0", mode="in-person")
confirmed = said("eligibility-confirmed", "2026-11-30T10:00:00-05:00", "investigator")
enrolled = said("enrolled", "2026-12-01T10:00:00-05:00", "investigator")
authorised = said("dose-authorised", "2026-12-07T08:00:00-05:00", "investigator")
dosed = said(
    "dosed",
    "2026-12-07T10:00:00-05:00",
    product="UC-MSC",
    amount="60",
    unit="10*6",
    route="subcutaneous",
)
dosing_visit = said("visit-completed", "2026-12-07T11:00:00-05:00", visit="V1", mode="in-person")
died = said("died", "2026-12-20", on="2026-12-20")

screening = (referred, consented, screened, screening_visit)
on_study = (*screening, confirmed, enrolled)
treated = (*on_study, authorised, dosed, dosing_visit)


def visit(code: str, at: str, mode: str = "in-person", **data: Any) -> Said:
    """A visit that was held."""
    return said("visit-completed", at, visit=code, mode=mode, **data)


def booked(code: str, at: str, when: str = "2026-11-24T10:00:00-05:00") -> Said:
    """A booking of a visit, made at `when`."""
    return said("visit-booked", when, visit=code, at=at)


def event(name: str, aware_at: str, onset: str | None = None, **data: Any) -> Said:
    """An adverse event as the site reports it at the moment it learned of it."""
    given = {"term": "Headache", "onset": onset or aware_at[:10], **data}
    return said("adverse-event-reported", aware_at, ae=name, aware_at=aware_at, **given)


def update(name: str, at: str, **data: Any) -> Said:
    """What was learned of an event later."""
    return said("adverse-event-updated", at, ae=name, **data)


def assessed(name: str, at: str, by: str, causality: str, **data: Any) -> Said:
    """A judgement of an event."""
    role = {"investigator": "investigator", "sponsor": "safety-officer"}[by]
    return said("adverse-event-assessed", at, role, ae=name, by=by, causality=causality, **data)


def report(name: str, clock: str, at: str, recipient: str = "sponsor") -> Said:
    """A report of an event to whom it is owed."""
    return said(
        "safety-report-submitted", at, ae=name, clock=clock, recipient=recipient, submitted_at=at
    )


# --- the little ledger ----------------------------------------------------------------------------


@dataclass
class Study:
    """A study in memory: its stream, its participants, and the positions of what was posted."""

    protocol: Protocol = field(default_factory=open_protocol)
    trial: Trial = field(init=False)
    participants: dict[str, Participant] = field(default_factory=dict)
    log: list[Recorded] = field(default_factory=list)
    clock: datetime = field(default_factory=lambda: When.parse("2026-10-01T00:00:00Z").earliest())
    documents: dict[str, Protocol] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.trial = Trial(self.protocol.study)
        at = "2026-10-01T00:00:00Z"
        title = "A study"
        self._tell(Said(StudyRegistered(study=self.protocol.study, title=title), at, "sponsor"))
        self.publish(self.protocol, at)
        self.tell(said("site-opened", at, "sponsor", site="01", name="Site", timezone=ZONE))
        self.tell(said("consent-form-approved", at, "sponsor", form_version="1.0", reconsent=False))

    def publish(self, protocol: Protocol, at: str) -> None:
        """Another version of the protocol, not active anywhere yet."""
        sha256 = f"{len(self.documents) + 1:064x}"
        self.documents[sha256] = protocol
        self._tell(Said(ProtocolPublished(version=protocol.version, sha256=sha256), at, "sponsor"))

    def tell(self, *saids: Said) -> None:
        """Events of the study's own stream, gated as they are."""
        for one in saids:
            now = self._now(one)
            recorded = judge.admit_study(self.trial, _proposed(one, None, now))
            self._record((recorded,))

    def _tell(self, one: Said) -> None:
        proposed = _proposed(one, None, self._now(one))
        self._record(judge.publication(self.trial, [proposed]))

    def post(
        self,
        *saids: Said,
        who: str = WHO,
        now: datetime | None = None,
        strict: bool = False,
        historical: bool = False,
        birth: str | None = None,
    ) -> tuple[Recorded, ...]:
        """Events of one participant, all or nothing; what was recorded, in order."""
        before = self.participants.get(who) or Participant(who)
        moment = now or max(self._now(one) for one in saids)
        born = When.parse(birth) if birth else None
        proposed = [
            replace(_proposed(one, who, moment), historical=historical, birth=born) for one in saids
        ]
        return self._record(judge.admit(self.trial, before, proposed, strict=strict).events)

    def tick(self, at: str, who: str = WHO) -> tuple[Recorded, ...]:
        """The clock worker comes by at a moment."""
        moment = When.parse(at).earliest()
        self.clock = max(self.clock, moment)
        return self._record(
            judge.concluded_by_time(self.trial, self.participants[who], moment).events
        )

    def participant(self, who: str = WHO) -> Participant:
        return self.participants[who]

    def position(self, one: Said, who: str = WHO) -> int:
        """Where something that was posted stands in the log."""
        for recorded in reversed(self.log):
            if recorded.type != one.body.type or recorded.occurred_at.text != one.at:
                continue
            # What only Cairn writes is not among what was posted.
            same = all(getattr(recorded.body, name) == value for name, value in one.body if value)
            if same and recorded.participant in (who, None):
                return recorded.position
        raise AssertionError(f"{one.body.type} at {one.at} is not in the log")

    def _now(self, one: Said) -> datetime:
        self.clock = max(self.clock, one.when.latest())
        return self.clock

    def _record(self, events: Iterable[Recorded]) -> tuple[Recorded, ...]:
        first = len(self.log) + 1
        numbered = tuple(_numbered(one, first) for one in events)
        for one in numbered:
            self.log.append(one)
            if one.participant is None:
                self.trial = studies.evolve(self.trial, one, self.documents)
            else:
                before = self.participants.get(one.participant) or Participant(one.participant)
                self.participants[one.participant] = journey.evolve(before, one)
        return numbered


def _proposed(one: Said, who: str | None, now: datetime) -> Proposed:
    return Proposed(
        body=one.body,
        occurred_at=one.when,
        actor=Actor(id=f"a.{one.role}", role=one.role),
        now=now,
        participant=who,
        source=one.source,
        id=one.id,
        reason=one.reason,
    )


def _numbered(one: Recorded, first: int) -> Recorded:
    """The event with the ledger's positions for the provisional ones."""

    def real(position: int) -> int:
        return position - PROVISIONAL + first if position >= PROVISIONAL else position

    body = one.body
    if isinstance(body, Conclusion):
        evidence = tuple(sorted(real(position) for position in body.evidence))
        body = body.model_copy(update={"evidence": evidence})
    if isinstance(body, ContradictionFound):
        sides = tuple(
            side.model_copy(update={"evidence": tuple(real(one) for one in side.evidence)})
            for side in body.sides
        )
        body = body.model_copy(update={"sides": sides})
    cause = real(one.cause) if one.cause is not None else None
    return replace(
        one,
        body=body,
        position=real(one.position),
        cause=cause,
        recorded_at=one.recorded_at,
        hash=f"{real(one.position):064x}",
    )


# --- given, when, then ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """A conclusion as a test says it: what is not named may be anything."""

    type: str
    data: dict[str, Any]
    cleared: bool = False
    because_of: tuple[Said, ...] | None = None

    def matches(self, recorded: Recorded, study: Study) -> bool:
        body = recorded.body
        if body.type != self.type or bool(getattr(body, "cleared", None)) is not self.cleared:
            return False
        if any(_plain(getattr(body, name)) != value for name, value in self.data.items()):
            return False
        if self.because_of is None:
            return True
        positions = tuple(sorted(study.position(one) for one in self.because_of))
        return getattr(body, "evidence", ()) == positions

    def __str__(self) -> str:
        words = ", ".join(f"{name}={value!r}" for name, value in self.data.items())
        return f"{'cleared ' if self.cleared else ''}{self.type}({words})"


def concluded(name: str, because_of: Sequence[Said] | None = None, **data: Any) -> Expected:
    """A conclusion of a type, with the data that matter here."""
    return Expected(name, data, because_of=tuple(because_of) if because_of is not None else None)


def deviation(category: str, because_of: Sequence[Said] | None = None, **data: Any) -> Expected:
    """A detected deviation of a category."""
    return concluded("deviation-detected", because_of, category=category, **data)


def cleared(one: Expected) -> Expected:
    """The conclusion, taken back."""
    return replace(one, cleared=True)


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, When) else value


@dataclass
class Given:
    """A history, as far as it has come."""

    study: Study

    def when(
        self, *saids: Said, now: str | None = None, strict: bool = False, who: str = WHO
    ) -> Outcome:
        """Post something more."""
        moment = When.parse(now).earliest() if now else None
        return self._outcome(lambda: self.study.post(*saids, who=who, now=moment, strict=strict))

    def when_told(self, one: Said) -> Outcome:
        """Post something to the study's own stream."""

        def tell() -> tuple[Recorded, ...]:
            before = len(self.study.log)
            self.study.tell(one)
            return tuple(self.study.log[before:])

        return self._outcome(tell)

    def when_it_is(self, at: str, who: str = WHO) -> Outcome:
        """Let time pass; the clock worker comes by."""
        return self._outcome(lambda: self.study.tick(at, who))

    def _outcome(self, attempt: Callable[[], tuple[Recorded, ...]]) -> Outcome:
        before = len(self.study.log)
        try:
            return Outcome(self.study, recorded=attempt())
        except Refusal as refusal:
            assert len(self.study.log) == before
            return Outcome(self.study, refusal=refusal)


@dataclass
class Outcome:
    """What came of it."""

    study: Study
    recorded: tuple[Recorded, ...] = ()
    refusal: Refusal | None = None

    def then(self, *expected: Said | Expected) -> Given:
        """Exactly this was recorded; the outcomes of criteria are told elsewhere."""
        if self.refusal is not None:
            raise AssertionError(f"refused: {self.refusal.rule} ({self.refusal.detail})")
        left = [one for one in self.recorded if not _about_criteria(one)]
        missing = []
        for one in expected:
            found = next((at for at, got in enumerate(left) if self._is(one, got)), None)
            if found is None:
                missing.append(str(one))
            else:
                del left[found]
        lines = [f"missing: {one}" for one in missing]
        lines += [f"too much: {one.body!r}" for one in left]
        assert not lines, "\n".join(lines)
        return Given(self.study)

    def recorded_as_said(self) -> Given:
        """It was recorded, whatever followed."""
        assert self.refusal is None, f"refused: {self.refusal.rule} ({self.refusal.detail})"
        return Given(self.study)

    def refused(self, rule: str, blocked_by: Said | Sequence[Said] | None = None) -> None:
        """A decision was refused by a rule that rests on these events."""
        self._refused(Refused, rule)
        if blocked_by is not None:
            blockers = [blocked_by] if isinstance(blocked_by, Said) else blocked_by
            positions = tuple(sorted(self.study.position(one) for one in blockers))
            assert self.refusal is not None
            assert self.refusal.blocked_by == positions

    def impossible(self, rule: str) -> None:
        """A report of something that cannot have happened."""
        self._refused(Impossible, rule)

    def would_deviate(self, *rules: str) -> None:
        """Strict handling refused a fact that breaks the protocol."""
        self._refused(WouldDeviate, rules[0])
        assert isinstance(self.refusal, WouldDeviate)
        assert self.refusal.rules == rules

    def _refused(self, kind: type[Refusal], rule: str) -> None:
        if self.refusal is None:
            pytest.fail(f"not refused: {[one.type for one in self.recorded]}")
        assert isinstance(self.refusal, kind), (type(self.refusal), self.refusal.rule)
        assert self.refusal.rule == rule, self.refusal.detail

    def _is(self, expected: Said | Expected, recorded: Recorded) -> bool:
        if isinstance(expected, Expected):
            return expected.matches(recorded, self.study)
        return recorded.type == expected.body.type and recorded.occurred_at.text == expected.at


def _about_criteria(recorded: Recorded) -> bool:
    return isinstance(recorded.body, EligibilityDetermined) or recorded.type.startswith("criterion")


def given(*saids: Said, study: Study | None = None, protocol: Protocol | None = None) -> Given:
    """What happened before, as a participant's history. Decisions in it are taken as they are."""
    study = study or Study(protocol or open_protocol())
    for one in saids:
        study.post(one, historical=True)
    return Given(study)


def standing(study: Study, who: str = WHO) -> dict[tuple[str, ...], Conclusion]:
    """The conclusions that the log holds, by key."""
    return {
        key: recorded.body
        for key, recorded in study.participant(who).concluded.items()
        if isinstance(recorded.body, Conclusion)
    }


def deviations(study: Study, who: str = WHO) -> set[tuple[str, str]]:
    """Rule and subject of every standing deviation."""
    return {
        (body.rule, body.subject or "")
        for body in standing(study, who).values()
        if isinstance(body, DeviationDetected)
    }
