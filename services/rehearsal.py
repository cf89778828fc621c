"""Composition for dry runs: everything is done, on top of what is recorded, and nothing is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from infra.documents import MemoryDocuments
from infra.ledger.memory import MemoryLedger
from infra.ledger.rehearsed import RehearsedLedger
from infra.rehearsed import RehearsedDocuments, RehearsedKeys
from infra.vault.keyring import KeyRing, MemoryKeyStore, PostgresKeyStore, wrapping_key
from services.bootstrap import Cairn, now
from services.publishing import Publishing
from services.record import Recording
from services.state import HotState

NO_KEY = bytes(32)
"""Wraps the keys of a rehearsal that rests on nothing; they end with it."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Recording and publishing that leave nothing behind."""

    recording: Recording
    publishing: Publishing


def rehearsal(cairn: Cairn | None, clock: Callable[[], datetime] = now) -> Rehearsal:
    """A rehearsal on top of an open Cairn, or on nothing."""
    if cairn is None:
        ledger = RehearsedLedger(MemoryLedger())
        documents = RehearsedDocuments(MemoryDocuments())
        keys = KeyRing(NO_KEY, RehearsedKeys(MemoryKeyStore()))
    else:
        ledger = RehearsedLedger(cairn.ledger)
        documents = RehearsedDocuments(cairn.documents)
        wrapping = wrapping_key(cairn.settings.data / "wrapping-key")
        keys = KeyRing(wrapping, RehearsedKeys(PostgresKeyStore(cairn.pool)))
    recording = Recording(ledger, keys, HotState(ledger, documents), clock)
    return Rehearsal(recording, Publishing(recording, documents))
