"""Reads go to a hot standby: what it has, what a reader waits for, and when it is away."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.pool import open_read_pool
from services.bootstrap import NotConfigured, Settings, open_cairn
from services.views import reading
from tests.api.conftest import STUDY, Api, Clock, begin, consented, served
from tests.api.standbys import Standby, standby_of

pytestmark = pytest.mark.anyio

WHO = "01-001"
PAST = {"as_of": "3"}
READ = (
    "",
    "/participants",
    "/eligibility",
    "/schedule",
    "/safety",
    "/deviations",
    "/enrolment",
    "/worklist",
    "/matrix",
    "/workload",
    "/adherence",
    "/eligibility/criteria",
    "/schedule.ics",
    "/sites",
    "/log",
    "/replay-check",
    "/protocols/1.0/sites",
    "/protocols/1.0/participants",
    "/enrolment?as_of=4",
    "/safety?valid_at=2026-11-20",
    f"/participants/{WHO}",
    f"/participants/{WHO}/eligibility",
    f"/participants/{WHO}/schedule",
    f"/participants/{WHO}/safety",
    f"/participants/{WHO}?as_of=5",
    f"/participants/{WHO}/events",
    f"/participants/{WHO}/replay",
    f"/participants/{WHO}/audit-trail",
    f"/participants/{WHO}/protocols",
)
"""Every read that needs nothing but views and the log."""


@dataclass
class Pair:
    """A primary and its standby."""

    primary: EmbeddedPostgres
    standby: Standby

    def behind(self) -> str:
        """The standby, and the primary behind it for when it is away."""
        first, second = map(conninfo_to_dict, (self.standby.conninfo, self.primary.conninfo))
        return make_conninfo(
            self.standby.conninfo,
            host=f"{first['host']},{second['host']}",
            target_session_attrs="prefer-standby",
        )


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    # A short path: the socket has to fit in it.
    with (
        tempfile.TemporaryDirectory(prefix="cairn-") as folder,
        EmbeddedPostgres(Path(folder) / "primary") as primary,
        closing(open_cairn(Settings(data=Path(folder)), conninfo=primary.conninfo)),
        standby_of(primary, Path(folder) / "standby") as standby,
    ):
        yield Pair(primary, standby)


def settings_of(pair: Pair, folder: Path, read_url: str) -> Settings:
    primary = SecretStr(pair.primary.conninfo)
    return Settings(data=folder, database_url=primary, read_url=SecretStr(read_url))


@pytest.fixture
async def api(anyio_backend: str, pair: Pair, tmp_path: Path, clock: Clock) -> AsyncIterator[Api]:
    """The interface with reads from the standby, and one participant."""
    empty(pair.primary.conninfo)
    settings = settings_of(pair, tmp_path, pair.standby.conninfo)
    with closing(open_cairn(settings, clock=clock)) as cairn:
        async with served(cairn, clock) as opened:
            await begin(opened)
            assert (await opened.refer(WHO)).status_code == 201
            await reached(opened)
            yield opened


def empty(conninfo: str) -> None:
    """Leave nothing of the test before: its own triggers forbid that, so they are put aside."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET session_replication_role = replica")
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname IN ('cairn', 'views') AND tablename NOT LIKE '%migration%'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"DELETE FROM {table}".encode())


async def reached(api: Api) -> int:
    """The views are up to date, and the standby has them."""
    head = await asyncio.to_thread(api.cairn.projector.catch_up, STUDY)
    answer = await api.get(f"/participants?wait_for={head}")
    assert answer.status_code == 200, answer.text
    return head


async def test_a_reader_sees_what_the_standby_has(api: Api, pair: Pair) -> None:
    pair.standby.hold()
    try:
        posted = await api.post(f"/participants/{WHO}/events", consented())
        assert posted.json()["version"] == 2
        assert (await api.get(f"/participants/{WHO}")).json()["version"] == 1
        assert (await api.get("/log")).json()["position"] == posted.json()["position"] - 1
    finally:
        pair.standby.go_on()


