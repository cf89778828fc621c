"""Tables that read like a spreadsheet: a line a case, bars between columns, the last says why."""

from __future__ import annotations

from typing import Any

import pytest


def table(text: str) -> Any:
    """A decorator that runs a test once for each line; the first line names its arguments.

    An empty cell is None; the last column is the name of the case and no argument.
    """
    lines = [line for line in text.strip().splitlines() if line.strip(" -|")]
    header, *rows = [[cell.strip() for cell in line.strip().split("|")] for line in lines]
    assert all(len(row) == len(header) for row in rows), [r for r in rows if len(r) != len(header)]
    cases = [
        pytest.param(*(cell or None for cell in row[:-1]), id=row[-1].replace(" ", "-"))
        for row in rows
    ]
    names = [case.id for case in cases]
    assert len(set(names)) == len(names), "two cases have one name"
    return pytest.mark.parametrize(header[:-1], cases)


def number(cell: str | None) -> int | None:
    """A cell as a whole number."""
    return None if cell is None else int(cell)


def words(cell: str | None) -> list[str]:
    """A cell as a list of words."""
    return cell.split() if cell else []
