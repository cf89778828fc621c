"""Rows of views: given what happened, this is what the views say, on any day."""

from datetime import date
from typing import Any

import orjson
import pytest

from domain.time import When
from projections import deviations, eligibility, enrolment, safety, schedule
from projections.catalogue import VIEWS
from projections.view import View, state_at, timeline
from services.views.participants import answer
from tests import specs
from tests.projections.rows import content
from tests.specs import Said, Study

SITE_ONE = {"site": "01", "zone": "America/New_York"}


def after(*saids: Said, study: Study | None = None, tick: str | None = None) -> Study:
    study = study or Study()
    for one in saids:
        study.post(one)
    if tick is not None:
        study.tick(tick)
    return study


def rows(view: View, study: Study) -> dict[str, Any]:
    return dict(view.of(study.trial, study.participant()))


def shown(view: str, study: Study, on: str) -> Any:
    return answer(view, study.trial, study.participant(), When.parse(on))


# --- enrolment ------------------------------------------------------------------------------------

HISTORIES: list[tuple[str, tuple[Said, ...], str, str]] = [
    # what has happened            on            stage
    ("referred", (specs.referred,), "2026-11-01", "referred"),
    (
        "prescreened",
        (specs.referred, specs.said("prescreened", "2026-11-01", proceed=True)),
        "2026-11-01",
        "prescreening",
    ),
    ("consented", (specs.referred, specs.consented), "2026-11-02", "consented"),
    ("screened", specs.screening, "2026-11-23", "screening"),
    ("confirmed", (*specs.screening, specs.confirmed), "2026-12-01", "eligible"),
    ("on the last valid day", (*specs.screening, specs.confirmed), "2026-12-14", "eligible"),
    ("screening has expired", (*specs.screening, specs.confirmed), "2026-12-15", "screening"),
    ("enrolled", specs.on_study, "2026-12-01", "enrolled"),
    ("enrolled, later", specs.on_study, "2027-12-01", "enrolled"),
    ("dosed", specs.treated, "2026-12-07", "follow-up"),
    ("died", (*specs.treated, specs.died), "2026-12-20", "deceased"),
]


@pytest.mark.parametrize(
    ("history", "on", "stage"),
    [(history, on, stage) for _, history, on, stage in HISTORIES],
    ids=[name for name, *_ in HISTORIES],
)
def test_the_stage_is_that_of_the_day(history: tuple[Said, ...], on: str, stage: str) -> None:
    assert shown("summary", after(*history), on)["stage"] == stage


def test_the_summary_says_what_a_coordinator_sees_first() -> None:
    study = after(*specs.treated, specs.event("AE-1", "2026-12-07T15:00:00-05:00"))
    participant = study.participant()
    assert shown("summary", study, "2026-12-07") == {
        "participant": specs.WHO,
        "site": "01",
        "stage": "follow-up",
        "version": participant.version,
        "protocol": "2.0",
        "position": participant.position,
        "consent": {"status": "given", "form_version": "1.0", "on": "2026-11-02"},
        "verdict": "eligible",
        "dosed_on": "2026-12-07",
        "open_adverse_events": 1,
    }


def test_the_columns_of_the_funnel_follow_the_facts() -> None:
    columns = rows(enrolment.VIEW, after(*specs.on_study))[enrolment.KEY].columns
    assert {name: columns[name] for name in enrolment.MILESTONES} == {
        "consented": True,
        "screened": True,
        "confirmed": True,
        "enrolled": True,
        "dosed": False,
        "completed": False,
    }


def test_a_form_that_asks_for_re_consent_is_due() -> None:
    study = after(specs.referred, specs.consented)
    assert rows(enrolment.VIEW, study)[enrolment.KEY].columns["reconsent_due"] is None
    study.tell(
        specs.said("consent-form-approved", "2026-11-03", form_version="2.0", reconsent=True)
    )
    assert rows(enrolment.VIEW, study)[enrolment.KEY].columns["reconsent_due"] == "2.0"


# --- schedule -------------------------------------------------------------------------------------

DAY_14 = [
    # day after the dose, state of the visit of day 14 (V5: 3 days either side)
    ("2026-12-17", "upcoming"),
    ("2026-12-18", "due"),
    ("2026-12-21", "due"),
    ("2026-12-24", "due"),
    ("2026-12-25", "overdue"),
    ("2027-06-01", "overdue"),
]


@pytest.mark.parametrize(("on", "status"), DAY_14)
def test_a_visit_is_in_the_state_of_the_day(on: str, status: str) -> None:
    visits = shown("schedule", after(*specs.treated), on)["visits"]
    (found,) = [visit for visit in visits if visit["visit"] == "V5"]
    assert (found["target"], found["earliest"], found["latest"], found["status"]) == (
        "2026-12-21",
        "2026-12-18",
        "2026-12-24",
        status,
    )


