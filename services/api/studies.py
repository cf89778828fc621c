"""Studies: protocol versions published and read back, and what the study's stream says."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from domain.trial.study import Trial
from infra.protocol_files import DOCUMENT_BYTES_MAX
from services.api import access, asked
from services.api.amendments import AsOf, OfSite, On, sites_of, trial_then
from services.api.replies import etag, json_reply
from services.door import TooLarge
from services.door.refused import invalid
from services.errors import Forbidden
from services.publishing import Rendering

router = APIRouter(tags=["Studies"])

YAML = "application/yaml"
JSON = "application/json"


@router.put("/studies/{study}/protocols/{version}", status_code=201)
async def put_protocol(request: Request) -> Response:
    """Publish a protocol version, whole and immutable.

    YAML, JSON or USDM 4.0 JSON. The first version registers the study. The same content again is
    200, other content 409; a document that is not whole is 422 with all its problems.
    """
    caller, study = access.within_study(request)
    cairn = access.cairn_of(request)
    access.may(caller, "publish")
    if not caller.whole_study:
        raise Forbidden
    body = await document_of(request)
    published = await cairn.publishing.publish(
        study,
        str(request.path_params["version"]),
        body,
        request.headers.get("content-type", ""),
        asked.terms_of(request, caller),
    )
    headers = {
        "ETag": f'"{published.sha256}"',
        "Location": f"/v1/studies/{study}/protocols/{published.version}",
    }
    shown = {**published.as_item(), "left_out": list(published.left_out)}
    return json_reply(shown, 201 if published.created else 200, headers)


@router.get("/studies")
def get_studies(request: Request) -> Response:
    """The studies that the token opens."""
    caller, cairn = access.caller_of(request), access.cairn_of(request)
    access.may(caller, "read")
    names = [name for name in cairn.reads.log.studies() if caller.opens_study(name)]
    trials = [cairn.reads.hot.trial(name) for name in names]
    return json_reply(
        {
            "position": max((trial.position for trial in trials), default=0),
            "items": [_summary(trial) for trial in trials],
        }
    )


@router.get("/studies/{study}")
def get_study(request: Request) -> Response:
    """One study: its title, protocol versions, sites, consent forms, holds and slots."""
    _, study = access.within_study(request, "read")
    cairn = access.cairn_of(request)
    trial = cairn.reads.hot.trial(study)
    head = cairn.reads.log.head(study)
    return json_reply({**_whole(trial), "position": head}, headers={"ETag": etag(trial.version)})


@router.get("/studies/{study}/protocols")
def get_protocols(
    request: Request, on: On = None, as_of: AsOf = None, site: OfSite = None
) -> Response:
    """The published protocol versions, in the order of publication.

    With `site`, `on` or both only those that the site (any site) worked under (on that day), and
    where; `as_of` as was known then.
    """
    caller, study = access.within_study(request, "read")
    cairn = access.cairn_of(request)
    trial, position = trial_then(cairn, study, as_of)
    items = [one.as_item() for one in cairn.publishing.versions(study)]
    items = [one for one in items if one["version"] in trial.protocols]
    if on is not None or site is not None:
        for item in items:
            item["sites"] = sites_of(trial, caller, item["version"], on, site)
        items = [one for one in items if one["sites"]]
    return json_reply({"position": position, "items": items})


@router.get("/studies/{study}/protocols/{version}")
def get_protocol(
    request: Request,
    format: Annotated[Rendering | None, Query(description="The form of the answer.")] = None,  # noqa: A002 - the parameter's name in the contract
) -> Response:
    """A published version, as JSON, YAML (by `Accept`) or USDM 4.0 (`?format=usdm`)."""
    _, study = access.within_study(request, "read")
    version = str(request.path_params["version"])
    publishing = access.cairn_of(request).publishing
    liked: Rendering = "yaml" if asked.prefers(request, JSON, YAML) == YAML else "json"
    form = format or liked
    published = publishing.published(study, version)
    # A published version never changes: whoever has it may keep it.
    headers = {"ETag": f'"{published.sha256}-{form}"', "Cache-Control": "private, max-age=31536000"}
    body = publishing.read(study, version, form)
    return Response(body, 200, headers, YAML if form == "yaml" else JSON)


@router.get("/studies/{study}/sites")
def get_sites(request: Request) -> Response:
    """The sites that take part, with their time zone and the protocol version active there."""
    caller, study = access.within_study(request, "read")
    trial = access.cairn_of(request).reads.hot.trial(study)
    items = [site for site in _sites(trial) if caller.opens_site(site["site"])]
    return json_reply({"position": trial.position, "items": items})


async def document_of(request: Request) -> bytes:
    """The whole body, as large as a protocol document may be. Raises TooLarge, Invalid."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > DOCUMENT_BYTES_MAX:
            raise TooLarge(DOCUMENT_BYTES_MAX)
    if not body:
        raise invalid("", "required")
    return bytes(body)


def _summary(trial: Trial) -> dict[str, Any]:
    registered = trial.registered
    assert registered is not None
    return {
        "study": trial.study,
        "title": registered.body.title,
        "registry": registered.body.registry,
        "version": trial.version,
        "protocols": list(trial.protocols),
        "sites": list(trial.sites),
    }


def _whole(trial: Trial) -> dict[str, Any]:
    latest = [*trial.protocols.values()][-1]
    return {
        **_summary(trial),
        "consent_forms": [
            {"form_version": name, "reconsent": form.body.reconsent, "position": form.position}
            for name, form in trial.consent_forms.items()
        ],
        "holds": [
            {"scope": hold.body.scope, "cause": hold.body.cause, "position": hold.position}
            for hold in trial.holds
        ],
        "boundaries": [
            {"rule": rule, "position": crossed.position}
            for rule, crossed in trial.boundaries.items()
        ],
        "accrual": {"cap": latest.accrual, "taken": len(trial.slots)},
    }


def _sites(trial: Trial) -> list[dict[str, Any]]:
    active = {one.body.site: one.body.protocol for one in trial.activated}
    return [
        {
            "site": name,
            "name": opened.body.name,
            "timezone": opened.body.timezone,
            "protocol": active.get(name),
            "opened": opened.when.text,
            "position": opened.position,
        }
        for name, opened in trial.sites.items()
    ]
