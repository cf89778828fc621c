"""SDTM datasets in a folder, row by row: CSV, SAS transport, CDISC Dataset-JSON 1.1 (or NDJSON).

A value that is empty, `NA` or a single dot is missing. Rows are read as they stand; what of them
is held in memory is one participant's, unless a dataset is not sorted by USUBJID.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from heapq import merge
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from services.imports.sdtm import xpt

Row = Mapping[str, str]
"""Variable -> value; a missing value is not in it."""

MISSING = frozenset({"", "NA", "."})
JSON_BYTES_MAX = 512 * 1024 * 1024
UNSORTED_ROWS_MAX = 2_000_000
"""Rows of a dataset that is not sorted are sorted in memory, at most so many."""
FORMATS = (".csv", ".xpt", ".json", ".ndjson")


class Unreadable(Exception):
    """A dataset cannot be read; the message names the file and the place, never a value."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a dataset: which dataset, which row (from 1), what it says."""

    domain: str
    number: int
    values: Row

    def get(self, variable: str) -> str | None:
        """The variable's value; None when it is missing."""
        return self.values.get(variable)

    @property
    def subject(self) -> str:
        """USUBJID; empty when it is missing."""
        return self.values.get("USUBJID", "")


@dataclass(frozen=True, slots=True)
class Dataset:
    """One domain's dataset in a file."""

    domain: str
    path: Path

    def lines(self) -> Iterator[Line]:
        """Its rows in their order. Unreadable."""
        read = {".csv": _csv, ".xpt": _transport}.get(self.path.suffix.lower(), _dataset_json)
        for number, values in enumerate(read(self.path), start=1):
            yield Line(self.domain, number, values)


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything that the datasets say about one participant."""

    usubjid: str
    lines: Mapping[str, tuple[Line, ...]]
    """Domain -> its rows, in their order."""


def datasets_in(folder: Path, domains: Iterable[str]) -> dict[str, Dataset]:
    """The datasets of the domains that the folder holds, by domain. Unreadable without a folder."""
    if not folder.is_dir():
        raise Unreadable(f"{folder} is not a folder")
    files = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_file()}
    return {
        domain: Dataset(domain, files[domain.lower() + ending])
        for domain in domains
        for ending in reversed(FORMATS)
        if domain.lower() + ending in files
    }


def surveyed(dataset: Dataset) -> tuple[int, bool]:
    """How many rows the dataset has, and whether they are sorted by USUBJID. Unreadable."""
    count, ordered, last = 0, True, ""
    for line in dataset.lines():
        count += 1
        ordered = ordered and last <= line.subject
        last = line.subject
    if not ordered and count > UNSORTED_ROWS_MAX:
        raise Unreadable(f"{dataset.path.name} is too large to be sorted here: sort it by USUBJID")
    return count, ordered


def subjects(datasets: Mapping[str, Dataset], ordered: Mapping[str, bool]) -> Iterator[Subject]:
    """Participant by participant, in the order of USUBJID."""
    streams = [
        dataset.lines() if ordered[domain] else iter(sorted(dataset.lines(), key=_subject))
        for domain, dataset in datasets.items()
    ]
    for usubjid, lines in groupby(merge(*streams, key=_subject), key=_subject):
        by_domain: dict[str, list[Line]] = {}
        for line in lines:
            by_domain.setdefault(line.domain, []).append(line)
        yield Subject(usubjid, {domain: tuple(found) for domain, found in by_domain.items()})


def _subject(line: Line) -> str:
    return line.subject


def _csv(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().upper() for name in next(reader, [])]
            _check_header(path, header)
            for values in reader:
                if len(values) != len(header):
                    raise Unreadable(
                        f"{path.name}, line {reader.line_num}: not as wide as the header"
                    )
                yield _present(zip(header, values, strict=True))
    except UnicodeDecodeError:
        raise Unreadable(f"{path.name} is not UTF-8") from None
    except csv.Error:
        raise Unreadable(f"{path.name}, line {reader.line_num}: not CSV") from None


def _transport(path: Path) -> Iterator[Row]:
    try:
        with path.open("rb") as file:
            _check_header(path, [one.name for one in xpt.variables(file)])
        yield from map(_present, xpt.rows(path))
    except xpt.NotTransport as error:
        raise Unreadable(f"{path.name} is no SAS transport file: {error}") from None


def _dataset_json(path: Path) -> Iterator[Row]:
    if path.stat().st_size > JSON_BYTES_MAX:
        raise Unreadable(f"{path.name} is too large: write it as NDJSON or CSV")
    try:
        with path.open(encoding="utf-8-sig") as file:
            if path.suffix.lower() == ".ndjson":
                header = _columns(path, _read(file.readline()))
                rows: Iterable[Any] = (_read(line) for line in file if line.strip())
            else:
                document = _read(file.read())
                header = _columns(path, document)
                rows = document.get("rows", ())
            for number, values in enumerate(rows, start=1):
                if not isinstance(values, list) or len(values) != len(header):
                    raise Unreadable(f"{path.name}, row {number}: not as wide as the columns")
                yield _present(zip(header, map(_text, values), strict=True))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise Unreadable(f"{path.name} is not Dataset-JSON") from None


def _read(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _columns(path: Path, document: Any) -> list[str]:
    columns = document.get("columns") if isinstance(document, dict) else None
    named = [one.get("name") for one in columns or () if isinstance(one, dict)]
    header = [name.upper() for name in named if isinstance(name, str)]
    if not isinstance(columns, list) or len(header) != len(columns):
        raise Unreadable(f"{path.name} is not Dataset-JSON: it names no columns")
    _check_header(path, header)
    return header


def _check_header(path: Path, header: list[str]) -> None:
    if "USUBJID" not in header or len(set(header)) != len(header):
        raise Unreadable(f"{path.name} has no column USUBJID, or names a column twice")


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case Decimal():
            return format(value, "f")
        case bool():
            return "Y" if value else "N"
        case str() | int():
            return str(value)
        case _:
            raise Unreadable("a value is neither text nor a number")


def _present(pairs: Iterable[tuple[str, str]]) -> Row:
    found = {name: value.strip() for name, value in pairs}
    return MappingProxyType({name: text for name, text in found.items() if text not in MISSING})
