"""The replay check: every recorded conclusion of a study beside what is computed for it now.

First the bytes, in the order of the log: hashes, chains, dense positions and versions. Then the
meaning, some participants at a time, so that memory is bounded by their histories and the study's
own stream. It reads the ledger only, up to where it stood at the beginning, and writes nothing.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from domain.kernel import Conclusion, Event, Recorded
from domain.recompute import RACED_EVENTS_MAX, Difference, Known, Run, Standing, recomputed
from domain.trial.events import SlotFreed, SlotTaken
from domain.trial.study import Trial
from infra.documents import Documents
from infra.ledger.ledger import Log
from infra.ledger.types import STUDY_STREAM, StoreAway, Stored
from infra.projection.folds import Folds, recorded
from services.replay_bytes import Broken, Bytes
from services.replay_why import Document, rule_of
from services.state import NotFound

PAGE_EVENTS = 2_000
BATCH_EVENTS = 50_000
"""Participants are recomputed together until they have so many events."""

Progress = Callable[[int], None]
"""Told how many more events are done."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be, as an auditor reads it."""

    position: int
    version: int
    participant: str | None
    what: str
    """`differs`, `missing`, `unfounded` (see `domain.recompute`), `broken` (the bytes) or
    `unreadable`."""
    type: str
    rule: str
    protocol: str | None = None
    fields: tuple[str, ...] = ()
    recorded: Document | None = None
    computed: Document | None = None

    def document(self) -> Document:
        """As the command and the API show it."""
        return {
            "position": self.position,
            "version": self.version,
            "participant": self.participant,
            "what": self.what,
            "type": self.type,
            "rule": self.rule,
            "protocol": self.protocol,
            "fields": list(self.fields),
            "recorded": self.recorded,
            "computed": self.computed,
        }


@dataclass(slots=True)
class Checked:
    """What was looked at, so far."""

    study: str
    position: int
    """Where the log stood: nothing after it was looked at."""
    participants: int = 0
    events: int = 0
    conclusions: int = 0
    differences: int = 0

    def document(self) -> Document:
        """As the command and the API show it."""
        return {
            "study": self.study,
            "position": self.position,
            "participants": self.participants,
            "events": self.events,
            "conclusions": self.conclusions,
            "differences": self.differences,
        }


class ReplayCheck:
    """One check of a study, or of one of its participants; `findings` runs it."""

    def __init__(
        self,
        ledger: Log,
        documents: Documents,
        study: str,
        participant: str | None = None,
    ) -> None:
        """NotFound when there is no such study or participant."""
        self._ledger, self._folds = ledger, Folds(ledger, documents)
        self._only = participant
        self.progress: Progress = lambda _count: None
        self.checked = Checked(study, ledger.head(study))
        if not self.checked.position:
            raise NotFound("study")
        if participant is not None and not self._stream(participant):
            raise NotFound("participant")

    def total(self) -> int:
        """So many events progress will be told of: each is looked at twice."""
        return 2 * (len(self._stream(self._only)) if self._only else self.checked.position)

    def findings(self) -> Iterator[Finding]:
        """What differs, as it is found; `checked` is complete at the end. StoreAway."""
        return (one for one in self.steps() if one is not None)

    def steps(self) -> Iterator[Finding | None]:
        """The same in small steps: None where one of them found nothing."""
        for finding in self._steps():
            self.checked.differences += finding is not None
            yield finding

    def _steps(self) -> Iterator[Finding | None]:
        sizes: dict[str, int] = {}
        bytes_of = Bytes(whole=self._only is None)
        for page in self._pages():
            for stored in page:
                sizes[stored.stream] = sizes.get(stored.stream, 0) + 1
            yield from map(_broken, bytes_of.read(page))
            self.progress(len(page))
            yield None
        self.checked.events = sum(sizes.values())
        self.progress(sizes.pop(STUDY_STREAM, 0))
        self.checked.participants = len(sizes)
        everybody = frozenset(sizes) if self._only is None else None
        for names in _batches(sizes):
            yield from self._batch(names, everybody)
            everybody = None

    def _pages(self) -> Iterator[list[Stored]]:
        if self._only is not None:
            yield self._stream(self._only)
            return
        after, head = 0, self.checked.position
        while page := self._ledger.read(self.checked.study, after, PAGE_EVENTS, head):
            after = page[-1].position
            yield page

    def _stream(self, name: str) -> list[Stored]:
        return self._ledger.stream(self.checked.study, name, 0, self.checked.position)

    # --- some participants ------------------------------------------------------------------------

    def _batch(
        self, names: Sequence[str], everybody: frozenset[str] | None
    ) -> Iterator[Finding | None]:
        """What differs about some participants; with `everybody` also what the study's stream says
        of somebody who is none of them."""
        study_stream = self._stream(STUDY_STREAM)
        groups = _groups(study_stream)
        pieces = [piece for name in names for piece in _pieces(name, self._stream(name))]
        for piece in pieces:
            group = groups.get(piece.last + 1)
            if group is not None and group.name == piece.name and group.cause in piece.span:
                piece.study = groups.pop(piece.last + 1).study
        mine = set(names)
        pieces += [
            one
            for one in groups.values()
            if one.name in mine or (everybody is not None and one.name not in everybody)
        ]
        yield from self._recomputed(study_stream, sorted(pieces, key=lambda one: one.first))

    def _recomputed(
        self, study_stream: Sequence[Stored], pieces: Sequence["_Piece"]
    ) -> Iterator[Finding | None]:
        folding = _Folding(self._folds, self.checked.study, study_stream)
        known: dict[str, Known | None] = {}
        for piece in pieces:
            standings = folding.before(piece.first)
            before = known.get(piece.name, Known.nothing(piece.name))
            self.progress(len(piece.events))
            yield None
            if before is None:
                continue
            try:
                run = Run(piece.name, tuple(map(recorded, piece.events)), piece.study)
                known[piece.name], found = recomputed(standings, before, run)
            except StoreAway:
                raise
            except Exception as error:  # noqa: BLE001  what a forger wrote may break any rule
                known[piece.name] = None
                yield _unreadable(piece, type(error).__name__)
                continue
            events = {one.position: one for one in (*run.events, *run.study)}
            self.checked.conclusions += sum(
                isinstance(one.body, Conclusion) for one in events.values()
            )
            for difference in found:
                yield _finding(difference, events[difference.position])


