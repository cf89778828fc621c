"""Each jurisdiction's own clocks as protocol data: where they start, how they count and end."""

from typing import Any

import pytest

from domain.journey.safety import runs_of
from domain.safety.clocks import Run
from domain.time import When
from tests.specs import Said, Study, assessed, event, given, protocol_but, report, treated, update

SITE = "site-to-sponsor"
SUSAR = {"causality": "possible", "expected": False}
SERIOUS = {"seriousness": ["hospitalisation"], **SUSAR}
FATAL = {"outcome": "fatal", "seriousness": ["death"], **SUSAR}
LIFE = "fatal-or-life-threatening"
OTHER = "suspected-unexpected-serious"

EU_41 = "Regulation (EU) 536/2014, article 41(2)"
EU_42 = "Regulation (EU) 536/2014, article 42(2)"
US_32 = "21 CFR 312.32(c)"
US_64 = "21 CFR 312.64(b)"
UK_5 = "SI 2004/1031, part 5: days beginning with the day after awareness"


def duty(name: str, starts: str, trigger: str, regulation: str, **data: Any) -> dict[str, Any]:
    """A clock as a protocol says it."""
    said = {"clock": name, "starts": starts, "trigger": trigger, "regulation": regulation}
    return {**said, "recipient": "authority", **data}


CLOCKS = (
    duty(SITE, "site-awareness", "serious", f"{EU_41}; {US_64}", hours=24),
    duty("us-7", "sponsor-receipt", LIFE, f"{US_32}(2)", days=7, jurisdiction="US"),
    duty("us-15", "sponsor-judgement", OTHER, f"{US_32}(1)", days=15, jurisdiction="US"),
    duty(
        "eu-7", "sponsor-receipt", LIFE, f"{EU_42}(a)", days=7,
        jurisdiction="EU", timezone="Europe/Amsterdam",
    ),
    duty(
        "eu-7-complete", "report", LIFE, f"{EU_42}(a)", days=8, after="eu-7",
        jurisdiction="EU", timezone="Europe/Amsterdam",
    ),
    duty(
        "eu-15", "sponsor-receipt", OTHER, f"{EU_42}(b)", days=15,
        jurisdiction="EU", timezone="Europe/Amsterdam",
    ),
    duty(
        "gb-7", "sponsor-receipt", LIFE, UK_5, days=7,
        jurisdiction="GB", timezone="Europe/London",
    ),
    duty(
        "counting-from-1", "sponsor-receipt", LIFE, "a rule that counts the day of the start",
        days=7, first_day=1, timezone="Asia/Tokyo",
    ),
)  # fmt: skip


def runs(*saids: Said) -> dict[tuple[str, int], Run]:
    """Runs by clock and occasion."""
    study = Study(
        protocol_but(
            clocks=CLOCKS, assumptions={}, settings={"sponsor_timezone": "America/New_York"}
        )
    )
    given(*treated, *saids, study=study)
    return {(run.clock, run.occasion): run for run in runs_of(study.trial, study.participant())}


def due(found: dict[tuple[str, int], Run], clock: str, occasion: int = 1) -> str:
    return found[clock, occasion].due_at.isoformat()


# --- where and how days are counted ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "regulation", "clock", "known", "due_at"),
    [
        # known at 18:30 in New York, already the next day in Europe and Japan
        ("US, own day", US_32, "us-7", "2026-12-10T18:30:00-05:00", "2026-12-17T23:59:59-05:00"),
        ("EU, next day", EU_42, "eu-7", "2026-12-10T18:30:00-05:00", "2026-12-18T23:59:59+01:00"),
        ("GB, same day", UK_5, "gb-7", "2026-12-10T18:30:00-05:00", "2026-12-17T23:59:59+00:00"),
        ("GB, next day", UK_5, "gb-7", "2026-12-10T19:00:00-05:00", "2026-12-18T23:59:59+00:00"),
        (
            "the day of the start is day 1",
            "-",
            "counting-from-1",
            "2026-12-10T18:30:00-05:00",
            "2026-12-17T23:59:59+09:00",
        ),
        # month ends and leap days
        ("28 January", US_32, "us-7", "2027-01-28T12:00:00-05:00", "2027-02-04T23:59:59-05:00"),
        ("leap day", US_32, "us-7", "2028-02-22T12:00:00-05:00", "2028-02-29T23:59:59-05:00"),
        ("past it", EU_42, "eu-7", "2028-02-23T12:00:00-05:00", "2028-03-01T23:59:59+01:00"),
        ("no leap", US_32, "us-7", "2027-02-22T12:00:00-05:00", "2027-03-01T23:59:59-05:00"),
        ("year end", EU_42, "eu-7", "2026-12-28T12:00:00-05:00", "2027-01-04T23:59:59+01:00"),
        # daylight saving begins on 14 March in New York and on 28 March in Europe
        ("US spring", US_32, "us-7", "2027-03-10T12:00:00-05:00", "2027-03-17T23:59:59-04:00"),
        ("not EU yet", EU_42, "eu-7", "2027-03-10T12:00:00-05:00", "2027-03-17T23:59:59+01:00"),
        ("EU spring", EU_42, "eu-7", "2027-03-24T12:00:00-04:00", "2027-03-31T23:59:59+02:00"),
        ("EU autumn", EU_42, "eu-7", "2027-10-29T12:00:00-04:00", "2027-11-05T23:59:59+01:00"),
        # 23:59 at the site
        ("US 23:59", US_32, "us-7", "2026-12-10T23:59:00-05:00", "2026-12-17T23:59:59-05:00"),
        ("EU 23:59", EU_42, "eu-7", "2026-12-10T23:59:00-05:00", "2026-12-18T23:59:59+01:00"),
    ],
)
def test_days_end_where_the_clock_counts_them(
    what: str, regulation: str, clock: str, known: str, due_at: str
) -> None:
    found = runs(event("AE-1", known, onset="2026-12-08", **FATAL))
    assert due(found, clock) == due_at, (what, regulation)


