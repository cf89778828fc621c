"""Troubles that a person can do something about: one line each, no traceback, exit code 1."""

from pydantic import ValidationError

from domain.kernel import Refusal
from infra.ledger.types import StoreAway, StoreFull
from infra.postgres.embedded import Unavailable
from infra.postgres.migrate import MigrationProblem
from services.bootstrap import NotConfigured
from services.door import Invalid, Malformed, TooLarge, UnknownContent
from services.imports.sdtm.datasets import Unreadable
from services.listening import CannotListen
from services.publishing import VersionPublished
from services.state import NotFound

PROBLEMS_SHOWN_MAX = 20


class Trouble(Exception):
    """A command cannot do what it was asked; the message is one sentence for a person."""


EXPECTED = (
    CannotListen,
    Invalid,
    Malformed,
    MigrationProblem,
    NotConfigured,
    NotFound,
    Refusal,
    StoreAway,
    StoreFull,
    TooLarge,
    Trouble,
    Unavailable,
    UnknownContent,
    Unreadable,
    ValidationError,
    VersionPublished,
)
"""What `main` turns into a line; everything else is a defect and shows as one."""


def sentence(error: BaseException) -> str:
    """What a person is told."""
    match error:
        case Invalid():
            listed = [f"{one.pointer or '/'}: {one.rule}" for one in error.problems]
            more = len(listed) - PROBLEMS_SHOWN_MAX
            shown = listed[:PROBLEMS_SHOWN_MAX] + ([f"and {more} more"] if more > 0 else [])
            return "the document is not valid:\n  " + "\n  ".join(shown)
        case NotFound():
            return f"there is no such {error.what}"
        case Refusal():
            return f"refused by the rule `{error.rule}`: {error.detail}"
        case StoreAway():
            return "the store does not answer; what was not confirmed can be done again"
        case StoreFull():
            return "the store's disk is full"
        case VersionPublished():
            return "the protocol version is published with other content: choose another version"
        case ValidationError():
            return "a value cannot be read"
        case _:
            return str(error)
