"""The strict reading of JSON: one meaning or none, exact numbers, bounds."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.door import strict
from services.door.posted import Envelope, content_of
from services.door.refused import Malformed, TooLarge

REFUSED = [
    # body                                        rule
    (b"", "not-json"),
    (b" ", "not-json"),
    (b"{", "not-json"),
    (b'{"a":1}x', "not-json"),
    (b'{"a":1,}', "not-json"),
    (b"{'a':1}", "not-json"),
    (b"01", "not-json"),
    (b"+1", "not-json"),
    (b".5", "not-json"),
    (b'"a\nb"', "not-json"),
    (b'"\x00"', "not-json"),
    (b'"\\x41"', "not-json"),
    (b"\xff", "encoding"),
    (b'"\xed\xa0\x80"', "encoding"),
    (b"\xef\xbb\xbf{}", "encoding"),
    ('"a"'.encode("utf-16"), "encoding"),
    (b'{"a":1,"a":2}', "duplicate-key"),
    (b'{"a":1,"\\u0061":2}', "duplicate-key"),
    (b'{"b":{"a":1,"a":1}}', "duplicate-key"),
    (b"NaN", "number"),
    (b"Infinity", "number"),
    (b"-Infinity", "number"),
    (b"1e400", "number"),
    (b"-1e400", "number"),
    (b"1e-400", "number"),
    (b"9007199254740992", "number"),
    (b"-9007199254740992", "number"),
    (b"9" * 5_000, "number"),
    (b"0." + b"1" * 200, "number"),
    (b'"\\u0000"', "nul"),
    (b'{"\\u0000":1}', "nul"),
    (b'"\\ud800"', "surrogate"),
    (b'"\\udc00\\ud800"', "surrogate"),
    (b"[" * 33 + b"]" * 33, "too-deep"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "too-deep"),
    (b"[" * 30_000, "too-deep"),
    (json.dumps({str(n): n for n in range(1_001)}).encode(), "too-many-keys"),
    (json.dumps([{"a": 1}] * 1_001).encode(), "too-many-keys"),
]

TAKEN = [
    # body                                        value
    (b"{}", {}),
    (b' \r\n\t{"a": [1, true, null]} ', {"a": [1, True, None]}),
    (b"9007199254740991", 2**53 - 1),
    (b"-0", 0),
    (b"1.50", Decimal("1.50")),
    (b"1e3", Decimal("1E+3")),
    (b"0.1", Decimal("0.1")),
    (b'"\\ud83d\\ude00"', "\U0001f600"),
    (b'"\xf0\x9f\x98\x80"', "\U0001f600"),
    (b"[" * 32 + b"]" * 32, None),
    (json.dumps({str(n): ":" for n in range(1_000)}).encode(), None),
    (b'"' + b"[{" * 100 + b'"', "[{" * 100),
]


@pytest.mark.parametrize(("body", "rule"), REFUSED)
def test_what_has_no_single_meaning_is_refused(body: bytes, rule: str) -> None:
    with pytest.raises(Malformed) as refused:
        strict.document(body)
    assert refused.value.rule == rule


@pytest.mark.parametrize(("body", "value"), TAKEN)
def test_what_has_one_meaning_is_taken(body: bytes, value: object) -> None:
    found = strict.document(body)
    assert value is None or (found == value and repr(found) == repr(value))


def test_an_event_of_more_than_64_kib_is_too_large() -> None:
    body = b'"' + b"a" * (strict.EVENT_MAX_BYTES - 2) + b'"'
    assert len(strict.document(body)) == strict.EVENT_MAX_BYTES - 2
    with pytest.raises(TooLarge):
        strict.document(body + b" ")


def test_the_elements_of_an_array_are_measured_one_by_one() -> None:
    element = json.dumps({str(n): "x" * 20 for n in range(900)}).encode()
    assert len(strict.elements(b"[" + b",".join([element] * 50) + b"]", 50)) == 50
    deep = b"[" * 32 + b"]" * 32
    assert len(strict.elements(b"[" + deep + b"," + deep + b"]", 2)) == 2
    with pytest.raises(Malformed):
        strict.elements(b"[[" + deep + b"]]", 2)
    with pytest.raises(TooLarge):
        strict.elements(b"[1,2,3]", 2)
    wide = '"' + "é" * (strict.EVENT_MAX_BYTES // 2) + '"'
    with pytest.raises(TooLarge):
        strict.elements(f"[{wide}]".encode(), 2)


@pytest.mark.parametrize("body", [b"[1,]", b"[,1]", b"[1 2]", b"[1]]", b"[", b"[1", b"{}"])
def test_a_broken_array_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        strict.elements(body, 10)


_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES, st.booleans())
def test_whatever_json_can_say_is_read_as_it_was_written(value: object, ascii_only: bool) -> None:
    assert strict.document(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
    listed = json.dumps([value, value], ensure_ascii=ascii_only).encode()
    assert strict.elements(listed, 2) == [value, value]


@given(st.binary(max_size=60))
def test_no_bytes_cause_anything_but_a_refusal(body: bytes) -> None:
    try:
        strict.document(body)
    except Malformed:
        return
    assert json.loads(body) is not NotImplemented


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9
    )
)
def test_a_fraction_keeps_every_digit(number: Decimal) -> None:
    found = strict.document(format(number, "f").encode())
    assert format(found, "f") == format(number, "f")


_ITEMS = st.dictionaries(_TEXT, st.none() | _TEXT | st.just("null"), max_size=4)


@given(_ITEMS, st.none() | st.just("null"), st.none() | st.just("2026-11"))
def test_content_is_the_same_whether_nothing_is_said_or_nothing_is_there(
    items: dict[str, str | None], reason: str | None, source: str | None
) -> None:
    said = {"type": "retracted", "occurred_at": "2026", "reason": reason}
    with_nulls = {**said, "data": {"a": items, "b": [1]}, "recorded_at_source": source}
    without = {name: one for name, one in items.items() if one is not None}
    plain = {**with_nulls, "data": {"a": without, "b": [1]}}
    expected = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert json.loads(content_of(Envelope.model_validate(with_nulls))) == json.loads(expected)
    assert content_of(Envelope.model_validate(plain)) == content_of(
        Envelope.model_validate(with_nulls)
    )