def test_the_sites_24_hours_are_hours_across_a_change_of_the_clocks() -> None:
    """Regulation (EU) 536/2014, article 41(2)."""
    found = runs(event("AE-1", "2027-03-13T23:59:00-05:00", onset="2026-12-08", **SERIOUS))
    assert due(found, SITE) == "2027-03-15T00:59:00-04:00"


# --- two starts -----------------------------------------------------------------------------------

KNOWN = event("AE-1", "2026-12-10T15:00:00-05:00", **SERIOUS)
SENT = report("AE-1", SITE, "2026-12-11T09:00:00-05:00")
JUDGED = assessed("AE-1", "2026-12-13T10:00:00-05:00", "sponsor", "possible")


@pytest.mark.parametrize(
    ("what", "saids", "us", "eu"),
    [
        ("known to the site", [KNOWN], "2026-12-25", "2026-12-25"),
        ("the sponsor has it", [KNOWN, SENT], "2026-12-26", "2026-12-26"),
        ("the sponsor judged it", [KNOWN, SENT, JUDGED], "2026-12-28", "2026-12-26"),
    ],
)
def test_fifteen_days_count_from_the_judgement_in_one_place_and_from_receipt_in_another(
    what: str, saids: list[Said], us: str, eu: str
) -> None:
    """21 CFR 312.32(c)(1): after the sponsor determines that it qualifies; article 42: receipt."""
    found = runs(*saids)
    assert (due(found, "us-15")[:10], due(found, "eu-15")[:10]) == (us, eu), what


def test_a_judgement_that_it_does_not_qualify_starts_nothing_new() -> None:
    expected = assessed("AE-1", "2026-12-13T10:00:00-05:00", "sponsor", "possible", expected=True)
    found = runs(KNOWN, SENT, expected)
    assert due(found, "us-15")[:10] == "2026-12-26"
    moment = When.parse("2026-12-14T00:00:00Z").earliest()
    assert found["us-15", 1].status(moment) == "closed"


def test_the_complete_report_is_due_eight_days_after_the_first_one_was_sent() -> None:
    """Regulation (EU) 536/2014, article 42(2)(a): followed by a complete report within 8 days."""
    fatal = event("AE-1", "2026-12-10T15:00:00-05:00", **FATAL)
    assert ("eu-7-complete", 1) not in runs(fatal)
    first = report("AE-1", "eu-7", "2026-12-15T10:00:00-05:00", "authority")
    found = runs(fatal, first)
    assert due(found, "eu-7-complete") == "2026-12-23T23:59:59+01:00"
    complete = report("AE-1", "eu-7-complete", "2026-12-24T00:30:00+01:00", "authority")
    run = runs(fatal, first, complete)["eu-7-complete", 1]
    assert run.late_by is not None
    assert run.late_by.total_seconds() == 30 * 60 + 1


@pytest.mark.parametrize(
    ("clock", "upgraded", "due_at"),
    [
        ("us-7", "2026-12-25T18:00:00-05:00", "2027-01-01T23:59:59-05:00"),
        ("eu-7", "2026-12-25T17:59:00-05:00", "2027-01-01T23:59:59+01:00"),
        ("eu-7", "2026-12-25T18:00:00-05:00", "2027-01-02T23:59:59+01:00"),
        ("gb-7", "2026-12-25T23:59:00-05:00", "2027-01-02T23:59:59+00:00"),
    ],
)
def test_fatal_on_the_last_of_the_fifteen_days_starts_seven_of_its_own(
    clock: str, upgraded: str, due_at: str
) -> None:
    """Article 42(2)(c) and its like: a new limit from the new knowledge; the old one runs on."""
    found = runs(KNOWN, update("AE-1", upgraded, outcome="fatal"))
    assert due(found, clock) == due_at
    assert due(found, "us-15") == "2026-12-25T23:59:59-05:00"
    assert found["us-15", 1].closed_at is None


def test_a_clock_says_whose_rule_it_is() -> None:
    found = runs(event("AE-1", "2026-12-10T15:00:00-05:00", **FATAL))
    assert {run.clock: run.jurisdiction for run in found.values()} == {
        SITE: None,
        "us-7": "US",
        "eu-7": "EU",
        "gb-7": "GB",
        "counting-from-1": None,
    }
