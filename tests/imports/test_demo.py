"""The synthetic cohort: somebody is in every stage, and a second start adds nobody."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from domain.kernel import Actor
from domain.stage import Stage, stage
from projections.catalogue import VIEWS
from services.demo.cohort import STUDY, Added, acts_of, add_cohort, demo_of, register
from services.record import Terms
from tests.imports.conftest import Store

MORNING = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def prepared(now: datetime = MORNING) -> Store:
    """A store with LK-23-01 as `cairn up` comes with it."""
    store = Store(now)
    terms = Terms(Actor(id="t", role="administrator"), "urn:t")
    asyncio.run(store.publishing.publish_built_in(terms))
    return store


def begun(store: Store) -> Added:
    return add_cohort(store, acts_of(demo_of(store)), lambda _acts: None)  # type: ignore[arg-type]


def stages(store: Store) -> Counter[str]:
    trial = store.hot.trial(STUDY)
    names = store.ledger.participants(STUDY)
    return Counter(stage(trial, store.hot.participant(STUDY, one), store.now) for one in names)


@pytest.fixture(scope="module")
def cohort() -> tuple[Store, Added]:
    store = Store(MORNING)
    register(store)  # type: ignore[arg-type]
    return store, begun(store)


def test_nothing_of_it_is_refused(cohort):
    _, added = cohort
    assert (added.refused, added.known) == ([], 0)
    assert added.recorded > 500


def test_somebody_is_in_every_stage_and_the_study_is_full(cohort):
    store, _ = cohort
    found = stages(store)
    assert set(found) == set(get_args(Stage))
    assert len(store.hot.trial(STUDY).slots) == 10


def test_every_view_has_something_to_show(cohort):
    store, _ = cohort
    trial = store.hot.trial(STUDY)
    people = [store.hot.participant(STUDY, one) for one in store.ledger.participants(STUDY)]
    empty = [view.name for view in VIEWS if not any(view.of(trial, one) for one in people)]
    assert empty == []


def test_something_is_contradictory_late_dose_limiting_and_running(cohort):
    store, _ = cohort
    found = {
        getattr(one.body, "rule", getattr(one.body, "because", one.type))
        for name in store.ledger.participants(STUDY)
        for one in store.hot.participant(STUDY, name).concluded.values()
    }
    assert {"serious-not-flagged", "safety-report-late", "visit-window", "visit-missed"} <= {
        name for name in found if isinstance(name, str)
    }


def test_events_were_recorded_when_they_were_posted_and_in_order(cohort):
    store, _ = cohort
    history = store.hot.participant(STUDY, "01-001").history
    assert (MORNING - history[0].recorded_at) > timedelta(days=250)
    late = [one for one in store.hot.participant(STUDY, "01-004").history if one.type[:3] == "obs"]
    assert max(one.recorded_at - one.occurred_at.earliest() for one in late) > timedelta(days=14)


@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=7), timedelta(days=40)])
def test_a_second_start_adds_nothing_on_whatever_day(cohort, later):
    store, first = cohort
    head = store.ledger.head(STUDY)
    store.now = MORNING + later
    try:
        again = begun(store)
    finally:
        store.now = MORNING
    assert (again.recorded, again.known) == (0, first.recorded)
    assert store.ledger.head(STUDY) == head


class Broken(Exception):
    """The start is broken off."""


def test_a_start_that_was_broken_off_is_completed_the_next_day(cohort):
    whole, _ = cohort
    store, done = prepared(), 0

    def until(count: int) -> None:
        nonlocal done
        done += count
        if done > 200:
            raise Broken

    with pytest.raises(Broken):
        add_cohort(store, acts_of(demo_of(store)), until)  # type: ignore[arg-type]
    store.now = MORNING + timedelta(days=1)
    begun(store)
    assert store.ledger.head(STUDY) == whole.ledger.head(STUDY)


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 1, 1, 0, 10, tzinfo=UTC),
        datetime(2026, 3, 8, 7, 30, tzinfo=UTC),  # clocks go forward at the sites
        datetime(2026, 11, 1, 6, 30, tzinfo=UTC),  # and back
        datetime(2028, 2, 29, 23, 50, tzinfo=UTC),
    ],
)
def test_it_can_be_made_on_any_day_in_a_study_that_is_there(now):
    store = prepared(now)
    assert begun(store).refused == []
    assert set(stages(store)) == set(get_args(Stage))
