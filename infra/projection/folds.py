"""Folds: studies and participants as they stood at a position, read from the ledger."""

from collections.abc import Iterable, Mapping
from typing import Any

from domain import catalogue
from domain import participant as journey
from domain.kernel import Recorded
from domain.participant import Participant
from domain.trial import study as studies
from domain.trial.protocol import Protocol
from domain.trial.study import Trial
from infra.documents import Documents
from infra.ledger.envelope import read
from infra.ledger.ledger import Log
from infra.ledger.types import STUDY_STREAM, Stored
from infra.room import Room

PROTOCOLS_MAX = 1_000


class DocumentMissing(Exception):
    """The log names a protocol document that is not kept."""


class Folds:
    """Reads prefixes of a study's streams and folds them. Nothing is kept but protocols; whoever
    keeps participants does so in the room."""

    def __init__(self, ledger: Log, documents: Documents, room: Room | None = None) -> None:
        self.ledger = ledger
        self.room = room or Room()
        self._documents = documents
        self._protocols: dict[tuple[str, str], Protocol] = {}

    def trial(self, study: str, up_to: int | None = None) -> Trial:
        """The study after a position of its log; blank when nothing was recorded by then."""
        return self.evolved(Trial(study), self.ledger.stream(study, STUDY_STREAM, 0, up_to))

    def evolved(self, trial: Trial, stored: Iterable[Stored]) -> Trial:
        """The study after more events of its own stream. Raises DocumentMissing."""
        documents = self.documents(trial.study)
        for one in stored:
            trial = studies.evolve(trial, recorded(one), documents)
        return trial

    def documents(self, study: str) -> Mapping[str, Protocol]:
        """The study's protocols by address, read when they are asked for."""
        return _Addressed(self, study)

    def participant(self, study: str, name: str, up_to: int | None = None) -> Participant:
        """The participant after a position of the log; version 0 when there was none by then."""
        stored = self.ledger.stream(study, name, 0, up_to)
        return journey.replay(name, map(recorded, stored))

    def protocol(self, study: str, sha256: str) -> Protocol:
        """A published protocol by its address. Raises DocumentMissing."""
        found = self._protocols.get((study, sha256))
        if found is None:
            body = self._documents.get(study, sha256)
            if body is None:
                raise DocumentMissing(sha256)
            if len(self._protocols) >= PROTOCOLS_MAX:
                self._protocols.clear()
            found = self._protocols[study, sha256] = Protocol.model_validate_json(body)
        return found


def recorded(stored: Stored) -> Recorded:
    """The envelope of a stored event."""
    study = stored.stream == STUDY_STREAM
    return read(stored, catalogue.STUDY if study else catalogue.PARTICIPANT)


class _Addressed(dict[str, Any]):
    """Documents by address, read when they are asked for."""

    def __init__(self, folds: Folds, study: str) -> None:
        super().__init__()
        self._folds, self._study = folds, study

    def __missing__(self, sha256: str) -> Protocol:
        return self._folds.protocol(self._study, sha256)