def test_a_window_that_closed_without_a_visit_is_missed_once_the_log_says_so() -> None:
    study = after(*specs.treated, tick="2026-12-25T06:00:00-05:00")
    row = rows(schedule.VIEW, study)["V5"]
    assert (row.columns["lapsed"], row.columns["settled"]) == (True, None)
    assert [state_at(row.item["status"], date(2026, 12, day)) for day in (17, 24, 25)] == [
        "upcoming",
        "due",
        "missed",
    ]


def test_a_late_visit_says_by_how_much_and_that_it_missed_its_window() -> None:
    study = after(*specs.treated, specs.visit("V5", "2026-12-26T10:00:00-05:00"))
    row = rows(schedule.VIEW, study)["V5"]
    assert row.columns["settled"] == "completed"
    assert row.item["completed_on"] == "2026-12-26"
    assert row.item["days_from_target"] == 5
    assert row.item["out_of_window"] is True


def test_before_the_dose_the_calendar_is_provisional_or_empty() -> None:
    study = after(*specs.screening)
    assert shown("schedule", study, "2026-11-23")["anchor"] is None
    assert rows(schedule.VIEW, study)["V5"].columns["day"] == date.max
    study.post(specs.booked("V1", "2026-12-07T10:00:00-05:00"))
    answer = shown("schedule", study, "2026-11-24")
    assert answer["anchor"] == {"visit": "V1", "date": "2026-12-07", "provisional": True}
    row = rows(schedule.VIEW, study)["V5"]
    assert (row.columns["day"], row.columns["settled"]) == (date(2026, 12, 21), "provisional")
    booked = rows(schedule.VIEW, study)["V1"]
    assert booked.columns["booked_on"] == date(2026, 12, 7)
    assert booked.item["booked_for"] == "2026-12-07T10:00:00-05:00"


def test_a_corrected_dose_moves_open_visits_and_no_held_one() -> None:
    study = after(*specs.treated, specs.visit("V2", "2026-12-08T10:00:00-05:00"))
    position = study.position(specs.dosed)
    before = rows(schedule.VIEW, study)
    study.post(
        specs.said(
            "corrected",
            "2026-12-09",
            "data-manager",
            position=position,
            occurred_at="2026-12-08T10:00:00-05:00",
        )
    )
    moved = rows(schedule.VIEW, study)
    assert moved["V5"].item["target"] == "2026-12-22"
    assert moved["V2"].item["completed_on"] == before["V2"].item["completed_on"]


# --- safety ---------------------------------------------------------------------------------------

SERIOUS = specs.event(
    "AE-1",
    "2026-12-09T10:00:00-05:00",
    grade=3,
    serious=False,
    seriousness=["hospitalisation"],
    causality="possible",
)


def test_an_adverse_event_is_shown_with_what_follows_from_it() -> None:
    study = after(*specs.treated, SERIOUS)
    (found,) = shown("safety", study, "2026-12-09T12:00:00-05:00")["adverse_events"]
    assert (found["serious"], found["serious_reported"]) == (True, False)
    assert found["causality"] == {"investigator": "possible", "sponsor": None}
    assert found["dose_limiting"] is True
    assert found["contradictions"] == ["serious-not-flagged"]
    first = found["clocks"][0]
    assert (first["clock"], first["due_at"], first["status"]) == (
        "site-to-sponsor",
        "2026-12-10T10:00:00-05:00",
        "running",
    )


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("2026-12-10T10:00:00-05:00", "running"),
        ("2026-12-10T10:00:01-05:00", "breached"),
        ("2026-12-09", "running"),
        ("2026-12-10", "breached"),
    ],
)
def test_a_clock_stands_as_the_moment_has_it(moment: str, status: str) -> None:
    study = after(*specs.treated, SERIOUS)
    (found,) = shown("safety", study, moment)["adverse_events"]
    assert found["clocks"][0]["status"] == status


def test_a_limit_that_passed_is_unsaid_until_the_log_says_so() -> None:
    study = after(*specs.treated, SERIOUS)
    row = rows(safety.VIEW, study)["ae/AE-1"]
    due = When.parse("2026-12-10T10:00:00-05:00").earliest()
    assert (row.columns["owed_since"], row.columns["unsaid_from"]) == (due, due)
    study.tick("2026-12-10T11:00:00-05:00")
    said = rows(safety.VIEW, study)["ae/AE-1"]
    assert said.columns["owed_since"] == due
    assert said.columns["unsaid_from"] != due
    study.post(specs.report("AE-1", "site-to-sponsor", "2026-12-10T12:00:00-05:00"))
    sent = rows(safety.VIEW, study)["ae/AE-1"]
    assert sent.columns["owed_since"] != due
    assert sent.item["clocks"][0]["late"] is True


