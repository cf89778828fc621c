"""The ledger in memory: the twin of the PostgreSQL one, for tests and dry runs."""

import threading
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime

from infra.ledger.envelope import instant_text
from infra.ledger.ledger import PARTICIPANTS_PAGE, Deaf, Ledger, Wake
from infra.ledger.markers import BEGINNING, filled, judged_on, leaf
from infra.ledger.types import (
    STUDY_STREAM,
    Append,
    Appended,
    Conflict,
    Draft,
    Duplicate,
    Found,
    Outcome,
    Stored,
    bounded,
)


@dataclass(slots=True)
class _Log:
    """One study: its events by position, its streams by name, its event ids."""

    events: list[Stored] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    streams: dict[str, list[Stored]] = field(default_factory=dict)
    ids: dict[tuple[str, str], Found] = field(default_factory=dict)


class MemoryLedger(Ledger):
    """Keeps every study's log in this process."""

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._lock = threading.Lock()
        self._wakes: list[Wake] = []

    async def append(self, study: str, append: Append) -> Outcome:
        """Append all of it or nothing."""
        return self.append_now(study, append)

    def append_now(self, study: str, append: Append) -> Outcome:
        """Append all of it or nothing."""
        bounded(append)
        with self._lock:
            log = self._logs.setdefault(study, _Log())
            refused = _duplicate(log, append) or _conflict(log, append)
            if refused is not None:
                return refused
            first = len(log.events) + 1
            stored = tuple(_enter(log, draft, first) for draft in append.drafts)
        for wake in self._wakes:
            wake(study)
        return Appended(stored)

    def find(self, study: str, source: str, event_id: str) -> Found | None:
        """Where the event of a (source, id) stands, or None."""
        return self._log(study).ids.get((source, event_id))

    def stream(
        self, study: str, stream: str, after: int = 0, up_to: int | None = None
    ) -> list[Stored]:
        """A stream's events after a version, up to and with a position of the log."""
        events = self._log(study).streams.get(stream, [])[max(after, 0) :]
        return [one for one in events if up_to is None or one.position <= up_to]

    def read(self, study: str, after: int, limit: int, up_to: int | None = None) -> list[Stored]:
        """At most `limit` events after a position, up to and with another, in order."""
        after = max(after, 0)
        last = after + max(limit, 0)
        return self._log(study).events[after : last if up_to is None else min(last, up_to)]

    def head(self, study: str) -> int:
        """The position of the last event; 0 when there is none."""
        return len(self._log(study).events)

    def studies(self) -> list[str]:
        """The studies that have events, by name."""
        return sorted(study for study, log in list(self._logs.items()) if log.events)

    def participants(
        self, study: str, after: str = "", limit: int = PARTICIPANTS_PAGE
    ) -> list[str]:
        """Participants that have events, by name, at most `limit` after one."""
        names = list(self._log(study).streams)
        return sorted(name for name in names if name > after and name != STUDY_STREAM)[:limit]

    def position_at(self, study: str, instant: datetime) -> int:
        """The last position recorded at or before an instant; 0 when there is none."""
        return bisect_right(self._log(study).recorded, instant_text(instant))

    def listen(self, wake: Wake) -> Deaf:
        """Be woken when events are appended; what is returned ends it."""
        self._wakes = [*self._wakes, wake]

        def deaf() -> None:
            self._wakes = [one for one in self._wakes if one is not wake]

        return deaf

    def close(self) -> None:
        """Wake nobody any more."""
        self._wakes = []

    def _log(self, study: str) -> _Log:
        return self._logs.get(study) or _Log()


def _duplicate(log: _Log, append: Append) -> Duplicate | None:
    for index, draft in enumerate(append.drafts):
        found = log.ids.get((draft.source or "", draft.event_id)) if draft.event_id else None
        if found is not None:
            same = found.fingerprint == draft.fingerprint
            return Duplicate(index, found.position, found.stream, found.version, same)
    return None


def _conflict(log: _Log, append: Append) -> Conflict | None:
    if append.study_version is not None:
        stands = len(log.streams.get(STUDY_STREAM, ()))
        if stands != append.study_version:
            return Conflict(STUDY_STREAM, stands)
    versions: dict[str, int] = {}
    for draft in append.drafts:
        stream = log.streams.get(draft.stream, [])
        version = versions.get(draft.stream, len(stream))
        judged = judged_on(draft.template.decode()) if version == len(stream) else None
        if draft.version != version + 1 or (judged and stream and judged != stream[-1].hash):
            return Conflict(draft.stream, len(stream))
        versions[draft.stream] = draft.version
    return None


def _enter(log: _Log, draft: Draft, first: int) -> Stored:
    stream = log.streams.setdefault(draft.stream, [])
    previous = stream[-1].hash if stream else None
    last = log.recorded[-1] if log.recorded else BEGINNING
    text, at = filled(draft.template.decode(), first, previous, last)
    body = text.encode()
    position = len(log.events) + 1
    stored = Stored(position, draft.stream, draft.version, draft.topic, body, leaf(body))
    log.events.append(stored)
    log.recorded.append(at)
    stream.append(stored)
    if draft.event_id is not None:
        found = Found(position, draft.stream, draft.version, draft.fingerprint)
        log.ids[draft.source or "", draft.event_id] = found
    return stored
