"""Reporting clocks. Each table names the regulation that it encodes."""

from typing import Any

import pytest

from domain.journey.safety import runs_of
from domain.safety.clocks import Run
from domain.time import When
from tests.specs import (
    Said,
    Study,
    assessed,
    cleared,
    concluded,
    deviation,
    event,
    given,
    protocol_but,
    report,
    said,
    treated,
    update,
)

AWARE = "2026-12-10T15:00:00-05:00"
SERIOUS = {"seriousness": ["hospitalisation"]}
FATAL = {"outcome": "fatal", "seriousness": ["death"]}
HARMLESS = {"causality": "unrelated"}
SUSAR = {"causality": "possible", "expected": False}
SITE, SEVEN, FIFTEEN = "site-to-sponsor", "sponsor-7-day", "sponsor-15-day"


def told(*saids: Said, zone: str = "America/New_York") -> Study:
    study = Study(protocol_but(settings={"sponsor_timezone": zone}))
    given(*treated, *saids, study=study)
    return study


def runs(*saids: Said, zone: str = "America/New_York") -> list[Run]:
    study = told(*saids, zone=zone)
    return list(runs_of(study.trial, study.participant()))


def shown(found: list[Run], on: str = "2027-06-01T00:00:00Z") -> list[tuple[str, int, str]]:
    moment = When.parse(on).earliest()
    return [(run.clock, run.occasion, run.status(moment)) for run in found]


def due(found: list[Run], clock: str, occasion: int = 1) -> str:
    (run,) = [one for one in found if (one.clock, one.occasion) == (clock, occasion)]
    return run.due_at.isoformat()


# --- which clocks start ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "clocks"),
    [
        ({}, []),
        ({"grade": 4}, []),
        ({**SERIOUS, **HARMLESS}, [SITE]),
        ({**SERIOUS, "causality": "possible", "expected": True}, [SITE]),
        ({**SERIOUS, **SUSAR}, [SITE, FIFTEEN]),
        ({**SERIOUS, "causality": "possible"}, [SITE, FIFTEEN]),
        ({**SERIOUS}, [SITE, FIFTEEN]),
        ({**FATAL, **SUSAR}, [SITE, SEVEN]),
        ({"seriousness": ["life-threatening"], **SUSAR}, [SITE, SEVEN]),
        ({**FATAL, **HARMLESS}, [SITE]),
        ({"grade": 4, "serious": False, **SUSAR}, []),
    ],
    ids=str,
)
def test_clocks_start_for_what_the_protocol_says(data: dict[str, Any], clocks: list[str]) -> None:
    found = runs(event("AE-1", AWARE, **data))
    assert [run.clock for run in found] == clocks


# --- when they are due ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "aware", "due_at"),
    [
        ("a day later", "2026-12-10T15:00:00-05:00", "2026-12-11T15:00:00-05:00"),
        ("over a month's end", "2026-12-31T22:30:00-05:00", "2027-01-01T22:30:00-05:00"),
        ("over a leap day", "2028-02-28T09:00:00-05:00", "2028-02-29T09:00:00-05:00"),
        ("at 23:59 at the site", "2026-12-10T23:59:00-05:00", "2026-12-11T23:59:00-05:00"),
        (
            "24 hours, an hour less on the wall",
            "2026-10-31T12:00:00-04:00",
            "2026-11-01T11:00:00-05:00",
        ),
        (
            "24 hours, an hour more on the wall",
            "2027-03-13T12:00:00-05:00",
            "2027-03-14T13:00:00-04:00",
        ),
        ("told in another offset", "2026-12-10T20:00:00Z", "2026-12-11T15:00:00-05:00"),
    ],
)
def test_the_site_reports_within_24_hours_of_knowing(what: str, aware: str, due_at: str) -> None:
    """Regulation (EU) 536/2014, article 41(2)."""
    found = runs(event("AE-1", aware, onset="2026-10-01", **SERIOUS, **HARMLESS))
    assert due(found, SITE) == due_at, what


