"""What became of a request that did not succeed: every refusal of ours as a problem document."""

from collections.abc import Callable
from typing import Any

from domain.kernel import Impossible, Problem, Refusal, Refused, WouldDeviate
from domain.trial.validation import RULES
from infra.ledger.types import StoreAway, StoreFull
from services.auth import Unauthenticated
from services.door import Invalid, Malformed, TooLarge, UnknownContent
from services.problems import Answered, answered
from services.publishing import VersionPublished
from services.state import NotFound
from services.terms import EventIdReused, PreconditionFailed, PreconditionRequired
from services.views import Lagging


class Forbidden(Exception):
    """The caller's role does not allow it."""


class TooMany(Exception):
    """More requests wait than the server takes."""


def problem_of(error: BaseException) -> Answered | None:
    """The problem that an exception of ours means; None for anything else."""
    for kind, answer in _ANSWERS.items():
        if isinstance(error, kind):
            return answer(error)
    return None


def _malformed(error: Malformed) -> Answered:
    return answered("malformed", error.detail, rule=error.rule)


def _invalid(error: Invalid) -> Answered:
    listed = [_listed(one) for one in error.problems]
    return answered("invalid", "The document is not valid.", problems=listed)


def _listed(problem: Problem) -> dict[str, str]:
    """The place and the rule; what a protocol's rule asks also as a sentence."""
    found = {"pointer": problem.pointer, "rule": problem.rule}
    asked = RULES.get(problem.rule)
    return found if asked is None else {**found, "detail": asked}


def _too_large(error: TooLarge) -> Answered:
    return answered("too-large", "The body is larger than the route takes.", limit=error.most)


def _content(error: UnknownContent) -> Answered:
    accepted = list(error.accepted)
    return answered("unsupported-media-type", "Send one of the accepted types.", accepted=accepted)


def _unauthenticated(_error: Unauthenticated) -> Answered:
    return answered("unauthenticated", "Send a valid token: `Authorization: Bearer ...`.")


def _forbidden(_error: Forbidden) -> Answered:
    return answered("forbidden", "The token's role does not allow this.")


def _not_found(error: NotFound) -> Answered:
    return answered("not-found", f"There is no such {error.what}.")


def _refused(error: Refused) -> Answered:
    return answered("refused", _sentence(error.detail), **_rule(error))


def _impossible(error: Impossible) -> Answered:
    return answered("impossible", _sentence(error.detail), **_rule(error))


def _would_deviate(error: WouldDeviate) -> Answered:
    detail = _sentence(error.detail)
    return answered("would-deviate", detail, **_rule(error), rules=list(error.rules))


def _rule(error: Refusal) -> dict[str, Any]:
    return {"rule": error.rule, "blocked_by": list(error.blocked_by)}


def _precondition_failed(error: PreconditionFailed) -> Answered:
    current, after = error.current_version, max(error.wanted, 0)
    base = f"/v1/studies/{error.study}"
    if error.participant is None:
        missed = f"{base}/log"
    else:
        missed = f"{base}/participants/{error.participant}/events?after={after}"
    detail = f"The newest version is {current}."
    return answered("precondition-failed", detail, current_version=current, missed=missed)


def _precondition_required(_error: PreconditionRequired) -> Answered:
    return answered("precondition-required", "Send `If-Match` with the version you decided on.")


def _reused(_error: EventIdReused) -> Answered:
    return answered("event-id-reused", "Another event was recorded under this source and id.")


def _version_published(_error: VersionPublished) -> Answered:
    return answered("version-published", "Publish the change under a new version.")


def _lagging(error: Lagging) -> Answered:
    return answered("lagging", f"The views reflect position {error.position}.")


def _too_many(_error: TooMany) -> Answered:
    return answered("too-many-requests", "Too many requests wait already.")


def _away(_error: StoreAway) -> Answered:
    return answered("store-away", "The store does not answer; the same id may be sent again.")


def _full(_error: StoreFull) -> Answered:
    return answered("store-full", "The store's disk is full; nothing was recorded.")


def _sentence(detail: str) -> str:
    return detail[:1].upper() + detail[1:].rstrip(".") + "."


_ANSWERS: dict[type[BaseException], Callable[[Any], Answered]] = {
    Malformed: _malformed,
    Invalid: _invalid,
    TooLarge: _too_large,
    UnknownContent: _content,
    Unauthenticated: _unauthenticated,
    Forbidden: _forbidden,
    NotFound: _not_found,
    Refused: _refused,
    Impossible: _impossible,
    WouldDeviate: _would_deviate,
    PreconditionFailed: _precondition_failed,
    PreconditionRequired: _precondition_required,
    EventIdReused: _reused,
    VersionPublished: _version_published,
    TooMany: _too_many,
    StoreAway: _away,
    StoreFull: _full,
    Lagging: _lagging,
}

OURS: tuple[type[Exception], ...] = tuple(kind for kind in _ANSWERS if issubclass(kind, Exception))
"""The exceptions that have an answer."""
