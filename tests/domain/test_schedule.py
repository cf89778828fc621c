"""The calendar: targets, windows, anchors that move, states on any day, and the reason for each."""

from datetime import date, timedelta

import pytest

from domain.schedule import PlannedVisit, anchor_of, schedule, status
from domain.trial.protocol import Protocol
from tests.specs import (
    Said,
    Study,
    booked,
    consented,
    died,
    dosed,
    given,
    on_study,
    open_protocol,
    protocol_but,
    referred,
    said,
    screened,
    screening,
    screening_visit,
    treated,
    visit,
)


def planned(study: Study) -> dict[str, PlannedVisit]:
    """The first occurrence of each visit."""
    rows = schedule(study.trial, study.participant())
    return {row.visit: row for row in rows if row.occurrence == 1}


def rows_of(study: Study) -> tuple[PlannedVisit, ...]:
    return schedule(study.trial, study.participant())


def told(*saids: Said, protocol: Protocol | None = None) -> Study:
    study = Study(protocol or open_protocol())
    given(*saids, study=study)
    return study


def dates(row: PlannedVisit) -> tuple[str | None, str | None, str | None]:
    return tuple(  # type: ignore[return-value]
        day.isoformat() if day else None for day in (row.earliest, row.target, row.latest)
    )


def dosed_on(day: str) -> Study:
    return told(referred, consented, dosed.on(day))


# --- windows --------------------------------------------------------------------------------------

WORKED = """
V1   2026-12-07 2026-12-07 2026-12-07
V2   2026-12-08 2026-12-08 2026-12-08
V3   2026-12-09 2026-12-10 2026-12-11
V4   2026-12-12 2026-12-14 2026-12-16
V5   2026-12-18 2026-12-21 2026-12-24
V6   2027-01-01 2027-01-04 2027-01-07
V7   2027-01-25 2027-02-01 2027-02-08
V8   2027-02-22 2027-03-01 2027-03-08
V9   2027-03-22 2027-03-29 2027-04-05
V10  2027-04-19 2027-04-26 2027-05-03
V11  2027-05-17 2027-05-24 2027-05-31
"""


def test_the_worked_calendar_of_day_0_on_7_december_2026() -> None:
    rows = planned(told(*treated))
    expected = [line.split() for line in WORKED.strip().splitlines()]
    assert [[code, *dates(rows[code])] for code, *_ in expected] == expected


@pytest.mark.parametrize(
    ("what", "dose", "code", "earliest", "target", "latest"),
    [
        ("a leap day is a day", "2027-12-02", "V8", "2028-02-17", "2028-02-24", "2028-03-02"),
        ("on a leap day", "2028-02-29", "V6", "2028-03-25", "2028-03-28", "2028-03-31"),
        ("no leap day", "2027-02-14", "V5", "2027-02-25", "2027-02-28", "2027-03-03"),
        ("clocks go forward", "2027-03-07", "V4", "2027-03-12", "2027-03-14", "2027-03-16"),
        ("clocks go back", "2026-10-25", "V5", "2026-11-05", "2026-11-08", "2026-11-11"),
        ("over the year's end", "2026-12-31", "V2", "2027-01-01", "2027-01-01", "2027-01-01"),
        ("from a 31st", "2026-08-31", "V6", "2026-09-25", "2026-09-28", "2026-10-01"),
        ("at 23:59", "2026-12-07T23:59:00-05:00", "V2", "2026-12-08", "2026-12-08", "2026-12-08"),
        (
            "in another offset",
            "2026-12-08T04:30:00Z",
            "V2",
            "2026-12-08",
            "2026-12-08",
            "2026-12-08",
        ),
    ],
)
def test_windows_are_civil_days_at_the_site(
    what: str, dose: str, code: str, earliest: str, target: str, latest: str
) -> None:
    assert dates(planned(dosed_on(dose))[code]) == (earliest, target, latest), what


def test_before_the_dose_the_calendar_is_provisional_from_the_booked_day() -> None:
    study = told(*on_study, booked("V1", "2026-12-07T09:00:00-05:00"))
    rows = planned(study)
    anchor = anchor_of(study.trial, study.participant())
    assert anchor is not None
    assert (anchor.day, anchor.provisional) == (date(2026, 12, 7), True)
    assert dates(rows["V5"]) == ("2026-12-18", "2026-12-21", "2026-12-24")
    assert {status(row, date(2027, 6, 1)) for row in rows.values() if row.visit != "V0"} == {
        "provisional"
    }


