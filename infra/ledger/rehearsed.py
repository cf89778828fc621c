"""A ledger for dry runs: what another ledger has, with appends on top that only memory keeps."""

import threading
from bisect import bisect_right
from datetime import datetime

from infra.ledger.envelope import instant_text
from infra.ledger.ledger import PARTICIPANTS_PAGE, Deaf, Ledger, Wake
from infra.ledger.markers import filled, judged_on, leaf
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


class _Top:
    """What was appended to one study in memory, on top of the position it began at."""

    def __init__(self, base: Ledger, study: str) -> None:
        self.base = base
        self.study = study
        self.start = base.head(study)
        last = base.read(study, self.start - 1, 1) if self.start else []
        self.recorded_at = _recorded_at(last[0]) if last else ""
        self.events: list[Stored] = []
        self.times: list[str] = []
        """When each of the events was recorded."""
        self.streams: dict[str, list[Stored]] = {}
        self.ids: dict[tuple[str, str], Found] = {}
        self.heads: dict[str, Stored | None] = {}

    def head_of(self, stream: str) -> Stored | None:
        """The stream's last event."""
        if stream not in self.heads:
            below = self.base.stream(self.study, stream, 0, self.start)
            self.heads[stream] = below[-1] if below else None
        return self.heads[stream]

    def version_of(self, stream: str) -> int:
        """Where the stream stands."""
        head = self.head_of(stream)
        return head.version if head else 0

    def found(self, source: str, event_id: str) -> Found | None:
        """Where the event of a (source, id) stands."""
        below = self.base.find(self.study, source, event_id)
        known = below is not None and below.position <= self.start
        return below if known else self.ids.get((source, event_id))

    def refused(self, append: Append) -> Duplicate | Conflict | None:
        """Why the append is not taken, as the real ledger would say it."""
        for index, draft in enumerate(append.drafts):
            found = self.found(draft.source or "", draft.event_id) if draft.event_id else None
            if found is not None:
                same = found.fingerprint == draft.fingerprint
                return Duplicate(index, found.position, found.stream, found.version, same)
        on_study = append.study_version
        if on_study is not None and on_study != self.version_of(STUDY_STREAM):
            return Conflict(STUDY_STREAM, self.version_of(STUDY_STREAM))
        versions: dict[str, int] = {}
        for draft in append.drafts:
            head, stands = self.head_of(draft.stream), self.version_of(draft.stream)
            begun = draft.stream in versions
            on = None if begun else judged_on(draft.template.decode())
            version = versions.get(draft.stream, stands)
            if draft.version != version + 1 or (on and head and on != head.hash):
                return Conflict(draft.stream, stands)
            versions[draft.stream] = draft.version
        return None

    def enter(self, draft: Draft, first: int) -> Stored:
        """Append one event; `first` is the position of the append's first."""
        head = self.head_of(draft.stream)
        previous = head.hash if head else None
        text, self.recorded_at = filled(draft.template.decode(), first, previous, self.recorded_at)
        body, position = text.encode(), self.start + len(self.events) + 1
        stored = Stored(position, draft.stream, draft.version, draft.topic, body, leaf(body))
        self.events.append(stored)
        self.times.append(self.recorded_at)
        self.streams.setdefault(draft.stream, []).append(stored)
        self.heads[draft.stream] = stored
        if draft.event_id is not None:
            found = Found(position, draft.stream, draft.version, draft.fingerprint)
            self.ids[draft.source or "", draft.event_id] = found
        return stored


class RehearsedLedger(Ledger):
    """Reads through to a ledger as it stood at the first use; keeps appends to itself.

    Closing it leaves the ledger below open.
    """

    def __init__(self, base: Ledger) -> None:
        self._base = base
        self._tops: dict[str, _Top] = {}
        self._wakes: list[Wake] = []
        self._lock = threading.RLock()

    async def append(self, study: str, append: Append) -> Outcome:
        """Append all of it or nothing, in memory."""
        return self.append_now(study, append)

    def append_now(self, study: str, append: Append) -> Outcome:
        """Append all of it or nothing, in memory."""
        bounded(append)
        with self._lock:
            top = self._top(study)
            refused = top.refused(append)
            if refused is not None:
                return refused
            first = top.start + len(top.events) + 1
            appended = Appended(tuple(top.enter(draft, first) for draft in append.drafts))
        for wake in list(self._wakes):
            wake(study)
        return appended

    def find(self, study: str, source: str, event_id: str) -> Found | None:
        """Where the event of a (source, id) stands, or None."""
        return self._top(study).found(source, event_id)

    def stream(
        self, study: str, stream: str, after: int = 0, up_to: int | None = None
    ) -> list[Stored]:
        """A stream's events after a version, up to and with a position of the log."""
        top = self._top(study)
        limit = top.start if up_to is None else min(up_to, top.start)
        below = self._base.stream(study, stream, after, limit)
        above = [
            one
            for one in top.streams.get(stream, ())
            if one.version > after and (up_to is None or one.position <= up_to)
        ]
        return [*below, *above]

    def read(self, study: str, after: int, limit: int, up_to: int | None = None) -> list[Stored]:
        """At most `limit` events after a position, up to and with another, in order."""
        top = self._top(study)
        last = top.start if up_to is None else min(up_to, top.start)
        below = self._base.read(study, after, limit, last) if after < last else []
        begin = max(after - top.start, 0)
        end = len(top.events) if up_to is None else max(up_to - top.start, 0)
        return [*below, *top.events[begin:end]][: max(limit, 0)]

    def head(self, study: str) -> int:
        """The position of the last event; 0 when there is none."""
        top = self._top(study)
        return top.start + len(top.events)

    def studies(self) -> list[str]:
        """The studies that have events, by name."""
        added = [study for study, top in self._tops.items() if top.events]
        return sorted({*self._base.studies(), *added})

    def participants(
        self, study: str, after: str = "", limit: int = PARTICIPANTS_PAGE
    ) -> list[str]:
        """Participants that have events, by name, at most `limit` after one."""
        below = self._base.participants(study, after, limit)
        added = [name for name in self._top(study).streams if name > after and name != STUDY_STREAM]
        return sorted({*below, *added})[:limit]

    def position_at(self, study: str, instant: datetime) -> int:
        """The last position recorded at or before an instant; 0 when there is none."""
        top = self._top(study)
        above = bisect_right(top.times, instant_text(instant))
        if above:
            return top.start + above
        return min(self._base.position_at(study, instant), top.start)

    def listen(self, wake: Wake) -> Deaf:
        """Be woken when events are appended to the rehearsal."""
        self._wakes.append(wake)
        return lambda: self._wakes.remove(wake)

    def close(self) -> None:
        """Forget what was appended."""
        self._tops.clear()
        self._wakes.clear()

    def _top(self, study: str) -> _Top:
        with self._lock:
            if study not in self._tops:
                self._tops[study] = _Top(self._base, study)
            return self._tops[study]


def _recorded_at(stored: Stored) -> str:
    text = stored.body.decode()
    _, _, rest = text.partition('"recorded_at":"')
    return rest.partition('"')[0]
