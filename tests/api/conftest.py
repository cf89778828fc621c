"""A Cairn on a fresh database with a small study, its REST interface, and tokens for it."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.api import create_app
from services.bootstrap import Cairn, Settings, open_cairn

STUDY = "S-1"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)

PROTOCOL = {
    "study": STUDY,
    "version": "1.0",
    "title": "A study for tests",
    "accrual": 2,
    "dictionary": {"egfr": {"name": "eGFR", "kind": "quantity", "unit": "mL/min"}},
}


@dataclass
class Clock:
    """Stands still until it is moved."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Api:
    """The REST interface as a client meets it; the token of the role is sent along."""

    cairn: Cairn
    http: httpx.AsyncClient
    clock: Clock
    tokens: dict[str, str] = field(default_factory=dict)

    def head(self, study: str = STUDY) -> int:
        return self.cairn.ledger.head(study)

    def token(self, role: str = "administrator", **scope: Any) -> str:
        key = json.dumps([role, scope], sort_keys=True)
        if key not in self.tokens:
            self.tokens[key] = self.cairn.tokens.issue(role, **scope)  # type: ignore[arg-type]
        return self.tokens[key]

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str | None = "administrator",
        scope: dict[str, Any] | None = None,
        content: bytes | None = None,
        media: str = "application/json",
        **headers: str,
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if role is not None:
            sent.setdefault("Authorization", f"Bearer {self.token(role, **(scope or {}))}")
        if content is None and body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", media)
        return await self.http.request(method, path, content=content, headers=sent)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.send("POST", f"/v1/studies/{STUDY}{path}", body, **more)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.send("GET", f"/v1/studies/{STUDY}{path}", **more)

    async def refer(self, name: str, site: str = "01", **more: Any) -> httpx.Response:
        return await self.post(f"/participants/{name}/events", referred(site), **more)


def event(kind: str, occurred_at: str = "2026-11-20", **data: Any) -> dict[str, Any]:
    return {"type": kind, "occurred_at": occurred_at, "data": data}


def referred(site: str = "01", **more: Any) -> dict[str, Any]:
    return event("referred", "2026-11-01", site=site, channel="clinician", **more)


def consented(form: str = "1.0", **envelope: Any) -> dict[str, Any]:
    body = event("consented", "2026-11-02", form_version=form, signed_by="participant")
    return {**body, **envelope}


@asynccontextmanager
async def served(cairn: Cairn, clock: Clock) -> AsyncIterator[Api]:
    """The interface of a Cairn, without a socket."""
    transport = httpx.ASGITransport(create_app(cairn))
    async with httpx.AsyncClient(transport=transport, base_url="http://cairn") as http:
        yield Api(cairn, http, clock)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cairn(database: str, tmp_path: Path, clock: Clock) -> Iterator[Cairn]:
    """A Cairn on a fresh database."""
    opened = open_cairn(Settings(data=tmp_path), conninfo=database, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
async def api(anyio_backend: str, cairn: Cairn, clock: Clock) -> AsyncIterator[Api]:
    """The interface, with the small study published and its site 01 and 02 open."""
    async with served(cairn, clock) as opened:
        await begin(opened)
        yield opened


async def begin(opened: Api) -> None:
    """Publish the small study and open its sites."""
    path = f"/v1/studies/{STUDY}/protocols/1.0"
    answer = await opened.send("PUT", path, PROTOCOL)
    assert answer.status_code == 201, answer.text
    for site in ("01", "02"):
        body = event("site-opened", "2026-10-01", site=site, name="A", timezone="Asia/Jakarta")
        answer = await opened.post("/events", body)
        assert answer.status_code == 201, answer.text