def test_without_a_booking_there_are_no_dates() -> None:
    study = told(*on_study)
    assert anchor_of(study.trial, study.participant()) is None
    row = planned(study)["V5"]
    assert dates(row) == (None, None, None)
    assert row.why == "no date yet: there is no dose, and the dosing visit is not booked"


def test_the_dose_sets_the_calendar_whatever_was_booked() -> None:
    study = told(*on_study, booked("V1", "2026-12-01"), dosed)
    assert dates(planned(study)["V5"])[1] == "2026-12-21"


def test_each_date_says_why() -> None:
    study = told(*treated)
    rows, at = planned(study), study.position(dosed)
    assert rows["V5"].why == (
        f"day 14 = 14 days after dose on 2026-12-07, position {at}; "
        "window 3 days either side, protocol 2.0"
    )
    assert rows["V2"].why == (
        f"day 1 = 1 day after dose on 2026-12-07, position {at}; on that day only, protocol 2.0"
    )
    assert rows["V0"].why.endswith("window from that day to 20 days after, protocol 2.0")
    assert rows["V5"].evidence == (at,)


def test_a_study_may_call_the_first_day_day_1() -> None:
    study = told(*treated, protocol=protocol_but(settings={"day_numbering": "day-1"}))
    assert planned(study)["V5"].why.startswith("day 15 = 14 days after dose on 2026-12-07")


def with_distance(days: int) -> Protocol:
    changed = [
        one.model_copy(update={"after_previous": days}) if one.code == "V5" else one
        for one in open_protocol().visits
    ]
    return protocol_but(visits=tuple(changed))


@pytest.mark.parametrize(
    ("distance", "fourth", "window", "moved"),
    [
        (5, "2026-12-14", ("2026-12-19", "2026-12-21", "2026-12-24"), True),
        (4, "2026-12-14", ("2026-12-18", "2026-12-21", "2026-12-24"), False),
        (8, "2026-12-16", ("2026-12-24", "2026-12-24", "2026-12-24"), True),
        (8, "2026-12-19", ("2026-12-27", "2026-12-27", "2026-12-27"), True),
        (8, None, ("2026-12-22", "2026-12-22", "2026-12-24"), True),
    ],
)
def test_a_visit_may_have_two_anchors(
    distance: int, fourth: str | None, window: tuple[str, str, str], moved: bool
) -> None:
    held = [visit("V4", fourth)] if fourth else []
    row = planned(told(*treated, *held, protocol=with_distance(distance)))["V5"]
    assert dates(row) == window
    assert ("moved to at least" in row.why) is moved


def test_a_visit_without_a_window_is_neither_early_nor_late() -> None:
    loose = [
        one.model_copy(update={"windowed": False, "before": 0, "after": 0})
        for one in open_protocol().visits
    ]
    study = told(*treated, visit("V6", "2027-03-01"), protocol=protocol_but(visits=tuple(loose)))
    rows = planned(study)
    assert dates(rows["V5"]) == (None, "2026-12-21", None)
    assert status(rows["V5"], date(2026, 12, 20)) == "upcoming"
    assert status(rows["V5"], date(2028, 1, 1)) == "due"
    assert rows["V6"].out_of_window is None
    assert rows["V6"].days_from_target == 56


# --- states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "state"),
    [
        ("2026-12-17", "upcoming"),
        ("2026-12-18", "due"),
        ("2026-12-21", "due"),
        ("2026-12-24", "due"),
        ("2026-12-25", "overdue"),
        ("2027-06-01", "overdue"),
    ],
)
def test_the_state_of_an_open_visit_follows_the_day(on: str, state: str) -> None:
    assert status(planned(told(*treated))["V5"], date.fromisoformat(on)) == state


def test_once_its_lapse_is_in_the_log_a_visit_is_missed_from_the_day_after_its_window() -> None:
    study = told(*treated)
    study.tick("2026-12-26T12:00:00Z")
    row = planned(study)["V5"]
    assert status(row, date(2026, 12, 24)) == "due"
    assert status(row, date(2026, 12, 25)) == "missed"


@pytest.mark.parametrize(
    ("held", "days", "outside"),
    [
        ("2026-12-26", 5, True),
        ("2026-12-24", 3, False),
        ("2026-12-17", -4, True),
        ("2026-12", None, False),
    ],
)
def test_a_completed_visit_says_how_far_it_was_from_its_target(
    held: str, days: int | None, outside: bool
) -> None:
    study = Study()
    given(*treated, study=study)
    study.post(visit("V5", held))
    row = planned(study)["V5"]
    assert status(row, date(2026, 12, 1)) == "completed"
    assert (row.completed_on, row.days_from_target, row.out_of_window) == (held, days, outside)


