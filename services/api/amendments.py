"""Which protocol version governed what: at each site, for each participant, on any day."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from domain.in_force import InForce, awaited, governing, in_force
from domain.kernel import Noted
from domain.participant import Participant
from domain.time import When
from domain.trial.events import ProtocolActivated
from domain.trial.study import Trial
from projections.view import instant_text
from services.api import access, asked, tables
from services.api.replies import CSV, JSON, etag, json_reply
from services.auth import Caller
from services.bootstrap import Cairn
from services.door.refused import invalid
from services.state import NotFound

router = APIRouter(tags=["Studies"])

LOOKED_AT_MAX = 500
"""So many participants are looked at for one page of a list; it may be shorter, and has a next."""

On = Annotated[
    str | None, Query(max_length=64, description="Only what was in force then: a date or instant.")
]
AsOf = Annotated[
    str | None,
    Query(
        alias="as_of",
        max_length=64,
        description="As known then: a position of the log, an instant or a date (its end in UTC).",
    ),
]

OfSite = Annotated[str | None, Query(max_length=64, description="Only of this site.")]


@router.get("/studies/{study}/participants/{participant}/protocols")
def get_participant_protocols(request: Request, on: On = None, as_of: AsOf = None) -> Response:
    """The protocol versions that governed a participant, since when and by what.

    `on` says which one governed an act of that day; `as_of` what was known about it then. `awaited`
    is the version that is active at the site and waits for the participant's consent.
    """
    caller, study = access.within_study(request)
    cairn, name = access.cairn_of(request), str(request.path_params["participant"])
    participant = access.visible(cairn.reads.hot, caller, study, name)
    access.may(caller, "read")
    trial, position = cairn.reads.hot.trial(study), cairn.reads.log.head(study)
    if as_of is not None:
        position = _position(cairn, study, as_of)
        trial, participant = cairn.reads.hot.as_of(study, name, position)
    versions: Sequence[InForce] = in_force(trial, participant)
    if on is not None:
        then = governing(trial, participant, _moment("on", on))
        versions = [one for one in versions if one.protocol is then][-1:]
    waiting = awaited(trial, participant)
    shown = {
        "participant": name,
        "position": position,
        "items": [_governed(one) for one in versions],
        "awaited": None if waiting is None else _act(waiting),
    }
    return json_reply(shown, headers={"ETag": etag(participant.version)})


@router.get("/studies/{study}/protocols/{version}/sites")
def get_protocol_sites(request: Request, on: On = None, as_of: AsOf = None) -> Response:
    """The sites that a version was active at: approvals, and from which day to which.

    `on` leaves only the sites that worked under it on that day, `as_of` what was known of it then.
    """
    caller, study = access.within_study(request, "read")
    cairn, version = access.cairn_of(request), str(request.path_params["version"])
    trial, position = trial_then(cairn, study, as_of)
    if version not in trial.protocols:
        raise NotFound("protocol")
    return json_reply({"position": position, "items": sites_of(trial, caller, version, on)})


@router.get("/studies/{study}/protocols/{version}/participants")
def get_protocol_participants(
    request: Request,
    site: OfSite = None,
    limit: Annotated[
        int, Query(ge=1, le=asked.LIMIT_MAX, description="How many at most.")
    ] = asked.LIMIT_DEFAULT,
    after: Annotated[
        str, Query(max_length=64, description="Begin after this participant's name.")
    ] = "",
) -> Response:
    """How far a version has come: each participant of the sites where it is active.

    `status` is `in-force`, `awaits-consent` (the version asks for it, or the participant signed
    none since), or `over` for whoever's journey had ended under another one. As JSON or CSV.
    """
    caller, study = access.within_study(request, "read")
    cairn, version = access.cairn_of(request), str(request.path_params["version"])
    trial = cairn.reads.hot.trial(study)
    if version not in trial.protocols:
        raise NotFound("protocol")
    items: list[dict[str, Any]] = []
    names = cairn.reads.log.participants(study, after, LOOKED_AT_MAX)
    last = None
    for name in names:
        participant = cairn.reads.hot.participant(study, name)
        if (site is None or participant.site == site) and caller.opens_site(participant.site):
            items += _adopted(trial, participant, version)
        if len(items) == limit or (name == names[-1] and len(names) == LOOKED_AT_MAX):
            last = name
            break
    headers = {"Vary": "Accept"}
    if last is not None:
        url = request.url.include_query_params(after=last)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    if asked.prefers(request, JSON, CSV) == CSV:
        return Response(tables.table(items, _ADOPTED), 200, headers, CSV)
    position = cairn.reads.log.head(study)
    return json_reply({"position": position, "items": items}, headers=headers)


_ADOPTED = ("participant", "site", "status", "protocol", "since")


def trial_then(cairn: Cairn, study: str, as_of: str | None) -> tuple[Trial, int]:
    """The study as was known then, or as it stands; and the position. Raises Invalid, NotFound."""
    if as_of is None:
        return cairn.reads.hot.trial(study), cairn.reads.log.head(study)
    position = _position(cairn, study, as_of)
    return cairn.reads.hot.trial_as_of(study, position), position


def sites_of(
    trial: Trial, caller: Caller, version: str, on: str | None, site: str | None = None
) -> list[dict[str, Any]]:
    """Where a version was active and approved (on a day), as far as the caller may see the sites.

    Raises Invalid.
    """
    day = None if on is None else _moment("on", on)
    return [
        found
        for name in trial.sites
        if caller.opens_site(name) and site in (None, name)
        if (found := _site(trial, name, version, day)) is not None
    ]


def _adopted(trial: Trial, participant: Participant, version: str) -> list[dict[str, Any]]:
    """Nothing for whoever's site does not work under the version now."""
    active = [one for one in trial.activated if one.body.site == participant.site]
    if not active or active[-1].body.protocol != version:
        return []
    now = in_force(trial, participant)[-1]
    status = "in-force"
    if now.protocol.version != version:
        status = "over" if awaited(trial, participant) is None else "awaits-consent"
    return [
        {
            "participant": participant.id,
            "site": participant.site,
            "status": status,
            "protocol": now.protocol.version,
            "since": None if now.since is None else now.since.isoformat(),
        }
    ]


