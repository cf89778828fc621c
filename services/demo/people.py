"""The cohort: ten enrolled participants, as many as the study takes, and seven who are not."""

from datetime import date, datetime, timedelta
from typing import Any

from services.demo import chapters
from services.demo.acts import Demo, Life
from services.demo.chapters import Person
from services.roles import Role

HOURS_LATE = timedelta(hours=2)


def lives(demo: Demo) -> list[Life]:
    """Everybody's life; together they are in every stage of the journey."""
    told = []
    for name, (site, tell) in _COHORT.items():
        life = Life(demo, name, site)
        tell(life)
        told.append(life)
    return told


# --- enrolled -------------------------------------------------------------------------------------


def _completed(life: Life) -> None:
    """Dosed first, through all visits to the end; a slip of the pen was corrected."""
    person, dose = Person("female", 1988), life.day(240)
    chapters.up_to_enrolment(life, person, dose, "R01")
    chapters.dosing(life, person, dose)
    chapters.follow_up(life, person, dose, until=dose + timedelta(days=chapters.LAST_DAY))
    event = _adverse_event(life, "AE-1", "Headache", dose + timedelta(days=4), causality="unlikely")
    _update(life, event, dose + timedelta(days=14), outcome="recovered", days_to_end=3)
    weighed = {"code": "weight", "value": "64", "unit": "kg"}
    visit = dose + timedelta(days=14)
    slip = life.happened(
        "coordinator",
        "observation-recorded",
        life.at(visit, "11:40"),
        {**weighed, "value": "46"},
    )
    life.happened(
        "data-manager",
        "corrected",
        life.at(visit + timedelta(days=2), "13:00"),
        {"data": weighed},
        reason="The digits were transposed in the source worksheet.",
        corrects=slip,
    )
    end = dose + timedelta(days=chapters.LAST_DAY + 2)
    life.happened("investigator", "completed", life.at(end, "12:00"))


def _deceased(life: Life) -> None:
    """Died in an accident that had nothing to do with the product."""
    person, dose = Person("male", 1969), life.day(222)
    chapters.up_to_enrolment(life, person, dose, "R02")
    chapters.dosing(life, person, dose)
    died = dose + timedelta(days=75)
    chapters.follow_up(life, person, dose, until=died - timedelta(days=1))
    told = life.at(died + timedelta(days=1), "09:10")
    data = {
        "ae": "AE-1",
        "term": "Road traffic accident",
        "onset": died.isoformat(),
        "end": died.isoformat(),
        "aware_at": told.isoformat(),
        "grade": 5,
        "serious": True,
        "seriousness": ["death"],
        "causality": "unrelated",
        "expected": False,
        "outcome": "fatal",
    }
    life.happened("investigator", "adverse-event-reported", told, data)
    life.happened("investigator", "died", died, {"on": died.isoformat()}, late=timedelta(days=1))
    _submitted(life, "AE-1", "site-to-sponsor", "sponsor", told, timedelta(hours=5))


def _withdrawn(life: Life) -> None:
    """Withdrew consent to treatment and visits; one serious event was not flagged as such."""
    person, dose = Person("female", 1975), life.day(203)
    chapters.up_to_enrolment(life, person, dose, "R03")
    chapters.dosing(life, person, dose)
    left = dose + timedelta(days=90)
    chapters.follow_up(life, person, dose, until=left - timedelta(days=1))
    onset = dose + timedelta(days=47)
    _adverse_event(
        life,
        "AE-1",
        "Gastroenteritis",
        onset,
        grade=3,
        serious=False,
        seriousness=["hospitalisation"],
    )
    _update(life, "AE-1", onset + timedelta(days=12), outcome="recovered", days_to_end=6)
    aware = life.at(onset + timedelta(days=1), "08:30")
    _submitted(life, "AE-1", "site-to-sponsor", "sponsor", aware, timedelta(days=3))
    data = {"scope": ["treatment", "visits"], "cause": "burden"}
    life.happened("coordinator", "consent-withdrawn", life.at(left, "11:00"), data)


def _lost(life: Life) -> None:
    """Did not come any more, and could not be reached."""
    person, dose = Person("male", 1983), life.day(176)
    chapters.up_to_enrolment(life, person, dose, "R04")
    chapters.dosing(life, person, dose)
    chapters.follow_up(
        life, person, dose, until=dose + timedelta(days=86), missed=frozenset({"V7"})
    )
    gone = life.at(dose + timedelta(days=130), "15:00")
    life.happened("investigator", "lost-to-follow-up", gone, {"attempts": 4})