async def test_a_reader_that_waits_sees_its_own_write(api: Api, pair: Pair) -> None:
    pair.standby.hold()
    try:
        position = (await api.refer("01-002")).json()["position"]
        await asyncio.to_thread(api.cairn.projector.catch_up, STUDY)
        waiting = [
            asyncio.create_task(api.get(f"{path}?wait_for={position}"))
            for path in ("/participants/01-002", "/participants", "/safety")
        ]
        done, _ = await asyncio.wait(waiting, timeout=0.3)
        assert not done
    finally:
        pair.standby.go_on()
    summary, listed, safety = await asyncio.gather(*waiting)
    assert summary.json()["participant"] == "01-002"
    assert [one["participant"] for one in listed.json()["items"]] == [WHO, "01-002"]
    assert [one.json()["position"] for one in (summary, listed, safety)] == [position] * 3


async def test_a_standby_that_stays_behind_is_told(
    api: Api, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "WAIT_SECONDS", 0.1)
    pair.standby.hold()
    try:
        position = (await api.post(f"/participants/{WHO}/events", consented())).json()["position"]
        for path in (f"/participants/{WHO}", "/participants"):
            answer = await api.get(f"{path}?wait_for={position}")
            assert (answer.status_code, answer.json()["type"][-7:]) == (503, "lagging")
            assert int(answer.headers["Retry-After"]) > 0
        ready = (await api.send("GET", "/health/ready")).json()
        assert (ready["lag"]["standby"], ready["reads"]) == ({STUDY: 1}, "standby")
    finally:
        pair.standby.go_on()


async def test_everything_is_read_without_the_primary_and_nothing_is_tried_on_the_standby(
    api: Api, pair: Pair
) -> None:
    await api.post(f"/participants/{WHO}/events", consented())
    await reached(api)
    before = {path: (await api.get(path)).content for path in READ}
    complained = len(pair.standby.complaints())
    pair.primary.stop()
    try:
        for path in READ:
            answer = await api.get(path)
            assert (path, answer.status_code) == (path, 200)
            assert answer.content == before[path]
        refused = await api.post(f"/participants/{WHO}/events", consented())
        assert refused.status_code == 503
    finally:
        pair.primary.start()
    assert pair.standby.complaints()[complained:] == []


async def test_while_the_standby_is_away_reads_are_refused_and_posts_go_on(
    api: Api, pair: Pair
) -> None:
    pair.standby.stop()
    try:
        for path in (
            f"/participants/{WHO}",
            "/participants",
            "/log",
            f"/participants/{WHO}/events",
        ):
            answer = await api.get(path)
            assert (answer.status_code, answer.json()["type"][-10:]) == (503, "store-away")
            assert int(answer.headers["Retry-After"]) > 0
        posted = await api.post(f"/participants/{WHO}/events", consented())
        assert posted.status_code == 201
        ready = await api.send("GET", "/health/ready")
        assert (ready.status_code, ready.json()["reads"]) == (200, "away")
    finally:
        pair.standby.start()
    answer = await api.get(f"/participants/{WHO}?wait_for={posted.json()['position']}")
    while answer.status_code == 503:
        answer = await api.get(f"/participants/{WHO}?wait_for={posted.json()['position']}")
    assert answer.json()["version"] == 2


async def test_with_the_primary_behind_it_reads_go_on(
    api: Api, pair: Pair, tmp_path: Path, clock: Clock
) -> None:
    settings = settings_of(pair, tmp_path, pair.behind())
    with closing(open_cairn(settings, clock=clock)) as cairn:
        assert cairn.reads.place() == "standby"
        async with served(cairn, clock) as opened:
            pair.standby.stop()
            try:
                assert (await opened.get(f"/participants/{WHO}")).json()["version"] == 1
                assert (await opened.get("/participants")).status_code == 200
                assert cairn.reads.place() == "primary"
            finally:
                pair.standby.start()


def test_nothing_is_written_through_reads_that_lead_to_the_primary(pair: Pair) -> None:
    with (
        closing(open_read_pool(pair.primary.conninfo)) as pool,
        pool.connection() as connection,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        connection.execute("DELETE FROM views.projection")


def test_another_database_is_no_standby(pair: Pair, tmp_path: Path) -> None:
    other = make_conninfo(pair.standby.conninfo, dbname="postgres")
    with pytest.raises(NotConfigured, match="leads to no standby"):
        open_cairn(settings_of(pair, tmp_path, other))


def test_reads_from_a_standby_of_nothing_are_refused(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, read_url=SecretStr("postgresql://somewhere/cairn"))
    with pytest.raises(NotConfigured, match="CAIRN_READ_URL is set without CAIRN_DATABASE_URL"):
        settings.refuse_half()
