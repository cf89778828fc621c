"""Events of many participants from a file, one JSON document a line, through the same door.

A line is an event as it is posted, and names its `participant`; one of the study's own stream
names none. Order within a participant is kept; participants are recorded together in appends.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from domain.kernel import Refusal
from services.door import Invalid, Malformed, Posted, TooLarge, posted, strict
from services.imports.bulk import Bulk, rule_of
from services.record import EventIdReused, Group, Recording, Terms

LINES_PER_ROUND = 1_000
LINE_BYTES_MAX = strict.EVENT_MAX_BYTES
REJECTED_LISTED_MAX = 100_000


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that was not recorded, and why."""

    line: int
    rule: str


@dataclass(slots=True)
class Summary:
    """What became of the lines."""

    study: str
    lines: int = 0
    recorded: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    conclusions: int = 0
    rejected: list[RejectedLine] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As machines read it."""
        return {
            "study": self.study,
            "lines": self.lines,
            "recorded": dict(sorted(self.recorded.items())),
            "already_recorded": dict(sorted(self.known.items())),
            "conclusions": self.conclusions,
            "rejected": [{"line": one.line, "rule": one.rule} for one in self.rejected],
        }


class NdjsonImport:
    """Imports lines into a study that is published."""

    def __init__(self, recording: Recording, study: str, terms: Terms) -> None:
        self._recording = recording
        self._study = study
        self._terms = terms
        self._bulk = Bulk(recording, study, terms)
        self._origins: dict[int, int] = {}
        """The posted event (by identity, while it is kept) -> its line."""

    async def run(self, lines: Iterable[bytes], advance: Callable[[int], None]) -> Summary:
        """Import everything; `advance` is told how many bytes are done. StoreAway, StoreFull."""
        summary = Summary(self._study)
        numbered = enumerate(lines, start=1)
        while found := list(islice(numbered, LINES_PER_ROUND)):
            await self._round(found, summary)
            advance(sum(len(line) for _, line in found))
        summary.recorded += self._bulk.tally.recorded
        summary.known += self._bulk.tally.known
        summary.conclusions = self._bulk.tally.conclusions
        return summary

    async def _round(self, lines: list[tuple[int, bytes]], summary: Summary) -> None:
        waiting: dict[str, list[Posted]] = {}
        for number, line in lines:
            if not line.strip():
                continue
            summary.lines += 1
            try:
                event = posted(strict.document(line))
            except (Malformed, Invalid, TooLarge) as refusal:
                self._reject(summary, number, _rule(refusal))
                continue
            if event.participant is not None:
                self._origins[id(event)] = number
                waiting.setdefault(event.participant, []).append(event)
                continue
            # What a participant's events are judged by may change here: record them first.
            await self._flush(waiting, summary)
            await self._study_event(event, number, summary)
        await self._flush(waiting, summary)

    async def _flush(self, waiting: dict[str, list[Posted]], summary: Summary) -> None:
        groups = [Group(name, tuple(events)) for name, events in waiting.items()]
        await self._bulk.record(groups)
        for one in self._bulk.tally.rejected:
            self._reject(summary, self._origins[id(one.posted)], one.rule)
        self._bulk.tally.rejected.clear()
        self._origins.clear()
        waiting.clear()

    async def _study_event(self, event: Posted, number: int, summary: Summary) -> None:
        try:
            answer = await self._recording.record_study(self._study, event, self._terms)
        except (Refusal, EventIdReused) as refusal:
            self._reject(summary, number, rule_of(refusal))
            return
        counter = summary.known if answer.replayed else summary.recorded
        counter[event.body.type] += 1

    def _reject(self, summary: Summary, number: int, rule: str) -> None:
        if len(summary.rejected) < REJECTED_LISTED_MAX:
            summary.rejected.append(RejectedLine(number, rule))


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file; one that is too long is cut just beyond what the door takes."""
    with path.open("rb") as file:
        yield from _bounded(file)


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LINE_BYTES_MAX + 2):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(LINE_BYTES_MAX)):
            pass
        yield line


def _rule(refusal: Malformed | Invalid | TooLarge) -> str:
    match refusal:
        case Malformed():
            return refusal.rule
        case TooLarge():
            return "too-large"
        case Invalid():
            return rule_of(refusal)
