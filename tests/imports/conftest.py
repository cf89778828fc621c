"""What imports are tested on: everything in memory, and the pilot study where its data are."""

import asyncio
import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.kernel import Actor
from infra.documents import MemoryDocuments
from infra.ledger.memory import MemoryLedger
from infra.vault.keyring import KeyRing, MemoryKeyStore
from services.imports.sdtm.run import SdtmImport, Summary, survey
from services.publishing import Publishing, draft
from services.reads import Reads
from services.record import Recording, Terms
from services.state import HotState

DATA = Path(__file__).parents[3] / "shared" / "data"
STUDY = "CDISCPILOT01"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@dataclass
class Store:
    """Recording and publishing on memory, by a clock that stands."""

    now: datetime = NOW

    def __post_init__(self) -> None:
        self.ledger, self.documents = MemoryLedger(), MemoryDocuments()
        self.keys = KeyRing(bytes(32), MemoryKeyStore())
        self.hot = HotState(self.ledger, self.documents)
        # No test of imports reads a table: there are none in memory.
        self.reads = Reads(self.ledger, self.documents, self.hot, views=None)  # type: ignore[arg-type]
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


def rows(data: Path, domain: str) -> list[dict[str, str]]:
    with (data / "cdisc-pilot" / f"{domain}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def prepared(data: Path) -> Store:
    """A store with the study's own protocol, as USDM has it."""
    store = Store()
    file = data / "usdm" / "CDISC_Pilot_Study.json"
    read = draft(file.read_bytes(), "application/json", study=STUDY)
    terms = Terms(Actor(id="t", role="data-manager"), "urn:t")
    asyncio.run(store.publishing.publish_protocol(read, terms))
    return store


def imported(store: Store, folder: Path) -> Summary:
    run = SdtmImport(store.recording, STUDY, None).run(survey(folder), lambda _rows: None)
    return asyncio.run(run)


@pytest.fixture(scope="session")
def pilot(data: Path) -> tuple[Store, Summary]:
    """The pilot study, imported once."""
    store = prepared(data)
    return store, imported(store, data / "cdisc-pilot")
