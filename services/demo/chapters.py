"""The parts of a journey that many participants share: referral, screening, dose, visits."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from domain.trial.protocol import Visit
from services.demo.acts import Life

TRUE_STATEMENTS = frozenset(
    {
        "able-to-follow-visits",
        "active-tuberculosis-ruled-out",
        "agrees-contraception",
        "medical-history-taken",
        "medication-history-taken",
    }
)
"""What an eligible participant affirms; every other statement is denied."""

OF_WOMEN = ("breast-feeding", "pregnancy-intended")
ASKED_ON_DAY_0 = ("major-surgery-planned", "active-infection", *OF_WOMEN)
"""Statements whose answer must be of the day of the dose."""

ACTIVE = ("arthritis", "rash", "alopecia", "low-complement", "increased-dna-binding")
"""SLEDAI-2K items that add up to 12."""
CLASSIFIED = {
    "acr-1997": ("malar-rash", "photosensitivity", "arthritis", "immunologic", "ana"),
    "slicc-2012": ("acute-cutaneous", "synovitis", "ana", "anti-dsdna", "low-complement"),
}
NEGATIVE = ("hbsag", "anti-hbc", "anti-hcv", "hiv", "igra")

SCREENED_DAYS_BEFORE_DOSE = 14
BIRTH_MONTHS = 12
FORM = "1.0"
LAST_DAY = 168


@dataclass(frozen=True, slots=True)
class Person:
    """Who it is; everything else follows."""

    sex: Literal["female", "male"]
    born: int
    creatinine: str = "0.8"

    @property
    def may_conceive(self) -> bool:
        """Whether there is childbearing potential."""
        return self.sex == "female" and self.born > 1980


def referral(life: Life, day: date, channel: str = "clinician") -> None:
    """Somebody refers a person, whose contact is protected from the first moment."""
    contact = {
        "first_name": "Synthetic",
        "last_name": f"Person {life.name}",
        "phone": "+1 555 0100",
        "language": "en",
    }
    data = {"site": life.site, "channel": channel, "contact": contact}
    life.happened("coordinator", "referred", life.at(day, "10:05"), data)


def prescreening(life: Life, day: date, *, proceed: bool = True) -> None:
    """The first questions."""
    life.happened("coordinator", "prescreened", life.at(day, "14:30"), {"proceed": proceed})


def consent(life: Life, day: date) -> None:
    """The consent form is signed."""
    data = {"form_version": FORM, "signed_by": "participant", "language": "en"}
    life.happened("investigator", "consented", life.at(day, "09:05"), data)


def screening(life: Life, person: Person, day: date) -> None:
    """The screening visit, without what the laboratory sends later."""
    life.happened("investigator", "screening-started", life.at(day, "09:30"))
    month = life.chance("birth").randint(1, BIRTH_MONTHS)
    demographics: dict[str, Any] = {
        "birth_date": f"{person.born}-{month:02}-15",
        "sex": person.sex,
    }
    if person.sex == "female":
        demographics["childbearing_potential"] = person.may_conceive
    life.happened("coordinator", "demographics-recorded", day, demographics)
    weight = life.chance("weight").randint(52, 88)
    _observed(life, day, "weight", value=str(weight), unit="kg")
    _observed(life, day, "height", value=str(life.chance("height").randint(155, 185)), unit="cm")
    _observed(life, day, "systolic-pressure", value="124", unit="mm[Hg]")
    _observed(life, day, "diastolic-pressure", value="78", unit="mm[Hg]")
    _scores(life, day)
    _medication(life, day)
    for statement in life.demo.protocol.statements:
        data = {"statement": statement, "answer": statement in TRUE_STATEMENTS}
        life.happened("investigator", "attested", day, data)
    held(life, person, "V0", day)


def laboratory(life: Life, person: Person, day: date) -> None:
    """What the laboratory finds in the screening samples; it reports the day after."""
    late = timedelta(days=1)
    for code in NEGATIVE:
        _observed(life, day, code, interpretation="negative", late=late)
    _observed(life, day, "creatinine", value=person.creatinine, unit="mg/dL", late=late)
    _observed(life, day, "ana-titre", value="1:320", late=late)
    _observed(life, day, "anti-dsdna", interpretation="positive", late=late)
    _observed(life, day, "c3", value="71", unit="mg/dL", late=late)
    _observed(life, day, "leukocytes", value="4.1", unit="10*3/uL", late=late)
    _observed(life, day, "platelets", value="212", unit="10*3/uL", late=late)
    if person.may_conceive:
        _observed(life, day, "hcg-serum", interpretation="negative", late=late)


def confirmation(life: Life, day: date, dose: date) -> None:
    """The dosing visit is booked, and the investigator confirms eligibility."""
    booking(life, day, "V1", dose)
    life.happened("investigator", "eligibility-confirmed", life.at(day, "16:10"))


def enrolment(life: Life, day: date, number: str) -> None:
    """The participant takes a slot."""
    life.happened("investigator", "enrolled", life.at(day, "16:40"), {"number": number})


def up_to_enrolment(life: Life, person: Person, dose: date, number: str) -> None:
    """Everything from the referral to the enrolment, with a dose planned for a day."""
    screened = dose - timedelta(days=SCREENED_DAYS_BEFORE_DOSE)
    referral(life, screened - timedelta(days=16))
    prescreening(life, screened - timedelta(days=12))
    consent(life, screened)
    screening(life, person, screened)
    laboratory(life, person, screened)
    confirmation(life, dose - timedelta(days=6), dose)
    enrolment(life, dose - timedelta(days=5), number)


def dosing(life: Life, person: Person, day: date) -> None:
    """Day 0: what rests on that day is asked once more; the authorisation, the dose."""
    for statement in ASKED_ON_DAY_0:
        if person.sex == "female" or statement not in OF_WOMEN:
            data = {"statement": statement, "answer": False}
            life.happened("investigator", "attested", life.at(day, "08:30"), data)
    if person.may_conceive:
        _observed(life, day, "hcg-urine", interpretation="negative", clock="08:40")
    life.happened("investigator", "dose-authorised", life.at(day, "09:30"))
    dose = life.demo.protocol.dose
    given = {
        "product": dose.product,
        "amount": "1" if dose.amount is None else str(dose.amount),
        "unit": dose.unit or "1",
        "route": dose.route,
        "lot": f"LOT-{life.name}",
        "started_at": life.at(day, "10:10").isoformat(),
        "ended_at": life.at(day, "10:25").isoformat(),
    }
    life.happened("investigator", "dosed", life.at(day, "10:10"), given)
    held(life, person, "V1", day, clock="14:45")
    sample = {"sample": f"{life.name}-S1", "type": "serum", "visit": "V1", "volume_ml": "8.5"}
    life.happened("coordinator", "sample-collected", life.at(day, "09:50"), sample)


def follow_up(
    life: Life,
    person: Person,
    dose: date,
    *,
    until: date | None = None,
    shifts: dict[str, int] | None = None,
    missed: frozenset[str] = frozenset(),
) -> None:
    """The visits after the dose, up to a day (yesterday); `shifts` moves some off their day."""
    last = min(until or life.today, life.today - timedelta(days=1))
    for visit in life.demo.protocol.calendar:
        if visit.kind not in ("follow-up", "end") or visit.day is None:
            continue
        day = dose + timedelta(days=visit.day + (shifts or {}).get(visit.code, 0))
        if day > last:
            if until is None:
                booking(life, life.today - timedelta(days=1), visit.code, day)
            return
        if visit.code in missed:
            data = {"visit": visit.code, "cause": "travel"}
            life.happened("coordinator", "visit-missed", life.at(day, "17:00"), data)
        else:
            held(life, person, visit.code, day)


def booking(life: Life, day: date, code: str, planned: date) -> None:
    """A visit is booked."""
    data = {"visit": code, "at": life.at(planned, "09:00").isoformat()}
    life.happened("coordinator", "visit-booked", life.at(day, "15:20"), data)


def held(life: Life, person: Person, code: str, day: date, *, clock: str = "11:30") -> None:
    """A visit is held with everything that the protocol asks for."""
    visit = life.demo.protocol.visits_by_code[code]
    mode = visit.mode or "in-person"
    data = {"visit": code, "mode": mode, "procedures": _procedures(life, person, visit, mode)}
    life.happened("coordinator", "visit-completed", life.at(day, clock), data)


def _procedures(life: Life, person: Person, visit: Visit, mode: str) -> list[dict[str, Any]]:
    known = life.demo.protocol.procedures
    asked = [
        code
        for code in visit.procedures
        if not known[code].optional
        and (not known[code].modes or mode in known[code].modes)
        and (not known[code].sexes or person.sex in known[code].sexes)
        and (not known[code].childbearing_only or person.may_conceive)
    ]
    return [{"code": code, "done": True} for code in asked]


def _observed(
    life: Life,
    day: date,
    code: str,
    *,
    late: timedelta = timedelta(minutes=20),
    clock: str = "10:15",
    **data: Any,
) -> None:
    life.happened(
        "coordinator",
        "observation-recorded",
        life.at(day, clock),
        {"code": code, **data},
        late=late,
    )


def _scores(life: Life, day: date) -> None:
    words = life.demo.protocol.dictionary
    for code, present in {"sledai-2k": ACTIVE, **CLASSIFIED}.items():
        components = {
            item: "present" if item in present else "absent" for item in words[code].items
        }
        _observed(life, day, code, components=components)


def _medication(life: Life, day: date) -> None:
    antimalarial = {
        "medication": "M1",
        "name": "hydroxychloroquine",
        "classes": ["antimalarial"],
        "indication": "SLE",
        "dose": "200",
        "unit": "mg",
        "per": "d",
        "route": "oral",
        "started_on": str(day.year - 3),
    }
    steroid = {
        "medication": "M2",
        "name": "prednisone",
        "classes": ["corticosteroid"],
        "indication": "SLE",
        "dose": "5",
        "unit": "mg",
        "per": "d",
        "route": "oral",
        "started_on": f"{day.year - 1}-03",
    }
    history = {
        "item": "H1",
        "category": "non-sle-disease",
        "term": "Hypothyroidism",
        "started_on": str(day.year - 8),
        "status": "ongoing",
    }
    life.happened("coordinator", "medication-recorded", day, antimalarial)
    life.happened("coordinator", "medication-recorded", day, steroid)
    life.happened("coordinator", "history-recorded", day, history)
