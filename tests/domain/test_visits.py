"""Windows that close, visits outside theirs, procedures not done, bookings and samples."""

import re
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from domain import participant as journey
from domain.journey.visits import SampleCollected
from tests.specs import (
    ZONE,
    Said,
    Study,
    booked,
    cleared,
    concluded,
    consented,
    deviation,
    died,
    dosed,
    dosing_visit,
    given,
    on_study,
    open_protocol,
    protocol_but,
    referred,
    said,
    screened,
    screening_visit,
    treated,
    visit,
)

early_visits = (
    visit("V2", "2026-12-08"),
    visit("V3", "2026-12-10"),
    visit("V4", "2026-12-14"),
)
followed = (*treated, *early_visits)


# --- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "days", "side", "importance"),
    [
        ("2026-12-09", 9, "before its window opened on 2026-12-18", "important"),
        ("2026-12-10", 8, "before its window opened on 2026-12-18", "important"),
        ("2026-12-11", 7, "before its window opened on 2026-12-18", "minor"),
        ("2026-12-17", 1, "before its window opened on 2026-12-18", "minor"),
        ("2026-12-18", 0, "", ""),
        ("2026-12-21", 0, "", ""),
        ("2026-12-24", 0, "", ""),
        ("2026-12-24T23:59:00-05:00", 0, "", ""),
        ("2026-12-25T00:01:00-05:00", 1, "after its window closed on 2026-12-24", "minor"),
        ("2026-12-25", 1, "after its window closed on 2026-12-24", "minor"),
        ("2026-12-31", 7, "after its window closed on 2026-12-24", "minor"),
        ("2027-01-01", 8, "after its window closed on 2026-12-24", "important"),
        ("2026-12", 0, "", ""),
        ("2027-01", 8, "after its window closed on 2026-12-24", "important"),
    ],
)
def test_a_visit_outside_its_window_is_a_deviation_by_whole_days(
    day: str, days: int, side: str, importance: str
) -> None:
    study = Study()
    given(*followed, study=study)
    held = visit("V5", day)
    recorded = study.post(held, now=max(study.clock, held.when.earliest(ZoneInfo(ZONE))))
    found = [one.body for one in recorded if one.type == "deviation-detected"]
    if days == 0:
        assert found == []
        return
    (one,) = found
    unit = "day" if days == 1 else "days"
    assert (one.rule, one.subject, one.category) == ("visit-window", "V5", "visit-window")
    assert one.explanation == f"V5 took place {days} {unit} {side}"
    assert one.importance == importance
    assert one.evidence == (study.position(dosed), study.position(held))


def test_a_window_that_closes_without_a_visit_lapses_at_the_sites_midnight() -> None:
    history = given(*followed)
    history.when_it_is("2026-12-25T04:59:59Z").then()
    history.when_it_is("2026-12-25T05:00:00Z").then(
        concluded("visit-lapsed", [dosed], visit="V5", latest="2026-12-24"),
        deviation(
            "visit-window",
            [dosed],
            rule="visit-missed",
            subject="V5",
            importance="important",
            explanation="the window of V5 closed on 2026-12-24",
        ),
    ).when_it_is("2026-12-25T06:00:00Z").then()


def test_a_missed_visit_is_important_only_where_safety_rests_on_it() -> None:
    missed = said("visit-missed", "2027-02-08", visit="V7", cause="travel")
    fifth, sixth = visit("V5", "2026-12-21"), visit("V6", "2027-01-04")
    given(*followed, fifth, sixth).when(missed).then(
        missed,
        deviation("visit-window", [missed], rule="visit-missed", subject="V7", importance="minor"),
    )


def test_a_visit_that_arrives_late_takes_its_lapse_back() -> None:
    lapsed, absent = (
        concluded("visit-lapsed", visit="V5"),
        deviation("visit-window", rule="visit-missed", subject="V5"),
    )
    late = visit("V5", "2026-12-24")
    history = given(*followed).when_it_is("2026-12-26T12:00:00Z").then(lapsed, absent)
    history.when(late).then(late, cleared(lapsed), cleared(absent))


