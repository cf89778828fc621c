"""Datasets: CSV and Dataset-JSON read to the same rows, whatever their order."""

import json
from pathlib import Path

import pytest

from services.imports.sdtm import datasets
from services.imports.sdtm.datasets import Unreadable, datasets_in, subjects, surveyed

CSV = 'USUBJID,AETERM,AESEQ,AEEND\n01-1,"FALL, ON STAIRS",1,NA\n01-2,,2,.\n'
JSON = {
    "datasetJSONVersion": "1.1.0",
    "columns": [{"name": name} for name in ("USUBJID", "AETERM", "AESEQ", "AEEND")],
    "rows": [["01-1", "FALL, ON STAIRS", 1, None], ["01-2", None, 2, ""]],
}
NDJSON = "\n".join(
    json.dumps(part)
    for part in [{"columns": JSON["columns"]}, *JSON["rows"]]  # type: ignore[misc]
)
ROWS = [
    {"USUBJID": "01-1", "AETERM": "FALL, ON STAIRS", "AESEQ": "1"},
    {"USUBJID": "01-2", "AESEQ": "2"},
]


def read(folder: Path, name: str, text: str) -> list[dict[str, str]]:
    (folder / name).write_text(text)
    dataset = datasets_in(folder, ["AE"])["AE"]
    return [dict(line.values) for line in dataset.lines()]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ae.csv", CSV),
        ("AE.CSV", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("ae.json", json.dumps(JSON)),
        ("ae.ndjson", NDJSON),
    ],
)
def test_every_format_gives_the_same_rows_without_what_is_missing(tmp_path, name, text):
    assert read(tmp_path, name, text) == ROWS


def test_a_number_of_dataset_json_keeps_its_digits(tmp_path):
    text = '{"columns": [{"name": "USUBJID"}, {"name": "EXDOSE"}], "rows": [["1", 0.10]]}'
    assert read(tmp_path, "ae.json", text) == [{"USUBJID": "1", "EXDOSE": "0.10"}]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ae.csv", "USUBJID,AESEQ\n01-1\n", "ae.csv, line 2: not as wide as the header"),
        ("ae.csv", 'USUBJID,AESEQ\n01-1,"1\n', "ae.csv, line 2: not CSV"),
        ("ae.csv", "SUBJID\n1\n", "ae.csv has no column USUBJID, or names a column twice"),
        ("ae.csv", "USUBJID,A,A\n", "ae.csv has no column USUBJID, or names a column twice"),
        ("ae.json", "{", "ae.json is not Dataset-JSON"),
        ("ae.json", "[]", "ae.json is not Dataset-JSON: it names no columns"),
        ("ae.json", '{"columns": [{"name": "USUBJID"}], "rows": [[]]}', "ae.json, row 1: not as"),
        ("ae.ndjson", '{"columns": [{"name": "USUBJID"}]}\n{}', "ae.ndjson, row 1: not as"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(tmp_path, name, text, said):
    with pytest.raises(Unreadable, match=r"^" + said.replace(".", r"\.")):
        read(tmp_path, name, text)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "ae.csv").write_bytes(b"USUBJID\n\xff\n")
    with pytest.raises(Unreadable, match=r"ae\.csv is not UTF-8"):
        surveyed(datasets_in(tmp_path, ["AE"])["AE"])


def test_participants_come_whole_and_in_order_whatever_the_order_of_rows(tmp_path):
    (tmp_path / "dm.csv").write_text("USUBJID\n1\n2\n3\n")
    (tmp_path / "ae.csv").write_text("USUBJID,AESEQ\n3,1\n1,1\n3,2\n4,1\n")
    found = datasets_in(tmp_path, ["DM", "AE", "EX"])
    surveys = {domain: surveyed(dataset) for domain, dataset in found.items()}
    assert surveys == {"DM": (3, True), "AE": (4, False)}
    ordered = {domain: is_ordered for domain, (_, is_ordered) in surveys.items()}
    told = [
        (one.usubjid, {name: [line.number for line in lines] for name, lines in one.lines.items()})
        for one in subjects(found, ordered)
    ]
    assert told == [
        ("1", {"DM": [1], "AE": [2]}),
        ("2", {"DM": [2]}),
        ("3", {"DM": [3], "AE": [1, 3]}),
        ("4", {"AE": [4]}),
    ]


def test_a_dataset_too_large_to_sort_is_refused_before_anything_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "UNSORTED_ROWS_MAX", 1)
    (tmp_path / "ae.csv").write_text("USUBJID\n2\n1\n")
    with pytest.raises(Unreadable, match="sort it by USUBJID"):
        surveyed(datasets_in(tmp_path, ["AE"])["AE"])
