"""Lines of a round of the event loop are written together, in the order in which they happened."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from services import logs


class Written(io.StringIO):
    """Standard error that keeps what each write was."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        """One more."""
        self.writes.append(text)
        return len(text)

    @property
    def told(self) -> list[list[int]]:
        """The numbers of the lines of each write."""
        return [[json.loads(line)["number"] for line in one.splitlines()] for one in self.writes]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    logs._flush()
    found = Written()
    monkeypatch.setattr(logs, "_least", [logging.INFO])
    monkeypatch.setattr(logs, "sys", SimpleNamespace(stderr=found))
    yield found
    logs._flush()


def test_what_happens_often_is_written_when_the_round_is_over(written: Written) -> None:
    async def happening() -> None:
        for number in range(3):
            logs.happened_often("request", number=number)
        assert written.told == []
        await asyncio.sleep(0)
        assert written.told == [[0, 1, 2]]
        logs.happened_often("request", number=3)
        await asyncio.sleep(0)

    asyncio.run(happening())
    assert written.told == [[0, 1, 2], [3]]


def test_no_line_overtakes_another(written: Written) -> None:
    async def happening() -> None:
        logs.happened_often("request", number=0)
        logs.warned("trouble", number=1)
        logs.happened_often("request", number=2)
        logs.happened("done", number=3)
        await asyncio.sleep(0)

    asyncio.run(happening())
    assert written.told == [[0, 1], [2, 3]]


def test_without_an_event_loop_nothing_waits(written: Written) -> None:
    logs.happened_often("request", number=0)
    assert written.told == [[0]]


def test_a_line_that_waited_is_the_one_that_had_not(written: Written) -> None:
    async def happening() -> None:
        logs.happened_often("request", number=0, route="/v1", status=201)

    logs.happened("request", number=0, route="/v1", status=201)
    asyncio.run(happening())
    at_once, held = (json.loads(one) for one in written.writes)
    assert at_once.pop("timestamp") <= held.pop("timestamp")
    assert at_once == held


def test_a_level_above_is_silent(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_least", [logging.WARNING])
    logs.happened_often("request", number=0)
    logs.happened("done", number=1)
    logs.warned("trouble", number=2)
    assert written.told == [[2]]
