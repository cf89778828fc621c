"""All views built anew by one fold: each as if it were built by itself, whatever becomes of one."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from infra.ledger.types import Stored
from infra.postgres.pool import Pool
from infra.projection import digests, filling
from infra.projection.batch import Halted
from infra.projection.folds import recorded
from infra.projection.rebuilding import Rebuilt
from infra.projection.shapes import RowShape
from infra.projection.tables import Cursor, Writing
from projections import enrolment, safety, schedule
from projections.catalogue import VIEWS
from tests import specs
from tests.contracts.test_projector import poisoned
from tests.projections.watched import STUDY, Watched, fill, watched

NAMES = [view.name for view in VIEWS]


@pytest.fixture
def study(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(filling, "COPY_ROWS", 30)
    with watched(pool) as found:
        yield found


def test_views_built_together_are_those_built_one_by_one(study: Watched) -> None:
    fill(study, 23, 80)
    study.projector.catch_up(STUDY)
    alone = [study.projector.rebuild(STUDY, name) for name in NAMES]
    together = study.projector.rebuild_all(STUDY, NAMES)
    assert [(one.view, one.rows, one.digest) for one in alone] == [
        (one.view, one.rows, one.digest) for one in together if isinstance(one, Rebuilt)
    ]
    assert study.digests() == study.expected()


def test_each_participant_is_read_once(study: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(study, 24, 30)
    study.projector.catch_up(STUDY)
    read: list[int] = []

    def counted(stored: Stored) -> Any:
        read.append(stored.position)
        return recorded(stored)

    monkeypatch.setattr(filling, "recorded", counted)
    study.projector.rebuild_all(STUDY, NAMES)
    assert len(read) == len(set(read)) > len(study.ledger.participants(STUDY))


def test_views_that_stand_elsewhere_are_built_as_of_where_they_stand(study: Watched) -> None:
    study.post("01-001", *specs.treated, historical=True)
    study.another([safety.VIEW]).catch_up(STUDY)
    study.post("01-001", specs.event("AE-1", "2026-12-15T10:00:00Z", grade=3))
    study.another([enrolment.VIEW, schedule.VIEW]).catch_up(STUDY)
    names = ["schedule", "safety", "enrolment"]
    found = study.projector.rebuild_all(STUDY, names)
    assert all(isinstance(one, Rebuilt) and one.same for one in found)
    at = [one.position for one in found if isinstance(one, Rebuilt)]
    assert at[0] == at[2] > at[1]


def test_one_that_halts_does_not_stop_the_others(pool: Pool) -> None:
    with watched(pool, (enrolment.VIEW, safety.VIEW)) as study:
        study.post("01-001", *specs.screening)
        study.post("01-002", specs.referred, specs.visit("UNS", "2026-12-01"))
        study.projector.catch_up(STUDY)
        before = study.tables.active(STUDY)["safety"]
        views = (enrolment.VIEW, poisoned(safety.VIEW, "01-002"))
        kept, halted = study.another(views).rebuild_all(STUDY, ["enrolment", "safety"])
        assert isinstance(kept, Rebuilt)
        assert kept.same
        assert isinstance(halted, Halted)
        assert (halted.cursor.view, halted.error) == ("safety", "ZeroDivisionError")
        assert study.tables.active(STUDY)["safety"] == before
        assert study.digests() == study.expected()
        assert {one.status for one in study.tables.cursors(STUDY)} == {"active"}


def test_one_that_leaves_out_a_participant_leaves_the_others_whole(pool: Pool) -> None:
    with watched(pool, (enrolment.VIEW, schedule.VIEW)) as study:
        study.post("01-001", *specs.screening)
        study.post("01-002", specs.referred, specs.visit("UNS", "2026-12-01"))
        study.projector.catch_up(STUDY)
        views = (poisoned(enrolment.VIEW, "01-002"), schedule.VIEW)
        names = ["enrolment", "schedule"]
        first, second = study.another(views).rebuild_all(STUDY, names)
        assert isinstance(first, Rebuilt)
        assert isinstance(second, Rebuilt)
        assert second.same
        assert not first.same
        assert first.rows == 1
        active = study.tables.active(STUDY).values()
        assert study.tables.left_out(STUDY, active) == {"enrolment": {"01-002"}, "schedule": set()}


def test_what_is_stored_alike_is_digested_once_and_what_is_not_twice(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.post("01-001", *specs.treated, historical=True)
    study.projector.catch_up(STUDY)
    asked: list[str] = []
    real = digests._digest

    def counted(rows: str) -> bytes:
        asked.append(rows)
        return real(rows)

    monkeypatch.setattr(digests, "_digest", counted)
    assert study.projector.rebuild(STUDY, "schedule").same
    assert len(asked) == 1
    with study.pool.connection() as connection:
        # Equal as JSON, but written in another way: no other rows.
        connection.execute("UPDATE views.schedule_2 SET item = (item::text || ' ')::json")
    assert study.projector.rebuild(STUDY, "schedule").same
    assert len(asked) == 3
    with study.pool.connection() as connection:
        connection.execute("UPDATE views.schedule_2 SET outside = 9 WHERE visit = 'V2'")
    rebuilt = study.projector.rebuild(STUDY, "schedule")
    assert not rebuilt.same
    assert rebuilt.digest == study.folded(schedule.VIEW)


def test_rows_that_could_not_be_written_behind_are_never_read(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(study, 25, 30)
    study.projector.catch_up(STUDY)
    real, written = Writing.copy, list[str]()
    fails_at = [0]

    def copy(self: Writing, cursor: Cursor, rows: Sequence[RowShape]) -> int:
        written.append(cursor.view)
        if len(written) in fails_at:
            raise ZeroDivisionError
        return real(self, cursor, rows)

    monkeypatch.setattr(Writing, "copy", copy)
    study.projector.rebuild_all(STUDY, NAMES)
    before, writes = study.tables.active(STUDY), len(written)
    for fails_at[0] in (1, writes // 2, writes):
        written.clear()
        with pytest.raises(ZeroDivisionError):
            study.projector.rebuild_all(STUDY, NAMES)
        assert study.tables.active(STUDY) == before
    assert study.digests() == study.expected()