@pytest.mark.parametrize(
    ("what", "clock", "received", "due_at"),
    [
        ("15 days", FIFTEEN, "2026-12-10T15:00:00-05:00", "2026-12-25T23:59:59-05:00"),
        ("7 days", SEVEN, "2026-12-10T15:00:00-05:00", "2026-12-17T23:59:59-05:00"),
        ("over a leap day", FIFTEEN, "2028-02-20T12:00:00-05:00", "2028-03-06T23:59:59-05:00"),
        ("over a month's end", SEVEN, "2027-01-28T12:00:00-05:00", "2027-02-04T23:59:59-05:00"),
        ("into daylight saving", FIFTEEN, "2027-03-05T12:00:00-05:00", "2027-03-20T23:59:59-04:00"),
        ("out of daylight saving", SEVEN, "2026-10-28T12:00:00-04:00", "2026-11-04T23:59:59-05:00"),
        (
            "23:59 is still that day",
            SEVEN,
            "2026-12-10T23:59:59-05:00",
            "2026-12-17T23:59:59-05:00",
        ),
        ("midnight is the next", SEVEN, "2026-12-11T00:00:00-05:00", "2026-12-18T23:59:59-05:00"),
    ],
)
def test_the_sponsor_reports_by_the_end_of_the_day_counted_from_receipt(
    what: str, clock: str, received: str, due_at: str
) -> None:
    """21 CFR 312.32(c)(1) and (c)(2); Regulation (EU) 536/2014, article 42(2)(a) and (b)."""
    data = FATAL if clock == SEVEN else SERIOUS
    found = runs(event("AE-1", received, onset="2026-12-07", **data, **SUSAR))
    assert due(found, clock) == due_at, what


@pytest.mark.parametrize(
    ("zone", "due_at"),
    [
        ("America/New_York", "2026-12-17T23:59:59-05:00"),
        ("Europe/Berlin", "2026-12-18T23:59:59+01:00"),
        ("Asia/Tokyo", "2026-12-18T23:59:59+09:00"),
        ("Pacific/Honolulu", "2026-12-17T23:59:59-10:00"),
    ],
)
def test_the_sponsors_day_is_the_day_in_the_sponsors_zone(zone: str, due_at: str) -> None:
    found = runs(event("AE-1", "2026-12-10T18:30:00-05:00", **FATAL, **SUSAR), zone=zone)
    assert due(found, SEVEN) == due_at


def test_the_sponsors_clock_counts_from_the_sites_report_once_there_is_one() -> None:
    reported = event("AE-1", AWARE, **SERIOUS, **SUSAR)
    sent = report("AE-1", SITE, "2026-12-11T14:00:00-05:00")
    before, after = runs(reported), runs(reported, sent)
    assert due(before, FIFTEEN) == "2026-12-25T23:59:59-05:00"
    assert due(after, FIFTEEN) == "2026-12-26T23:59:59-05:00"
    study = told(reported)
    given(study=study).when(sent).then(
        sent,
        concluded("safety-clock-met", clock=SITE, late=False),
        concluded("safety-clock-started", clock=FIFTEEN, due_at="2026-12-26T23:59:59-05:00"),
    )


def test_after_an_upgrade_the_sponsors_clock_counts_from_the_report_of_it() -> None:
    found = runs(
        event("AE-1", AWARE, **SERIOUS, **SUSAR),
        report("AE-1", SITE, "2026-12-10T18:00:00-05:00"),
        update("AE-1", "2026-12-14T09:00:00-05:00", **FATAL),
        report("AE-1", SITE, "2026-12-15T08:00:00-05:00"),
    )
    assert due(found, SEVEN) == "2026-12-22T23:59:59-05:00"
    assert due(found, FIFTEEN) == "2026-12-25T23:59:59-05:00"


# --- how they end ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "late"),
    [
        ("2026-12-10T15:00:00-05:00", False),
        ("2026-12-11T14:59:59-05:00", False),
        ("2026-12-11T15:00:00-05:00", False),
        ("2026-12-11T15:00:01-05:00", True),
        ("2026-12-13T09:00:00-05:00", True),
    ],
)
def test_a_report_meets_its_clock_and_a_late_one_is_a_deviation(sent: str, late: bool) -> None:
    study = told(event("AE-1", AWARE, **SERIOUS, **HARMLESS))
    recorded = study.post(report("AE-1", SITE, sent))
    met = concluded("safety-clock-met", clock=SITE, late=late, met_at=sent)
    assert any(met.matches(one, study) for one in recorded)
    departs = deviation("safety-reporting-late", rule="safety-report-late", importance="important")
    assert any(departs.matches(one, study) for one in recorded) is late
    (run,) = runs_of(study.trial, study.participant())
    assert run.status(study.clock) == "met"
    assert (run.late_by is not None) is late


@pytest.mark.parametrize(
    ("sent", "late"),
    [("2026-12-25T23:59:59.999999-05:00", False), ("2026-12-26T00:00:00-05:00", True)],
)
def test_a_day_is_over_at_its_last_moment(sent: str, late: bool) -> None:
    found = runs(event("AE-1", AWARE, **SERIOUS, **SUSAR), report("AE-1", FIFTEEN, sent))
    (run,) = [one for one in found if one.clock == FIFTEEN]
    assert (run.late_by is not None) is late


