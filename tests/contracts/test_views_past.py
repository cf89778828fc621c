"""The past on both axes, on PostgreSQL: what was known then, and what was true then."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.time import When
from services.door import Posted
from services.state import NotFound
from services.views import PARTICIPANT_VIEWS, Query
from tests import specs
from tests.projections.readers import SERIOUS, cohort, listed, study
from tests.projections.watched import STUDY, Watched

__all__ = ["cohort", "study"]


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


def test_slots_and_toxicities_are_those_of_the_moment(cohort: Watched) -> None:
    def figures(day: str) -> tuple[int, int, int]:
        asked = {"valid_at": When.parse(day), "on": None}
        toxicity = listed(cohort, "safety", **asked).extra["toxicity"]
        taken = listed(cohort, "enrolment", **asked).extra["accrual"]["taken"]
        return taken, toxicity["dosed"], toxicity["with_dlt"]

    days = ("2026-11-30", "2026-12-01", "2026-12-07", "2026-12-09")
    assert [figures(day) for day in days] == [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]


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
    for one, at in ((specs.referred, "2026-11-01"), (specs.consented, "2026-11-10")):
        posted = Posted(one.body, one.when, "urn:old", at, None, When.parse(at), "01-001")
        asyncio.run(study.recording.record(STUDY, "01-001", [posted], study.terms("system")))

    def stage(at: str) -> str:
        asked = Query(as_of=When.parse(at), by_source=True)
        return str(study.reading.participant(STUDY, "01-001", "summary", asked)["stage"])

    assert (stage("2026-11-09"), stage("2026-11-10")) == ("referred", "consented")
    with pytest.raises(NotFound):
        stage("2026-10-31")
