"""Sixty-four posters on one study with conflicts and duplicates, and readers meanwhile."""

import asyncio
import random
from collections import Counter
from typing import Any

import httpx
import pytest

from services.bootstrap import Settings, open_cairn
from tests.api.conftest import Api, consented, event, served

pytestmark = pytest.mark.anyio

POSTERS = 64
TURNS = 12
PARTICIPANTS = 10


async def test_posters_lose_and_double_nothing_and_readers_never_look_back(
    api: Api, database: str, tmp_path: Any
) -> None:
    other = open_cairn(Settings(data=tmp_path), conninfo=database, clock=api.clock)
    try:
        async with served(other, api.clock) as second:
            await _storm(api, second)
    finally:
        other.close()


async def _storm(first: Api, second: Api) -> None:
    names = [f"p{number}" for number in range(PARTICIPANTS)]
    for name in names:
        assert (await first.refer(name)).status_code == 201
    answers: list[tuple[str, httpx.Response]] = []
    done = asyncio.Event()
    readers = [asyncio.create_task(_read(one, done)) for one in (first, second)]
    posters = (_post(number, (first, second), names, answers) for number in range(POSTERS))
    await asyncio.gather(*posters)
    done.set()
    await asyncio.gather(*readers)
    statuses = Counter(answer.status_code for _, answer in answers)
    assert not [status for status in statuses if status >= 500], statuses
    assert set(statuses) <= {200, 201, 409, 412}
    assert statuses[201] > 0
    assert statuses[200] > 0
    assert statuses[412] > 0
    await _compare(first, answers)


async def _post(
    number: int, doors: tuple[Api, Api], names: list[str], answers: list[tuple[str, httpx.Response]]
) -> None:
    chance = random.Random(number)
    for turn in range(TURNS):
        door, name = chance.choice(doors), chance.choice(names)
        shared = f"shared-{turn}-{number // 4}"
        kind = chance.randrange(4)
        if kind == 0:
            where = names[number // 4 % PARTICIPANTS]
            document, headers = consented(f"{turn}", id=shared, source="urn:edc"), {}
        elif kind == 1:
            where, document = name, consented(f"c{number}.{turn}")
            headers = {"If-Match": f'"{chance.randrange(1, 30)}"'}
        elif kind == 2:
            where, headers = name, {}
            document = {**event("referral-closed", cause="other"), "id": f"d{number}.{turn}"}
        else:
            where, headers = name, {}
            document = {**event("prescreened", proceed=True), "id": f"p{number}.{turn}"}
        answer = await door.post(f"/participants/{where}/events", document, **headers)
        answers.append((where, answer))


async def _read(door: Api, done: asyncio.Event) -> None:
    seen = 0
    while not done.is_set():
        answer = await door.get(f"/log?after={seen}&limit=1000", role="auditor")
        items = answer.json()["items"]
        # Had an event appeared behind a reader, the next position would not follow the last.
        assert [one["position"] for one in items] == list(range(seen + 1, seen + 1 + len(items)))
        seen += len(items)


async def _compare(door: Api, answers: list[tuple[str, httpx.Response]]) -> None:
    log = [
        one
        for page in range(1, door.head() + 1, 1000)
        for one in (await door.get(f"/log?after={page - 1}&limit=1000")).json()["items"]
    ]
    assert [one["position"] for one in log] == list(range(1, len(log) + 1))
    ids = Counter((one["source"], one["id"]) for one in log if one["id"])
    assert set(ids.values()) == {1}
    versions: dict[str, int] = {}
    for one in log:
        stream = one["participant"] or ""
        assert one["version"] == versions.get(stream, 0) + 1
        versions[stream] = one["version"]
    by_position = {one["position"]: one for one in log}
    first_time: Counter[int] = Counter()
    for name, answer in answers:
        if answer.status_code not in (200, 201):
            continue
        recorded = answer.json()["events"][0]
        assert by_position[recorded["position"]] == recorded
        assert recorded["participant"] == name
        first_time[recorded["position"]] += answer.status_code == 201
    assert set(first_time.values()) == {1}


async def test_events_of_the_study_posted_at_once_follow_one_another(api: Api) -> None:
    answers = await asyncio.gather(
        *(
            api.post("/events", event("hold-placed", scope="study", cause=f"c{number}"))
            for number in range(8)
        )
    )
    assert [one.status_code for one in answers] == [201] * 8
    versions = sorted(one.json()["version"] for one in answers)
    assert versions == list(range(versions[0], versions[0] + 8))
