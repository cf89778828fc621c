"""What commands say: results on standard output, progress and troubles on standard error."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

Advance = Callable[[int], None]
"""Told how much more is done."""


def say(text: str = "") -> None:
    """One line on standard output, as it is."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_bytes(line: bytes) -> None:
    """Bytes on standard output, as they are."""
    sys.stdout.buffer.write(line)


def say_json(document: Any) -> None:
    """One JSON document on standard output."""
    say(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


def warn(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(text + "\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on standard output; nothing when there are no rows."""
    if not rows:
        return
    shown = Table(title=title, title_justify="left")
    for name in columns:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*map(str, row))
    Console().print(shown)


@contextlib.contextmanager
def progress(label: str, total: int, *, quiet: bool = False) -> Iterator[Advance]:
    """A bar on standard error while something long is done; none when it is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=hidden, transient=True) as bars:
        task = bars.add_task(label, total=total)

        def advance(count: int) -> None:
            bars.advance(task, count)

        yield advance
