"""A rebuild that several processes share: the same rows, and nothing half of it is ever read."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from infra.postgres.pool import Pool, connect, conninfo_of
from infra.projection import sharing
from infra.projection.folds import Folds
from infra.projection.rebuilding import RebuildUnderWay, Rebuilt
from infra.projection.sharing import Beside, ranges
from infra.projection.tables import SQL, ViewTables, Writing
from projections.catalogue import VIEWS
from services.bootstrap import projection_parts
from tests import specs
from tests.projections.watched import STUDY, Watched

NAMES = [f"01-{number:03}" for number in range(7)]


class Killed(ViewTables):
    """Whoever writes through it is killed once the first rows are committed."""

    @contextmanager
    def writing(self, study: str) -> Iterator[Writing]:
        with super().writing(study) as writing:
            yield writing
        os.kill(os.getpid(), signal.SIGKILL)


def killed(conninfo: str) -> tuple[Folds, ViewTables]:
    folds, tables = projection_parts(conninfo)
    return folds, Killed(tables.pool, VIEWS)


@pytest.fixture
def watched(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """Seven participants, two in a range."""
    monkeypatch.setattr(sharing, "RANGE_PARTICIPANTS", 2)
    monkeypatch.setattr(sharing, "RANGES_EACH", 1)
    made = Watched(pool)
    made.begin()
    for name in NAMES:
        for one in (specs.referred, specs.consented):
            made.post(name, one)
    made.projector.catch_up(STUDY)
    yield made
    made.ledger.close()


def beside(watched: Watched, opened: Any, count: int = 2) -> Beside:
    return Beside(count, partial(opened, conninfo_of(watched.pool)))


def generations(watched: Watched) -> set[int]:
    """Of which there are rows."""
    with watched.pool.connection() as connection:
        found = connection.execute("SELECT DISTINCT generation FROM views.enrolment_1").fetchall()
    return {row[0] for row in found}


def test_everybody_is_in_one_range(watched: Watched) -> None:
    found = [(one.first, one.before) for one in ranges(watched.ledger, STUDY)]
    assert found == [
        ("", "01-002"),
        ("01-002", "01-004"),
        ("01-004", "01-006"),
        ("01-006", None),
    ]


def test_two_processes_make_the_rows_that_one_makes(watched: Watched) -> None:
    alone = watched.projector.rebuild(STUDY, "eligibility")
    help_of_two = beside(watched, projection_parts)
    shared = watched.projector.rebuild(STUDY, "eligibility", beside=help_of_two)
    assert alone.same
    assert shared.same
    assert (shared.rows, shared.digest) == (alone.rows, alone.digest)


def test_two_processes_build_all_views_in_one_go(watched: Watched) -> None:
    views = [view.name for view in VIEWS]
    alone = watched.projector.rebuild_all(STUDY, views)
    shared = watched.projector.rebuild_all(STUDY, views, beside=beside(watched, projection_parts))
    rows = [one.rows for one in shared if isinstance(one, Rebuilt)]
    assert rows == [one.rows for one in alone if isinstance(one, Rebuilt)]
    assert len(rows) == len(views)
    assert watched.digests() == watched.expected()


def test_a_killed_process_leaves_what_is_read_and_the_next_rebuild_cleans_up(
    watched: Watched,
) -> None:
    read = watched.tables.active(STUDY)["enrolment"]
    before = watched.projector.digest(STUDY, "enrolment")
    with pytest.raises(BrokenProcessPool):
        watched.projector.rebuild(STUDY, "enrolment", beside=beside(watched, killed))
    assert watched.tables.active(STUDY)["enrolment"] == read
    assert watched.projector.digest(STUDY, "enrolment") == before
    assert len(generations(watched)) == 2
    rebuilt = watched.projector.rebuild(STUDY, "enrolment")
    assert rebuilt.same
    assert rebuilt.rows == len(NAMES)
    assert generations(watched) == {rebuilt.generation}


def test_nobody_rebuilds_while_a_process_of_another_rebuild_lives(watched: Watched) -> None:
    held = {"study": STUDY, "view": "enrolment"}
    with connect(conninfo_of(watched.pool)) as helping:
        helping.execute(SQL["help_rebuild"], held)
        with pytest.raises(RebuildUnderWay):
            watched.projector.rebuild(STUDY, "enrolment")
    assert watched.projector.rebuild(STUDY, "enrolment").same
