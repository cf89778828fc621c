"""Who is asking, and what lies within their scope. Scope comes before role: what lies outside is
answered as if it did not exist."""

import asyncio
from collections.abc import Iterable

from starlette.requests import Request

from domain.journey.referral import Referred
from domain.participant import Participant
from services.api.errors import Forbidden
from services.auth import Caller, Unauthenticated
from services.bootstrap import Cairn
from services.door import Posted
from services.roles import DOES, Operation, may_record
from services.state import NotFound

_SCHEME = "bearer "


def cairn_of(request: Request) -> Cairn:
    """The application behind the request."""
    found: Cairn = request.app.state.cairn
    return found


def caller_of(request: Request) -> Caller:
    """Who asks. Raises Unauthenticated."""
    sent = request.headers.get("authorization", "")
    if sent[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated
    return cairn_of(request).tokens.caller(sent[len(_SCHEME) :].strip())


def within_study(request: Request, operation: Operation | None = None) -> tuple[Caller, str]:
    """The caller and the study of the path, which the caller may see and use so.

    Raises Unauthenticated, NotFound, Forbidden.
    """
    caller = caller_of(request)
    study = str(request.path_params["study"])
    if not caller.opens_study(study):
        raise NotFound("study")
    if operation is not None:
        cairn_of(request).hot.trial(study, fresh=False)
        may(caller, operation)
    return caller, study


def may(caller: Caller, operation: Operation) -> None:
    """Raise Forbidden unless the caller's role allows the operation."""
    if operation not in DOES[caller.role]:
        raise Forbidden


def visible(cairn: Cairn, caller: Caller, study: str, name: str) -> Participant:
    """A participant within the caller's scope, as it stands now. Raises NotFound."""
    if not caller.opens_study(study):
        raise NotFound("study")
    found = cairn.recording.participant(study, name)
    if not caller.opens_site(found.site):
        raise NotFound("participant")
    return found


async def may_post(
    cairn: Cairn, caller: Caller, study: str, name: str, posted: Iterable[Posted]
) -> None:
    """Raise NotFound or Forbidden unless the caller may post the events for the participant."""
    posted = list(posted)
    types = {one.body.type for one in posted}
    begins = bool(posted) and isinstance(posted[0].body, Referred)
    allowed = all(may_record(caller.role, kind) for kind in types) and _own(caller, types)
    if not caller.whole_study or not allowed:
        await _in_scope(cairn, caller, study, name, begins=begins)
    if not allowed:
        raise Forbidden
    sites = {one.body.site for one in posted if isinstance(one.body, Referred)}
    if not all(map(caller.opens_site, sites)):
        raise NotFound("site")


async def may_post_study(cairn: Cairn, caller: Caller, study: str, posted: Posted) -> None:
    """Raise NotFound or Forbidden unless the caller may post the event of the study's stream."""
    kind = posted.body.type
    if may_record(caller.role, kind) and _own(caller, {kind}) and caller.whole_study:
        return
    await asyncio.to_thread(cairn.hot.trial, study, fresh=False)
    raise Forbidden


async def _in_scope(cairn: Cairn, caller: Caller, study: str, name: str, *, begins: bool) -> None:
    def look() -> None:
        try:
            visible(cairn, caller, study, name)
        except NotFound as missing:
            unknown = (
                missing.what == "participant"
                and not cairn.hot.participant(study, name, fresh=False).version
            )
            if not (begins and unknown):
                raise

    await asyncio.to_thread(look)


def _own(caller: Caller, types: set[str]) -> bool:
    own = caller.claims.types
    return own is None or types <= set(own)
