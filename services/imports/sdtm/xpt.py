"""SAS transport files, version 5: the form in which datasets are submitted to regulators.

Records are 80 bytes long; numbers are IBM hexadecimal floating point, which SAS also uses for what
is missing (a dot, an underscore or a letter). Source: SAS, The Record Layout of a Data Set in SAS
Transport (XPORT) Format, TS-140.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

RECORD_BYTES = 80
NAMESTR_BYTES = (140, 136)
"""On most systems, and on VMS."""
VARIABLES_MAX = 10_000
OBSERVATION_BYTES_MAX = 1_000_000
NUMBER_BYTES = 8
NUMERIC = 1

_NAMESTR = struct.Struct(">hhhh8s40s8shhh2s8shhl")
_LIBRARY = b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!"
_MEMBER = b"HEADER RECORD*******MEMBER  HEADER RECORD!!!!!!!"
_NAMESTRS = b"HEADER RECORD*******NAMESTR HEADER RECORD!!!!!!!"
_OBSERVATIONS = b"HEADER RECORD*******OBS     HEADER RECORD!!!!!!!"
_MISSING = frozenset(b"._ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class NotTransport(Exception):
    """The file is no SAS transport file of version 5; the message says where."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One column: its name, whether it is a number, and where it stands in an observation."""

    name: str
    number: bool
    start: int
    length: int

    def text(self, observation: bytes) -> str:
        """Its value in an observation; empty when it is missing."""
        raw = observation[self.start : self.start + self.length]
        return number_text(raw) if self.number else _decoded(raw)


def variables(file: BinaryIO) -> list[Variable]:
    """Read the headers up to the first observation. NotTransport."""
    if not file.read(RECORD_BYTES).startswith(_LIBRARY):
        raise NotTransport("it does not begin as one of version 5")
    _skip(file, 2)
    member = file.read(RECORD_BYTES)
    size = _number(member, 74, 78) if member.startswith(_MEMBER) else 0
    if size not in NAMESTR_BYTES:
        raise NotTransport("its member header cannot be read")
    _skip(file, 3)
    header = file.read(RECORD_BYTES)
    count = _number(header, 54, 58) if header.startswith(_NAMESTRS) else 0
    if not 0 < count <= VARIABLES_MAX:
        raise NotTransport("its variables cannot be counted")
    found = [_variable(_exactly(file, size)) for _ in range(count)]
    _exactly(file, -count * size % RECORD_BYTES)
    if not file.read(RECORD_BYTES).startswith(_OBSERVATIONS):
        raise NotTransport("its observations do not begin where they should")
    return found


def rows(path: Path) -> Iterator[list[tuple[str, str]]]:
    """The observations as pairs of variable and value. NotTransport."""
    with path.open("rb") as file:
        columns = variables(file)
        length = max(one.start + one.length for one in columns)
        if length > OBSERVATION_BYTES_MAX:
            raise NotTransport("its observations are too long")
        blanks = 0
        while len(observation := file.read(length)) == length:
            if not observation.strip(b" "):
                # The last record is filled up with blanks: they are rows only if one follows.
                blanks += 1
                continue
            for _ in range(blanks):
                yield []
            blanks = 0
            yield [(one.name, one.text(observation)) for one in columns]
        if observation.strip(b" "):
            raise NotTransport("it ends within an observation")


def number_text(raw: bytes) -> str:
    """An IBM floating-point number of up to 8 bytes as the shortest decimal; empty when missing."""
    if raw[:1] and raw[0] in _MISSING and not any(raw[1:]):
        return ""
    whole = raw.ljust(NUMBER_BYTES, b"\0")
    fraction = int.from_bytes(whole[1:], "big")
    exponent = 4 * ((whole[0] & 0x7F) - 64) - 56
    # At most 56 bits, rounded once to the 53 of a double: what SAS wrote there is got back.
    value = fraction * 2**exponent if exponent >= 0 else fraction / 2**-exponent
    signed = -value if whole[0] & 0x80 else value
    return str(int(signed)) if signed == int(signed) else repr(float(signed))


def _variable(raw: bytes) -> Variable:
    kind, _, length, _, name, *_, start = _NAMESTR.unpack_from(raw)
    if length < 1 or start < 0 or (kind == NUMERIC and length > NUMBER_BYTES):
        raise NotTransport("a variable cannot be read")
    return Variable(_decoded(name).upper(), kind == NUMERIC, start, length)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip(" \0")


def _number(record: bytes, start: int, end: int) -> int:
    text = record[start:end]
    return int(text) if text.isdigit() else 0


def _skip(file: BinaryIO, records: int) -> None:
    _exactly(file, records * RECORD_BYTES)


def _exactly(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) != count:
        raise NotTransport("it ends within its headers")
    return found
