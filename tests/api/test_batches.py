"""Batches: each item alone, in order; atomic ones whole or not; streams of any length."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest

from services.api.streams import SPOOL_MEMORY_BYTES, Spool
from services.problems import URN
from tests.api.conftest import STUDY, Api, consented, event, referred
from tests.api.serving import listening

pytestmark = pytest.mark.anyio

NDJSON = "application/x-ndjson"


def of(participant: str, body: dict[str, Any], **envelope: Any) -> dict[str, Any]:
    return {**body, "participant": participant, **envelope}


def lines(items: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def read(answer: httpx.Response) -> list[dict[str, Any]]:
    if answer.headers["content-type"].startswith(NDJSON):
        return [json.loads(line) for line in answer.text.splitlines()]
    found: list[dict[str, Any]] = answer.json()
    return found


MIXED = [
    of("a", referred(), id="1"),
    of("b", referred(), id="2"),
    of("a", consented(), id="3"),
    of("c", consented(), id="4"),
    of("b", event("enrolled"), id="5"),
    of("b", consented(occurred_at="2027-01-01"), id="6"),
    {"type": "consented"},
    of("a", consented(), id="3"),
    event("hold-placed", scope="study", cause="safety"),
    of("b", consented(), id="7"),
]
STATUSES = [201, 201, 201, 404, 409, 422, 422, 200, 201, 201]
PROBLEMS = {3: "not-found", 4: "refused", 5: "impossible", 6: "invalid"}


@pytest.mark.parametrize("stream", [False, True], ids=["array", "lines"])
async def test_each_item_stands_alone_and_has_its_result_in_order(api: Api, stream: bool) -> None:
    head = api.head()
    if stream:
        answer = await api.post("/events", content=lines(MIXED), media=NDJSON)
    else:
        answer = await api.post("/events", MIXED)
    assert answer.status_code == 200
    results = read(answer)
    assert [one["index"] for one in results] == list(range(len(MIXED)))
    assert [one["status"] for one in results] == STATUSES
    for index, problem in PROBLEMS.items():
        assert results[index]["problem"]["type"] == URN + problem
        assert "position" not in results[index]
    positions = [one["position"] for one in results if one["status"] == 201]
    assert sorted(positions) == list(range(head + 1, head + 6))
    assert api.head() == head + 5
    assert results[7]["position"] == results[2]["position"]
    assert [results[index]["version"] for index in (0, 2, 7)] == [1, 2, 2]
    kept = (await api.get("/refusals")).json()["items"]
    assert sorted(one["rule"] for one in kept) == ["consent", "future"]


async def test_items_of_one_participant_keep_their_order(api: Api) -> None:
    names = [f"p{number}" for number in range(20)]
    items = [of(name, referred(), id=f"{name}-0") for name in names]
    for turn in range(1, 30):
        items += [of(name, consented(f"{turn}"), id=f"{name}-{turn}") for name in names]
    results = read(await api.post("/events", content=lines(items), media=NDJSON))
    assert {one["status"] for one in results} == {201}
    for name in names:
        history = (await api.get(f"/participants/{name}/events?limit=1000&kind=fact")).json()
        assert [one["id"] for one in history["items"]] == [f"{name}-{n}" for n in range(30)]
    again = read(await api.post("/events", content=lines(items), media=NDJSON))
    assert {one["status"] for one in again} == {200}
    assert [one["position"] for one in again] == [one["position"] for one in results]


async def test_what_the_study_does_stands_where_it_stands_in_the_batch(api: Api) -> None:
    items = [
        *(of(f"p{number}", referred()) for number in range(30)),
        *(of(f"p{number}", consented("9")) for number in range(15)),
        event("consent-form-approved", form_version="1.0"),
        *(of(f"p{number}", consented("9")) for number in range(15, 30)),
    ]
    results = (await api.post("/events", items)).json()
    positions = [one["position"] for one in results]
    assert max(positions[:45]) < positions[45] < min(positions[46:])
    for number, unapproved in ((0, False), (29, True)):
        history = (await api.get(f"/participants/p{number}/events")).json()["items"]
        assert ("deviation-detected" in [one["type"] for one in history]) is unapproved


async def test_lines_may_be_blank_too_long_or_broken_and_the_others_go_on(api: Api) -> None:
    good = json.dumps(of("a", referred())).encode()
    content = b"\n".join(
        [b"", good, b"  ", b'{"type": ', b'{"a":1,"a":1}', b"x" * 70_000, b"\xff", good]
    )
    results = read(await api.post("/events", content=content, media=NDJSON))
    assert [one["status"] for one in results] == [201, 400, 400, 413, 400, 201]


async def test_an_empty_batch_has_no_results(api: Api) -> None:
    assert (await api.post("/events", [])).json() == []
    assert (await api.post("/events", content=b"", media=NDJSON)).text == ""


async def test_a_stream_for_one_participant_names_it_in_the_path(api: Api) -> None:
    items = [referred(), consented(), event("enrolled"), {**consented(), "participant": "b"}]
    results = read(await api.post("/participants/a/events", content=lines(items), media=NDJSON))
    assert [one["status"] for one in results] == [201, 201, 409, 422]


async def test_an_atomic_batch_is_recorded_whole(api: Api) -> None:
    head = api.head()
    items = [of("a", referred()), of("b", referred()), of("a", consented(), id="1")]
    answer = await api.post("/events", items, Prefer="handling=atomic")
    assert answer.status_code == 200
    assert [(one["index"], one["status"]) for one in answer.json()] == [
        (0, 201),
        (1, 201),
        (2, 201),
    ]
    assert api.head() == head + 3
    again = await api.post("/events", [items[2]], Prefer="handling=atomic")
    assert [one["status"] for one in again.json()] == [200]


ATOMIC = [
    # what is wrong with the third item          status  problem
    (of("b", event("enrolled")), 409, "refused"),
    (of("b", consented(occurred_at="2027")), 422, "impossible"),
    (of("b", {"type": "consented"}), 422, "invalid"),
    (of("nobody", consented()), 404, "not-found"),
    (event("hold-placed", scope="study", cause="x"), 422, "invalid"),
]


@pytest.mark.parametrize(("third", "status", "problem"), ATOMIC)
@pytest.mark.parametrize("stream", [False, True], ids=["array", "lines"])
async def test_an_atomic_batch_with_a_flaw_leaves_nothing(
    api: Api, third: dict[str, Any], status: int, problem: str, stream: bool
) -> None:
    head = api.head()
    items = [of("a", referred()), of("b", referred()), third]
    if stream:
        answer = await api.post(
            "/events", content=lines(items), media=NDJSON, Prefer="handling=atomic"
        )
    else:
        answer = await api.post("/events", items, Prefer="handling=atomic")
    assert (answer.status_code, answer.json()["type"]) == (status, URN + problem)
    assert api.head() == head
    if problem in ("refused", "impossible"):
        assert [one["index"] for one in answer.json()["items"]] == [2]
        assert len((await api.get("/refusals")).json()["items"]) == 1


async def test_a_batch_of_another_site_is_not_found_item_by_item(api: Api) -> None:
    await api.refer("a", "01")
    await api.refer("b", "02")
    items = [of("a", consented()), of("b", consented()), of("c", referred("02"))]
    answer = await api.post("/events", items, role="coordinator", scope={"site": "01"})
    assert [one["status"] for one in answer.json()] == [201, 404, 404]


async def test_answers_come_while_the_stream_is_still_open(api: Api) -> None:
    async with listening(api.cairn) as base:
        asked: asyncio.Queue[bytes | None] = asyncio.Queue()

        async def body() -> AsyncIterator[bytes]:
            while (line := await asked.get()) is not None:
                yield line

        reader, writer = await asyncio.open_connection(*base)
        token = api.token("administrator")
        writer.write(
            f"POST /v1/studies/{STUDY}/events HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: {NDJSON}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        status = await asyncio.wait_for(reader.readline(), 10)
        assert b"200" in status
        for turn in range(5):
            line = lines([of(f"p{turn}", referred())])
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            await writer.drain()
            found = await asyncio.wait_for(reader.readuntil(b"}\n"), 10)
            assert b'"index":%d,"status":201' % turn in found
        writer.write(b"0\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 10)
        writer.close()


async def test_a_sender_that_hangs_up_leaves_what_was_recorded_and_a_server_that_goes_on(
    api: Api,
) -> None:
    head = api.head()
    token = api.token("administrator")
    async with listening(api.cairn) as base:
        for turn in range(3):
            reader, writer = await asyncio.open_connection(*base)
            writer.write(
                f"POST /v1/studies/{STUDY}/events HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {token}\r\nContent-Type: {NDJSON}\r\n"
                "Transfer-Encoding: chunked\r\n\r\n".encode()
            )
            line = lines([of(f"p{turn}", referred())])
            writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            await asyncio.wait_for(reader.readuntil(b"}\n"), 10)
            writer.transport.abort()
    assert api.head() == head + 3
    assert (await api.refer("after")).status_code == 201


async def test_an_atomic_stream_is_as_large_as_one_append_may_be(api: Api) -> None:
    head = api.head()
    content = lines(of(f"p{number}", referred()) for number in range(1_001))
    answer = await api.post("/events", content=content, media=NDJSON, Prefer="handling=atomic")
    assert answer.status_code == 413
    assert api.head() == head


async def test_a_sender_that_reads_nothing_until_it_has_sent_everything_is_served(
    api: Api,
) -> None:
    count = 30_000
    token = api.token("administrator")
    bad = b'{"type":"consented"}\n'

    def body() -> Iterable[bytes]:
        yield lines([of("a", referred())])
        for _ in range(count // 100):
            yield bad * 100

    def send(host: str, port: int) -> list[bytes]:
        import http.client

        connection = http.client.HTTPConnection(host, port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": NDJSON}
        connection.request(
            "POST", f"/v1/studies/{STUDY}/events", body(), headers, encode_chunked=True
        )
        answer = connection.getresponse().read().splitlines()
        connection.close()
        return answer

    async with listening(api.cairn) as (host, port):
        answer = await asyncio.to_thread(send, host, port)
    assert len(answer) == count + 1
    assert [json.loads(line)["index"] for line in answer] == list(range(count + 1))


async def test_the_spool_gives_back_what_it_took_in_order_from_memory_and_disk() -> None:
    spool = Spool()
    wanted = b""
    got = b""
    chunks = spool.chunks()
    for number in range(6):
        line = b"%d" % number * (SPOOL_MEMORY_BYTES // 3) + b"\n"
        spool.put(line)
        wanted += line
        if number == 4:
            got += await anext(chunks)
    spool.end()
    async for chunk in chunks:
        got += chunk
    spool.close()
    assert got == wanted
