"""Problem documents (RFC 9457): one registry of everything that can be answered but a success.

The documents name fields and rules; nothing that was sent stands in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

MEDIA_TYPE = "application/problem+json"
URN = "urn:cairn:problem:"
RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem: the end of its `type`, its status, its title and when it is answered."""

    type: str
    status: int
    title: str
    when: str


PROBLEMS: Mapping[str, ProblemType] = MappingProxyType(
    {
        kind.type: kind
        for kind in (
            ProblemType(
                "malformed",
                400,
                "The request cannot be read",
                "Not JSON, duplicate member names, NaN or a number out of range, NUL, half a"
                " surrogate pair, nested too deep, too many members; a parameter or header that"
                " cannot be read.",
            ),
            ProblemType(
                "unauthenticated",
                401,
                "No or bad credentials",
                "The request carries no bearer token, or one that is not valid here.",
            ),
            ProblemType(
                "forbidden",
                403,
                "Not your role",
                "The token's role does not allow the operation or the event type.",
            ),
            ProblemType(
                "not-found",
                404,
                "Not found",
                "There is no such study, participant or document, or it is outside the token's"
                " scope.",
            ),
            ProblemType(
                "method-not-allowed",
                405,
                "Method not allowed",
                "The path exists, but not for this method.",
            ),
            ProblemType(
                "refused",
                409,
                "A rule blocks the decision",
                "`rule` names it and `blocked_by` the positions that it rests on.",
            ),
            ProblemType(
                "would-deviate",
                409,
                "The fact departs from the protocol",
                "Only with `Prefer: handling=strict`: `rules` lists what would be violated.",
            ),
            ProblemType(
                "event-id-reused",
                409,
                "The event id was used before",
                "The same source and id were recorded with other content, or for another stream.",
            ),
            ProblemType(
                "version-published",
                409,
                "The protocol version is published",
                "The version exists with other content; a published version never changes.",
            ),
            ProblemType(
                "gone",
                410,
                "The message is gone",
                "Only on Kafka: a message that waited for others is in its topic no more, so it"
                " cannot be tried again.",
            ),
            ProblemType(
                "precondition-failed",
                412,
                "The version has moved on",
                "`If-Match` names another version; `current_version` is the newest and `missed`"
                " links to the events since.",
            ),
            ProblemType(
                "too-large",
                413,
                "Too large",
                "An event is larger than 64 KiB, or an array holds too much; NDJSON streams"
                " without a limit.",
            ),
            ProblemType(
                "unsupported-media-type",
                415,
                "The content type is not accepted",
                "`accepted` lists the content types of the route.",
            ),
            ProblemType(
                "invalid",
                422,
                "Not valid",
                "`problems` lists every place (JSON pointer) and the rule broken there.",
            ),
            ProblemType(
                "impossible",
                422,
                "It cannot have happened",
                "`rule` says why: in the future, before birth, after death, a value outside what"
                " is possible.",
            ),
            ProblemType(
                "precondition-required",
                428,
                "If-Match is needed",
                "The study asks that decisions name the participant's version they rest on.",
            ),
            ProblemType(
                "too-many-requests",
                429,
                "Too many requests at once",
                "More requests are waiting than the server takes; come back after `Retry-After`"
                " seconds.",
            ),
            ProblemType(
                "internal",
                500,
                "Something went wrong here",
                "A defect of the server. Nothing was recorded, or a retry with the same id tells.",
            ),
            ProblemType(
                "lagging",
                503,
                "The view is behind",
                "The position to wait for was not reached in time; come back after `Retry-After`"
                " seconds.",
            ),
            ProblemType(
                "store-away",
                503,
                "The store is away",
                "Nothing was recorded, or a retry with the same id tells; come back after"
                " `Retry-After` seconds.",
            ),
            ProblemType(
                "store-full",
                507,
                "The store is full",
                "The store's disk is full; nothing was recorded.",
            ),
        )
    }
)
"""End of the problem's type -> the problem."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A problem as it is answered: its type, one sentence, and what else a client needs."""

    kind: ProblemType
    detail: str
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.kind.status

    def document(self) -> dict[str, Any]:
        """The problem document."""
        return {
            "type": URN + self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            **self.members,
        }


def answered(
    name: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Answered:
    """A problem of the registry; 429 and 503 ask the client to come back."""
    kind = PROBLEMS[name]
    extra = dict(headers or {})
    if kind.status in (429, 503, 507):
        extra.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    if kind.status == 401:
        extra["WWW-Authenticate"] = "Bearer"
    return Answered(kind, detail, members, extra)