@dataclass(slots=True)
class _Piece:
    """A participant's events at consecutive positions, and what the study's stream says of them."""

    name: str
    first: int
    events: Sequence[Stored] = ()
    study: tuple[Recorded, ...] = ()

    @property
    def span(self) -> range:
        return range(self.first, self.first + len(self.events))

    @property
    def last(self) -> int:
        return self.first + len(self.events) - 1

    @property
    def cause(self) -> int | None:
        return self.study[0].cause


class _Folding:
    """The study's stream, folded as far as it is asked for."""

    def __init__(self, folds: Folds, study: str, stream: Sequence[Stored]) -> None:
        self._folds, self._stream, self._next = folds, stream, 0
        self._trial = Trial(study)
        self._standings: deque[Standing] = deque(maxlen=RACED_EVENTS_MAX)

    def before(self, position: int) -> Sequence[Standing]:
        """The study as it stood before a position, the newest first."""
        while self._next < len(self._stream) and self._stream[self._next].position < position:
            stored = self._stream[self._next]
            self._trial = self._folds.evolved(self._trial, [stored])
            self._standings.appendleft(Standing(self._trial, recorded(stored).recorded_at))
            self._next += 1
        return self._standings


def _batches(sizes: dict[str, int]) -> Iterator[list[str]]:
    batch: list[str] = []
    events = 0
    for name in sorted(sizes):
        batch.append(name)
        events += sizes[name]
        if events >= BATCH_EVENTS:
            yield batch
            batch, events = [], 0
    if batch:
        yield batch


def _pieces(name: str, stream: Sequence[Stored]) -> Iterator[_Piece]:
    """The stream where it is cut by other streams' events."""
    numbered = enumerate(stream)
    for _, together in groupby(numbered, key=lambda one: one[1].position - one[0]):
        events = [stored for _, stored in together]
        yield _Piece(name, events[0].position, events)


def _groups(study_stream: Sequence[Stored]) -> dict[int, _Piece]:
    """The study's conclusions by the position of the first of those drawn together: each begins
    with the slot of the participant from whose events they were drawn."""
    groups: dict[int, _Piece] = {}
    last: _Piece | None = None
    for stored in study_stream:
        one = recorded(stored)
        if not isinstance(one.body, Conclusion):
            last = None
        elif isinstance(one.body, SlotTaken | SlotFreed):
            last = _Piece(one.body.participant, one.position, study=(one,))
            groups[one.position] = last
        elif last is not None and one.position == last.study[-1].position + 1:
            last.study = (*last.study, one)
        else:
            last = groups[one.position] = _Piece("", one.position, study=(one,))
    return groups


# --- findings -------------------------------------------------------------------------------------


def _broken(broken: Broken) -> Finding:
    stored = broken.stored
    return _of_stored(stored, "broken", broken.rule)


def _unreadable(piece: _Piece, error: str) -> Finding:
    """From here on the participant is not recomputed."""
    if piece.events:
        return _of_stored(piece.events[0], "unreadable", error)
    first = piece.study[0]
    return Finding(first.position, first.version, None, "unreadable", first.type, error)


def _of_stored(stored: Stored, what: str, rule: str) -> Finding:
    participant = None if stored.stream == STUDY_STREAM else stored.stream
    kind = stored.topic.rpartition(".v")[0].rpartition(".")[2]
    return Finding(stored.position, stored.version, participant, what, kind, rule)


def _finding(difference: Difference, at: Recorded) -> Finding:
    told = difference.recorded or difference.computed
    assert told is not None
    return Finding(
        position=difference.position,
        version=at.version,
        participant=difference.participant,
        what=difference.what,
        type=told.type,
        rule=rule_of(told) if isinstance(told, Conclusion) else difference.fields[0],
        protocol=difference.protocol,
        fields=difference.fields,
        recorded=_document(difference.recorded),
        computed=_document(difference.computed),
    )


def _document(body: Event | None) -> Document | None:
    return None if body is None else body.model_dump(mode="json", exclude_none=True)
