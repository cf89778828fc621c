"""Patience: what was not recorded because it may have overtaken others, and what never will be."""

from domain.kernel import Refused, WouldDeviate
from services.state import NotFound
from services.terms import PreconditionFailed

LIFTED_BY_OTHERS = frozenset(
    {
        "cap",
        "consent",
        "hold",
        "not-dosed",
        "order",
        "reconsent",
        "scope",
        "stale",
        "terminal",
        "verdict",
    }
)
"""Rules of refused decisions that another event may lift which is on its way: a fact, an earlier
decision, a release, a slot that is freed. No event that comes later lifts the others."""


def may_be_lifted(error: BaseException) -> bool:
    """Whether what was refused now could be recorded once other events are."""
    match error:
        case NotFound():
            return error.what == "participant"
        case Refused():
            return error.rule in LIFTED_BY_OTHERS
        case WouldDeviate():
            return True
        case PreconditionFailed():
            return error.current_version < error.wanted
        case _:
            return False
