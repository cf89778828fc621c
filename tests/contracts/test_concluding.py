"""The clock worker on PostgreSQL: what only time brings is concluded when it is due, and once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from projections.catalogue import VIEWS
from services.concluding import Concluding
from tests import specs
from tests.projections.readers import SERIOUS, study
from tests.projections.watched import STUDY, Watched

__all__ = ["study"]


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


def test_the_clock_worker_is_there_when_a_limit_passes(study: Watched) -> None:
    aware = datetime(2026, 12, 9, 15, tzinfo=UTC)
    study.clock.now = aware
    study.post("01-001", *specs.treated, SERIOUS, historical=True)
    study.projector.catch_up(STUDY)
    worker = concluding(study)
    limit = aware + timedelta(hours=24)
    for before, pause in ((3_600, 15.0), (10, 10.001), (0, 0.001)):
        study.clock.now = limit - timedelta(seconds=before)
        assert worker.pause(15.0) == pytest.approx(pause)
    study.clock.now = limit + timedelta(seconds=worker.pause(15.0))
    assert asyncio.run(worker.conclude_due(STUDY, study.clock.now)) == 1
    study.projector.catch_up(STUDY)
    assert worker.pause(15.0) == 15.0


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
