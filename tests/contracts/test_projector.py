"""The projector on PostgreSQL: exactly once, whatever stops it, and equal to a rebuild."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from infra.ledger.types import StoreAway
from infra.postgres.pool import Pool
from infra.projection import batch, digests
from infra.projection import lane as lanes
from infra.projection import projector as projecting
from infra.projection import projector as projectors
from infra.projection.batch import Taking
from infra.projection.digests import ByParticipant
from infra.projection.projector import Projector
from infra.projection.tables import Overtaken, Writing
from projections import enrolment, safety
from projections.catalogue import VIEWS
from services.publishing import built_in_protocol, draft_in, rendered
from tests import specs
from tests.projections.watched import STUDY, Watched, fill, watched

STEPS = 120


@pytest.fixture
def study(pool: Pool) -> Iterator[Watched]:
    with watched(pool) as found:
        yield found


@pytest.mark.parametrize("seed", range(4))
def test_live_equals_rebuilt_equals_the_log_after_any_history(study: Watched, seed: int) -> None:
    for part in range(3):
        fill(study, seed * 10 + part, STEPS // 3) if part == 0 else more(study, seed * 10 + part)
        study.projector.catch_up(STUDY)
        assert study.digests() == study.expected()
    before = study.digests()
    for view in VIEWS:
        rebuilt = study.projector.rebuild(STUDY, view.name)
        assert rebuilt.same
    assert study.digests() == before
    assert study.another().catch_up(STUDY) == study.ledger.head(STUDY)


def more(study: Watched, seed: int) -> None:
    """Some more of the same, for participants who are there already."""
    names = study.ledger.participants(STUDY)
    study.post(names[0], specs.visit("UNS", f"2026-12-{1 + seed % 20:02}T10:00:00Z"))
    study.post(names[-1], specs.event(f"AE-X{seed}", "2026-12-15T10:00:00Z", grade=2))
    study.tell(
        specs.said("consent-form-approved", "2026-12-20", form_version=f"9.{seed}", reconsent=True)
    )


def test_a_history_taken_in_small_steps_gives_the_same_rows(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "BATCH_EVENTS", 7)
    monkeypatch.setattr(batch, "FLUSH_ROWS", 5)
    monkeypatch.setattr(study.projector.folds.room, "bytes_max", 100_000)
    fill(study, 77, STEPS)
    study.projector.catch_up(STUDY)
    assert study.digests() == study.expected()


def test_a_step_ends_before_one_participant_too_many(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(study, 78, STEPS)
    monkeypatch.setattr(lanes, "BATCH_PARTICIPANTS", 3)
    stands = 0
    while study.projector.step():
        (moved,) = {one.position for one in study.tables.cursors(STUDY)}
        taken = study.ledger.read(STUDY, stands, lanes.BATCH_EVENTS, moved)
        assert len({one.stream for one in taken}) <= 3
        stands = moved
    assert stands == study.ledger.head(STUDY)
    assert study.digests() == study.expected()


def test_standing_by_a_study_is_begun_only_when_nobody_has_moved_it_for_a_while(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(study, 3, 40)
    study.tables.begin(STUDY)
    patient, hasty = study.another(), study.another()
    for one in (patient, hasty):
        monkeypatch.setattr(one, "_stands_by", True)
    assert not patient.step()
    assert {one.position for one in study.tables.cursors(STUDY)} == {0}
    monkeypatch.setattr(projectors, "STALLED_SECONDS", 0.0)
    while hasty.step():
        pass
    assert study.digests() == study.expected()


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at_once", [batch.FLUSH_ROWS, 3])
def test_a_projector_killed_at_any_write_leaves_all_or_nothing(
    study: Watched, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    fill(study, 5, 60)
    monkeypatch.setattr(lanes, "BATCH_EVENTS", 20)
    monkeypatch.setattr(batch, "FLUSH_ROWS", at_once)
    head, kills = study.ledger.head(STUDY), 0
    real = Writing.write
    for nth in range(1, 200):
        left = nth

        def write(self: Writing, *rows: Any) -> None:
            nonlocal left
            left -= 1
            real(self, *rows)
            if left == 0:
                raise Killed

        monkeypatch.setattr(Writing, "write", write)
        projector = study.another()
        try:
            projector.catch_up(STUDY)
        except Killed:
            kills += 1
            positions = {one.position for one in study.tables.active(STUDY).values()}
            assert len(positions) == 1
            (at,) = positions
            monkeypatch.setattr(Writing, "write", real)
            assert study.digests() == study.expected(at)
        if study.tables.active(STUDY)["safety"].position == head:
            break
    assert kills >= 3
    assert study.digests() == study.expected()


def test_two_projectors_that_race_write_every_row_once(study: Watched) -> None:
    stop = threading.Event()
    projectors = [study.another() for _ in range(2)]
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in projectors]
    for thread in threads:
        thread.start()
    try:
        fill(study, 11, STEPS)
        head = study.ledger.head(STUDY)
        assert study.tables.wait(STUDY, [view.name for view in VIEWS], head, 30)
    finally:
        for projector, thread in zip(projectors, threads, strict=True):
            projector.stop(stop)
            thread.join(30)
    assert study.digests() == study.expected()


def test_a_study_that_begins_while_it_follows_is_followed_at_once(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "POLL_SECONDS", 600.0)
    stop, head = threading.Event(), study.ledger.head(STUDY)
    # It hears of what is appended through this process's ledger.
    thread = threading.Thread(target=study.projector.run, args=(stop,))
    thread.start()
    try:
        names = [view.name for view in VIEWS]
        assert study.tables.wait(STUDY, names, head, 30)
        study.name = "ANOTHER-STUDY"
        study.begin()
        assert study.tables.wait(study.name, names, study.ledger.head(study.name), 10)
    finally:
        study.projector.stop(stop)
        thread.join(30)


@pytest.mark.parametrize("at_once", [batch.FLUSH_ROWS, 1])
def test_of_two_steps_from_one_position_the_second_finds_it_moved(
    study: Watched, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(batch, "FLUSH_ROWS", at_once)
    study.post("01-001", *specs.screening)
    first, second = study.another(), study.another()
    first.catch_up(STUDY)
    second.catch_up(STUDY)
    study.post("01-001", specs.visit("UNS", "2026-12-01"))
    behind = second._following(STUDY).lanes()[0]
    first.catch_up(STUDY)
    with pytest.raises(Overtaken):
        behind.step()
    assert study.digests() == study.expected()


def test_a_transaction_goes_on_while_nobody_gets_new_rows(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.post("01-001", *specs.screening)
    study.post("01-002", *specs.screening)
    study.projector.catch_up(STUDY)
    study.post("01-001", specs.visit("UNS", "2026-12-01"))
    study.post("01-002", specs.visit("UNS", "2026-12-01"))
    monkeypatch.setattr(batch, "FLUSH_ROWS", 1)
    monkeypatch.setattr(batch, "SILENT_SECONDS", 0.0)
    begun = Writing.move

    def move(self: Writing, *moves: Any) -> None:
        begun(self, *moves)
        self.connection.execute("SET LOCAL idle_in_transaction_session_timeout = '300ms'")

    monkeypatch.setattr(Writing, "move", move)
    real = Taking._participant

    def slowly(self: Taking, name: str, events: Any) -> None:
        real(self, name, events)
        until = time.monotonic() + 0.9
        while time.monotonic() < until:
            self._batch.flush_behind()  # what everybody who is looked at comes to

    monkeypatch.setattr(Taking, "_participant", slowly)
    study.projector.catch_up(STUDY)
    assert study.digests() == study.expected()


# --- what cannot be projected ---------------------------------------------------------------------


def poisoned(view: Any, who: str, marker: str = "UNS") -> Any:
    """The view, which fails on a participant once it has a visit of the marker's code."""

    def rows(trial: Any, participant: Any) -> Iterator[Any]:
        visits = participant.visits.completed
        if participant.id == who and any(one.body.visit == marker for one in visits):
            raise ZeroDivisionError("something nobody thought of")
        yield from view.rows(trial, participant)

    return replace(view, rows=rows)


