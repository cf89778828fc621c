"""Lists of a study on PostgreSQL: filtered, page by page, as of any day."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.time import When
from infra.postgres.pool import Pool
from projections.catalogue import VIEWS
from services.door import Invalid
from services.state import NotFound
from services.views import PARTICIPANT_VIEWS, STUDY_VIEWS, Lagging, Query
from services.views import reading as views
from tests import specs
from tests.projections.readers import ON, SERIOUS, cohort, listed, study, who, whole
from tests.projections.watched import STUDY, Watched, fill, watched

__all__ = ["cohort", "study"]

# --- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", STUDY_VIEWS)
def test_a_list_names_the_position_it_reflects_and_pages_without_gap(
    cohort: Watched, view: str
) -> None:
    page = listed(cohort, view)
    assert page.position == cohort.ledger.head(STUDY)
    assert page.items
    if view != "enrolment":
        assert whole(cohort, view, 2) == page.items


@pytest.mark.parametrize("view", STUDY_VIEWS)
def test_the_past_at_the_logs_end_is_the_present(study: Watched, view: str) -> None:
    fill(study, 21, 120)
    study.projector.catch_up(STUDY)
    head = study.ledger.head(STUDY)
    live = listed(study, view, limit=1000)
    assert listed(study, view, limit=1000, as_of=head) == live
    for site in ("01", "02"):
        of_site = listed(study, view, limit=1000, site=site)
        assert listed(study, view, limit=1000, site=site, as_of=head) == of_site
    if view != "enrolment":
        assert whole(study, view, 3, as_of=head) == live.items


FILTERS = [
    # list          asked                                  whose items
    ("participants", {"stage": "referred"}, ["02-001"]),
    ("participants", {"stage": "follow-up"}, ["01-001"]),
    ("participants", {"stage": "deceased"}, []),
    ("participants", {"site": "01"}, ["01-001", "01-002"]),
    ("eligibility", {"verdict": "pending"}, ["01-001", "01-002", "02-001"]),
    ("eligibility", {"verdict": "eligible"}, []),
    ("eligibility", {"site": "02"}, ["02-001"]),
    ("missing", {"criterion": "I4"}, ["01-002", "02-001"]),
    ("missing", {"criterion": "I4", "site": "02"}, ["02-001"]),
    ("missing", {"criterion": "I4", "participant": "01-002"}, ["01-002"]),
    ("missing", {"criterion": "I7"}, ["02-001"]),
    ("missing", {"participant": "01-001"}, []),
    ("safety", {"site": "01"}, ["01-001"]),
    ("safety", {"site": "02"}, []),
    ("deviations", {"site": "02"}, []),
    ("schedule", {"status": "overdue", "first": date(2026, 12, 20)}, ["01-001"]),
    ("schedule", {"first": date(2026, 12, 21), "last": date(2026, 12, 21)}, ["01-001"]),
    ("schedule", {"first": date(2026, 12, 22), "last": date(2026, 12, 30)}, []),
    ("schedule", {"site": "02", "first": date(2026, 1, 1)}, []),
]


@pytest.mark.parametrize("past", [False, True], ids=["live", "past"])
@pytest.mark.parametrize(("view", "asked", "whose"), FILTERS)
def test_a_filter_leaves_what_was_asked_for(
    cohort: Watched, view: str, asked: dict[str, Any], whose: list[str], past: bool
) -> None:
    as_of = cohort.ledger.head(STUDY) if past else None
    assert who(listed(cohort, view, **asked, as_of=as_of)) == whose


STATES = ["provisional", "upcoming", "due", "overdue", "completed", "missed", "not-expected"]


@pytest.mark.parametrize("on", ["2026-12-07", "2026-12-21", "2026-12-24", "2026-12-25", "2028"])
def test_the_states_of_a_day_share_the_schedule_among_them(cohort: Watched, on: str) -> None:
    everything = listed(cohort, "schedule", on=When.parse(on), limit=1000).items
    by_state = {
        state: listed(cohort, "schedule", on=When.parse(on), limit=1000, status=state).items
        for state in STATES
    }
    for state, items in by_state.items():
        assert {item["status"] for item in items} <= {state}
        assert items == [item for item in everything if item["status"] == state]
    assert sum(map(len, by_state.values())) == len(everything)


def test_the_day_of_a_site_decides_about_its_visits(study: Watched) -> None:
    study.clock.now = datetime(2026, 12, 9, 16, tzinfo=UTC)
    study.post("01-001", *specs.treated, historical=True)
    study.projector.catch_up(STUDY)
    late = {"status": "overdue", "first": date(2026, 12, 21), "last": date(2026, 12, 21)}
    before = When.parse("2026-12-25T04:59:59Z")
    after = When.parse("2026-12-25T05:00:00Z")
    assert who(listed(study, "schedule", on=before, **late)) == []
    assert who(listed(study, "schedule", on=after, **late)) == ["01-001"]


def test_the_safety_of_a_study_has_its_clocks_boundary_and_contradictions(cohort: Watched) -> None:
    page = listed(cohort, "safety", on=When.parse("2026-12-10T09:00:00-05:00"))
    (event,) = page.items
    assert (event["participant"], event["site"], event["ae"]) == ("01-001", "01", "AE-1")
    clocks = [(one["clock"], one["status"]) for one in page.extra["clocks"]]
    assert clocks[0] == ("site-to-sponsor", "running")
    assert page.extra["contradictions"] == [
        {
            "participant": "01-001",
            "site": "01",
            "ae": "AE-1",
            "contradiction": "serious-not-flagged",
            "explanation": "it is serious (hospitalisation) and reported as not serious",
            "sides": [
                {"said": "it is serious: hospitalisation", "evidence": event["evidence"]},
                {"said": "it is not serious", "evidence": event["evidence"]},
            ],
            "evidence": event["evidence"],
        }
    ]
    assert set(page.extra["toxicity"]) == {
        "dosed",
        "evaluable",
        "pending",
        "with_dlt",
        "boundary",
        "crossed",
    }
    assert (page.extra["toxicity"]["dosed"], page.extra["toxicity"]["with_dlt"]) == (1, 1)


def test_the_funnel_counts_who_ever_reached_what(cohort: Watched) -> None:
    page = listed(cohort, "enrolment")
    assert page.items == [
        {"site": "01", "stage": "follow-up", "participants": 1},
        {"site": "01", "stage": "screening", "participants": 1},
        {"site": "02", "stage": "referred", "participants": 1},
    ]
    assert page.extra == {
        "funnel": {
            "referred": 3,
            "consented": 2,
            "screened": 2,
            "confirmed": 1,
            "enrolled": 1,
            "dosed": 1,
            "completed": 0,
        },
        "accrual": {"cap": 10, "taken": 1},
    }


def test_the_worklist_says_what_waits_and_the_oldest_first(cohort: Watched) -> None:
    cohort.clock.now = datetime(2026, 12, 21, 12, tzinfo=UTC)
    cohort.post("01-001", specs.booked("V6", "2026-12-21T10:00:00-05:00", "2026-12-20"))
    cohort.tell(
        specs.said("consent-form-approved", "2026-12-20", form_version="2.0", reconsent=True)
    )
    cohort.projector.catch_up(STUDY)
    page = listed(cohort, "worklist", on=When.parse("2026-12-21"))
    found = [(one["task"], one.get("visit") or one.get("clock")) for one in page.items]
    assert ("today", "V5") in found
    assert ("today", "V6") in found
    assert ("clock-breached", "site-to-sponsor") in found
    assert ("re-consent", None) in found
    assert [one["due"][:10] for one in page.items] == sorted(one["due"][:10] for one in page.items)
    closing = listed(cohort, "worklist", on=When.parse("2026-12-22")).items
    assert ("closing", "V5") in [(one["task"], one.get("visit")) for one in closing]
    assert listed(cohort, "worklist", on=When.parse("2026-12-21"), site="02").items == []


def test_an_eligibility_that_ends_within_a_week_waits_for_somebody(study: Watched) -> None:
    study.clock.now = datetime(2026, 12, 1, 16, tzinfo=UTC)
    study.post("01-001", *specs.screening, specs.confirmed, historical=True)
    study.projector.catch_up(STUDY)
    tasks = {
        day: {one["task"] for one in listed(study, "worklist", on=When.parse(day)).items}
        for day in ("2026-12-06", "2026-12-07", "2026-12-14", "2026-12-15")
    }
    expiring = {day for day, found in tasks.items() if "eligibility-expiring" in found}
    assert expiring == {"2026-12-07", "2026-12-14"}


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "?",
        "AAAA",
        "e30",
        "WzFd",
        "WyJcdTAwMDAiXQ",
        "WyIyMDI2LTk5LTAxIiwiYSIsImIiXQ",
        "x" * 2000,
    ],
)
@pytest.mark.parametrize("view", ["participants", "schedule", "worklist"])
def test_a_cursor_that_is_none_of_the_lists_is_invalid(
    cohort: Watched, view: str, cursor: str
) -> None:
    with pytest.raises(Invalid) as refused:
        listed(cohort, view, cursor=cursor)
    assert [one.pointer for one in refused.value.problems] == ["/query/cursor"]


def test_an_unknown_study_or_participant_is_not_found(cohort: Watched) -> None:
    with pytest.raises(NotFound):
        cohort.reading.study("NOBODY", "participants", Query())
    with pytest.raises(NotFound):
        cohort.reading.participant(STUDY, "nobody", "summary", Query())


def test_a_participant_that_cannot_be_projected_is_shown_as_it_was(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched(pool) as study:
        study.clock.now = datetime(2026, 12, 9, 16, tzinfo=UTC)
        study.post("01-001", *specs.treated, SERIOUS, historical=True)
        study.projector.catch_up(STUDY)
        before = {
            view: study.reading.participant(STUDY, "01-001", view, Query(on=ON))
            for view in PARTICIPANT_VIEWS
        }

        def broken(*_arguments: Any) -> Any:
            raise ZeroDivisionError

        bad = study.post("01-001", specs.visit("UNS", "2026-12-09T10:00:00-05:00"))
        monkeypatch.setattr("services.views.reading.answer", broken)
        failing = [
            replace(view, rows=broken, halts=False) if view.name != "safety" else view
            for view in VIEWS
        ]
        study.another(failing).catch_up(STUDY)
        for view, was in before.items():
            found = study.reading.participant(STUDY, "01-001", view, Query(on=ON))
            assert found["position"] == study.ledger.head(STUDY)
            assert found["stale_since"] == (None if view == "safety" else bad)
            left_out = {"position", "stale_since", "anchor"}
            assert {name: found[name] for name in found if name not in left_out} == {
                name: was[name] for name in was if name not in left_out
            }
        (item,) = listed(study, "participants").items
        assert item["stale_since"] == bad


# --- waiting --------------------------------------------------------------------------------------


def test_a_reader_that_waits_sees_its_own_write(study: Watched) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=study.projector.run, args=(stop,))
    thread.start()
    try:
        for number in range(5):
            position = study.post(f"01-{number:03}", specs.referred)
            page = listed(study, "participants", wait_for=position)
            assert page.position >= position
            assert len(page.items) == number + 1
    finally:
        study.projector.stop(stop)
        thread.join(30)


def test_a_reader_waits_for_a_bounded_time(
    cohort: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "WAIT_SECONDS", 0.1)
    behind = cohort.ledger.head(STUDY)
    position = cohort.post("02-001", specs.said("prescreened", "2026-11-03", proceed=True))
    with pytest.raises(Lagging) as late:
        listed(cohort, "participants", wait_for=position)
    assert late.value.position == behind
    one = cohort.reading.participant(STUDY, "02-001", "summary", Query(wait_for=position))
    assert (one["stage"], one["position"]) == ("prescreening", position)
    with pytest.raises(Lagging):
        cohort.reading.participant(STUDY, "02-001", "summary", Query(wait_for=position + 1))
