"""What lies within a caller's scope, and what the caller may post. Scope comes before role: what
lies outside is answered as if it did not exist."""

import asyncio
from collections.abc import Iterable

from domain.journey.referral import Referred
from domain.participant import Participant
from services.auth import Caller
from services.bootstrap import Cairn
from services.door import Posted
from services.errors import Forbidden
from services.roles import DOES, Operation, may_record
from services.state import HotState, NotFound


def may(caller: Caller, operation: Operation) -> None:
    """Raise Forbidden unless the caller's role allows the operation."""
    if operation not in DOES[caller.role]:
        raise Forbidden


def visible(hot: HotState, caller: Caller, study: str, name: str) -> Participant:
    """A participant within the caller's scope, as it stands now. Raises NotFound."""
    if not caller.opens_study(study):
        raise NotFound("study")
    hot.trial(study, fresh=False)
    found = hot.participant(study, name)
    if found.version == 0 or not caller.opens_site(found.site):
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
            visible(cairn.hot, caller, study, name)
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
