"""Sixty-four posters on one study, with conflicts and duplicates, while readers poll."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.harness import STUDY, Server, whole_log

POSTERS = 64
EVENTS_PER_POSTER = 25
PARTICIPANTS = 12
SEED = 7


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("posters")
    running = Server(folder / "data")
    running.start()
    yield running
    running.stop()


@pytest.mark.slow
def test_no_error_no_gap_no_double_and_readers_never_look_back(server: Server) -> None:
    statuses, seen = asyncio.run(_everybody(server))
    assert not [status for status in statuses if status >= 500], Counter(statuses)
    assert statuses[412] > 0, "no conflict was provoked: the test proves nothing"
    assert statuses[200] > 0, "no duplicate was provoked: the test proves nothing"
    with server.client() as client:
        log = whole_log(client)
    assert [event["position"] for event in log] == list(range(1, len(log) + 1))
    ids = [event["id"] for event in log if event["source"] == "urn:test:many"]
    assert len(ids) == len(set(ids))
    truth = {event["position"]: event["hash"] for event in log}
    for positions in seen:
        assert positions == sorted(positions), "a reader saw a position go backwards"
        assert positions == list(range(positions[0], positions[-1] + 1)), "a position came late"
        assert set(positions) <= truth.keys()


async def _everybody(server: Server) -> tuple[Counter[int], list[list[int]]]:
    token = (server.data / "token").read_text().strip()
    limits = httpx.Limits(max_connections=POSTERS + 8)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=server.url, headers=headers, timeout=60, limits=limits
    ) as client:
        for number in range(PARTICIPANTS):
            await _post(client, f"Q{number}", f"first-{number}", _referred(), {})
        done = asyncio.Event()
        readers = [asyncio.create_task(_read(client, done)) for _ in range(3)]
        results = await asyncio.gather(*(_poster(client, n) for n in range(POSTERS)))
        done.set()
        seen = await asyncio.gather(*readers)
    return Counter(status for statuses in results for status in statuses), seen


async def _poster(client: httpx.AsyncClient, number: int) -> list[int]:
    """New events, repeats of events that another poster sends too, and stale preconditions."""
    choose = random.Random(SEED * 1_000 + number)
    statuses = []
    for count in range(EVENTS_PER_POSTER):
        who = f"Q{choose.randrange(PARTICIPANTS)}"
        what = choose.random()
        if what < 0.6:
            status = await _post(client, who, f"new-{number}-{count}", _attested(), {})
        elif what < 0.8:
            shared = choose.randrange(200)
            status = await _post(
                client, f"Q{shared % PARTICIPANTS}", f"shared-{shared}", _attested(), {}
            )
        else:
            stale = {"If-Match": '"1"'}
            status = await _post(client, who, f"stale-{number}-{count}", _attested(), stale)
        statuses.append(status)
    return statuses


async def _post(
    client: httpx.AsyncClient, who: str, event: str, body: dict[str, Any], headers: dict[str, str]
) -> int:
    document = {"id": event, "source": "urn:test:many", "occurred_at": "2026-01-05", **body}
    path = f"/v1/studies/{STUDY}/participants/{who}/events"
    answer = await client.post(path, json=document, headers=headers)
    return answer.status_code


def _referred() -> dict[str, Any]:
    return {"type": "referred", "data": {"site": "01", "channel": "registry"}}


def _attested() -> dict[str, Any]:
    return {"type": "attested", "data": {"statement": "able-to-follow-visits", "answer": True}}


async def _read(client: httpx.AsyncClient, done: asyncio.Event) -> list[int]:
    """Follow the log as a consumer does: by the last position it has seen."""
    positions: list[int] = []
    while True:
        last_round = done.is_set()
        params = {"after": positions[-1] if positions else 0, "limit": 500}
        answer = await client.get(f"/v1/studies/{STUDY}/log", params=params)
        positions += [event["position"] for event in answer.json()["items"]]
        if last_round:
            return positions
