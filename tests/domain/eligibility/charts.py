"""Charts for the tests of criteria: a participant as a list of facts, each on one line.

The screening visit is on 2026-11-23 and day 0 is planned for 2026-12-14, at a site in New York;
both can be moved. Every fact has a position: its place in the list, from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from domain import catalogue
from domain.clinical.age import AgeAtScreening, age_at
from domain.eligibility.evaluate import (
    Outcome,
    Verdict,
    outcome_of,
    ready_for,
    verdict_under,
)
from domain.eligibility.reads import read_of
from domain.kernel import Actor, Recorded, Sealed
from domain.participant import Participant, evolve
from domain.time import When
from domain.trial.protocol import Protocol
from tests.specs import lk_23_01

NEW_YORK = ZoneInfo("America/New_York")
SCREENING = "2026-11-23"
DAY_0 = "2026-12-14"
ACR = tuple(lk_23_01().dictionary["acr-1997"].items)
SLICC = tuple(lk_23_01().dictionary["slicc-2012"].items)
SLEDAI = tuple(lk_23_01().dictionary["sledai-2k"].items)


@dataclass(frozen=True)
class Fact:
    """One line of a chart."""

    type: str
    at: str
    data: dict[str, Any]

    @cached_property
    def body(self) -> Any:
        cls = catalogue.PARTICIPANT[self.type]
        return cls.model_validate(self.data, context={"stored": True})


def fact(name: str, at: str, /, **data: Any) -> Fact:
    """A fact of a type."""
    return Fact(name, at, {key: value for key, value in data.items() if value is not None})


def referred(site: str = "01") -> Fact:
    return fact("referred", "2026-10-01", site=site, channel="clinician")


def consented(at: str = "2026-11-20T10:00:00-05:00", form: str = "1.0") -> Fact:
    return fact("consented", at, form_version=form, signed_by="participant")


def withdrew(*scope: str, at: str = "2026-11-25") -> Fact:
    return fact("consent-withdrawn", at, scope=list(scope))


def screened(at: str = SCREENING) -> Fact:
    return fact("screening-started", at)


def booked(day: str = DAY_0, at: str = "2026-11-24T09:00:00-05:00", visit: str = "V1") -> Fact:
    return fact("visit-booked", at, visit=visit, at=day)


def dosed(at: str = DAY_0) -> Fact:
    return fact("dosed", at, product="UC-MSC", amount="60", unit="10*6", route="subcutaneous")


def person(
    born: str = "1985-04-12",
    sex: str = "female",
    bearing: bool | None = None,
    at: str = SCREENING,
    screening: str = SCREENING,
) -> Fact:
    """Demographics; the age is what Cairn derives from the birth date at the screening visit."""
    rule = lk_23_01().settings.age_leap_rule
    age = age_at(When.parse(born), date.fromisoformat(screening), rule)
    return person_aged(age, sex, bearing, at)


def person_aged(
    age: AgeAtScreening, sex: str = "female", bearing: bool | None = None, at: str = SCREENING
) -> Fact:
    return fact(
        "demographics-recorded",
        at,
        birth_date=Sealed(sealed="x", key="1"),
        sex=sex,
        childbearing_potential=bearing,
        age_at_screening=age.model_dump(mode="json"),
    )


def lab(
    code: str,
    value: Any = None,
    unit: str | None = None,
    *,
    on: str = SCREENING,
    reads: str | None = None,
) -> Fact:
    return fact("observation-recorded", on, code=code, value=value, unit=unit, interpretation=reads)


def scored(
    code: str,
    *present: str,
    absent: Iterable[str] | None = None,
    on: str = SCREENING,
    value: Any = None,
) -> Fact:
    """Items of a score or list: some present, some (or all others) absent, the rest unknown."""
    everything = lk_23_01().dictionary[code].items
    gone = [item for item in everything if item not in present] if absent is None else absent
    components = {**dict.fromkeys(present, "present"), **dict.fromkeys(gone, "absent")}
    return fact("observation-recorded", on, code=code, components=components, value=value)


def took(
    name: str,
    classes: Sequence[str] | str,
    since: str,
    until: str | None = None,
    *,
    record: str | None = None,
    at: str = SCREENING,
    **data: Any,
) -> Fact:
    """A medicine from a day on, until another or without an end."""
    return fact(
        "medication-recorded",
        at,
        medication=record or name.split(" ", maxsplit=1)[0],
        name=name,
        classes=[classes] if isinstance(classes, str) else list(classes),
        started_on=since,
        ended_on=until,
        **data,
    )


def steroid(mg: Any, since: str, until: str | None = None, **data: Any) -> Fact:
    """A corticosteroid by mouth every day, for lupus unless said otherwise."""
    given = {
        "name": "prednisone",
        "dose": mg,
        "unit": "mg",
        "per": "day",
        "route": "oral",
        "indication": "SLE",
        **data,
    }
    return took(given.pop("name"), "corticosteroid", since, until, **given)


def history(category: str, term: str, at: str = SCREENING, **data: Any) -> Fact:
    return fact(
        "history-recorded",
        at,
        **{"item": term.split(" ", maxsplit=1)[0], "category": category, "term": term, **data},
    )


def said(statement: str, answer: bool = True, at: str = SCREENING) -> Fact:
    return fact("attested", at, statement=statement, answer=answer)


medicines_taken = said("medication-history-taken")
illnesses_taken = said("medical-history-taken")

EMPTY_HANDED = (
    "renal-replacement-expected",
    "major-surgery-planned",
    "active-infection",
    "breast-feeding",
    "pregnancy-intended",
    "unfit-comorbidity",
    "data-quality-condition",
)
"""Statements that keep somebody out when they are true."""

eligible: tuple[Fact, ...] = (
    referred(),
    consented(),
    screened(),
    booked(),
    person(bearing=True),
    scored("acr-1997", "malar-rash", "arthritis", "renal", "ana"),
    scored("slicc-2012", "synovitis", "renal", "ana", "anti-dsdna"),
    lab("ana-titre", "1:640", on="2026-09-14"),
    lab("anti-dsdna", reads="positive"),
    lab("creatinine", "0.8", "mg/dL"),
    lab("weight", "64", "kg"),
    scored("sledai-2k", "arthritis", "rash", "low-complement"),
    took("hydroxychloroquine", "antimalarial", "2024-02", indication="SLE", route="oral"),
    steroid("5", "2025-01-10"),
    medicines_taken,
    illnesses_taken,
    said("able-to-follow-visits"),
    said("agrees-contraception"),
    *(said(statement, False) for statement in EMPTY_HANDED),
    *(
        lab(code, reads="negative")
        for code in ("hbsag", "anti-hbc", "anti-hcv", "hiv", "igra", "hcg-serum")
    ),
)
"""Somebody whom every criterion lets in, fully documented."""


def chart(*facts: Fact | Iterable[Fact]) -> Participant:
    """The participant whose facts these are, recorded in this order."""
    lines: list[Fact] = []
    for one in facts:
        lines += [one] if isinstance(one, Fact) else one
    return folded(dict(enumerate(lines, start=1)))


def folded(lines: dict[int, Fact]) -> Participant:
    """The participant after facts recorded at these positions, in their order."""
    participant = Participant("01-001")
    for position, one in lines.items():
        participant = then(participant, one, position)
    return participant


def then(before: Participant, one: Fact, position: int) -> Participant:
    """The participant after one more fact."""
    when = When.parse(one.at)
    who = Actor(id="a", role="coordinator")
    version = before.version + 1
    return evolve(before, Recorded(one.body, position, version, when, when.latest(), who))


def verdict(*facts: Fact | Iterable[Fact], protocol: Protocol | None = None) -> Verdict:
    """What all criteria say of a chart."""
    return verdict_under(protocol or lk_23_01(), chart(*facts), NEW_YORK)


def outcome(
    criterion: str, *facts: Fact | Iterable[Fact], protocol: Protocol | None = None
) -> Outcome:
    """What one criterion says of a chart."""
    return judged(criterion, chart(*facts), protocol or lk_23_01())


def judged(criterion: str, participant: Participant, protocol: Protocol) -> Outcome:
    """What one criterion of a protocol says of a participant."""
    ready = ready_for(protocol)
    facts = ready.facts(read_of(protocol, NEW_YORK, participant))
    prepared = next(one for one in ready.criteria if one.criterion.id == criterion)
    return outcome_of(prepared, facts, protocol.version)


def without(*types_and_words: str) -> tuple[Fact, ...]:
    """The eligible chart less the facts of a type, code, statement or medicine."""
    gone = set(types_and_words)
    kept = []
    for one in eligible:
        words = {one.type, *(str(one.data.get(k)) for k in ("code", "statement", "medication"))}
        if not gone & words:
            kept.append(one)
    return tuple(kept)
