"""Readers' side of a study on a real store: a small cohort, and lists asked for in one line."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.time import When
from infra.postgres.pool import Pool
from services.views import Page, Query
from tests import specs
from tests.projections.watched import STUDY, Watched, watched

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