def _discontinued(life: Life) -> None:
    """Left the study early because of an adverse event, with the visit for that."""
    person, dose = Person("female", 1991), life.day(150)
    chapters.up_to_enrolment(life, person, dose, "R05")
    chapters.dosing(life, person, dose)
    left = dose + timedelta(days=60)
    chapters.follow_up(life, person, dose, until=left - timedelta(days=1))
    _adverse_event(
        life,
        "AE-1",
        "Lupus nephritis flare",
        dose + timedelta(days=52),
        grade=3,
        causality="unlikely",
        outcome="recovering",
    )
    chapters.held(life, person, "ET", left)
    life.happened(
        "investigator", "discontinued", life.at(left, "12:30"), {"cause": "adverse-event"}
    )


def _serious(life: Life) -> None:
    """In follow-up after a serious, unexpected event that is suspected; reported in time."""
    person, dose = Person("female", 1994), life.day(121)
    chapters.up_to_enrolment(life, person, dose, "R06")
    chapters.dosing(life, person, dose)
    chapters.follow_up(life, person, dose)
    onset = dose + timedelta(days=18)
    event = _adverse_event(
        life,
        "AE-1",
        "Pneumonia",
        onset,
        grade=3,
        serious=True,
        seriousness=["hospitalisation"],
        causality="possible",
        expected=False,
        outcome="recovering",
    )
    aware = life.at(onset + timedelta(days=1), "08:30")
    _submitted(life, event, "site-to-sponsor", "sponsor", aware, timedelta(hours=9))
    _submitted(life, event, "sponsor-15-day", "authority", aware, timedelta(days=8))
    judged = {"ae": event, "by": "sponsor", "causality": "unlikely", "expected": False}
    day = life.at(onset + timedelta(days=3), "10:00")
    life.happened("sponsor", "adverse-event-assessed", day, judged)
    _update(life, event, onset + timedelta(days=24), outcome="recovered", days_to_end=16)


def _off_schedule(life: Life) -> None:
    """In follow-up, with one visit late and one missed, reported two weeks later."""
    person, dose = Person("male", 1978), life.day(97)
    chapters.up_to_enrolment(life, person, dose, "R07")
    chapters.dosing(life, person, dose)
    chapters.follow_up(life, person, dose, shifts={"V5": 5}, missed=frozenset({"V6"}))
    _adverse_event(life, "AE-1", "Injection site pain", dose, causality="definite", grade=1)
    late = {"code": "leukocytes", "value": "3.2", "unit": "10*3/uL"}
    drawn = life.at(dose + timedelta(days=7), "10:20")
    life.happened("coordinator", "observation-recorded", drawn, late, late=timedelta(days=15))


def _on_track(life: Life) -> None:
    """In follow-up, everything as planned."""
    person, dose = Person("female", 1985), life.day(58)
    chapters.up_to_enrolment(life, person, dose, "R08")
    chapters.dosing(life, person, dose)
    chapters.follow_up(life, person, dose)


def _urgent(life: Life) -> None:
    """Dosed lately; the site heard of a serious event this morning, and the clock runs."""
    person, dose = Person("female", 1990), life.day(20)
    chapters.up_to_enrolment(life, person, dose, "R09")
    chapters.dosing(life, person, dose)
    chapters.follow_up(life, person, dose)
    aware = life.demo.now - HOURS_LATE
    data = {
        "ae": "AE-1",
        "term": "Urinary tract infection",
        "onset": life.day(1).isoformat(),
        "aware_at": aware.astimezone(life.zone).isoformat(timespec="seconds"),
        "grade": 3,
        "serious": True,
        "seriousness": ["hospitalisation"],
        "causality": "unlikely",
        "expected": False,
        "outcome": "not-recovered",
    }
    heard = aware.astimezone(life.zone)
    life.happened("investigator", "adverse-event-reported", heard, data)


def _enrolled(life: Life) -> None:
    """Enrolled, with the dose booked for the days to come."""
    chapters.up_to_enrolment(life, Person("male", 1987), life.day(-4), "R10")


# --- not enrolled ---------------------------------------------------------------------------------