def test_a_death_without_a_fatal_event_contradicts_beside_the_events() -> None:
    study = after(*specs.treated, specs.died)
    row = rows(safety.VIEW, study)[safety.PARTICIPANT]
    assert row.columns["kind"] == safety.PARTICIPANT
    assert [one["contradiction"] for one in row.item["found"]] == ["death-without-fatal-event"]
    answer = shown("safety", study, "2026-12-21")
    assert answer["adverse_events"] == []
    assert [one["contradiction"] for one in answer["contradictions"]] == [
        "death-without-fatal-event"
    ]


# --- eligibility ----------------------------------------------------------------------------------


def test_each_criterion_has_a_row_in_the_protocols_order() -> None:
    study = Study(protocol=specs.lk_23_01())
    after(specs.referred, specs.consented, specs.screened, study=study)
    answer = shown("eligibility", study, "2026-11-23")
    assert [one["id"] for one in answer["criteria"]] == [
        criterion.id for criterion in specs.lk_23_01().criteria
    ]
    consent = next(one for one in answer["criteria"] if one["id"] == "I7")
    assert (consent["outcome"], consent["missing"]) == ("passed", [])
    assert consent["evidence"] == [study.position(specs.consented)]
    assert consent["text"]
    assert (answer["verdict"], answer["confirmed"]) == ("pending", None)


def test_a_confirmation_stands_until_its_screening_has_expired() -> None:
    study = after(*specs.screening, specs.confirmed)
    found = {
        on: shown("eligibility", study, on)["confirmed"]["status"]
        for on in ("2026-12-14", "2026-12-15")
    }
    assert found == {"2026-12-14": "standing", "2026-12-15": "stale"}
    assert rows(eligibility.VIEW, study)[eligibility.VERDICT].columns == {
        **SITE_ONE,
        "verdict": "eligible",
        "criterion": None,
        "outcome": None,
        "near": False,
        "awaited": False,
    }


# --- deviations -----------------------------------------------------------------------------------


def test_a_detected_deviation_stands_with_its_rule_until_it_is_cleared() -> None:
    early = specs.visit("V0", "2026-11-01T12:00:00-05:00")
    study = after(specs.referred, early, specs.consented)
    found = [
        row
        for row in rows(deviations.VIEW, study).values()
        if row.item["rule"] == "consent-before-procedure"
    ]
    assert [row.item["subject"] for row in found] == ["visit V0"]
    study.post(
        specs.said("retracted", "2026-11-03", "data-manager", position=study.position(early))
    )
    assert rows(deviations.VIEW, study) == {}


def test_the_last_judgement_of_a_deviation_counts() -> None:
    said = specs.said("deviation-recorded", "2026-11-03", category="other", importance="minor")
    study = after(specs.referred, specs.consented, said)
    position = study.position(said)
    for importance, at in (("minor", "2026-11-04"), ("important", "2026-11-05")):
        study.post(
            specs.said(
                "deviation-assessed",
                at,
                "investigator",
                deviation=position,
                category="privacy",
                importance=importance,
            )
        )
    (row,) = rows(deviations.VIEW, study).values()
    assert (row.columns["category"], row.columns["importance"]) == ("privacy", "important")
    assert (row.item["detected"], row.item["position"]) == (False, position)
    assert row.item["assessment"]["at"] == "2026-11-05"


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_row_has_every_column_of_its_view(view: View) -> None:
    study = after(*specs.treated, SERIOUS, specs.died)
    for row in view.of(study.trial, study.participant()).values():
        assert tuple(row.columns) == view.columns
        assert orjson.loads(content(row))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_no_row_depends_on_the_order_in_which_facts_arrived(view: View) -> None:
    facts = (*specs.screening, specs.visit("UNS", "2026-11-24"), specs.booked("V1", "2026-12-07"))
    late = (specs.referred, *reversed(facts[1:]))
    found = [shapes(view, after(*order)) for order in (facts, late)]
    assert found[0] == found[1]


def shapes(view: View, study: Study) -> list[Any]:
    """The rows without positions and versions, which the order of arrival gives."""
    return [_without_positions(row.columns | row.item) for row in rows(view, study).values()]


def _without_positions(value: Any) -> Any:
    left_out = {"position", "version", "evidence", "why", "recorded_at", "occurred_at"}
    match value:
        case dict():
            return {k: _without_positions(v) for k, v in value.items() if k not in left_out}
        case list():
            return [_without_positions(one) for one in value]
        case _:
            return value


def test_a_state_that_only_goes_on_stands_once_in_a_timeline() -> None:
    states = timeline(
        [(None, "a"), (date(2026, 1, 2), "a"), (date(2026, 1, 3), "b"), (date(2026, 1, 4), "a")]
    )
    assert states == [[None, "a"], ["2026-01-03", "b"], ["2026-01-04", "a"]]
    assert [state_at(states, date(2026, 1, day)) for day in (1, 2, 3, 4, 5)] == list("aabaa")
