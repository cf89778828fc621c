"""The ledger as a persistence module of the eventsourcing library.

An `Application` is one study: its name is the study's, `PERSISTENCE_MODULE` is this module and
`CAIRN_DATABASE_URL` names the database; without one the log is kept in memory. What the library
would keep elsewhere has no place here: there are no snapshots (a participant's history is short and
its fold is quick) and no tracking (views keep their position with their rows).
"""

from typing import Any, NoReturn

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    JSONTranscoder,
    Mapper,
    ProcessRecorder,
    TrackingRecorder,
)
from eventsourcing.utils import Environment

from infra.ledger.ledger import Ledger
from infra.ledger.mapper import EnvelopeMapper
from infra.ledger.memory import MemoryLedger
from infra.ledger.postgres import PostgresLedger
from infra.ledger.recorder import LedgerRecorder
from infra.postgres.pool import Pool, open_pool


class LedgerFactory(InfrastructureFactory[TrackingRecorder]):
    """Makes what an application of the library needs, on one ledger."""

    def __init__(self, env: Environment | dict[str, str] | None) -> None:
        super().__init__(env)
        url = self.env.get("CAIRN_DATABASE_URL")
        self._pool: Pool | None = open_pool(url) if url else None
        self._ledger: Ledger = PostgresLedger(self._pool) if self._pool else MemoryLedger()

    def mapper(self, transcoder: Any = None, mapper_class: Any = None) -> Mapper[Any]:
        """Always ours: the bytes are hashed, nothing may transcode, compress or encipher them."""
        if mapper_class is not None or self.env.get(self.MAPPER_TOPIC):
            raise InfrastructureFactoryError("the ledger's mapper cannot be replaced")
        return EnvelopeMapper(transcoder or JSONTranscoder())

    def application_recorder(self) -> ApplicationRecorder:
        """The recorder of the study that the environment is named after."""
        return LedgerRecorder(self._ledger, self.env.name)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """There is none: every event has its position in the log."""
        self._refuse(f"a recorder of {purpose} beside the log")

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> TrackingRecorder:
        """There is none: a view keeps its position in the transaction of its rows."""
        del tracking_recorder_class
        self._refuse("a tracking recorder")

    def process_recorder(self) -> ProcessRecorder:
        """There is none."""
        self._refuse("a process recorder")

    def close(self) -> None:
        """Let go of threads and connections."""
        self._ledger.close()
        if self._pool is not None:
            self._pool.close()

    @staticmethod
    def _refuse(what: str) -> NoReturn:
        raise InfrastructureFactoryError(f"the ledger does not offer {what}")