def test_a_breach_is_concluded_at_the_moment_the_limit_passes() -> None:
    study = told(event("AE-1", AWARE, **SERIOUS, **HARMLESS))
    breached = concluded("safety-clock-breached", ae="AE-1", clock=SITE)
    unsent = deviation("safety-reporting-late", subject="AE-1 site-to-sponsor 1")
    before = study.tick("2026-12-11T20:00:00Z")
    assert not any(breached.matches(one, study) for one in before)
    after = study.tick("2026-12-11T20:00:01Z")
    assert any(breached.matches(one, study) for one in after)
    assert any(unsent.matches(one, study) for one in after)
    assert study.tick("2026-12-11T20:05:00Z") == ()
    late = report("AE-1", SITE, "2026-12-11T16:00:00-05:00")
    given(study=study).when(late).then(
        late, concluded("safety-clock-met", late=True), deviation("safety-reporting-late")
    )


def test_what_arrives_when_the_limit_has_passed_starts_and_breaches_at_once() -> None:
    study = told()
    late = event("AE-1", AWARE, **SERIOUS, **HARMLESS)
    recorded = study.post(late, now=When.parse("2026-12-14T00:00:00Z").earliest())
    types = [one.type for one in recorded if one.type.startswith("safety-clock")]
    assert types == ["safety-clock-started", "safety-clock-breached"]


def test_a_report_of_another_event_or_clock_meets_nothing() -> None:
    reported = event("AE-1", AWARE, **SERIOUS, **HARMLESS)
    for other in (report("AE-2", SITE, AWARE), report("AE-1", "irb", AWARE)):
        assert shown(runs(reported, other)) == [(SITE, 1, "breached")]


# --- upgrades and downgrades ----------------------------------------------------------------------


def test_an_upgrade_to_serious_counts_from_its_own_awareness() -> None:
    worse = update(
        "AE-1", "2026-12-14T09:00:00-05:00", aware_at="2026-12-13T20:00:00-05:00", **SERIOUS
    )
    found = runs(event("AE-1", AWARE, **HARMLESS), worse)
    assert due(found, SITE) == "2026-12-14T20:00:00-05:00"
    without = update("AE-1", "2026-12-14T09:00:00-05:00", **SERIOUS)
    assert due(runs(event("AE-1", AWARE, **HARMLESS), without), SITE) == "2026-12-15T09:00:00-05:00"


def test_an_upgrade_to_fatal_on_the_last_day_starts_its_own_clocks_and_stops_none() -> None:
    """Regulation (EU) 536/2014, article 42(2)(c): the new limit counts from the new knowledge."""
    found = runs(
        event("AE-1", AWARE, **SERIOUS, **SUSAR),
        update("AE-1", "2026-12-25T18:00:00-05:00", **FATAL),
    )
    assert {(run.clock, run.occasion): run.due_at.isoformat() for run in found} == {
        (SITE, 1): "2026-12-11T15:00:00-05:00",
        (SITE, 2): "2026-12-26T18:00:00-05:00",
        (SEVEN, 1): "2027-01-01T23:59:59-05:00",
        (FIFTEEN, 1): "2026-12-25T23:59:59-05:00",
    }


def test_a_report_sent_before_an_upgrade_does_not_meet_the_clock_that_it_starts() -> None:
    found = runs(
        event("AE-1", AWARE, **SERIOUS, **HARMLESS),
        report("AE-1", SITE, "2026-12-10T18:00:00-05:00"),
        update("AE-1", "2026-12-12T09:00:00-05:00", **FATAL),
    )
    assert shown(found) == [(SITE, 1, "met"), (SITE, 2, "breached")]
    again = report("AE-1", SITE, "2026-12-12T12:00:00-05:00")
    found = runs(
        event("AE-1", AWARE, **SERIOUS, **HARMLESS),
        report("AE-1", SITE, "2026-12-10T18:00:00-05:00"),
        update("AE-1", "2026-12-12T09:00:00-05:00", **FATAL),
        again,
    )
    assert shown(found) == [(SITE, 1, "met"), (SITE, 2, "met")]


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (update("AE-1", "2026-12-11", seriousness=[]), "no longer serious"),
        (
            assessed("AE-1", "2026-12-11", "sponsor", "possible", expected=True),
            "judged to be expected",
        ),
        (
            assessed("AE-1", "2026-12-11", "investigator", "unrelated"),
            "no longer suspected to be caused by the product",
        ),
    ],
)
def test_a_downgrade_closes_the_sponsors_clock_with_its_reason(change: Said, because: str) -> None:
    study = told(event("AE-1", AWARE, **SERIOUS, **SUSAR))
    recorded = study.post(change)
    closed = concluded("safety-clock-closed", clock=FIFTEEN, because=because)
    assert any(closed.matches(one, study) for one in recorded)
    again = [
        one for one in recorded if cleared(concluded("safety-clock-started")).matches(one, study)
    ]
    assert again == []