def test_a_participant_that_cannot_be_projected_is_stale_and_the_others_flow(pool: Pool) -> None:
    views = (poisoned(enrolment.VIEW, "01-001"), safety.VIEW)
    with watched(pool, views) as study:
        study.post("01-001", *specs.screening)
        study.projector.catch_up(STUDY)
        bad = study.post("01-001", specs.visit("UNS", "2026-12-01"))
        study.post("01-002", *specs.screening)
        assert study.projector.catch_up(STUDY) == study.ledger.head(STUDY)
        with study.tables.reading(STUDY, ["enrolment"]) as reading:
            assert reading.stale("enrolment", ["01-001", "01-002"]) == {"01-001": bad}
            versions = {
                row.participant: row.item["version"]
                for row in reading.rows(
                    "enrolment", "page", after="", site=None, stage=None, limit=10
                )
            }
        now = {name: study.hot.participant(STUDY, name).version for name in versions}
        assert versions["01-001"] < now["01-001"]
        assert versions["01-002"] == now["01-002"]

        healed = study.another((enrolment.VIEW, safety.VIEW))
        healed.catch_up(STUDY)
        study.post("01-001", specs.visit("V2", "2026-12-08"))
        healed.catch_up(STUDY)
        assert study.tables.left_out(STUDY, study.tables.active(STUDY).values()) == {
            "enrolment": set(),
            "safety": set(),
        }
        assert healed.digest(STUDY, "enrolment") == study.folded(enrolment.VIEW)


