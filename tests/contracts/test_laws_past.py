"""On PostgreSQL, for any history: what was known then stays what was known then, by position and by
instant; and live rows, rebuilt rows and the rows as of the log's head are the same."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from domain.canonical import canonical
from domain.time import When
from infra.postgres.pool import Pool
from services.views import PARTICIPANT_VIEWS, STUDY_VIEWS, Query
from tests.projections.watched import STUDY, Watched, fill, watched

ON = When.parse("2027-02-01")
"""One day for the states of the moment, so that only what is known can differ."""


@pytest.fixture
def study(pool: Pool) -> Iterator[Watched]:
    with watched(pool) as found:
        yield found


def known(study: Watched, as_of: int | When | None) -> dict[str, bytes]:
    """Every view of the study and of each participant, without where the log stands now."""
    asked = Query(as_of=as_of, on=ON, limit=500)
    found = {}
    for view in STUDY_VIEWS:
        page = study.reading.study(STUDY, view, asked)
        found[view] = canonical(_plain(page.items))
    for name in ("01-000", "02-001"):
        for view in PARTICIPANT_VIEWS:
            answer = dict(study.reading.participant(STUDY, name, view, asked))
            answer.pop("position")
            found[f"{name} {view}"] = canonical(_plain(answer))
    return found


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case None | bool() | int() | str():
            return value
        case _:
            return str(value)


@pytest.mark.parametrize("seed", range(2))
def test_what_was_known_then_never_changes_whatever_is_appended_later(
    study: Watched, seed: int
) -> None:
    moments: list[tuple[int, When, dict[str, bytes]]] = []
    for part in range(3):
        fill(study, seed * 10 + part, 40) if part == 0 else _more(study, seed * 10 + part)
        position, instant = study.ledger.head(STUDY), When.at(study.clock.now)
        study.projector.catch_up(STUDY)
        moments.append((position, instant, known(study, position)))
        study.clock.now += timedelta(seconds=1)
    assert len({tuple(sorted(seen.items())) for _, _, seen in moments}) == 3
    for position, instant, seen in moments:
        assert known(study, position) == seen
        assert known(study, instant) == seen


def _more(study: Watched, seed: int) -> None:
    """More acts of the same participants, who are referred once more; and time passes."""
    fill(study, seed, 25)
    study.clock.now += timedelta(days=3)
    study.tick()


@pytest.mark.parametrize("seed", range(2))
def test_live_equals_rebuilt_equals_as_of_the_head(study: Watched, seed: int) -> None:
    fill(study, 50 + seed, 60)
    study.projector.catch_up(STUDY)
    live, rows = known(study, None), study.digests()
    assert known(study, study.ledger.head(STUDY)) == live
    assert rows == study.expected()
    for view in study.views:
        assert study.projector.rebuild(STUDY, view.name).same
    assert study.digests() == rows
    assert known(study, None) == live
