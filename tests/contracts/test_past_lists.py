"""A study's past, list by list: what was live at each step is told again, in bounded memory."""

import gc
import random
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from domain.kernel import Refusal
from domain.time import When
from infra.ledger.memory import MemoryLedger
from infra.ledger.types import Stored
from services.views import STUDY_VIEWS, Page, Query, Views
from tests import specs
from tests.projections.readers import cohort, study
from tests.projections.watched import STUDY, Watched, _some_act, _some_study_event

__all__ = ["cohort", "study"]

LISTS = tuple(view for view in STUDY_VIEWS if view != "calendar")


def live(study: Watched, view: str, on: When) -> Any:
    page = study.reading.study(STUDY, view, Query(limit=1_000, on=on))
    return page.position, page.items, dict(page.extra)


@pytest.mark.parametrize("seed", [7, 8])
def test_as_of_any_position_a_list_is_what_it_was_live(study: Watched, seed: int) -> None:
    chance = random.Random(seed)
    study.clock.now = datetime(2027, 1, 4, 15, tzinfo=UTC)
    on = When.parse("2027-01-20")
    names = ("01-000", "02-001", "01-002")
    for name in names:
        study.post(name, specs.referred.but(site=name[:2]))
    seen: list[tuple[str, Any]] = []
    for _ in range(14):
        try:
            if chance.random() < 0.2:
                study.tell(_some_study_event(chance))
            else:
                study.post(chance.choice(names), _some_act(chance), historical=True)
        except Refusal:
            continue
        study.projector.catch_up(STUDY)
        view = chance.choice(LISTS)
        seen += [(one, live(study, one, on)) for one in {view, "participants", "safety"}]
    study.clock.now += timedelta(days=300)
    study.tick()
    for view, (position, items, extra) in seen:
        page = study.reading.study(STUDY, view, Query(limit=1_000, on=on, as_of=position))
        assert (page.position, page.items, dict(page.extra)) == (position, items, extra), view


# --- what cannot be read --------------------------------------------------------------------------


def test_who_cannot_be_read_is_left_out_and_named(cohort: Watched, database: str) -> None:
    asked = {"as_of": cohort.ledger.head(STUDY), "on": When.parse("2026-12-25")}

    def told(view: str, site: str | None = None) -> Page:
        return cohort.reading.study(STUDY, view, Query(limit=1_000, site=site, **asked))

    before = {view: told(view) for view in LISTS}
    spoiled = cohort.ledger.stream(STUDY, "01-001")[1].position
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE cairn.event SET body = '{}' WHERE position = %s", [spoiled])
    named = [{"participant": "01-001", "site": "01", "stale_since": spoiled}]
    for view in LISTS:
        page = told(view)
        assert page.extra["left_out"] == named, view
        if all("participant" in item for item in before[view].items):
            others = [one for one in before[view].items if one["participant"] != "01-001"]
            assert page.items == others, view
        assert told(view, "01").extra["left_out"] == named
        assert "left_out" not in told(view, "02").extra, "a site is told of its own alone"
        assert "left_out" not in before[view].extra


# --- memory ---------------------------------------------------------------------------------------


class Cohort(MemoryLedger):
    """A study whose participants are made as they are read, each like the one there is."""

    def __init__(self, study: Watched, count: int) -> None:
        super().__init__()
        self._kept, self._count = study.ledger, count
        self._one = study.ledger.stream(STUDY, "01-001")

    def head(self, study: str) -> int:
        return self._kept.head(study)

    def stream(
        self, study: str, stream: str, after: int = 0, up_to: int | None = None
    ) -> list[Stored]:
        return self._kept.stream(study, stream, after, up_to)

    def histories(
        self, study: str, first: str = "", up_to: int | None = None, before: str | None = None
    ) -> Iterator[list[Stored]]:
        for number in range(self._count):
            name = f"P-{number:05}"
            if name >= first:
                yield [
                    Stored(one.position, name, one.version, one.topic, one.body, one.hash)
                    for one in self._one
                ]


COHORTS = (3, 10, 70)
"""The first one fills what is kept for ever."""
ROOM_BYTES = 300_000
"""Sixty participants in memory take several times as much. What they take of the study, their
slots, is kept until the end: some four kilobytes each, where slots are shown."""
ASKED: list[dict[str, Any]] = [{"as_of": 10_000}, {"valid_at": When.parse("2026-12-20")}]


def peak_bytes(views: Views, view: str, asked: dict[str, Any]) -> tuple[int, int]:
    """The most that was in memory while a page was made, and how many participants were read."""
    read = 0

    def pause() -> None:
        nonlocal read
        read += 1

    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    views.study(STUDY, view, Query(limit=5, **asked), pause)
    return tracemalloc.get_traced_memory()[1] - before, read


@pytest.mark.parametrize("asked", ASKED, ids=["as_of", "valid_at"])
@pytest.mark.parametrize("view", ["schedule", "safety", "enrolment", "worklist", "criteria"])
def test_memory_does_not_grow_with_the_cohort(
    cohort: Watched, view: str, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What stands beside a list is part of the answer, up to these bounds.
    monkeypatch.setattr("services.views.figures.EXTRA_MAX", 5)
    monkeypatch.setattr("services.views.safety_board.SERIOUS_MAX", 5)
    peaks = []
    for count in COHORTS:
        ledger = Cohort(cohort, count)
        views = Views(ledger, cohort.documents, cohort.hot, cohort.tables, cohort.clock)
        # Without the collector of cycles: whoever had their turn is gone by then.
        gc.disable()
        tracemalloc.start()
        try:
            peak, read = peak_bytes(views, view, asked)
        finally:
            tracemalloc.stop()
            gc.enable()
        assert read == count
        peaks.append(peak)
    assert peaks[-1] - peaks[-2] < ROOM_BYTES, peaks


def test_a_list_in_the_order_of_participants_reads_no_further_than_its_page(
    cohort: Watched,
) -> None:
    ledger = Cohort(cohort, 100)
    views = Views(ledger, cohort.documents, cohort.hot, cohort.tables, cohort.clock)
    for view in ("participants", "eligibility", "matrix"):
        asked = Query(limit=20, as_of=10_000)
        page = views.study(STUDY, view, asked)
        read = 0

        def pause() -> None:
            nonlocal read
            read += 1

        again = views.study(STUDY, view, replace(asked, cursor=page.next), pause)
        assert [one["participant"] for one in again.items] == [f"P-{n:05}" for n in range(20, 40)]
        assert read <= 22


def test_a_reader_that_goes_away_ends_the_work(cohort: Watched) -> None:
    class Left(Exception):
        pass

    read = 0

    def pause() -> None:
        nonlocal read
        read += 1
        if read == 5:
            raise Left

    views = Views(Cohort(cohort, 100), cohort.documents, cohort.hot, cohort.tables, cohort.clock)
    for view in LISTS:
        read = 0
        with pytest.raises(Left):
            views.study(STUDY, view, Query(as_of=10_000), pause)
        assert read == 5, view
