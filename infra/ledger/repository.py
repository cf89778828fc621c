"""Loading states from the ledger through the library's repository."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from eventsourcing.application import Repository
from eventsourcing.persistence import EventStore, JSONTranscoder

from domain.kernel import Recorded
from infra.ledger.ledger import Ledger
from infra.ledger.mapper import EnvelopeMapper
from infra.ledger.recorder import LedgerRecorder

StateT = TypeVar("StateT")


class Histories(Generic[StateT]):
    """Folds of a study's streams, each from its whole history or a prefix of it."""

    def __init__(
        self, ledger: Ledger, study: str, fold: Callable[[str, Iterable[Recorded]], StateT]
    ) -> None:
        """`fold` gives the state of a stream after a history; blank after none."""
        store = EventStore(EnvelopeMapper(JSONTranscoder()), LedgerRecorder(ledger, study))
        self._repository: Repository[str] = Repository(store)
        self._fold = fold

    def get(self, stream: str, version: int | None = None) -> StateT:
        """The state after a version, or as it stands; blank when nothing was recorded.

        Raises StoreAway.
        """

        def folded(_before: Any, entries: Iterable[Any]) -> Any:
            return self._fold(stream, (entry.recorded for entry in entries))

        found: StateT = self._repository.get(stream, version=version, projector_func=folded)
        return found
