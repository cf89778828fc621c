"""Documents for the tests: the built-in study as plain objects, and changes to it by place."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from domain.trial.overlay import merged
from domain.trial.protocol import Protocol
from domain.trial.reading import plain
from domain.trial.reading import read as read_protocol
from infra.protocol_files import built_in, read

GONE = object()
"""As a value: take the place away."""

USDM_FILE = Path(__file__).parents[4] / "shared/data/usdm/CDISC_Pilot_Study.json"
VISITS_FILE = Path(__file__).parents[4] / "shared/data/cdisc-pilot/sv.csv"


@cache
def protocol() -> Protocol:
    """The built-in protocol."""
    facts, overlay = built_in("lk-23-01.yaml"), built_in("lk-23-01.assumptions.yaml")
    whole = merged(facts, overlay)  # type: ignore[arg-type]
    assert isinstance(whole, dict), whole
    found = read_protocol(whole)
    assert isinstance(found, Protocol), found
    return found


def lk() -> dict[str, Any]:
    """The built-in protocol, complete, as plain objects of the test's own."""
    return deepcopy(plain(protocol()))


def pilot() -> Any:
    """The USDM document of the CDISC pilot study."""
    if not USDM_FILE.exists():
        pytest.skip("the CDISC pilot study's USDM file is not beside the project")
    return read(USDM_FILE.read_bytes(), "json")


def changed(document: Any, edits: Mapping[str, Any]) -> Any:
    """The document with other values at some places; `/-` appends, GONE takes away."""
    whole = deepcopy(document)
    for pointer, value in edits.items():
        *parents, last = pointer.split("/")[1:]
        node = whole
        for token in parents:
            node = node[int(token)] if isinstance(node, list) else node[token]
        if last == "-":
            node.append(value)
        elif value is GONE:
            del node[int(last) if isinstance(node, list) else last]
        elif isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value
    return whole