def _eligible(life: Life) -> None:
    """Confirmed, and waiting for a slot that is not free."""
    person, dose = Person("female", 1996), life.day(-6)
    screened = dose - timedelta(days=chapters.SCREENED_DAYS_BEFORE_DOSE)
    chapters.referral(life, screened - timedelta(days=9), "self")
    chapters.prescreening(life, screened - timedelta(days=6))
    chapters.consent(life, screened)
    chapters.screening(life, person, screened)
    chapters.laboratory(life, person, screened)
    chapters.confirmation(life, life.day(2), dose)


def _screening(life: Life) -> None:
    """In screening; the laboratory has not reported."""
    screened = life.day(3)
    chapters.referral(life, screened - timedelta(days=10), "registry")
    chapters.prescreening(life, screened - timedelta(days=8))
    chapters.consent(life, screened)
    chapters.screening(life, Person("female", 1982), screened)


def _consented(life: Life) -> None:
    """Signed the consent form; screening is to begin."""
    chapters.referral(life, life.day(12))
    chapters.prescreening(life, life.day(9))
    chapters.consent(life, life.day(1))
    chapters.booking(life, life.day(1), "V0", life.day(-2))


def _prescreening(life: Life) -> None:
    """Answered the first questions."""
    chapters.referral(life, life.day(6), "self")
    chapters.prescreening(life, life.day(2))


def _referred(life: Life) -> None:
    """Referred, not spoken to yet."""
    chapters.referral(life, life.day(1), "registry")


def _screen_failed(life: Life) -> None:
    """The kidneys work too little for the study."""
    person, screened = Person("male", 1961, creatinine="3.6"), life.day(47)
    chapters.referral(life, screened - timedelta(days=8))
    chapters.prescreening(life, screened - timedelta(days=5))
    chapters.consent(life, screened)
    chapters.screening(life, person, screened)
    chapters.laboratory(life, person, screened)
    failed = life.at(screened + timedelta(days=3), "10:00")
    life.happened("investigator", "screen-failed", failed, {"criteria": ["I4"]})


def _not_proceeding(life: Life) -> None:
    """Declined after the first questions."""
    chapters.referral(life, life.day(26), "self")
    chapters.prescreening(life, life.day(22), proceed=False)
    closed = life.at(life.day(21), "09:45")
    life.happened("coordinator", "referral-closed", closed, {"cause": "declined"})


# --- adverse events -------------------------------------------------------------------------------


def _adverse_event(life: Life, name: str, term: str, onset: date, **said: Any) -> str:
    """An event that the site hears of the morning after; not serious unless said otherwise."""
    aware = life.at(onset + timedelta(days=1), "08:30")
    data = {
        "ae": name,
        "term": term,
        "onset": onset.isoformat(),
        "aware_at": aware.isoformat(),
        "grade": 2,
        "serious": False,
        "causality": "unrelated",
        "outcome": "not-recovered",
        **said,
    }
    life.happened("investigator", "adverse-event-reported", aware, data)
    return name


def _update(life: Life, name: str, day: date, *, outcome: str, days_to_end: int) -> None:
    end = day - timedelta(days=days_to_end)
    data = {"ae": name, "outcome": outcome, "end": end.isoformat()}
    life.happened("investigator", "adverse-event-updated", life.at(day, "12:10"), data)


def _submitted(
    life: Life, ae: str, clock: str, recipient: str, since: datetime, after: timedelta
) -> None:
    moment = since + after
    data = {
        "ae": ae,
        "clock": clock,
        "recipient": recipient,
        "submitted_at": moment.isoformat(),
    }
    role: Role = "investigator" if recipient == "sponsor" else "safety-officer"
    life.happened(role, "safety-report-submitted", moment, data)


_COHORT = {
    "01-001": ("01", _completed),
    "02-001": ("02", _deceased),
    "01-002": ("01", _withdrawn),
    "02-002": ("02", _lost),
    "01-003": ("01", _discontinued),
    "02-003": ("02", _serious),
    "01-004": ("01", _off_schedule),
    "02-004": ("02", _on_track),
    "01-005": ("01", _urgent),
    "02-005": ("02", _enrolled),
    "01-006": ("01", _eligible),
    "02-006": ("02", _screening),
    "01-007": ("01", _consented),
    "02-007": ("02", _prescreening),
    "01-008": ("01", _referred),
    "02-008": ("02", _screen_failed),
    "01-009": ("01", _not_proceeding),
}
"""Participant -> site, and the life that is told."""
