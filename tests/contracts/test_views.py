"""Views as they are asked for, on PostgreSQL: lists page by page, and the past on both axes."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from domain.time import When
from infra.postgres.pool import Pool
from infra.projection.tables import statements
from projections.catalogue import VIEWS
from services.concluding import Concluding
from services.door import Invalid
from services.state import NotFound
from services.views import PARTICIPANT_VIEWS, STUDY_VIEWS, Lagging, Page, Query
from services.views import reading as views
from tests import specs
from tests.projections.watched import STUDY, Watched, fill, watched

ON = When.parse("2026-12-25")
SERIOUS = specs.event(
    "AE-1", "2026-12-09T10:00:00-05:00", grade=3, serious=False, seriousness=["hospitalisation"]
)


@pytest.fixture
def study(pool: Pool) -> Iterator[Watched]:
    with watched(pool) as found:
        yield found


@pytest.fixture
def cohort(study: Watched) -> Watched:
    """One dosed with a serious event, one screened, one referred, at two sites."""
    study.clock.now = datetime(2026, 12, 9, 16, tzinfo=UTC)
    study.post("01-001", *specs.treated, SERIOUS, historical=True)
    study.post("01-002", specs.referred, specs.consented, specs.screened)
    study.post("02-001", specs.referred.but(site="02"))
    study.projector.catch_up(STUDY)
    return study


def listed(study: Watched, view: str, **asked: Any) -> Page:
    return study.reading.study(STUDY, view, Query(**{"on": ON, **asked}))


def whole(study: Watched, view: str, limit: int, **asked: Any) -> list[Any]:
    """Every item, page by page."""
    items: list[Any] = []
    cursor = None
    while True:
        page = listed(study, view, limit=limit, cursor=cursor, **asked)
        assert len(page.items) <= limit
        items.extend(page.items)
        if page.next is None:
            return items
        assert len(page.items) == limit
        cursor = page.next


def who(page: Page) -> list[str]:
    return [item["participant"] for item in page.items]


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
    assert [one["due"][:10] for one in page.items] == sorted(
        one["due"][:10] for one in page.items
    )
    closing = listed(cohort, "worklist", on=When.parse("2026-12-22")).items
    assert ("closing", "V5") in [(one["task"], one.get("visit")) for one in closing]
    assert listed(cohort, "worklist", on=When.parse("2026-12-21"), site="02").items == []


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


# --- the past -------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", PARTICIPANT_VIEWS)
def test_what_was_known_at_a_position_never_changes_afterwards(study: Watched, view: str) -> None:
    seen: list[tuple[int, Any]] = []
    for one in (*specs.treated, SERIOUS):
        position = study.post("01-001", one, historical=True)
        asked = Query(as_of=position)
        seen.append((position, study.reading.participant(STUDY, "01-001", view, asked)))
    study.clock.now += timedelta(days=300)
    study.tick()
    for position, answer in seen:
        again = study.reading.participant(STUDY, "01-001", view, Query(as_of=position))
        assert again == answer
        assert answer["position"] == position


def test_what_was_known_at_a_moment_is_the_log_up_to_it(study: Watched) -> None:
    study.post("01-001", specs.referred)
    first = study.clock.now
    study.clock.now += timedelta(days=2)
    study.post("01-001", specs.consented)
    known = {
        moment: study.reading.participant(STUDY, "01-001", "summary", Query(as_of=When.at(at)))
        for moment, at in (("then", first), ("day after", first + timedelta(days=1)))
    }
    assert [one["stage"] for one in known.values()] == ["referred", "referred"]
    now = study.reading.participant(STUDY, "01-001", "summary", Query())
    assert now["stage"] == "consented"
    before = When.at(first - timedelta(days=1))
    with pytest.raises(NotFound):
        study.reading.participant(STUDY, "01-001", "summary", Query(as_of=before))


def test_what_was_true_at_a_moment_is_told_with_what_is_known_now(cohort: Watched) -> None:
    def stage(day: str) -> str:
        asked = Query(valid_at=When.parse(day))
        return str(cohort.reading.participant(STUDY, "01-001", "summary", asked)["stage"])

    assert [stage(day) for day in ("2026-11-01", "2026-11-02", "2026-12-01", "2026-12-07")] == [
        "referred",
        "consented",
        "enrolled",
        "follow-up",
    ]
    with pytest.raises(NotFound):
        stage("2026-10-31")
    page = listed(cohort, "participants", valid_at=When.parse("2026-11-20"), on=None)
    assert [(one["participant"], one["stage"]) for one in page.items] == [
        ("01-001", "consented"),
        ("01-002", "consented"),
        ("02-001", "referred"),
    ]


def test_an_adverse_event_is_true_from_its_onset_and_known_from_its_report(
    study: Watched,
) -> None:
    study.post("01-001", *specs.treated, historical=True)
    unknown = study.ledger.head(STUDY)
    late = specs.event("AE-1", "2026-12-20T10:00:00-05:00", "2026-12-10", grade=1)
    study.post("01-001", late)

    def events(**asked: Any) -> list[str]:
        answer = study.reading.participant(STUDY, "01-001", "safety", Query(**asked))
        return [one["ae"] for one in answer["adverse_events"]]

    assert events(valid_at=When.parse("2026-12-09")) == []
    assert events(valid_at=When.parse("2026-12-10")) == ["AE-1"]
    assert events(as_of=unknown) == []
    assert events(as_of=unknown, valid_at=When.parse("2026-12-10")) == []


def test_a_correction_changes_what_was_true_but_not_what_was_known(cohort: Watched) -> None:
    before = cohort.ledger.head(STUDY)
    cohort.clock.now = datetime(2026, 12, 30, 12, tzinfo=UTC)
    position = next(
        one.position
        for one in cohort.hot.participant(STUDY, "01-001").history
        if one.type == "consented"
    )
    cohort.post(
        "01-001",
        specs.said(
            "corrected", "2026-12-30", "data-manager", position=position, occurred_at="2026-11-05"
        ),
    )

    def stage(**asked: Any) -> str:
        found = cohort.reading.participant(STUDY, "01-001", "summary", Query(**asked))
        return str(found["stage"])

    day = When.parse("2026-11-04")
    assert stage(valid_at=day) == "referred"
    assert stage(valid_at=day, as_of=before) == "consented"


def test_imported_history_has_the_time_axis_of_its_source(study: Watched) -> None:
    from services.door import Posted

    for one, at in ((specs.referred, "2026-11-01"), (specs.consented, "2026-11-10")):
        posted = Posted(one.body, one.when, "urn:old", at, None, When.parse(at), "01-001")
        asyncio.run(
            study.recording.record(STUDY, "01-001", [posted], study.terms("system"))
        )

    def stage(at: str) -> str:
        asked = Query(as_of=When.parse(at), by_source=True)
        return str(study.reading.participant(STUDY, "01-001", "summary", asked)["stage"])

    assert (stage("2026-11-09"), stage("2026-11-10")) == ("referred", "consented")
    with pytest.raises(NotFound):
        stage("2026-10-31")


# --- time -----------------------------------------------------------------------------------------


def concluding(study: Watched) -> Concluding:
    return Concluding(study.recording, study.tables, study.clock)


def test_the_clock_worker_concludes_what_time_brings_and_then_nothing(study: Watched) -> None:
    study.clock.now = datetime(2026, 12, 9, 16, tzinfo=UTC)
    study.post("01-001", *specs.treated, SERIOUS, historical=True)
    study.post("01-002", specs.referred)
    study.projector.catch_up(STUDY)
    worker = concluding(study)
    assert asyncio.run(worker.conclude_due(STUDY, study.clock.now)) == 0
    for moment, wanted in (
        (datetime(2026, 12, 10, 15, 0, 0, 1, tzinfo=UTC), {"safety-clock-breached"}),
        (datetime(2026, 12, 12, 5, tzinfo=UTC), {"visit-lapsed"}),
    ):
        head = study.ledger.head(STUDY)
        study.clock.now = moment - timedelta(microseconds=1)
        if wanted == {"safety-clock-breached"}:
            assert asyncio.run(concluding(study).conclude_due(STUDY, study.clock.now)) == 0
        study.clock.now = moment
        assert asyncio.run(worker.conclude_due(STUDY, moment)) == 1
        new = study.ledger.read(STUDY, head, 100)
        assert wanted <= {one.topic.split(".")[1] for one in new}
        study.projector.catch_up(STUDY)
        assert asyncio.run(concluding(study).conclude_due(STUDY, moment)) == 0
    for view in VIEWS:
        assert study.projector.digest(STUDY, view.name) == study.folded(view)


def test_several_clock_workers_conclude_everything_once(study: Watched) -> None:
    names = [f"01-{number:03}" for number in range(4)]
    study.clock.now = datetime(2026, 12, 7, 18, tzinfo=UTC)
    for name in names:
        study.post(name, *specs.treated, historical=True)
    study.projector.catch_up(STUDY)
    study.clock.now = datetime(2027, 7, 1, tzinfo=UTC)
    workers = [concluding(study) for _ in range(3)]

    async def together() -> int:
        return sum(
            await asyncio.gather(*(one.conclude_due(STUDY, study.clock.now) for one in workers))
        )

    assert asyncio.run(together()) == len(names)
    lapsed = [
        one.stream
        for one in study.ledger.read(STUDY, 0, 10_000)
        if one.topic.startswith("participant.visit-lapsed.")
    ]
    assert {name: lapsed.count(name) for name in names} == dict.fromkeys(names, 10)


# --- indexes --------------------------------------------------------------------------------------

READS: list[tuple[str, str, dict[str, Any], str]] = [
    # view          read           asked                              index
    ("schedule", "page", {"first": date(2026, 3, 1), "last": date(2026, 3, 2)}, "schedule_1_day"),
    (
        "schedule",
        "page",
        {"first": date(2026, 3, 1), "last": date(2026, 3, 2), "site": "01"},
        "schedule_1_site",
    ),
    ("schedule", "of_participant", {"participant": "P-0500"}, "schedule_1_pkey"),
    ("enrolment", "page", {"stage": None, "after": "P-0500"}, "enrolment_1_pkey"),
    ("enrolment", "page", {"stage": None, "site": "07"}, "enrolment_1_site"),
]


@pytest.mark.parametrize(("view", "read", "asked", "index"), READS)
def test_a_read_of_a_large_study_uses_its_index(
    study: Watched, view: str, read: str, asked: dict[str, Any], index: str
) -> None:
    study.tables.prepare()
    values: dict[str, Any] = {
        "study": STUDY,
        "generation": 1,
        "after": "",
        "after_day": date.min,
        "after_key": "",
        "site": None,
        "status": None,
        "on": date(2026, 3, 1),
        "limit": 100,
        **asked,
    }
    with study.pool.connection() as connection:
        connection.execute(FILL[view])
        connection.execute(f"ANALYZE views.{view}_1")
        plan = connection.execute(
            "EXPLAIN " + statements(study.tables.views[view])[read], values, prepare=False
        )
        text = "\n".join(row[0] for row in plan)
    assert index in text, text
    assert "Seq Scan" not in text, text


FILL = {
    "schedule": f"""
        INSERT INTO views.schedule_1
        SELECT '{STUDY}', 1, 'P-' || lpad(p::text, 4, '0'), 'V' || v, lpad((p % 20)::text, 2, '0'),
            'UTC', 'V' || v, '2026-01-01'::date + (p * 7 + v * 14) % 365, NULL, NULL, NULL, false,
            NULL, '{{}}'
        FROM generate_series(1, 1000) AS p, generate_series(0, 11) AS v
    """,
    "enrolment": f"""
        INSERT INTO views.enrolment_1
        SELECT '{STUDY}', 1, 'P-' || lpad(p::text, 4, '0'), 'summary', lpad((p % 20)::text, 2, '0'),
            'UTC', 'screening', 'screening', NULL, NULL, true, true, false, false, false, false,
            '{{}}'
        FROM generate_series(1, 5000) AS p
    """,
}
