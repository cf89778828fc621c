"""Composition for dry runs: everything is done, on top of what is recorded, and nothing is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from domain.what_if import under
from infra.documents import Documents, MemoryDocuments
from infra.ledger.ledger import Ledger
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


class Supposing(HotState):
    """Hot state in which a draft is the protocol of the study, for everybody."""

    def __init__(self, ledger: Ledger, documents: Documents, draft: Protocol) -> None:
        super().__init__(ledger, documents)
        self._draft = draft
        self._supposed: tuple[Trial, Trial] | None = None

    def trial(self, study: str, *, fresh: bool = True) -> Trial:
        """The study as it stands, under the draft; NotFound when it is not registered."""
        found = super().trial(study, fresh=fresh)
        # The same study gives the same object: what is derived under it is derived once.
        if self._supposed is None or self._supposed[0] is not found:
            self._supposed = found, under(found, self._draft)
        return self._supposed[1]


def rehearsal(
    cairn: Cairn | None, clock: Callable[[], datetime] = now, *, draft: Protocol | None = None
) -> Rehearsal:
    """A rehearsal on top of an open Cairn, or on nothing; with `draft`, judged by that."""
    if cairn is None:
        ledger = RehearsedLedger(MemoryLedger())
        documents = RehearsedDocuments(MemoryDocuments())
        keys = KeyRing(NO_KEY, RehearsedKeys(MemoryKeyStore()))
    else:
        ledger = RehearsedLedger(cairn.ledger)
        documents = RehearsedDocuments(cairn.documents)
        wrapping = wrapping_key(cairn.settings.data / "wrapping-key")
        keys = KeyRing(wrapping, RehearsedKeys(PostgresKeyStore(cairn.pool)))
    hot = HotState(ledger, documents) if draft is None else Supposing(ledger, documents, draft)
    recording = Recording(ledger, keys, hot, clock)
    return Rehearsal(recording, Publishing(recording, documents))
