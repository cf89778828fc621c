"""What if: a cohort or one participant under a draft protocol, or with events not recorded.

It only reads, beside everything else: a bounded number at a time, in slices of a worker thread, so
that posts have their turn, and it ends when whoever asked has gone.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AbstractContextManager, aclosing, closing
from dataclasses import replace
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services import logs
from services.api import access, asked
from services.api.naming import is_name
from services.api.past import GONE
from services.api.replies import JSON, NDJSON, json_reply
from services.api.studies import document_of
from services.api.views import Asked, Site, own_site
from services.door.refused import invalid
from services.errors import OURS, problem_of
from services.problems import answered
from services.views import Query
from services.what_if import Cohort, Compared, Report, cohort_under, single, supposed

router = APIRouter(tags=["What if"])

AT_ONCE_MAX = 2
"""So many what-ifs may be under way; the next one is asked to come back."""

SLICE_SECONDS = 0.1
"""How long a worker thread compares before it tells how far it has come."""


@router.post("/studies/{study}/what-if")
async def post_what_if(request: Request, query: Asked, site: Site = None) -> Response:
    """The whole cohort under a draft protocol, against today's: what would differ for whom, and
    why. Nothing is written.

    The draft is a protocol document as it would be published. With
    `Accept: application/x-ndjson` progress and items come as lines, as they are found; the last
    line has the totals.
    """
    caller, study = await asyncio.to_thread(access.within_study, request, "read")
    query = replace(query, site=own_site(caller, site))
    body, sent = await document_of(request), request.headers.get("content-type", "")
    lines = asked.prefers(request, JSON, NDJSON) == NDJSON
    cairn, gate = access.cairn_of(request), _gate(request)
    with gate:
        cohort = await asyncio.to_thread(cohort_under, cairn, study, body, sent, query)
        if not lines:
            return await _whole(request, cohort)
    return _Lines(cohort, gate)


@router.post("/studies/{study}/participants/{participant}/what-if")
async def post_participant_what_if(request: Request, query: Asked) -> Response:
    """One participant with events that are not recorded, under a draft protocol, or both: what
    would be recorded or refused, and what would differ. Nothing is written.

    The body is an event or an array of them as they would be posted (a correction, say), a
    protocol document, or an object of `events` and `protocol`. Whoever proposes events must be
    allowed to post them.
    """
    caller, study = await asyncio.to_thread(access.within_study, request, "read")
    cairn, name = access.cairn_of(request), str(request.path_params["participant"])
    if not is_name(name):
        raise invalid("/participant", "string-pattern-mismatch")
    body, sent = await document_of(request), request.headers.get("content-type", "")
    with _gate(request):
        supposing = await asyncio.to_thread(supposed, body, sent, study, name)
        if supposing.posted:
            _of_the_present(query)
            await access.may_post(cairn, caller, study, name, supposing.posted)
        else:
            await asyncio.to_thread(access.visible, cairn.reads.hot, caller, study, name)
        terms = asked.terms_of(request, caller)
        return json_reply(await single(cairn, study, name, supposing, terms, query))


def _gate(request: Request) -> AbstractContextManager[None]:
    gate: AbstractContextManager[None] = request.app.state.what_ifs
    return gate


def _of_the_present(query: Query) -> None:
    """Events are recorded now, not in the past."""
    for name, value in (("as_of", query.as_of), ("valid_at", query.valid_at)):
        if value is not None:
            raise invalid(f"/query/{name}", "not-with-events")


async def _whole(request: Request, cohort: Cohort) -> Response:
    report = Report()
    async with aclosing(_slices(cohort)) as parts:
        async for part in parts:
            for one in part:
                report.add(one)
            if await request.is_disconnected():
                return Response(status_code=GONE)
    return json_reply({**cohort.head(), **report.document()})


async def _slices(cohort: Cohort) -> AsyncGenerator[list[Compared], None]:
    """The cohort, part by part: between two of them others have their turn.

    Whoever ends it waits for the slice at hand: no thread goes on afterwards.
    """
    with closing(iter(cohort)) as found:
        ended = False
        while not ended:
            part, ended = await run_in_threadpool(_slice, found)
            yield part


def _slice(found: Iterator[Compared]) -> tuple[list[Compared], bool]:
    """As many as fit into a slice of time, and whether it is the last."""
    until = time.monotonic() + SLICE_SECONDS
    part = []
    for one in found:
        part.append(one)
        if time.monotonic() >= until:
            return part, False
    return part, True


class _Lines(StreamingResponse):
    """Lines as they are found. It holds its place until the last one, or until nobody reads."""

    def __init__(self, cohort: Cohort, gate: AbstractContextManager[None]) -> None:
        super().__init__(_lines(cohort), media_type=NDJSON, headers={"X-Accel-Buffering": "no"})
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them. Raises TooMany before the first."""
        with self._gate:
            await super().__call__(scope, receive, send)


async def _lines(cohort: Cohort) -> AsyncIterator[bytes]:
    report = Report()
    try:
        async with aclosing(_slices(cohort)) as parts:
            async for part in parts:
                for one in part:
                    report.add(one, keep=False)
                yield b"".join(_of(part, cohort, report))
    except OURS as error:
        yield _line({"problem": _document(error)})
    except Exception as error:  # noqa: BLE001  the status is sent: a line must say that it ended
        logs.defect(error)
        yield _line({"problem": answered("internal", "The comparison ended early.").document()})
    else:
        yield _line({**cohort.head(), "totals": report.totals()})


def _of(part: list[Compared], cohort: Cohort, report: Report) -> Iterator[bytes]:
    """The items of a part, and how far it has come. Of other sites nothing is counted."""
    for one in part:
        for in_part, kind, item in one.items():
            yield _line({"list": f"{in_part}.{kind}", **item})
        if one.failed is not None:
            yield _line({"list": "failed", **one.failure()})
    yield _line({"progress": {"participants": report.participants, "percent": cohort.percent()}})


def _document(error: Exception) -> dict[str, Any]:
    problem = problem_of(error)
    assert problem is not None
    return problem.document()


def _line(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content) + b"\n"
