"""Carrying over on PostgreSQL: whoever is reached by an amendment gets one event, come what may."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from domain.kernel import Refusal
from projections.catalogue import VIEWS
from services import carrying
from services.carrying import CarryingOver
from services.concluding import Concluding
from services.publishing import built_in_protocol, draft_in, rendered
from tests import specs
from tests.projections.readers import study
from tests.projections.watched import STUDY, Watched

__all__ = ["study"]

NAMES = [f"01-{number:03}" for number in range(1, 8)]
AMENDED = datetime(2026, 12, 10, 16, tzinfo=UTC)


def raising(error: BaseException) -> None:
    raise error


def worker(study: Watched) -> CarryingOver:
    return CarryingOver(study.recording, raising)


def amend(study: Watched, site: str = "01") -> None:
    """Version 3.0 is published and activated at a site that worked under 2.0."""
    document = {**orjson.loads(rendered(built_in_protocol(), "json")), "version": "3.0"}
    published = study.publishing.publish_protocol(draft_in(document), study.terms("sponsor"))
    asyncio.run(published)
    for version, at in (("2.0", "2026-10-02"), ("3.0", "2026-12-10")):
        study.tell(specs.said("protocol-activated", at, site=site, protocol=version))


@pytest.fixture
def cohort(study: Watched) -> Watched:
    """Seven participants of site 01, one of whom left the study, and one of site 02."""
    study.clock.now = AMENDED
    for name in NAMES:
        study.post(name, *specs.screening, historical=True)
    study.post(NAMES[-1], specs.said("discontinued", "2026-12-01", cause="other"))
    study.post("02-001", specs.referred.but(site="02"))
    return study


def carried(study: Watched) -> Counter[str]:
    """Participant -> how often they were carried over."""
    topic = "participant.protocol-version-assigned."
    events = study.ledger.read(STUDY, 0, 10_000)
    return Counter(one.stream for one in events if one.topic.startswith(topic))


def run(one: CarryingOver) -> int:
    """Step until there is no more; how many steps that took."""
    steps = 1
    while asyncio.run(one.step(STUDY)):
        steps += 1
    return steps


EVERYBODY = Counter(dict.fromkeys(NAMES[:-1], 1))


def test_everybody_at_the_site_whose_journey_goes_on_is_carried_over_once(
    cohort: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "LOOKED_AT_ONCE", 3)
    head = cohort.ledger.head(STUDY)
    assert run(worker(cohort)) == 1, "without an amendment nobody is looked at"
    assert cohort.ledger.head(STUDY) == head
    amend(cohort)
    one = worker(cohort)
    assert run(one) == 3
    assert carried(cohort) == EVERYBODY
    head = cohort.ledger.head(STUDY)
    assert run(one) == 1
    assert run(worker(cohort)) == 3, "a restarted worker looks at all of them again"
    assert cohort.ledger.head(STUDY) == head


def test_what_was_broken_off_is_completed_after_a_restart(
    cohort: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "LOOKED_AT_ONCE", 3)
    amend(cohort)
    assert asyncio.run(worker(cohort).step(STUDY))
    assert carried(cohort).total() == 3
    run(worker(cohort))
    assert carried(cohort) == EVERYBODY


def test_several_workers_carry_everybody_over_once(cohort: Watched) -> None:
    amend(cohort)

    async def together() -> list[Any]:
        return await asyncio.gather(*(worker(cohort).step(STUDY) for _ in range(3)))

    asyncio.run(together())
    assert carried(cohort) == EVERYBODY


def test_a_later_amendment_carries_them_over_again(cohort: Watched) -> None:
    amend(cohort)
    one = worker(cohort)
    run(one)
    cohort.clock.now = datetime(2026, 12, 12, 16, tzinfo=UTC)
    cohort.tell(specs.said("protocol-activated", "2026-12-12", site="01", protocol="2.0"))
    run(one)
    assert carried(cohort) == Counter(dict.fromkeys(NAMES[:-1], 2))


def test_the_clock_worker_does_it_and_the_views_follow(cohort: Watched) -> None:
    amend(cohort)
    cohort.projector.catch_up(STUDY)
    clock = Concluding(cohort.recording, cohort.tables, cohort.clock, raising)
    while clock.step():
        cohort.projector.catch_up(STUDY)
    assert carried(cohort) == EVERYBODY
    cohort.projector.catch_up(STUDY)
    for view in VIEWS:
        assert cohort.projector.digest(STUDY, view.name) == cohort.folded(view)


def test_activating_waits_for_nobody(cohort: Watched) -> None:
    amend(cohort)
    assert carried(cohort) == Counter()
    cohort.post(NAMES[0], specs.visit("UNS", "2026-12-10T10:00:00-05:00"))
    assert carried(cohort) == Counter(NAMES[:1]), "who has an event of their own is not waited for"
    with pytest.raises(Refusal):
        cohort.tell(specs.said("protocol-activated", "2026-12-10", site="09", protocol="3.0"))