@pytest.mark.parametrize(
    ("ending", "since"),
    [
        (died, "2026-12-20"),
        (said("consent-withdrawn", "2026-12-20", scope=["visits", "data"]), "2026-12-20"),
        (said("lost-to-follow-up", "2026-12-20", attempts=3), "2026-12-20"),
        (said("discontinued", "2026-12-20", cause="other"), "2026-12-20"),
        (said("consent-withdrawn", "2026-12-20", scope=["treatment", "samples"]), None),
    ],
)
def test_what_ends_the_visits_leaves_the_open_ones_not_expected(
    ending: Said, since: str | None
) -> None:
    rows = planned(told(*treated, visit("V2", "2026-12-08"), ending))
    states = {code: status(row, date(2026, 12, 21)) for code, row in rows.items()}
    assert states["V2"] == "completed"
    assert states["V3"] == "missed"
    assert states["V5"] == ("not-expected" if since else "due")
    assert rows["V5"].not_expected_since == (date.fromisoformat(since) if since else None)


def test_who_is_reached_again_is_expected_again() -> None:
    lost = said("lost-to-follow-up", "2026-12-20", attempts=3)
    found = said("recontacted", "2026-12-22")
    assert status(planned(told(*treated, lost, found))["V5"], date(2026, 12, 23)) == "due"


def test_before_a_dose_failed_screening_ends_all_visits() -> None:
    failed = said("screen-failed", "2026-11-26", criteria=["I4"])
    rows = planned(told(*screening, booked("V1", "2026-12-07"), failed))
    assert status(rows["V1"], date(2026, 11, 27)) == "not-expected"
    assert status(rows["V0"], date(2026, 11, 27)) == "completed"


def test_leaving_early_asks_for_the_early_termination_visit_instead_of_the_last() -> None:
    assert "ET" not in planned(told(*treated))
    left = said("discontinued", "2027-01-10", cause="withdrawal-by-subject")
    rows = planned(told(*treated, left))
    assert rows["ET"].target == date(2027, 1, 10)
    assert status(rows["ET"], date(2027, 1, 12)) == "due"
    assert status(rows["V11"], date(2027, 1, 12)) == "not-expected"
    held = planned(told(*treated, left, visit("ET", "2027-01-15")))
    assert status(held["ET"], date(2027, 1, 16)) == "completed"
    assert "ET" not in planned(told(*on_study, left))


def test_an_early_termination_visit_may_have_a_window() -> None:
    changed = [
        one.model_copy(update={"after": 14}) if one.code == "ET" else one
        for one in open_protocol().visits
    ]
    left = said("discontinued", "2027-01-10", cause="other")
    study = told(*treated, left, protocol=protocol_but(visits=tuple(changed)))
    assert dates(planned(study)["ET"]) == ("2027-01-10", "2027-01-10", "2027-01-24")
    lapsed = [one.body for one in study.tick("2027-01-26T00:00:00Z") if one.type == "visit-lapsed"]
    assert [body.visit for body in lapsed] == ["ET"]


def test_unscheduled_visits_are_rows_of_their_own() -> None:
    extra = [visit("UNS", "2026-12-12"), visit("UNS", "2026-12-10")]
    rows = rows_of(told(*treated, *extra))
    found = [(row.occurrence, row.completed_on) for row in rows if row.visit == "UNS"]
    assert found == [(1, "2026-12-10"), (2, "2026-12-12")]


def test_a_booking_shows_until_the_visit_is_held_and_warns_outside_the_window() -> None:
    late = booked("V5", "2026-12-26T09:00:00-05:00", "2026-12-08")
    row = planned(told(*treated, late))["V5"]
    assert row.booked is not None
    assert row.booked_outside
    inside = planned(told(*treated, booked("V5", "2026-12-24", "2026-12-08")))["V5"]
    assert not inside.booked_outside
    assert planned(told(*treated, late, visit("V5", "2026-12-20")))["V5"].booked is None


# --- anchors that move ----------------------------------------------------------------------------


def test_a_corrected_dose_moves_open_visits_and_leaves_held_days_as_they_were() -> None:
    study = told(*treated, visit("V2", "2026-12-08"))
    before = planned(study)
    study.post(
        said(
            "corrected",
            "2026-12-09",
            position=study.position(dosed),
            occurred_at="2026-12-05T10:00:00-05:00",
        )
    )
    after = planned(study)
    for code, row in after.items():
        if row.anchor is None or row.anchor.name != "dose":
            continue
        was = before[code]
        assert row.completed_on == was.completed_on
        assert was.target is not None
        assert row.target == was.target - timedelta(days=2)
    assert after["V2"].days_from_target == 2