def test_a_report_that_it_was_missed_replaces_the_lapse() -> None:
    missed = said("visit-missed", "2026-12-26", visit="V5")
    history = given(*followed).when_it_is("2026-12-26T12:00:00Z").recorded_as_said()
    history.when(missed).then(
        missed,
        cleared(concluded("visit-lapsed", visit="V5")),
        deviation("visit-window", [missed], explanation="V5 was missed"),
    )


def test_a_visit_that_was_held_belies_the_report_that_it_was_missed() -> None:
    missed = said("visit-missed", "2026-12-24", visit="V5")
    held = visit("V5", "2026-12-24")
    given(*followed, missed).when(held).then(held, cleared(deviation("visit-window", subject="V5")))
    given(*followed, held).when(missed).then(missed)


def test_a_dose_shows_that_its_visit_took_place() -> None:
    undocumented = tuple(one for one in treated if one is not dosing_visit)
    given(*undocumented).when_it_is("2026-12-08T12:00:00Z").then()


def test_nothing_lapses_before_the_dose_or_without_a_window() -> None:
    given(*on_study, booked("V1", "2026-12-07")).when_it_is("2027-12-31T00:00:00Z").then()
    windowless = tuple(
        one.model_copy(update={"windowed": False, "before": 0, "after": 0})
        for one in open_protocol().visits
    )
    given(*treated, protocol=protocol_but(visits=windowless)).when_it_is(
        "2027-12-31T00:00:00Z"
    ).then()


def test_a_dose_of_which_only_the_month_is_known_lets_nothing_lapse() -> None:
    vague = dosed.on("2026-12")
    given(*on_study, vague).when_it_is("2027-12-31T00:00:00Z").then()


@pytest.mark.parametrize(
    "ending",
    [
        died,
        said("consent-withdrawn", "2026-12-20", scope=["visits"]),
        said("discontinued", "2026-12-20", cause="physician-decision"),
        said("lost-to-follow-up", "2026-12-20", attempts=3),
    ],
    ids=lambda one: one.body.type,
)
def test_what_ends_the_visits_lets_the_open_ones_pass(ending: Said) -> None:
    study = Study()
    given(*followed, ending, study=study)
    recorded = study.tick("2027-12-31T00:00:00Z")
    lapsed = {one.body.visit for one in recorded if one.type == "visit-lapsed"}
    assert lapsed == ({"ET"} if ending.body.type == "discontinued" else set())


def test_what_closed_before_the_end_stays_missed() -> None:
    study = Study()
    given(*treated, visit("V2", "2026-12-08"), died, study=study)
    recorded = study.tick("2027-12-31T00:00:00Z")
    lapsed = [one.body.visit for one in (*study.log, *recorded) if one.type == "visit-lapsed"]
    assert sorted(set(lapsed)) == ["V3", "V4"]


def test_a_corrected_dose_moves_every_open_window_and_what_followed_from_it() -> None:
    study = Study()
    lapse = concluded("visit-lapsed", visit="V5", latest="2026-12-24")
    history = given(*followed, study=study).when_it_is("2026-12-26T12:00:00Z").recorded_as_said()
    moved = said(
        "corrected",
        "2026-12-26T13:00:00Z",
        position=study.position(dosed),
        occurred_at="2026-12-09T10:00:00-05:00",
    )
    outcome = history.when(moved)
    outcome.recorded_as_said()
    assert any(cleared(lapse).matches(one, study) for one in outcome.recorded)
    outside = [one for one in outcome.recorded if one.type == "deviation-detected"]
    new = [one for one in outside if not one.body.cleared]
    assert {(one.body.rule, one.body.subject) for one in new} == {
        ("visit-window", "V1"),
        ("visit-window", "V2"),
        ("visit-window", "V3"),
    }
    assert all(study.position(moved) in one.body.evidence for one in new)


# --- procedures -----------------------------------------------------------------------------------


def not_done(*codes: str) -> list[dict[str, object]]:
    return [{"code": code, "done": False, "cause": "refused"} for code in codes]


