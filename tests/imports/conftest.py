"""What imports are tested on: everything in memory, and the pilot study where its data are."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.documents import MemoryDocuments
from infra.ledger.memory import MemoryLedger
from infra.vault.keyring import KeyRing, MemoryKeyStore
from services.publishing import Publishing
from services.record import Recording
from services.state import HotState

DATA = Path(__file__).parents[3] / "shared" / "data"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@dataclass
class Store:
    """Recording and publishing on memory, by a clock that stands."""

    now: datetime = NOW

    def __post_init__(self) -> None:
        self.ledger, self.documents = MemoryLedger(), MemoryDocuments()
        self.keys = KeyRing(bytes(32), MemoryKeyStore())
        self.hot = HotState(self.ledger, self.documents)
        self.recording = Recording(self.ledger, self.keys, self.hot, self.clock)
        self.publishing = Publishing(self.recording, self.documents)

    def clock(self) -> datetime:
        return self.now


@pytest.fixture
def store() -> Store:
    """An empty store."""
    return Store()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data; it does not come with the project."""
    if not (DATA / "cdisc-pilot" / "dm.csv").exists():
        pytest.skip("the CDISC pilot study is not in ../shared/data")
    return DATA
