"""Turns: one at a time per stream, in no order that could form a ring, and nothing left behind."""

import asyncio

import pytest

from services.turns import Turns


def test_who_writes_to_a_stream_waits_for_the_one_before_and_others_do_not() -> None:
    async def story() -> list[str]:
        turns, told = Turns(), list[str]()

        async def write(name: str, *streams: str) -> None:
            async with turns.of("S", streams):
                told.append(f"{name} begins")
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                told.append(f"{name} ends")

        await asyncio.gather(write("a", "P1", "P2"), write("b", "P2", "P1"), write("c", "P3"))
        assert not turns._turns
        return told

    told = asyncio.run(story())
    assert told.index("a ends") < told.index("b begins")
    assert told.index("c begins") < told.index("a ends")


def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    async def story() -> None:
        turns = Turns()
        async with turns.of("S", ["P2"]):
            waiting = asyncio.create_task(_hold(turns, "P1", "P2"))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            async with turns.of("S", ["P1"]):
                pass
        assert not turns._turns

    asyncio.run(story())


async def _hold(turns: Turns, *streams: str) -> None:
    async with turns.of("S", streams):
        raise AssertionError("the turn was not free")
