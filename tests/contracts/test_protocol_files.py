"""The text of protocols: read without loss, and without the surprises that YAML and JSON allow."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.protocol_files import DOCUMENT_BYTES_MAX, Format, Unreadable, read, write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:40", "1:40"),
        ("no", "no"),
        ("on", "on"),
        ("2026-11-22", "2026-11-22"),
        ("012", 12),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("0.10", Decimal("0.10")),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
        ("1e3", Decimal("1e3")),
        ("-7", -7),
        ("true", True),
        ("null", None),
        ("", None),
        ("'0.5'", "0.5"),
        (".inf", ".inf"),
        (".nan", ".nan"),
    ],
)
def test_a_yaml_scalar_is_what_it_looks_like(text: str, value: Any) -> None:
    found = read(f"key: {text}\n".encode(), "yaml")
    assert isinstance(found, dict)
    assert found == {"key": value}
    assert type(found["key"]) is type(value)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("yaml", b"a: 1\nb: 2\na: 3"),
        ("yaml", b"a: &x [1, 2]\nb: *x"),
        ("yaml", b"a: !!python/object/apply:os.getcwd []"),
        ("yaml", b"a: !!binary aGk="),
        ("yaml", b"a: 1\n---\nb: 2"),
        ("yaml", b"1: 2"),
        ("yaml", b"<<: {a: 1}\n<<: {a: 2}"),
        ("yaml", b"a: [1, 2"),
        ("yaml", b"\ta: 1"),
        ("yaml", b"a: \x00"),
        ("yaml", b"a: \xff"),
        ("yaml", b"[" * 5_000),
        ("yaml", b"a: " + b"9" * 5_000),
        ("json", b'{"a": 1, "a": 2}'),
        ("json", b'{"a": NaN}'),
        ("json", b'{"a": -Infinity}'),
        ("json", b'{"a": "\\ud800"}'),
        ("json", b'{"\\ud800": 1}'),
        ("json", b"[" * 100_000),
        ("json", b"[" * 70 + b"]" * 70),
        ("json", b'{"a": ' + b"9" * 5_000 + b"}"),
        ("json", b'{"a": 1} x'),
        ("json", b""),
        ("json", b'{"a": "\x00"}'),
        ("json", b" " * (DOCUMENT_BYTES_MAX + 1)),
    ],
)
def test_a_text_that_no_careful_reader_accepts_is_refused(form: Format, text: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        read(text, form)
    assert "canary" not in str(refused.value)


def test_a_refusal_names_the_line_and_not_the_content() -> None:
    with pytest.raises(Unreadable, match="line 3") as refused:
        read(b"a: 1\nb: 2\na: canary\n", "yaml")
    assert "canary" not in str(refused.value)


def test_a_merge_key_is_an_ordinary_key() -> None:
    assert read(b"<<: {a: 1}\nb: 2", "yaml") == {"<<": {"a": 1}, "b": 2}


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(DOCUMENTS)
def test_json_that_is_written_reads_back_equal(document: Any) -> None:
    assert read(write(document, "json"), "json") == document


WORDS = st.from_regex(r"[ -~]{0,20}", fullmatch=True) | st.sampled_from(
    ["1:40", "no", "~", "1e3", "0.10", "012", "true", "null", "", " x", "x ", "a: b", "- a", "#"]
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_yaml_that_is_written_reads_back_equal(document: Any) -> None:
    assert read(write(document, "yaml"), "yaml") == document


def test_several_lines_and_foreign_letters_survive_yaml() -> None:
    document = {"text": "First.\n- one\n- zwei: größer als ≥ 2\n", "key": "naïve"}
    assert read(write(document, "yaml"), "yaml") == document