@pytest.mark.parametrize("at_once", [batch.FLUSH_ROWS, 1])
def test_the_safety_view_halts_before_what_it_cannot_take_in_and_the_others_flow(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(batch, "FLUSH_ROWS", at_once)
    views = (enrolment.VIEW, poisoned(safety.VIEW, "01-001"))
    with watched(pool, views) as study:
        study.post("01-002", *specs.screening)
        first = study.ledger.head(STUDY) + 1
        study.post("01-001", specs.referred, specs.visit("UNS", "2026-12-01"))
        study.post("01-002", specs.visit("UNS", "2026-12-02"))
        head = study.ledger.head(STUDY)
        assert study.projector.catch_up(STUDY) == head
        active = study.tables.active(STUDY)
        assert active["enrolment"].position == head
        assert (active["safety"].position, active["safety"].halted_at) == (first - 1, first)
        assert active["safety"].error == "ZeroDivisionError"
        assert study.projector.digest(STUDY, "safety") == study.folded(safety.VIEW, first - 1)
        assert study.projector.lag(STUDY) == {"enrolment": 0, "safety": head - first + 1}

        healed = study.another((enrolment.VIEW, safety.VIEW))
        assert healed.catch_up(STUDY) == head
        assert study.tables.active(STUDY)["safety"].halted_at is None
        assert healed.digest(STUDY, "safety") == study.folded(safety.VIEW)


def test_a_study_event_reaches_those_who_have_no_event_of_their_own(study: Watched) -> None:
    study.post("01-001", specs.referred, specs.consented)
    study.post("09-001", specs.referred.but(site="09"), specs.consented)
    study.projector.catch_up(STUDY)
    study.tell(
        specs.said("consent-form-approved", "2026-12-01", form_version="2.0", reconsent=True)
    )
    study.tell(
        specs.said("site-opened", "2026-12-01", site="09", name="Late", timezone="Asia/Tokyo")
    )
    study.another().catch_up(STUDY)
    with study.tables.reading(STUDY, ["enrolment"]) as reading:
        rows = {
            row.participant: row.columns
            for row in reading.rows("enrolment", "page", after="", site=None, stage=None, limit=9)
        }
    assert {name: row["reconsent_due"] for name, row in rows.items()} == {
        "01-001": "2.0",
        "09-001": "2.0",
    }
    assert rows["09-001"]["zone"] == "Asia/Tokyo"
    assert study.digests() == study.expected()


def test_an_activation_at_a_site_that_was_left_reaches_who_was_there(study: Watched) -> None:
    draft = {**orjson.loads(rendered(built_in_protocol(), "json")), "version": "3.0"}
    for visit in draft["visits"]:
        visit["after"] += visit["code"] == "V4"
    asyncio.run(study.publishing.publish_protocol(draft_in(draft), study.terms("sponsor")))
    study.tell(specs.said("protocol-activated", "2026-10-02", site="01", protocol="2.0"))
    study.tell(specs.said("protocol-activated", "2026-10-02", site="02", protocol="2.0"))
    study.post("01-001", *specs.treated, historical=True)
    study.post("01-001", specs.said("transferred", "2026-12-28", "investigator", site="02"))
    study.projector.catch_up(STUDY)
    assert study.digests() == study.expected()
    before = study.digests()
    # It was activated while the participant was there, and nobody had said so.
    study.tell(specs.said("protocol-activated", "2026-12-10", site="01", protocol="3.0"))
    study.projector.catch_up(STUDY)
    assert study.digests() == study.expected()
    assert study.digests() != before


def test_a_row_that_changes_takes_the_place_of_what_is_there_or_is_not(study: Watched) -> None:
    study.post("01-001", *specs.screening)
    study.post("01-002", *specs.screening)
    study.projector.catch_up(STUDY)
    with study.pool.connection() as connection:
        connection.execute("DELETE FROM views.enrolment_1 WHERE participant = '01-001'")
        connection.execute("UPDATE views.enrolment_1 SET zone = 'nowhere', dosed = true")
    study.post("01-001", specs.visit("UNS", "2026-12-01"))
    study.post("01-002", specs.visit("UNS", "2026-12-01"))
    study.projector.catch_up(STUDY)
    assert study.digests() == study.expected()


# --- rebuilding -----------------------------------------------------------------------------------


def test_a_rebuild_finds_a_row_that_was_tampered_with_and_mends_it(study: Watched) -> None:
    study.post("01-001", *specs.treated, historical=True)
    study.projector.catch_up(STUDY)
    with study.pool.connection() as connection:
        connection.execute("UPDATE views.schedule_2 SET day = day + 1 WHERE visit = 'V5'")
    rebuilt = study.projector.rebuild(STUDY, "schedule")
    assert not rebuilt.same
    assert study.digests() == study.expected()


def test_readers_see_the_old_rows_until_the_new_ones_are_whole(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.post("01-001", *specs.treated, historical=True)
    study.projector.catch_up(STUDY)
    seen: list[int] = []

    def count() -> int:
        with study.tables.reading(STUDY, ["schedule"]) as reading:
            return len(reading.rows("schedule", "all"))

    whole = count()
    real = digests.brought_up

    def look(*arguments: Any) -> ByParticipant:
        found = real(*arguments)
        seen.append(count())
        return found

    monkeypatch.setattr(digests, "brought_up", look)
    progress: list[tuple[int, int]] = []
    rebuilt = study.projector.rebuild(STUDY, "schedule", lambda *done: progress.append(done))
    assert (rebuilt.rows, seen, count()) == (whole, [whole], whole)
    assert progress[-1] == (rebuilt.position, rebuilt.position)


def test_a_rebuild_that_was_killed_leaves_nothing_behind_after_the_next(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.post("01-001", *specs.treated, historical=True)
    study.projector.catch_up(STUDY)

    def killed(*_arguments: Any) -> str:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(digests, "brought_up", killed)
        with pytest.raises(Killed):
            study.projector.rebuild(STUDY, "schedule")
    study.post("01-001", specs.visit("V2", "2026-12-08"))
    study.projector.catch_up(STUDY)
    assert study.digests() == study.expected()
    study.projector.rebuild(STUDY, "schedule")
    generations = [one for one in study.tables.cursors(STUDY) if one.view == "schedule"]
    assert [one.status for one in generations] == ["active"]
    with study.pool.connection() as connection:
        row = connection.execute("SELECT count(DISTINCT generation) FROM views.schedule_2")
        assert row.fetchone() == (1,)


def test_the_store_going_away_loses_nothing(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(study, 3, 40)
    real, calls = Writing.move, iter(range(100))

    def move(self: Writing, *arguments: Any) -> None:
        if next(calls) == 0:
            raise StoreAway("away")
        real(self, *arguments)

    monkeypatch.setattr(Writing, "move", move)
    stop = threading.Event()
    projector: Projector = study.another()
    thread = threading.Thread(target=projector.run, args=(stop,))
    thread.start()
    try:
        names = [view.name for view in VIEWS]
        assert study.tables.wait(STUDY, names, study.ledger.head(STUDY), 30)
    finally:
        projector.stop(stop)
        thread.join(30)
    assert study.digests() == study.expected()
