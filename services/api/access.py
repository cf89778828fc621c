"""Who is asking, and what lies within their scope."""

from starlette.requests import Request

from services.access import may, may_post, may_post_study, visible
from services.auth import Caller, Unauthenticated
from services.bootstrap import Cairn
from services.roles import Operation
from services.state import NotFound

__all__ = [
    "cairn_of",
    "caller_of",
    "known",
    "may",
    "may_post",
    "may_post_study",
    "visible",
    "within_study",
]

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
        known(cairn_of(request), study)
        may(caller, operation)
    return caller, study


def known(cairn: Cairn, study: str) -> None:
    """Raise NotFound unless the study is registered; its copy may not be there yet."""
    try:
        cairn.reads.hot.trial(study, fresh=False)
    except NotFound:
        cairn.hot.trial(study, fresh=False)