def test_a_retracted_dose_makes_the_calendar_provisional_again() -> None:
    study = told(*on_study, booked("V1", "2026-12-09"), dosed)
    study.post(said("retracted", "2026-12-10", position=study.position(dosed)))
    row = planned(study)["V5"]
    assert (row.target, row.provisional) == (date(2026, 12, 23), True)


def test_a_new_attempt_at_screening_opens_its_visit_again() -> None:
    failed = said("screen-failed", "2026-11-26", criteria=["I4"])
    again = said("rescreening-opened", "2026-12-01", cause="resolved")
    second = screened.on("2026-12-10T09:00:00-05:00")
    rows = rows_of(told(*screening, failed, again, second))
    states = [(row.occurrence, row.target, row.completed_on) for row in rows if row.visit == "V0"]
    assert states == [(1, date(2026, 12, 10), None), (2, date(2026, 11, 23), "2026-11-23")]
    held = screening_visit.on("2026-12-11")
    rows = rows_of(told(*screening, failed, again, second, held))
    states = [(row.occurrence, row.target, row.completed_on) for row in rows if row.visit == "V0"]
    assert states == [
        (1, date(2026, 12, 10), "2026-12-11"),
        (2, date(2026, 11, 23), "2026-11-23"),
    ]


# --- versions of the protocol ---------------------------------------------------------------------


def amended(study: Study, at: str, *, reconsent: bool = False) -> None:
    """Version 3.0: one day either side at V5 and V6; active at the site from a moment on."""
    visits = [
        one.model_copy(update={"before": 1, "after": 1}) if one.code in ("V5", "V6") else one
        for one in open_protocol().visits
    ]
    study.publish(
        protocol_but(version="3.0", visits=tuple(visits), settings={"reconsent": reconsent}), at
    )
    study.tell(said("protocol-activated", at, "sponsor", site="01", protocol="3.0"))


def activated() -> Study:
    study = Study()
    study.tell(said("protocol-activated", "2026-10-02", "sponsor", site="01", protocol="2.0"))
    return study


def test_an_amendment_changes_open_visits_and_keeps_the_version_of_those_that_were_held() -> None:
    study = activated()
    given(*treated, visit("V5", "2026-12-24"), study=study)
    amended(study, "2026-12-28T00:00:00Z")
    rows = planned(study)
    assert dates(rows["V5"]) == ("2026-12-18", "2026-12-21", "2026-12-24")
    assert (rows["V5"].protocol, rows["V5"].out_of_window) == ("2.0", False)
    assert dates(rows["V6"]) == ("2027-01-03", "2027-01-04", "2027-01-05")
    assert rows["V6"].protocol == "3.0"


def test_an_amendment_that_asks_for_new_consent_waits_for_it() -> None:
    study = activated()
    given(*treated, study=study)
    amended(study, "2026-12-10T00:00:00Z", reconsent=True)
    assert planned(study)["V6"].protocol == "2.0"
    study.post(consented.on("2026-12-12T09:00:00-05:00"))
    assert planned(study)["V6"].protocol == "3.0"


def test_a_late_report_of_a_visit_falls_under_the_version_of_its_day() -> None:
    study = activated()
    given(*treated, study=study)
    amended(study, "2026-12-28T00:00:00Z")
    recorded = study.post(visit("V5", "2026-12-24"))
    windows = [one for one in recorded if getattr(one.body, "rule", "") == "visit-window"]
    assert windows == []


def without(code: str) -> Protocol:
    kept = tuple(one for one in open_protocol().visits if one.code != code)
    return protocol_but(version="3.0", visits=kept)


def in_force_from(study: Study, protocol: Protocol, at: str) -> None:
    study.publish(protocol, at)
    study.tell(said("protocol-activated", at, "sponsor", site="01", protocol="3.0"))


def test_a_visit_that_an_amendment_drops_keeps_its_window_or_is_not_expected() -> None:
    for held in ("2026-12-08", "2026-12-09"):
        study = activated()
        given(*treated, visit("V2", held), study=study)
        in_force_from(study, without("V2"), "2026-12-20T12:00:00-05:00")
        row = planned(study)["V2"]
        assert (row.protocol, row.completed_on) == ("2.0", held)
        assert dates(row) == ("2026-12-08", "2026-12-08", "2026-12-08")
        assert row.days_outside == (0 if held == "2026-12-08" else 1)
    study = activated()
    given(*treated, study=study)
    in_force_from(study, without("V5"), "2026-12-20T12:00:00-05:00")
    row = planned(study)["V5"]
    assert status(row, date(2026, 12, 21)) == "not-expected"
    assert row.not_expected_since == date(2026, 12, 20)
    assert not [one for one in study.tick("2027-01-01T00:00:00Z") if "V5" in str(one.body)]


