"""Between envelopes and the library's stored events: stable topics, canonical bytes, upcasters."""

from dataclasses import dataclass
from typing import Any

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent

from domain import catalogue
from domain.kernel import Recorded
from infra.ledger.envelope import read, template
from infra.ledger.markers import leaf
from infra.ledger.types import STUDY_STREAM, Stored
from infra.ledger.upcasting import topic


@dataclass(frozen=True, slots=True)
class Entry:
    """An envelope as the library wants its events: with the stream's name and the version."""

    originator_id: str
    originator_version: int
    recorded: Recorded

    @classmethod
    def of(cls, recorded: Recorded) -> "Entry":
        """The envelope's entry in its own stream."""
        return cls(recorded.participant or STUDY_STREAM, recorded.version, recorded)


class EnvelopeMapper(Mapper[str]):
    """Writes templates for the ledger to fill, reads envelopes. It takes no part of the library's
    transcoding: the bytes are the ones that are hashed, and protected values are sealed in them."""

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """The event to append. TypeError when it is not an Entry."""
        if not isinstance(domain_event, Entry):
            raise TypeError("only entries are appended")
        recorded = domain_event.recorded
        family = "study" if domain_event.originator_id == STUDY_STREAM else "participant"
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=topic(family, recorded.body),
            state=template(recorded),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """The entry of a stored event; its leaf hash is computed from the bytes, not believed."""
        name = str(stored_event.originator_id)
        version, body = stored_event.originator_version, stored_event.state
        types = catalogue.STUDY if name == STUDY_STREAM else catalogue.PARTICIPANT
        stored = Stored(0, name, version, stored_event.topic, body, leaf(body))
        return Entry(name, version, read(stored, types))
