"""A rehearsal reads what is below it, adds on top, and leaves nothing behind."""

from datetime import timedelta

import pytest

from infra.ledger.memory import MemoryLedger
from infra.ledger.rehearsed import RehearsedLedger
from infra.ledger.types import Append, Conflict, Duplicate, Stored
from tests.contracts.test_ledger import NOON, append, draft

LATER = "2026-11-22T12:05:00.000000Z"


@pytest.fixture
def below() -> MemoryLedger:
    """A ledger with three events of two participants."""
    ledger = MemoryLedger()
    append(ledger, draft("P", 1, "a"), draft("Q", 1, "b", index=1))
    append(ledger, draft("P", 2, "c"))
    return ledger


@pytest.fixture
def rehearsal(below: MemoryLedger) -> RehearsedLedger:
    """A rehearsal with two events on top."""
    made = RehearsedLedger(below)
    append(made, draft("P", 3, "d", at=LATER))
    append(made, draft("R", 1, "e", at=LATER))
    return made


def names(events: list[Stored]) -> list[tuple[int, str, int]]:
    return [(one.position, one.stream, one.version) for one in events]


def test_what_is_on_top_follows_what_is_below(below, rehearsal):
    assert names(rehearsal.read("S", 0, 10)) == [
        (1, "P", 1),
        (2, "Q", 1),
        (3, "P", 2),
        (4, "P", 3),
        (5, "R", 1),
    ]
    below_third, top = rehearsal.stream("S", "P", 1)
    assert f'"previous":"{below_third.hash}"' in top.body.decode()
    assert rehearsal.participants("S") == ["P", "Q", "R"]
    assert rehearsal.studies() == ["S"]


@pytest.mark.parametrize(
    ("after", "limit", "up_to", "positions"),
    [
        (0, 2, None, [1, 2]),
        (2, 2, None, [3, 4]),
        (3, 9, None, [4, 5]),
        (1, 9, 4, [2, 3, 4]),
        (1, 9, 2, [2]),
        (5, 9, None, []),
    ],
)
def test_pages_reach_over_the_seam(rehearsal, after, limit, up_to, positions):
    assert [one.position for one in rehearsal.read("S", after, limit, up_to)] == positions


def test_ids_and_versions_of_below_count(rehearsal):
    assert append(rehearsal, draft("P", 4, "a")) == Duplicate(0, 1, "P", 1, same=True)
    assert append(rehearsal, draft("P", 4, "d")) == Duplicate(0, 4, "P", 3, same=True)
    assert append(rehearsal, draft("Q", 1)) == Conflict("Q", 1)


def test_times_reach_over_the_seam(rehearsal):
    instants = [NOON - timedelta(1), NOON, NOON + timedelta(minutes=5)]
    assert [rehearsal.position_at("S", one) for one in instants] == [0, 3, 5]


def test_nothing_is_left_behind_and_what_comes_below_later_is_not_seen(below, rehearsal):
    assert below.head("S") == 3
    below.append_now("S", Append((draft("Z", 1, "z"),)))
    assert (rehearsal.head("S"), rehearsal.find("S", "urn:lab", "z")) == (5, None)
    assert "Z" not in {one.stream for one in rehearsal.read("S", 0, 10)}
