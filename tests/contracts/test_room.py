"""Room in memory: bounded by bytes over all shelves, and what was let go is read again."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from infra.documents import MemoryDocuments
from infra.room import Room, Shelf
from services.state import HotState, bytes_of
from tests.contracts.test_hot_state import REFERRED, SIGNED, SIGNED_AGAIN, log, record

MOST = 100


def shelf(room: Room) -> Shelf[int, int]:
    """What stands here takes as many bytes as it says itself."""
    return room.shelf(int)


act = st.tuples(
    st.sampled_from(["put", "drop"]), st.integers(0, 2), st.integers(0, 5), st.integers(1, 60)
)


@given(st.lists(act, max_size=60))
def test_all_shelves_together_hold_the_newest_that_there_is_room_for(
    acts: list[tuple[str, int, int, int]],
) -> None:
    room = Room(MOST)
    shelves = [shelf(room) for _ in range(3)]
    expected: dict[tuple[int, int], int] = {}
    for what, number, key, size in acts:
        expected.pop((number, key), None)
        if what == "drop":
            shelves[number].drop(key)
        else:
            shelves[number].put(key, size)
            expected[number, key] = size
        while sum(expected.values()) > MOST:
            del expected[next(iter(expected))]
        held = {(n, k): v for n in range(3) for k in range(6) if (v := shelves[n].get(k))}
        assert held == expected
        assert room.held == sum(expected.values())


def test_what_is_larger_than_the_room_stays_until_something_else_comes() -> None:
    room = Room(MOST)
    kept = shelf(room)
    kept.put(1, 10 * MOST)
    assert 1 in kept
    kept.put(2, 1)
    assert (1 in kept, 2 in kept) == (False, True)


def test_a_shelf_that_nobody_has_any_more_takes_no_room() -> None:
    room = Room(MOST)
    left = shelf(room)
    left.put(1, MOST)
    kept = shelf(room)
    del left
    kept.put(1, MOST)
    kept.put(2, 0)
    assert (room.held, len(kept)) == (MOST, 2)


def test_threads_that_share_a_room_never_hold_more_than_there_is() -> None:
    room = Room(MOST)
    shelves = [shelf(room) for _ in range(4)]

    def work(one: Shelf[int, int]) -> None:
        for number in range(5_000):
            one.put(number % 7, 1 + number % 20)
            one.get(number % 5)

    threads = [threading.Thread(target=work, args=(one,)) for one in shelves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert room.held <= MOST
    assert room.held == sum(one.get(key) or 0 for one in shelves for key in range(7))


def test_hot_state_holds_what_there_is_room_for_and_reads_the_rest_again() -> None:
    ledger = log(REFERRED, SIGNED)
    room = Room(1)
    hot = HotState(ledger, MemoryDocuments(), room)
    one = hot.participant("S", "A")
    assert room.held == bytes_of(one)
    hot.participant("S", "A", fresh=False)
    other = record(ledger, 1, REFERRED, participant="B")
    hot.appended("S", other)
    assert not hot.holds("S", ["A"])
    assert room.held == bytes_of(hot.participant("S", "B", fresh=False))
    hot.appended("S", record(ledger, 3, SIGNED_AGAIN))
    assert hot.participant("S", "A", fresh=False).version == 3
    assert room.held == bytes_of(hot.participant("S", "A"))