def _site(trial: Trial, site: str, version: str, on: When | None) -> dict[str, Any] | None:
    zone, active = trial.zone(site), [one for one in trial.activated if one.body.site == site]
    periods = []
    for one, following in zip(active, [*active[1:], None], strict=False):
        until = None if following is None else following.when.earliest(zone)
        if one.body.protocol != version or until == one.when.earliest(zone):
            continue
        moment = None if on is None else on.last_moment(zone)
        if moment is not None and (
            one.when.earliest(zone) > moment or (until is not None and until <= moment)
        ):
            continue
        periods.append({**_act(one), "until": None if following is None else following.when.text})
    approvals = [
        {**_act(one), "by": one.body.by, "reference": one.body.reference}
        for one in trial.approved
        if (one.body.site, one.body.protocol) == (site, version)
    ]
    if not periods and (on is not None or not approvals):
        return None
    return {"site": site, "active": periods, "approvals": approvals}


def _governed(one: InForce) -> dict[str, Any]:
    return {
        "protocol": one.protocol.version,
        "since": None if one.since is None else one.since.isoformat(),
        "until": None if one.until is None else one.until.isoformat(),
        "by": None if one.by is None else _act(one.by),
    }


def _act(noted: Noted[Any]) -> dict[str, Any]:
    """An event in a line, on both axes of time."""
    shown: dict[str, Any] = {
        "position": noted.position,
        "type": noted.body.type,
        "occurred_at": noted.when.text,
        "recorded_at": instant_text(noted.recorded.recorded_at),
    }
    if isinstance(noted.body, ProtocolActivated):
        shown["protocol"] = noted.body.protocol
    return shown


def _position(cairn: Cairn, study: str, as_of: str) -> int:
    head = cairn.reads.log.head(study)
    if as_of.isascii() and as_of.isdigit() and len(as_of) <= len(str(2**53)):
        return min(int(as_of), head)
    return cairn.reads.log.position_at(study, _moment("as_of", as_of).latest())


def _moment(name: str, text: str) -> When:
    try:
        return When.parse(text)
    except ValueError:
        raise invalid(f"/query/{name}", "moment") from None
