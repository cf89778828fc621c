"""Writing behind: in order, one at a time, and no failure is passed over."""

import threading

import pytest

from infra.projection.behind import Behind


def failing() -> None:
    raise ZeroDivisionError


def test_whoever_computes_goes_on_and_what_is_written_comes_in_order() -> None:
    goes_on, written = threading.Event(), list[int]()

    def slow() -> None:
        goes_on.wait(30)
        written.append(1)

    with Behind() as behind:
        behind.do(slow)
        assert written == []
        goes_on.set()
        behind.do(lambda: written.append(2))
        assert written[:1] == [1]
        behind.done()
        assert written == [1, 2]
        behind.do(lambda: written.append(3))
    assert written == [1, 2, 3]


def test_what_failed_is_told_at_the_next_at_the_end_and_on_leaving() -> None:
    later = list[int]()
    with Behind() as behind:
        behind.do(failing)
        with pytest.raises(ZeroDivisionError):
            behind.do(lambda: later.append(1))
        behind.do(failing)
        with pytest.raises(ZeroDivisionError):
            behind.done()
    with pytest.raises(ZeroDivisionError), Behind() as behind:
        behind.do(failing)
    assert later == []


def test_nothing_is_under_way_after_another_error_which_is_the_one_that_is_told() -> None:
    ended, goes_on = threading.Event(), threading.Event()

    def slow() -> None:
        goes_on.wait(30)
        ended.set()
        raise ZeroDivisionError

    def another_error() -> None:
        with Behind() as behind:
            behind.do(slow)
            threading.Timer(0.05, goes_on.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        another_error()
    assert ended.is_set()
