"""Whatever stands in a document, reading it ends in a protocol or in problems with their places."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.trial.protocol import Protocol
from domain.trial.reading import plain, read
from domain.trial.usdm import Imported, exported, imported
from tests.domain.protocol.documents import GONE, changed, lk, protocol

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("V1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(node: Any, here: str = "") -> list[str]:
    """Every place of a document, without the root."""
    if not isinstance(node, dict | list):
        return []
    parts = node.items() if isinstance(node, dict) else enumerate(node)
    found = []
    for key, part in parts:
        if "/" in str(key) or "~" in str(key):
            continue
        found += [f"{here}/{key}", *places(part, f"{here}/{key}")]
    return found


LK = lk()
USDM = exported(protocol())
LK_PLACES = places(LK)
USDM_PLACES = places(USDM)


def stands(document: Any, pointer: str) -> bool:
    """Whether a pointer names a place of the document, or a member that is missing there."""
    node = document
    tokens = pointer.split("/")[1:]
    for index, token in enumerate(tokens):
        plain_token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and plain_token in node:
            node = node[plain_token]
        elif isinstance(node, list) and token.isdecimal() and int(token) < len(node):
            node = node[int(token)]
        else:
            return index == len(tokens) - 1
    return True


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(st.sampled_from(LK_PLACES), ANYTHING | st.just(GONE), max_size=1))
def test_any_value_at_any_place_of_a_protocol(edits: dict[str, Any]) -> None:
    document = changed(LK, edits)
    found = read(document)
    if isinstance(found, Protocol):
        assert read(plain(found)) == found
    else:
        assert found
        assert all(stands(document, one.pointer) for one in found), found


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(USDM_PLACES), ANYTHING | st.just(GONE), max_size=1))
def test_any_value_at_any_place_of_a_usdm_document(edits: dict[str, Any]) -> None:
    document = changed(USDM, edits)
    found = imported(document)
    if isinstance(found, Imported):
        assert read(plain(found.protocol)) == found.protocol
    else:
        assert found
        assert all(stands(document, one.pointer) for one in found), found


@given(ANYTHING)
def test_anything_at_all(document: Any) -> None:
    assert not isinstance(read(document), Protocol)
    assert not isinstance(imported(document), Imported)
