"""What every bench gives: rows of one shape, from contenders that ran in turns.

On a shared machine only figures of one run compare, and the ratio is taken of the medians. Beside
the figure each sample may carry processor time, which other programs disturb less.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.processes import processor_seconds


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one contender."""

    figure: float
    cpu_us: float | None = None
    """Processor time for each event (or whatever is counted), client and stores included."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: ours, what it is measured beside, and what is wanted."""

    what: str
    unit: str
    ours: Sequence[Sample]
    beside: str = ""
    theirs: Sequence[Sample] = ()
    less: bool = False
    """Whether the smaller figure is the better one; the ratio is how many times better ours is."""
    ratio_min: float | None = None
    """What the ratio is wanted to be."""
    most: float | None = None
    """What our figure should not exceed."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better ours is, by the medians; None when there is nothing beside it."""
        if not self.ours or not self.theirs:
            return None
        mine, other = middle(self.ours), middle(self.theirs)
        return other / mine if self.less else mine / other

    @property
    def reached(self) -> bool | None:
        """Whether what is wanted was reached; None when nothing is, or it was not measured."""
        if self.most is not None and self.ours:
            return middle(self.ours) <= self.most
        if self.ratio_min is None or self.ratio is None:
            return None
        return self.ratio >= self.ratio_min

    def document(self, part: str) -> dict[str, Any]:
        """The row as it stands in the JSON."""
        return {
            "part": part,
            "what": self.what,
            "unit": self.unit,
            "cairn": _document(self.ours),
            "beside": self.beside or None,
            "other": _document(self.theirs),
            "less_is_better": self.less,
            "ratio": self.ratio,
            "ratio_wanted": self.ratio_min,
            "at_most_wanted": self.most,
            "reached": self.reached,
            "note": self.note or None,
        }


def middle(samples: Sequence[Sample]) -> float:
    """The median figure."""
    return statistics.median(one.figure for one in samples)


def processor(samples: Sequence[Sample]) -> float | None:
    """The median processor time in microseconds, where it was taken."""
    known = [one.cpu_us for one in samples if one.cpu_us is not None]
    return statistics.median(known) if known else None


def in_turns(ways: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, list[Sample]]:
    """Every contender once, then every one again: the machine's mood falls on all of them."""
    found: dict[str, list[Sample]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
    return found


def metered(act: Callable[[], int], *processes: int) -> Sample:
    """How many a second `act` does, and the processor time of each: here and in process trees."""
    before = time.process_time() + sum(map(processor_seconds, processes))
    began = time.perf_counter()
    count = act()
    seconds = time.perf_counter() - began
    spent = time.process_time() + sum(map(processor_seconds, processes)) - before
    return Sample(count / seconds, spent / count * 1e6)


HEAD = (
    "| what | Cairn | beside | its figure | ratio | wanted | CPU µs each, Cairn / other |",
    "|---|---:|---|---:|---:|---:|---:|",
)


def line(row: Row) -> str:
    """The row in Markdown: medians, with the lowest and highest of the rounds."""
    times = [processor(row.ours), processor(row.theirs)]
    spent = " / ".join("-" if one is None else _number(one) for one in times)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    wanted = ""
    if row.ratio_min is not None:
        wanted = f"{row.ratio_min:g}x"
    elif row.most is not None:
        wanted = f"≤ {row.most:g} {row.unit}"
    if row.reached is not None:
        wanted += " yes" if row.reached else " **no**"
    note = f" ({row.note})" if row.note else ""
    cells = (
        row.what + note,
        _spread(row.ours, row.unit),
        row.beside,
        _spread(row.theirs, row.unit) if row.theirs else "",
        ratio,
        wanted,
        spent if any(one is not None for one in times) else "",
    )
    return "| " + " | ".join(cells) + " |"


def _spread(samples: Sequence[Sample], unit: str) -> str:
    if not samples:
        return "not measured"
    figures = sorted(one.figure for one in samples)
    told = f"{_number(statistics.median(figures))} {unit}"
    if len(figures) > 1:
        told += f" ({_number(figures[0])} to {_number(figures[-1])})"
    return told


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _document(samples: Sequence[Sample]) -> dict[str, Any] | None:
    if not samples:
        return None
    figures = [one.figure for one in samples]
    return {
        "median": middle(samples),
        "low": min(figures),
        "high": max(figures),
        "rounds": figures,
        "cpu_us": processor(samples),
    }