def test_the_sponsors_doubt_alone_closes_nothing() -> None:
    found = runs(
        event("AE-1", AWARE, **SERIOUS, **SUSAR),
        assessed("AE-1", "2026-12-11", "sponsor", "unrelated"),
    )
    assert shown(found, "2026-12-12T00:00:00Z") == [(SITE, 1, "breached"), (FIFTEEN, 1, "running")]


def test_the_sponsors_suspicion_alone_starts_its_clock_when_it_arises() -> None:
    found = runs(
        event("AE-1", AWARE, **SERIOUS, **HARMLESS),
        report("AE-1", SITE, "2026-12-10T18:00:00-05:00"),
        assessed("AE-1", "2026-12-20T10:00:00-05:00", "sponsor", "possible"),
        report("AE-1", SITE, "2026-12-22T10:00:00-05:00"),
    )
    assert due(found, FIFTEEN) == "2027-01-04T23:59:59-05:00"


def test_a_duty_that_fell_away_in_time_is_closed_and_after_its_breach_stays_breached() -> None:
    reported = event("AE-1", AWARE, **SERIOUS, **HARMLESS)
    for at, state in (
        ("2026-12-11T14:00:00-05:00", "closed"),
        ("2026-12-11T16:00:00-05:00", "breached"),
    ):
        found = runs(reported, update("AE-1", at, seriousness=[]))
        assert shown(found) == [(SITE, 1, state)]


def test_serious_twice_is_two_starts() -> None:
    found = runs(
        event("AE-1", AWARE, **SERIOUS, **HARMLESS),
        update("AE-1", "2026-12-10T20:00:00-05:00", seriousness=[]),
        update("AE-1", "2026-12-13T20:00:00-05:00", seriousness=["disability"]),
    )
    assert shown(found, "2026-12-14T12:00:00Z") == [(SITE, 1, "closed"), (SITE, 2, "running")]


def test_no_longer_fatal_leaves_the_fifteen_days_from_the_first_receipt() -> None:
    found = runs(
        event("AE-1", AWARE, seriousness=["life-threatening"], **SUSAR),
        update("AE-1", "2026-12-14T09:00:00-05:00", seriousness=["hospitalisation"]),
    )
    assert shown(found, "2026-12-14T18:00:00Z") == [
        (SITE, 1, "breached"),
        (SEVEN, 1, "closed"),
        (FIFTEEN, 1, "running"),
    ]
    assert due(found, FIFTEEN) == "2026-12-25T23:59:59-05:00"


# --- corrections ----------------------------------------------------------------------------------


def test_a_retracted_event_closes_its_clocks_and_the_log_keeps_them() -> None:
    study = told(event("AE-1", AWARE, **SERIOUS, **SUSAR))
    mistaken = said(
        "retracted",
        "2026-12-10T16:00:00-05:00",
        position=study.position(event("AE-1", AWARE, **SERIOUS, **SUSAR)),
    )
    because = "a correction took back what it rested on"
    given(study=study).when(mistaken).then(
        mistaken,
        cleared(concluded("serious-adverse-event-identified")),
        concluded("safety-clock-closed", clock=SITE, because=because),
        concluded("safety-clock-closed", clock=FIFTEEN, because=because),
        concluded("slot-taken"),
    )
    assert study.tick("2026-12-10T23:00:00Z") == ()
    assert runs_of(study.trial, study.participant()) == ()


def test_a_corrected_awareness_moves_the_limit() -> None:
    reported = event("AE-1", AWARE, **SERIOUS, **HARMLESS)
    study = told(reported)
    data = {
        **reported.body.model_dump(mode="json", exclude_none=True),
        "aware_at": "2026-12-10T12:00:00-05:00",
    }
    fix = said(
        "corrected", "2026-12-10T17:00:00-05:00", position=study.position(reported), data=data
    )
    given(study=study).when(fix).then(
        fix,
        concluded("safety-clock-started", clock=SITE, due_at="2026-12-11T12:00:00-05:00"),
    )
