"""What recording takes and gives: whose events, on which conditions, and what became of them."""

from dataclasses import dataclass

from domain.kernel import Actor
from infra.ledger.types import Stored
from services.door import Posted

ANY_VERSION = -1
"""`If-Match: *`: whatever the version is, the participant exists."""


class PreconditionFailed(Exception):
    """If-Match named another version than the participant's."""

    def __init__(
        self, current_version: int, wanted: int, study: str, participant: str | None
    ) -> None:
        super().__init__("the stream has another version")
        self.current_version = current_version
        self.wanted = wanted
        self.study = study
        self.participant = participant


class PreconditionRequired(Exception):
    """The study asks that a decision names the version it rests on, and this one does not."""


class EventIdReused(Exception):
    """The same (source, id) was recorded with other content, or for another stream."""

    def __init__(self, position: int | None) -> None:
        super().__init__("the event id was used for something else")
        self.position = position


@dataclass(frozen=True, slots=True)
class Group:
    """Posted events of one participant, in their order."""

    participant: str
    posted: tuple[Posted, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """On whose behalf, and on which conditions, something is recorded."""

    actor: Actor
    source: str
    """Stands where the event names none: the authenticated client."""
    if_match: int | None = None
    """The version that the participant must have; ANY_VERSION; None: it does not matter."""
    strict: bool = False
    """Refuse a fact that would be recorded with a deviation."""
    historical: bool = False
    """Imported from another system's record: decisions were taken there, before."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one posted event stands."""

    position: int
    version: int
    replayed: bool
    """It was recorded before, by an earlier request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was recorded: the posted events with their conclusions, study events last."""

    participant: str | None
    """None for an event of the study's own stream."""
    version: int
    """The stream's version after all of it."""
    position: int
    """The position of the first posted event."""
    events: tuple[Stored, ...]
    places: tuple[Place, ...] = ()
    """One for each posted event, in the order they were posted."""
    replayed: bool = False
    """All of it was recorded before: this is the first answer again."""
