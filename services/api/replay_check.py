"""The replay check over REST: findings as lines, as they are found, and how far it has come.

It only reads, beside everything else: one at a time in this process, in slices of a worker thread,
and it ends when whoever asked has gone.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services import logs
from services.api import access
from services.api.replies import NDJSON
from services.errors import OURS, Forbidden, problem_of
from services.problems import answered
from services.replay_check import Finding, ReplayCheck

router = APIRouter(tags=["Audit"])

AT_ONCE_MAX = 1
"""So many checks may be under way; the next one is asked to come back."""

SLICE_SECONDS = 0.1
"""How long a worker thread checks before others have their turn."""

PULSE_SECONDS = 5.0
"""How often it is told how far the check has come."""


@router.get("/studies/{study}/replay-check")
async def get_replay_check(request: Request) -> Response:
    """Every recorded conclusion of the study computed again from what preceded it, the bytes and
    chains of its log looked at: each `finding` is a line, `progress` comes every few seconds, and
    the last line is `checked`: what was looked at, and how many things differ.

    It needs a token for the whole study.
    """
    caller, study = await asyncio.to_thread(access.within_study, request, "audit")
    if not caller.whole_study:
        raise Forbidden
    cairn = access.cairn_of(request)
    check = await asyncio.to_thread(ReplayCheck, cairn.reads.log, cairn.reads.documents, study)
    return _Lines(check, request.app.state.replay_checks)


class _Lines(StreamingResponse):
    """Lines as they are found. It holds its place until the last one, or until nobody reads."""

    def __init__(self, check: ReplayCheck, gate: AbstractContextManager[None]) -> None:
        super().__init__(_lines(check), media_type=NDJSON, headers={"X-Accel-Buffering": "no"})
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them. Raises TooMany before the first."""
        with self._gate:
            await super().__call__(scope, receive, send)


async def _lines(check: ReplayCheck) -> AsyncIterator[bytes]:
    done, told, steps = 0, time.monotonic(), check.steps()

    def advance(count: int) -> None:
        nonlocal done
        done += count

    check.progress = advance
    ended = False
    try:
        while not ended:
            part, ended = await asyncio.to_thread(_slice, steps)
            if part:
                yield b"".join(_line({"finding": one.document()}) for one in part)
            if time.monotonic() - told >= PULSE_SECONDS:
                told = time.monotonic()
                yield _line({"progress": {"done": done, "of": check.total()}})
    except OURS as error:
        yield _line({"problem": _document(error)})
    except Exception as error:  # noqa: BLE001  the status is sent: a line must say that it ended
        logs.defect(error)
        yield _line({"problem": answered("internal", "The check ended early.").document()})
    else:
        yield _line({"checked": check.checked.document()})


def _slice(steps: Iterator[Finding | None]) -> tuple[list[Finding], bool]:
    """What is found in a slice of time, and whether the check has ended."""
    until = time.monotonic() + SLICE_SECONDS
    part = []
    for one in steps:
        if one is not None:
            part.append(one)
        if time.monotonic() >= until:
            return part, False
    return part, True


def _document(error: Exception) -> dict[str, Any]:
    problem = problem_of(error)
    assert problem is not None
    return problem.document()


def _line(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content) + b"\n"
