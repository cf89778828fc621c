"""For auditors: histories as recorded, the study's log, and what was refused."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from domain.canonical import canonical
from infra.ledger.types import STUDY_STREAM, Stored
from services.api import access, asked, feed, tables, trails
from services.api.replies import (
    CLOUDEVENTS_BATCH,
    CSV,
    JSON,
    NDJSON,
    etag,
    event_bytes,
    json_reply,
    list_bytes,
)
from services.auth import Caller
from services.bootstrap import Cairn
from services.door import cloudevents
from services.door.refused import invalid
from services.replay import replay

router = APIRouter(tags=["Audit"])

SCANNED_MAX = 10_000
"""Events looked at for one page of the log, where a filter leaves most of them out."""
PAGE_EVENTS = 1_000

After = Annotated[int, Query(ge=0, le=2**53 - 1, description="Begin after it.")]
Limit = Annotated[int, Query(ge=1, le=asked.LIMIT_MAX, description="How many at most.")]
Kinds = Annotated[
    Literal["fact", "decision", "conclusion"] | None, Query(description="Only events of the kind.")
]
Types = Annotated[
    str | None, Query(max_length=2_000, description="Only these event types, comma-separated.")
]


@router.get("/studies/{study}/participants/{participant}/events")
def get_history(
    request: Request, after: After = 0, limit: Limit = asked.LIMIT_DEFAULT, kind: Kinds = None
) -> Response:
    """A participant's history as it was recorded, by version.

    An event that was corrected or taken back says so behind its hash: `corrected_by` and `now`
    (how it reads since), or `retracted_by`. As JSON, NDJSON, CSV or a CloudEvents batch, by
    `Accept`.
    """
    caller, study = access.within_study(request)
    cairn, name = access.cairn_of(request), str(request.path_params["participant"])
    participant = access.visible(cairn.reads.hot, caller, study, name)
    access.may(caller, "read")
    head = cairn.reads.log.head(study)
    events = [
        one
        for one in cairn.reads.log.stream(study, name, after, head)
        if one.version <= participant.version and (kind is None or _kind(one) == kind)
    ]
    page = events[:limit]
    headers = {"ETag": etag(participant.version), "Vary": "Accept"}
    if len(events) > limit:
        headers["Link"] = _next(request, after=page[-1].version)
    return _listed(request, study, head, page, headers, shown=trails.reads_now(participant, page))


@router.get("/studies/{study}/participants/{participant}/audit-trail")
def get_audit_trail(
    request: Request, after: After = 0, limit: Limit = asked.LIMIT_DEFAULT
) -> Response:
    """Every change of what was recorded, field by field: what it said, what it says since, who
    changed it, when and why.

    `after` is the position of a correction or retraction. As JSON or CSV, by `Accept`.
    """
    caller, study = access.within_study(request)
    cairn, name = access.cairn_of(request), str(request.path_params["participant"])
    participant = access.visible(cairn.reads.hot, caller, study, name)
    access.may(caller, "read")
    page, more = trails.page_of(participant, after, limit)
    headers = {"ETag": etag(participant.version), "Vary": "Accept"}
    if more:
        headers["Link"] = _next(request, after=page[-1].by.position)
    if asked.prefers(request, JSON, CSV) == CSV:
        body = tables.table(map(trails.row, page), trails.COLUMNS)
        return Response(body, 200, headers, CSV)
    items = [trails.item(one) for one in page]
    return json_reply({"position": participant.position, "items": items}, headers=headers)


@router.get("/studies/{study}/participants/{participant}/replay")
def get_replay(
    request: Request,
    version: Annotated[
        int | None, Query(ge=1, le=2**53 - 1, description="The version; the newest without it.")
    ] = None,
) -> Response:
    """The whole state after a version and before it, what changed and why.

    The same version answers the same bytes whenever it is asked for.
    """
    caller, study = access.within_study(request)
    cairn, name = access.cairn_of(request), str(request.path_params["participant"])
    participant = access.visible(cairn.reads.hot, caller, study, name)
    access.may(caller, "read")
    wanted = participant.version if version is None else version
    found = replay(cairn.reads.hot, study, name, wanted)
    return Response(canonical(found.document()), 200, {"ETag": etag(wanted)}, JSON)


@router.get("/studies/{study}/log")
async def get_log(
    request: Request, after: After = 0, limit: Limit = asked.LIMIT_DEFAULT, types: Types = None
) -> Response:
    """The study's ledger in order of position.

    With `Accept: text/event-stream` a live feed that resumes from `Last-Event-ID`. A token that is
    narrowed to a site sees that site's participants only: its positions have gaps.
    """
    caller, study = access.within_study(request)
    cairn = access.cairn_of(request)
    await run_in_threadpool(access.known, cairn, study)
    access.may(caller, "audit")
    shown = _filter(cairn, caller, study, _wanted(types))
    if asked.prefers(request, JSON, NDJSON, CSV, CLOUDEVENTS_BATCH, feed.MEDIA_TYPE) == (
        feed.MEDIA_TYPE
    ):
        return await feed.answer(request, cairn, study, after, shown)

    def read() -> Response:
        head = cairn.reads.log.head(study)
        page, last = _scan(cairn, study, after, limit, head, shown)
        headers = {"ETag": etag(head), "Vary": "Accept"}
        if last < head:
            headers["Link"] = _next(request, after=last)
        extra = {} if caller.whole_study else {"gaps": True}
        return _listed(request, study, head, page, headers, extra)

    return await run_in_threadpool(read)


@router.get("/studies/{study}/log/key")
def get_log_key(request: Request) -> Response:
    """The public key of the receipts, as a C2SP verifier key."""
    _, study = access.within_study(request, "audit")
    return PlainTextResponse(access.cairn_of(request).receipts.verifier_key(study) + "\n")


@router.get("/studies/{study}/refusals")
def get_refusals(
    request: Request, after: After = 0, limit: Limit = asked.LIMIT_DEFAULT
) -> Response:
    """Refused decisions and impossible reports: who, when, what type, by which rule; no bodies."""
    caller, study = access.within_study(request, "audit")
    cairn = access.cairn_of(request)
    items, more = cairn.refusals.page(study, after, limit, caller.claims.site)
    headers = {} if more is None else {"Link": _next(request, after=more)}
    if asked.prefers(request, JSON, CSV) == CSV:
        return Response(tables.table(items), 200, headers, CSV)
    return json_reply({"position": cairn.reads.log.head(study), "items": items}, headers=headers)


Shown = Callable[[Stored], bool]


def _wanted(types: str | None) -> frozenset[str] | None:
    if types is None:
        return None
    names = frozenset(name.strip() for name in types.split(",") if name.strip())
    if not names:
        raise invalid("/query/types", "too-short")
    return names


def _filter(cairn: Cairn, caller: Caller, study: str, types: frozenset[str] | None) -> Shown:
    """Which events the caller asked for and may see; it may read the ledger."""
    sites: dict[str, bool] = {}

    def of_own_site(name: str) -> bool:
        if name not in sites:
            participant = cairn.reads.hot.participant(study, name, fresh=False)
            sites[name] = caller.opens_site(participant.site)
        return sites[name]

    def shown(stored: Stored) -> bool:
        if types is not None and stored.topic.split(".")[1] not in types:
            return False
        if caller.whole_study:
            return True
        if stored.stream != STUDY_STREAM:
            return of_own_site(stored.stream)
        named = orjson.loads(stored.body)["data"].get("participant")
        return named is None or of_own_site(named)

    return shown


def _scan(
    cairn: Cairn, study: str, after: int, limit: int, head: int, shown: Shown
) -> tuple[list[Stored], int]:
    """Events that are shown, and the last position that was looked at."""
    page: list[Stored] = []
    last, scanned = after, 0
    while last < head and len(page) < limit and scanned < SCANNED_MAX:
        read = cairn.reads.log.read(study, last, PAGE_EVENTS, head)
        if not read:
            break
        for stored in read:
            last, scanned = stored.position, scanned + 1
            if shown(stored):
                page.append(stored)
                if len(page) == limit:
                    break
    return page, last


def _kind(stored: Stored) -> str:
    kind: str = orjson.loads(stored.body)["kind"]
    return kind


def _listed(
    request: Request,
    study: str,
    position: int,
    page: Sequence[Stored],
    headers: dict[str, str],
    extra: dict[str, Any] | None = None,
    shown: Sequence[bytes] | None = None,
) -> Response:
    """Stored events in the form that `Accept` likes best; `shown` is how each is shown as JSON."""
    events = list(map(event_bytes, page)) if shown is None else shown
    match asked.prefers(request, JSON, NDJSON, CSV, CLOUDEVENTS_BATCH):
        case "application/x-ndjson":
            return Response(b"".join(one + b"\n" for one in events), 200, headers, NDJSON)
        case "text/csv":
            return Response(tables.table(map(orjson.loads, events)), 200, headers, CSV)
        case "application/cloudevents-batch+json":
            batch = [cloudevents.written(one, study) for one in page]
            return Response(orjson.dumps(batch), 200, headers, CLOUDEVENTS_BATCH)
        case _:
            items = b"[%s]" % b",".join(events)
            return Response(list_bytes(position, items, extra), 200, headers, JSON)


def _next(request: Request, **changed: int) -> str:
    url = request.url.include_query_params(**changed)
    return f'<{url.path}?{url.query}>; rel="next"'
