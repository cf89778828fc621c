"""Loading states from the ledger through the library's repository."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from eventsourcing.application import AggregateNotFoundError, Repository
from eventsourcing.persistence import EventStore, JSONTranscoder

from domain.kernel import Recorded
from infra.ledger.ledger import Ledger
from infra.ledger.mapper import EnvelopeMapper
from infra.ledger.recorder import LedgerRecorder

StateT = TypeVar("StateT")


class Histories(Generic[StateT]):
    """Folds of a study's streams, each from its whole history or a prefix of it."""

    def __init__(
        self,
        ledger: Ledger,
        study: str,
        blank: Callable[[str], StateT],
        evolve: Callable[[StateT, Recorded], StateT],
    ) -> None:
        store = EventStore(EnvelopeMapper(JSONTranscoder()), LedgerRecorder(ledger, study))
        self._repository: Repository[str] = Repository(store)
        self._blank = blank
        self._evolve = evolve

    def get(self, stream: str, version: int | None = None) -> StateT:
        """The state after a version, or as it stands; blank when nothing was recorded.

        Raises StoreAway.
        """

        def fold(_before: Any, entries: Iterable[Any]) -> Any:
            state, any_at_all = self._blank(stream), False
            for entry in entries:
                state, any_at_all = self._evolve(state, entry.recorded), True
            return state if any_at_all else None

        try:
            found: StateT = self._repository.get(stream, version=version, projector_func=fold)
        except AggregateNotFoundError:
            return self._blank(stream)
        return found