def test_a_required_procedure_that_was_not_done_is_a_deviation_of_its_own() -> None:
    held = visit("V5", "2026-12-21", procedures=not_done("blood-count", "sf-36"))
    given(*followed).when(held).then(
        held,
        deviation(
            "procedure-missed",
            [held],
            rule="procedure-missed",
            subject="V5 blood-count",
            importance="important",
            explanation="blood-count was not done at V5 (refused)",
        ),
        deviation("procedure-missed", subject="V5 sf-36", importance="minor"),
    )


def test_what_was_done_or_is_not_asked_for_there_is_no_deviation() -> None:
    done = [{"code": "blood-count", "done": True}, *not_done("electrocardiogram", "height")]
    held = visit("V5", "2026-12-21", procedures=done)
    given(*followed).when(held).then(held)


def test_a_telephone_contact_needs_no_examination() -> None:
    held = visit("V3", "2026-12-10", "telephone", procedures=not_done("blood-count", "weight"))
    given(*treated, visit("V2", "2026-12-08")).when(held).then(held)


@pytest.mark.parametrize(
    ("sex", "childbearing", "missed"),
    [
        ("female", True, True),
        ("female", False, False),
        ("female", None, True),
        ("male", None, False),
        ("intersex", True, True),
        ("unknown", None, True),
    ],
)
def test_a_pregnancy_test_is_asked_of_those_who_may_become_pregnant(
    sex: str, childbearing: bool | None, missed: bool
) -> None:
    data = {"birth_date": "1990-05-04", "sex": sex, "childbearing_potential": childbearing}
    person = said("demographics-recorded", "2026-11-23", **data)
    held = visit("V6", "2027-01-04", procedures=not_done("pregnancy-test"))
    study = Study()
    for one in (*followed, visit("V5", "2026-12-21")):
        study.post(one, historical=True)
    participant = study.participant()
    recorded = replace(study.log[-1], body=person.body, occurred_at=person.when)
    study.participants["01-001"] = journey.evolve(participant, recorded)
    found = [one.body.rule for one in study.post(held) if one.type == "deviation-detected"]
    assert found == (["procedure-missed"] if missed else [])


def test_an_optional_procedure_is_never_missed() -> None:
    optional = not_done("hepatitis-pcr", "ana-when-not-documented")
    held = screening_visit.but(procedures=optional)
    given(referred, consented, screened).when(held).then(held)


def result(code: str, day: str, interpretation: str) -> Said:
    return said("observation-recorded", day, code=code, interpretation=interpretation)


def test_a_result_that_arrives_late_asks_for_the_procedure_of_a_visit_that_was_held() -> None:
    held = screening_visit.but(procedures=not_done("hepatitis-pcr"))
    late = result("anti-hbc", "2026-11-23", "positive")
    missed = deviation("procedure-missed", (held, late), subject="V0 hepatitis-pcr")
    other = result("igra", "2026-11-10", "positive")
    after = given(referred, consented, screened).when(held).then(held).when(other).then(other)
    after.when(late).then(late, missed)


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        ([], False),
        ([result("anti-hbc", "2026-11-23", "negative")], False),
        ([result("anti-hbc", "2026-11-23", "positive")], True),
        ([result("anti-hcv", "2026-11-10", "positive")], True),
        ([result("igra", "2026-11-10", "positive")], False),
        ([result("anti-hbc", "2026-11-24", "positive")], False),
    ],
)
def test_a_procedure_may_be_asked_for_by_an_earlier_result(found: list[Said], missed: bool) -> None:
    held = screening_visit.but(procedures=not_done("hepatitis-pcr"))
    expected = [
        deviation(
            "procedure-missed",
            [found[0], held],
            rule="procedure-missed",
            subject="V0 hepatitis-pcr",
        )
        for _ in range(missed)
    ]
    study = Study()
    given(referred, consented, screened, *found, study=study)
    recorded = study.post(held, now=max(study.clock, held.when.latest()), historical=True)
    detected = [one for one in recorded if one.type == "deviation-detected"]
    assert len(detected) == len(expected)
    assert all(map(lambda e, one: e.matches(one, study), expected, detected))


