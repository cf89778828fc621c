"""The study's visits at a glance, and calendars that programs subscribe to."""

import asyncio
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Query as Parameter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from domain.kernel import Code, ParticipantId, Strict
from infra.feeds import FeedKept
from services.api import access, asked, calendar
from services.api.replies import etag, json_reply
from services.api.views import From, Paged, Participant, Site, To, own_site, study_view
from services.bootstrap import Cairn
from services.door import Invalid
from services.door.refused import invalid, problems_of
from services.door.strict import document
from services.views import Query

router = APIRouter(tags=["Views"])

CALENDAR_MAX_VISITS = 20_000
"""A calendar that is longer is refused: programs give up on such, and a site has a shorter one."""

CALENDAR_ATTEMPTS = 3
"""How often a calendar is read again because the views moved on meanwhile."""


class CalendarAsked(Strict):
    """Which visits a new calendar shows: of a site, of a participant, or of the study."""

    site: Code | None = None
    participant: ParticipantId | None = None


@router.get("/studies/{study}/matrix")
def get_matrix(request: Request, query: Paged, site: Site = None) -> Response:
    """Participants by visits: the state of each visit of each participant."""
    return study_view(request, "matrix", replace(query, site=site))


@router.get("/studies/{study}/workload")
def get_workload(
    request: Request, query: Paged, first: From = None, last: To = None, site: Site = None
) -> Response:
    """Visits by week and site: held, booked, planned. Without a range: from four weeks ago on."""
    return study_view(request, "workload", replace(query, first=first, last=last, site=site))


@router.get("/studies/{study}/adherence")
def get_adherence(
    request: Request, query: Paged, first: From = None, last: To = None, site: Site = None
) -> Response:
    """How many visits were held in their windows, early and late, by visit and site."""
    return study_view(request, "adherence", replace(query, first=first, last=last, site=site))


# --- calendars ------------------------------------------------------------------------------------


@router.get("/studies/{study}/schedule.ics")
def get_calendar(
    request: Request,
    site: Site = None,
    participant: Participant = None,
    token: Annotated[
        str | None,
        Parameter(max_length=2_048, description="The calendar's own token; it opens nothing else."),
    ] = None,
) -> Response:
    """The calendar feed of the schedule: windows as all-day events, without names."""
    study = str(request.path_params["study"])
    cairn = access.cairn_of(request)
    if token is None:
        caller, study = access.within_study(request, "read")
        site = own_site(caller, site)
        if participant is not None:
            access.visible(cairn.reads.hot, caller, study, participant)
    else:
        # A token that opens more does not belong into a URL, where logs and histories keep it.
        kept = cairn.calendars.opened(study, token)
        site, participant = _narrowed(kept, site, participant)
        access.known(cairn, study)
    position, entries = _entries(cairn, study, Query(site=site, participant=participant))
    headers = {"Cache-Control": "private, no-cache"}
    if position is not None:
        headers["ETag"] = etag(position)
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
    name = " ".join(part for part in (study, site, participant) if part)
    return Response(calendar.feed(name, study, entries), 200, headers, calendar.MEDIA_TYPE)


@router.post("/studies/{study}/calendars", status_code=201)
async def post_calendar(request: Request) -> Response:
    """A calendar of the study, of a site or of a participant, with a token of its own.

    The token is told once. It stands in the calendar's URL, opens that calendar and nothing else,
    and can be revoked.
    """
    caller, study = await asyncio.to_thread(access.within_study, request, "read")
    cairn = access.cairn_of(request)
    wanted = _wanted(await asked.body_of(request))

    def make() -> dict[str, Any]:
        site = own_site(caller, wanted.site)
        if wanted.participant is not None:
            access.visible(cairn.hot, caller, study, wanted.participant)
        if site is not None and site not in cairn.hot.trial(study).sites:
            raise invalid("/site", "unknown-site")
        found, token = cairn.calendars.make(
            study, site=site, participant=wanted.participant, by=caller.actor.id
        )
        url = request.url_for("get_calendar", study=study).include_query_params(token=token)
        return {**found, "token": token, "url": str(url)}

    return json_reply(await asyncio.to_thread(make), 201, {"Cache-Control": "no-store"})


@router.get("/studies/{study}/calendars")
def get_calendars(
    request: Request,
    limit: Annotated[
        int, Parameter(ge=1, le=asked.LIMIT_MAX, description="How many at most.")
    ] = asked.LIMIT_DEFAULT,
    cursor: Annotated[
        str | None, Parameter(max_length=64, description="As the page before says.")
    ] = None,
) -> Response:
    """The calendars that were made, revoked ones too; never their tokens."""
    caller, study = access.within_study(request, "read")
    calendars = access.cairn_of(request).calendars
    items, more = calendars.page(study, caller.claims.site, cursor or "", limit)
    headers = {}
    if more is not None:
        url = request.url.include_query_params(cursor=more)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return json_reply({"items": items}, headers=headers)


@router.delete("/studies/{study}/calendars/{calendar}")
def delete_calendar(request: Request) -> Response:
    """Revoke a calendar's token: whoever has its URL reads nothing any more."""
    caller, study = access.within_study(request, "read")
    name = str(request.path_params["calendar"])
    calendars = access.cairn_of(request).calendars
    return json_reply(calendars.revoke(study, name, caller.claims.site, caller.actor.id))


def _wanted(body: bytes) -> CalendarAsked:
    try:
        return CalendarAsked.model_validate(document(body))
    except ValidationError as error:
        raise Invalid(problems_of(error)) from None


def _narrowed(
    kept: FeedKept, site: str | None, participant: str | None
) -> tuple[str | None, str | None]:
    """What a feed shows of what the URL asks for: never more than it was made for."""
    return kept.site or site, kept.participant or participant


def _entries(cairn: Cairn, study: str, query: Query) -> tuple[int | None, list[dict[str, Any]]]:
    """Every visit of a calendar, and the position at which all of them stand together.

    None as the position, so that nobody keeps it, where the views kept moving while it was read.
    """
    entries: list[dict[str, Any]] = []
    for _ in range(CALENDAR_ATTEMPTS):
        entries, positions, cursor = [], set[int](), None
        while True:
            asking = replace(query, limit=asked.LIMIT_MAX, cursor=cursor)
            page = cairn.reads.views.study(study, "calendar", asking)
            entries += page.items
            positions.add(page.position)
            if len(entries) > CALENDAR_MAX_VISITS:
                raise invalid("/query/site", "too-many-visits")
            cursor = page.next
            if cursor is None:
                break
        if len(positions) == 1:
            return positions.pop(), entries
    return None, entries
