"""SAS transport files: numbers against published values, files against the layout of TS-140."""

import struct
from pathlib import Path

import pytest

from services.imports.sdtm.datasets import Unreadable, datasets_in
from services.imports.sdtm.xpt import number_text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("4110000000000000", "1"),
        ("C110000000000000", "-1"),
        ("C276A00000000000", "-118.625"),  # the example of IBM's own manuals
        ("401999999999999A", "0.1"),
        ("4138000000000000", "3.5"),
        ("4264000000000000", "100"),
        ("4364000000000000", "1600"),
        ("0000000000000000", "0"),
        ("3D68DB8BAC710CB3", "0.0001"),
        ("482FA00000000000", "799014912"),
        ("4264", "100"),  # stored in fewer bytes
        ("2E00000000000000", ""),  # missing
        ("5F00000000000000", ""),
        ("4100000000000000", ""),  # the special missing value .A
    ],
)
def test_numbers_are_read_as_they_were_written(raw, text):
    assert number_text(bytes.fromhex(raw)) == text


def header(name: str, rest: str = "0" * 30) -> bytes:
    return f"HEADER RECORD*******{name:<8}HEADER RECORD!!!!!!!{rest}  ".encode().ljust(80)


def variable(kind: int, length: int, name: str, start: int, size: int) -> bytes:
    fields = (kind, 0, length, 0, name.encode().ljust(8), b" " * 40, b" " * 8, 0, 0, 0, b"\0\0")
    packed = struct.pack(">hhhh8s40s8shhh2s8shhl", *fields, b" " * 8, 0, 0, start)
    return packed.ljust(size, b"\0")


def padded(content: bytes, fill: bytes) -> bytes:
    return content + fill * (-len(content) % 80)


def transport(observations: list[bytes], size: int = 140, count: int = 3) -> bytes:
    """A file with USUBJID (6 characters), AESEQ (a number) and AETERM (12 characters)."""
    names = [(2, 6, "USUBJID", 0), (1, 8, "AESEQ", 6), (2, 12, "AETERM", 14)]
    namestrs = b"".join(variable(*one, size) for one in names)
    return b"".join(
        (
            header("LIBRARY "),
            b" " * 160,
            header("MEMBER  ", f"000000000000000001600000000{size}"),
            header("DSCRPTR "),
            b" " * 160,
            header("NAMESTR ", f"000000{count:04}".ljust(30, "0")),
            padded(namestrs, b" "),
            header("OBS     "),
            padded(b"".join(observations), b" "),
        )
    )


FALL = b"01-1  " + bytes.fromhex("4110000000000000") + b"FALL        "
PAIN = b"01-2  " + bytes.fromhex("2E00000000000000") + "DOULEUR \u00e9".encode().ljust(12)
BLANK = b" " * 26


def read(folder: Path, content: bytes) -> list[dict[str, str]]:
    (folder / "ae.xpt").write_bytes(content)
    return [dict(line.values) for line in datasets_in(folder, ["AE"])["AE"].lines()]


@pytest.mark.parametrize("size", [140, 136])
def test_rows_are_read_without_what_is_missing(tmp_path, size):
    assert read(tmp_path, transport([FALL, PAIN], size)) == [
        {"USUBJID": "01-1", "AESEQ": "1", "AETERM": "FALL"},
        {"USUBJID": "01-2", "AETERM": "DOULEUR \u00e9"},
    ]


@pytest.mark.parametrize("count", [0, 1, 3, 40, 41])
def test_blanks_that_fill_the_last_record_are_no_rows(tmp_path, count):
    assert len(read(tmp_path, transport([FALL] * count))) == count


def test_a_blank_row_between_others_keeps_its_number(tmp_path):
    assert [len(row) for row in read(tmp_path, transport([FALL, BLANK, BLANK, PAIN]))] == [
        3,
        0,
        0,
        2,
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it does not begin"),
        (transport([FALL]).replace(b"LIBRARY ", b"LIBV8   "), "it does not begin"),
        (transport([FALL])[:500], "it ends within its headers"),
        (transport([FALL], count=0), "its variables cannot be counted"),
        (transport([FALL], count=4), "its observations do not begin"),
        (transport([FALL]) + b"01-3", "it ends within an observation"),
    ],
)
def test_what_is_no_transport_file_is_said(tmp_path, content, said):
    with pytest.raises(Unreadable, match=r"ae\.xpt is no SAS transport file: " + said):
        read(tmp_path, content)