def done(**times: str) -> list[dict[str, object]]:
    day = "2026-12-07T"
    return [
        {"code": code.replace("_", "-"), "done": True, "at": f"{day}{at}:00-05:00"}
        for code, at in times.items()
    ]


@pytest.mark.parametrize(
    ("times", "late"),
    [
        ({"sf_36": "09:00", "vital_signs": "09:20", "weight": "09:30"}, None),
        (
            {"sf_36": "09:30", "vital_signs": "09:20"},
            "sf-36 at 09:30 came after vital-signs at 09:20",
        ),
        ({"sf_36": "10:30"}, "sf-36 at 10:30 came after the dose at 10:00"),
        ({"sf_36": "10:00"}, None),
        ({"vital_signs": "10:30"}, None),
        (
            {"eligibility_review": "10:30"},
            "eligibility-review at 10:30 came after the dose at 10:00",
        ),
    ],
)
def test_procedures_keep_their_order_within_the_visit(
    times: dict[str, str], late: str | None
) -> None:
    held = dosing_visit.but(procedures=done(**times))
    study = Study()
    given(*(one for one in treated if one is not dosing_visit), study=study)
    recorded = study.post(held)
    found = [one.body for one in recorded if getattr(one.body, "rule", "") == "procedure-order"]
    told = [re.sub(r"2026-12-07T(..:..):00-05:00", r"\1", one.explanation) for one in found]
    assert told == ([late] if late else [])
    assert all(one.subject.startswith("V1 ") for one in found)


# --- bookings and samples -------------------------------------------------------------------------


def booking(*saids: Said) -> str | None:
    study = Study()
    given(referred, *saids, study=study)
    found = study.participant().visits.booking("V1")
    return found.body.at.text if found else None


def test_the_latest_booking_that_was_not_cancelled_stands() -> None:
    first = booked("V1", "2026-12-07", "2026-11-24")
    moved = booked("V1", "2026-12-09T09:00:00-05:00", "2026-11-25")
    cancelled = said("visit-cancelled", "2026-11-26", visit="V1")
    only_moved = said("visit-cancelled", "2026-11-26", visit="V1", at="2026-12-09T14:00:00Z")
    another = said("visit-cancelled", "2026-11-26", visit="V2")
    again = booked("V1", "2026-12-11", "2026-11-27")
    assert booking() is None
    assert booking(first) == "2026-12-07"
    assert booking(first, moved) == "2026-12-09T09:00:00-05:00"
    assert booking(moved, first) == "2026-12-09T09:00:00-05:00"
    assert booking(first, moved, cancelled) is None
    assert booking(first, moved, only_moved) == "2026-12-07"
    assert booking(first, another) == "2026-12-07"
    assert booking(first, cancelled, again) == "2026-12-11"


def test_bookings_keep_their_history() -> None:
    first = booked("V1", "2026-12-07", "2026-11-24")
    moved = booked("V1", "2026-12-09", "2026-11-25")
    cancelled = said("visit-cancelled", "2026-11-26", visit="V1", cause="illness")
    again = booked("V1", "2026-12-11", "2026-11-27")
    for order in ((first, moved, cancelled, again), (again, cancelled, moved, first)):
        study = Study()
        given(referred, *order, study=study)
        found = study.participant().visits.bookings("V1")
        assert [(one.made.body.at.text, one.state) for one in found] == [
            ("2026-12-07", "moved"),
            ("2026-12-09", "cancelled"),
            ("2026-12-11", "standing"),
        ]
        by = [one.by.position if one.by else None for one in found]
        assert by == [study.position(moved), study.position(cancelled), None]


def test_a_sample_keeps_its_own_type_beside_the_events() -> None:
    body = SampleCollected.model_validate({"sample": "S1", "type": "serum", "volume_ml": "3.0"})
    assert body.type == "sample-collected"
    assert body.sample_type == "serum"
    written = body.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    assert written == {"sample": "S1", "type": "serum", "volume_ml": "3.0"}
    assert SampleCollected.model_validate(written) == body
    with pytest.raises(ValidationError):
        SampleCollected.model_validate({"sample": "S1"})
