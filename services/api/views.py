"""What coordinators work from: one participant's views, and lists over the study."""

from dataclasses import replace
from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends
from fastapi import Query as Parameter
from starlette.requests import Request
from starlette.responses import Response

from domain.canonical import INTEGER_MAX
from domain.time import When
from services.api import access, asked, past, tables
from services.api.replies import CSV, JSON, etag
from services.auth import Caller
from services.door.refused import invalid
from services.state import NotFound
from services.views import Page, Query, line_listing, planning

router = APIRouter(tags=["Views"])

Site = Annotated[str | None, Parameter(max_length=64, description="Only this site.")]
Participant = Annotated[str | None, Parameter(max_length=64, description="Only this participant.")]
Stage = Annotated[str | None, Parameter(max_length=40, description="Only this stage.")]
Verdict = Annotated[str | None, Parameter(max_length=40, description="Only this verdict.")]
Criterion = Annotated[str | None, Parameter(max_length=64, description="Only this criterion.")]
Status = Annotated[str | None, Parameter(max_length=40, description="Only this visit status.")]
From = Annotated[date | None, Parameter(alias="from", description="From this day on.")]
To = Annotated[date | None, Parameter(alias="to", description="Up to and with this day.")]


def _when(
    wait_for: Annotated[
        int | None,
        Parameter(ge=0, le=INTEGER_MAX, description="Wait until this position is reflected."),
    ] = None,
    as_of: Annotated[
        str | None,
        Parameter(
            max_length=40,
            description="As known then: a position of the log (digits only), an instant with"
            " offset, a date or a month (its end in UTC). What has not come yet means the log's"
            " end; `position` says which that was.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        Parameter(
            pattern="^source$",
            description="`source`: the moment of `as_of` counts by `recorded_at_source` where an"
            " event has one, and a date means its end at the site. Only with a moment.",
        ),
    ] = None,
    valid_at: Annotated[
        str | None,
        Parameter(
            max_length=40,
            description="What was true then, as is known now or at `as_of`: an instant, or a date,"
            " month or year (its end at the site). What may have begun by then is told; `uncertain`"
            " names the positions whose own dates leave that open.",
        ),
    ] = None,
    on: Annotated[
        str | None,
        Parameter(
            max_length=40,
            description="The `now` of time-dependent states: an instant, or a date (its end at the"
            " site). Without it that of `valid_at`, else of `as_of`, else the present.",
        ),
    ] = None,
) -> Query:
    known = _position_or_moment("as_of", as_of)
    if by is not None and not isinstance(known, When):
        raise invalid("/query/by", "only-with-a-moment-in-as-of")
    return Query(
        wait_for=wait_for,
        as_of=known,
        by_source=by == "source",
        valid_at=_moment("valid_at", valid_at),
        on=_moment("on", on),
    )


def _page(
    query: Annotated[Query, Depends(_when)],
    limit: Annotated[
        int, Parameter(ge=1, le=asked.LIMIT_MAX, description="How many at most.")
    ] = asked.LIMIT_DEFAULT,
    cursor: Annotated[
        str | None, Parameter(max_length=2_000, description="As the page before says.")
    ] = None,
) -> Query:
    return replace(query, limit=limit, cursor=cursor)


Asked = Annotated[Query, Depends(_when)]
Paged = Annotated[Query, Depends(_page)]

# --- one participant ------------------------------------------------------------------------------


@router.get("/studies/{study}/participants/{participant}")
def get_summary(request: Request, query: Asked) -> Response:
    """Where a participant's journey stands. The `ETag` is the participant's version."""
    return _participant(request, "summary", query)


@router.get("/studies/{study}/participants/{participant}/eligibility")
def get_participant_eligibility(request: Request, query: Asked) -> Response:
    """The verdict, and every criterion with its evidence and what is missing."""
    return _participant(request, "eligibility", query)


@router.get("/studies/{study}/participants/{participant}/schedule")
def get_participant_schedule(request: Request, query: Asked) -> Response:
    """Every visit: its target, its window, what became of it and why."""
    return _participant(request, "schedule", query)


@router.get("/studies/{study}/participants/{participant}/safety")
def get_participant_safety(request: Request, query: Asked) -> Response:
    """Every adverse event with its clocks, and what contradicts."""
    return _participant(request, "safety", query)


# --- a study --------------------------------------------------------------------------------------


@router.get("/studies/{study}/participants")
def get_participants(
    request: Request, query: Paged, stage: Stage = None, site: Site = None
) -> Response:
    """Summaries of the study's participants."""
    return study_view(request, "participants", replace(query, stage=stage, site=site))


@router.get("/studies/{study}/eligibility")
def get_eligibility(
    request: Request, query: Paged, verdict: Verdict = None, site: Site = None
) -> Response:
    """Who is eligible, who is not, and what is missing."""
    return study_view(request, "eligibility", replace(query, verdict=verdict, site=site))


@router.get("/studies/{study}/eligibility/missing")
def get_missing(
    request: Request,
    query: Paged,
    site: Site = None,
    criterion: Criterion = None,
    participant: Participant = None,
) -> Response:
    """Who is pending on what: each criterion that waits for facts, with the fewest that could let
    it pass, of participants who may still become eligible."""
    asking = replace(query, site=site, criterion=criterion, participant=participant)
    return study_view(request, "missing", asking)


