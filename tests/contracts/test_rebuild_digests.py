"""What a rebuild says of the generations: told before the swap, and true of the moment of it."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import INTEGER_MAX, canonical
from infra.postgres.pool import Pool
from infra.projection import digests
from infra.projection.digests import Noted
from infra.projection.rebuilding import Rebuilt
from projections import schedule
from projections.catalogue import VIEWS
from tests import specs
from tests.projections.watched import STUDY, Watched, watched

VISIT = specs.visit("V2", "2026-12-08")
WHO = [f"01-{number:03}" for number in range(3)]

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text("abcXYZ09_-. "), part),
)


@pytest.fixture
def study(pool: Pool) -> Iterator[Watched]:
    with watched(pool) as found:
        for name in WHO:
            found.post(name, *specs.treated, historical=True)
        found.projector.catch_up(STUDY)
        yield found


def happening(
    study: Watched, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]
) -> list[str]:
    """Something happens between the noting and the swap, and is projected live; whose rows are
    read from then on."""
    real, read = digests.noted, digests._digest
    again: list[str] = []

    def noted(*arguments: Any) -> Noted:
        found = real(*arguments)
        happens()
        study.projector.catch_up(STUDY)
        again.clear()
        return found

    def counted(rows: str) -> bytes:
        again.append(rows)
        return read(rows)

    monkeypatch.setattr(digests, "noted", noted)
    monkeypatch.setattr(digests, "_digest", counted)
    return again


def test_whom_an_event_reached_meanwhile_is_read_again_and_nobody_else(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = happening(study, monkeypatch, lambda: study.post("01-001", VISIT))
    rebuilt = study.projector.rebuild(STUDY, "schedule")
    assert len(again) == 1
    assert rebuilt.same
    assert rebuilt.digest == study.folded(schedule.VIEW)


def test_an_event_of_the_study_that_may_reach_anybody_has_all_read_again(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = specs.said("site-opened", "2026-10-02T00:00:00Z", site="09", name="S", timezone="UTC")
    again = happening(study, monkeypatch, lambda: study.tell(site))
    rebuilt = study.projector.rebuild(STUDY, "schedule")
    assert len(again) == len(WHO)
    assert rebuilt.same
    assert rebuilt.digest == study.folded(schedule.VIEW)


def test_somebody_who_comes_meanwhile_is_in_the_digests(
    study: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer = specs.referred, specs.consented
    happening(study, monkeypatch, lambda: study.post("01-009", *newcomer, historical=True))
    rebuilt = study.projector.rebuild(STUDY, "enrolment")
    assert rebuilt.same
    assert rebuilt.digest == study.digests()["enrolment"] == study.expected()["enrolment"]


@pytest.mark.parametrize("name", ["00", "01-001x", "zz"])
def test_rows_of_somebody_whom_the_log_does_not_know_are_noticed(study: Watched, name: str) -> None:
    assert study.projector.rebuild(STUDY, "enrolment").same
    with study.pool.connection() as connection:
        columns = ", ".join(["key", *VIEWS[3].columns, "item"])
        assert VIEWS[3].name == "enrolment"
        connection.execute(
            f"INSERT INTO views.enrolment_1 (study, generation, participant, {columns})"
            f" SELECT study, generation, '{name}', {columns} FROM views.enrolment_1"
            " WHERE participant = '01-001'"
        )
    rebuilt = study.projector.rebuild(STUDY, "enrolment")
    assert not rebuilt.same
    assert rebuilt.digest == study.expected()["enrolment"]


def test_a_digest_is_that_of_the_definition_for_every_view(study: Watched) -> None:
    study.post("01-001", specs.event("AE-1", "2026-12-15T10:00:00Z", grade=3, serious=True))
    study.projector.catch_up(STUDY)
    found = study.projector.rebuild_all(STUDY, [view.name for view in VIEWS])
    told = {one.view: one.digest for one in found if isinstance(one, Rebuilt)}
    assert told == study.expected()


@given(DOCUMENTS)
def test_however_rows_are_written_their_digest_is_that_of_the_canonical_json(document: Any) -> None:
    whole = [document]
    for text in (orjson.dumps(document), canonical(document)):
        assert digests._digest(text.decode()) == sha256(canonical(whole)).digest()