def test_a_window_that_closed_before_the_amendment_keeps_its_version() -> None:
    study = activated()
    given(*treated, study=study)
    amended(study, "2026-12-28T00:00:00Z")
    rows = planned(study)
    assert (rows["V5"].protocol, dates(rows["V5"])[2]) == ("2.0", "2026-12-24")
    assert (rows["V6"].protocol, dates(rows["V6"])[2]) == ("3.0", "2027-01-05")
    study = activated()
    given(*treated, study=study)
    amended(study, "2026-12-23T00:00:00Z")
    assert planned(study)["V5"].protocol == "3.0"


# --- repeating and unplanned visits ---------------------------------------------------------------


def every_four_weeks() -> Protocol:
    """V7 five times instead of V7 to V10 and the last."""
    visits = [one for one in open_protocol().visits if one.code not in ("V8", "V9", "V10", "V11")]
    changed = [
        type(one).model_validate({**one.model_dump(), "repeat": {"every": 28, "times": 5}})
        if one.code == "V7"
        else one
        for one in visits
    ]
    return protocol_but(visits=tuple(changed))


def test_a_visit_that_repeats_has_a_window_for_each_time() -> None:
    study = told(*treated, visit("V7.2", "2027-03-10"), protocol=every_four_weeks())
    rows = planned(study)
    assert [code for code in rows if code.startswith("V7")] == [f"V7.{n}" for n in range(1, 6)]
    assert dates(rows["V7.1"]) == ("2027-01-25", "2027-02-01", "2027-02-08")
    assert dates(rows["V7.5"]) == ("2027-05-17", "2027-05-24", "2027-05-31")
    assert rows["V7.2"].days_outside == 2
    assert rows["V7.3"].name == f"{rows['V7.1'].name[:-4]} (3)"
    lapsed = [one.body for one in study.tick("2027-06-01T12:00:00Z")]
    assert {one.visit for one in lapsed if one.type == "visit-lapsed"} == {
        "V7.3",
        "V7.4",
        "V7.5",
    }


def test_an_unscheduled_visit_that_is_booked_waits_for_its_day() -> None:
    extra = booked("UNS", "2026-12-12T09:00:00-05:00", "2026-12-10T09:00:00-05:00")
    study = told(*treated, extra)
    row = planned(study)["UNS"]
    assert (row.target, row.booked_on) == (date(2026, 12, 12), date(2026, 12, 12))
    assert status(row, date(2026, 12, 11)) == "upcoming"
    assert status(row, date(2026, 12, 12)) == "due"
    assert row.why == (
        f"booked for 2026-12-12, position {study.position(extra)}; not planned by protocol 2.0"
    )
    study.post(visit("UNS", "2026-12-12T09:30:00-05:00"))
    assert [row.completed_on for row in rows_of(study) if row.visit == "UNS"] == ["2026-12-12"]


def test_a_booking_outside_its_window_warns_by_days_at_the_site() -> None:
    for at, said_ in (
        ("2026-12-26T09:00:00-05:00", "2 days after the window closes on 2026-12-24"),
        ("2026-12-25T04:30:00Z", ""),
        ("2026-12-25T05:30:00Z", "1 day after the window closes on 2026-12-24"),
        ("2026-12-17", "1 day before the window opens on 2026-12-18"),
    ):
        row = planned(told(*treated, booked("V5", at, "2026-12-08")))["V5"]
        assert row.warnings == ((f"booked for {row.booked_on}, {said_}",) if said_ else ())


def test_a_calendar_that_was_taken_back_remembers_what_it_showed() -> None:
    study = told(*on_study, dosed)
    study.post(said("retracted", "2026-12-10", position=study.position(dosed)))
    row = planned(study)["V5"]
    assert dates(row) == (None, None, None)
    assert row.once == (date(2026, 12, 18), date(2026, 12, 24))
    left = said("discontinued", "2027-01-10", cause="other")
    study = told(*treated, left)
    study.post(said("retracted", "2027-01-11", position=study.position(left)))
    row = planned(study)["ET"]
    assert status(row, date(2027, 1, 12)) == "not-expected"
    assert row.once == (date(2027, 1, 10), date(2027, 1, 24))