@router.get("/studies/{study}/eligibility/criteria")
def get_criteria(request: Request, query: Paged, site: Site = None) -> Response:
    """How often each criterion fails, passes or cannot be told: what fails most comes first."""
    return study_view(request, "criteria", replace(query, site=site))


@router.get("/studies/{study}/schedule")
def get_schedule(
    request: Request,
    query: Paged,
    first: From = None,
    last: To = None,
    site: Site = None,
    participant: Participant = None,
    status: Status = None,
) -> Response:
    """Planned and held visits in the order of their day."""
    asking = replace(
        query, first=first, last=last, site=site, participant=participant, status=status
    )
    return study_view(request, "schedule", asking)


@router.get("/studies/{study}/safety")
def get_safety(request: Request, query: Paged, site: Site = None) -> Response:
    """Adverse events, clocks that run, the stopping boundary and what contradicts.

    The first page has the figures for a safety board, `as_of` a data cut where one is asked for. As
    CSV it is the line listing.
    """
    return study_view(request, "safety", replace(query, site=site))


@router.get("/studies/{study}/deviations")
def get_deviations(request: Request, query: Paged, site: Site = None) -> Response:
    """Standing departures from the protocol, detected or reported."""
    return study_view(request, "deviations", replace(query, site=site))


@router.get("/studies/{study}/enrolment")
def get_enrolment(request: Request, query: Paged, site: Site = None) -> Response:
    """How many participants are in which stage, and the study's slots."""
    return study_view(request, "enrolment", replace(query, site=site))


@router.get("/studies/{study}/worklist")
def get_worklist(
    request: Request,
    query: Paged,
    site: Site = None,
    within: Annotated[
        int | None,
        Parameter(ge=0, le=366, description="Within how many days a closing window closes."),
    ] = None,
) -> Response:
    """What waits for somebody: visits today, windows that close, overdue visits, visits that
    nobody has booked, clocks, consents to renew, eligibilities about to expire."""
    return study_view(request, "worklist", replace(query, site=site, within=within))


# --- answers --------------------------------------------------------------------------------------


def _participant(request: Request, view: str, query: Query) -> Response:
    caller, study = access.within_study(request)
    cairn, name = access.cairn_of(request), str(request.path_params["participant"])
    if query.wait_for is not None:
        access.known(cairn, study)
        # Whoever was recorded just now is known where the position is.
        cairn.reads.views.recorded(study, query)
    access.visible(cairn.reads.hot, caller, study, name)
    access.may(caller, "read")
    found = cairn.reads.views.participant(study, name, view, query)
    version = found["version"] if view == "summary" else found["position"]
    headers = {"ETag": etag(version), "Vary": "Accept"}
    if asked.prefers(request, JSON, CSV) == CSV:
        return Response(_table_of_one(view, found), 200, headers, CSV)
    return Response(orjson.dumps(found), 200, headers, JSON)


def study_view(request: Request, view: str, query: Query) -> Response:
    """A list of the study within the caller's scope, as JSON or as a table."""
    caller, study = access.within_study(request, "read")
    query = replace(query, site=own_site(caller, query.site))
    try:
        with past.reading(request, query) as pause:
            page = access.cairn_of(request).reads.views.study(study, view, query, pause)
    except past.Gone:
        return Response(status_code=past.GONE)
    headers = {"ETag": etag(page.position), "Vary": "Accept"}
    if page.next is not None:
        url = request.url.include_query_params(cursor=page.next)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    if asked.prefers(request, JSON, CSV) == CSV:
        return Response(_table(view, page), 200, headers, CSV)
    return Response(orjson.dumps(_shown(page)), 200, headers, JSON)


def _table_of_one(view: str, found: dict[str, Any]) -> bytes:
    """A participant's view as a table: a line for each criterion, visit or adverse event."""
    whose = {name: found[name] for name in ("participant", "site")}
    unsure = {name: found[name] for name in ("uncertain",) if name in found}
    match view:
        case "eligibility":
            return tables.table({**whose, **one, **unsure} for one in found["criteria"])
        case "schedule":
            return tables.table({**whose, **one, **unsure} for one in found["visits"])
        case "safety":
            events = ({**whose, **one, **unsure} for one in found["adverse_events"])
            return tables.table(line_listing.lines(events), line_listing.columns())
        case _:
            return tables.table([found])


def _table(view: str, page: Page) -> bytes:
    left_out = page.extra.get("left_out", [])
    if view == "matrix":
        lines = [*planning.matrix_lines(page.items), *left_out]
        return tables.table(lines, planning.matrix_columns(page.extra))
    if view == "safety":
        lines = [*line_listing.lines(page.items), *left_out]
        return tables.table(lines, line_listing.columns())
    return tables.table([*page.items, *left_out])


def _shown(page: Page) -> dict[str, Any]:
    return {"position": page.position, "items": page.items, **page.extra}


def own_site(caller: Caller, site: str | None) -> str | None:
    """The site to read: a token that is narrowed to one sees no other. Raises NotFound."""
    own = caller.claims.site
    if own is not None and site not in (None, own):
        raise NotFound("site")
    return own or site


def _moment(name: str, sent: str | None) -> When | None:
    if sent is None:
        return None
    try:
        return When.parse(sent)
    except ValueError:
        raise invalid(f"/query/{name}", "moment") from None


def _position_or_moment(name: str, sent: str | None) -> int | When | None:
    """A position where there are only digits: a year alone is no moment of knowing."""
    if sent is not None and sent.isascii() and sent.isdecimal() and len(sent) <= 15:
        return int(sent)
    return _moment(name, sent)
