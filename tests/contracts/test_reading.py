"""Stored bytes are taken apart to what the envelope's schema makes of them, or not at all."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from domain import catalogue
from domain.kernel import Actor, Event, Recorded
from domain.time import When
from infra.ledger.envelope import read, template, validated
from infra.ledger.markers import BEGINNING, filled, leaf
from infra.ledger.reading import taken_apart
from infra.ledger.types import Stored
from infra.ledger.upcasting import named, topic
from tests.domain.any_fact import FACTS, fact

GOLDEN = Path(__file__).parents[1] / "golden"
LINES = [json.loads(line) for line in (GOLDEN / "events.ndjson").read_text("utf-8").splitlines()]
SENT = When.parse("2026-11-02T10:00:00-05:00")


def stored(topic: str, body: bytes) -> Stored:
    return Stored(7, "01-004", 3, topic, body, leaf(body))


EVERY_TYPE = [stored(line["topic"], line["envelope"].encode()) for line in LINES]


def types_of(topic: str) -> dict[str, type[Event]]:
    return catalogue.STUDY if topic.startswith("study.") else catalogue.PARTICIPANT


def quickly(one: Stored) -> Recorded | None:
    """The envelope by its form, None where that is left to the schema."""
    try:
        return taken_apart(one, types_of(one.topic)[named(one.topic)[0]])
    except (ValueError, TypeError, KeyError):
        return None


def by_schema(one: Stored) -> Recorded | None:
    try:
        return validated(one, types_of(one.topic))
    except ValidationError:
        return None


def told(value: Any) -> Any:
    """A value with the types of all that is in it, in order; a set field is told from a default."""
    match value:
        case BaseModel():
            inner = [(name, told(one)) for name, one in value.__dict__.items()]
            return (type(value), inner, sorted(value.model_fields_set))
        case dict():
            return (type(value), [(told(key), told(one)) for key, one in value.items()])
        case tuple() | list():
            return (type(value), [told(one) for one in value])
        case datetime():
            return (type(value), repr(value))
        case _ if hasattr(value, "__dataclass_fields__"):
            names = value.__dataclass_fields__
            return (type(value), [(name, told(getattr(value, name))) for name in names])
        case _:
            return (type(value), repr(value))


@pytest.mark.parametrize("one", EVERY_TYPE, ids=[one.topic for one in EVERY_TYPE])
def test_every_type_is_taken_apart_to_what_the_schema_makes_of_it(one: Stored) -> None:
    found, cls = quickly(one), types_of(one.topic)[named(one.topic)[0]]
    assert (found is not None) == (cls.schema_version == named(one.topic)[1])
    if found is not None:
        assert told(found) == told(by_schema(one)) == told(read(one, types_of(one.topic)))


def test_so_is_a_whole_ledger() -> None:
    with gzip.open(GOLDEN / "ledger-1.ndjson.gz", "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    events = [stored(line["topic"], line["envelope"].encode()) for line in lines if "topic" in line]
    assert len(events) > 4_000
    for one in events:
        found = quickly(one)
        assert found is not None
        assert told(found) == told(by_schema(one))


@settings(deadline=None)
@given(said=st.sampled_from(sorted(FACTS)).flatmap(fact), sent=st.sampled_from([None, SENT]))
def test_so_is_any_fact(said: Any, sent: When | None) -> None:
    event = Recorded(
        body=said.body,
        position=7,
        version=3,
        occurred_at=said.when,
        recorded_at=datetime(2027, 1, 1, tzinfo=UTC),
        actor=Actor(id="a", role="system"),
        participant="01-004",
        recorded_at_source=sent,
    )
    text, _ = filled(template(event).decode(), 7, None, BEGINNING)
    one = stored(topic("participant", said.body), text.encode())
    found = quickly(one)
    assert found is not None
    assert told(found) == told(by_schema(one))


# --- bytes that nobody wrote ----------------------------------------------------------------------

OTHER = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 3, 2**63, 2**64, 10**30, 1.5, 3.0, 1e300]),
    st.sampled_from(["", "x", "3", "64.50", "2026-11-02", "2026-02-30", "fact", "null", "a" * 70]),
    st.sampled_from(["2026-11-22T24:00:00.000000Z", "2026-11-22T10:00:00,123456Z", "1700000000"]),
    st.sampled_from(["2026-11-22 10:00:00.123456Z", "2026-11-22T10:00:00.123456+00:00"]),
    st.sampled_from([[], {}, [1], ["x"], {"x": 1}, {"id": "a", "role": "b", "x": 1}]),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Each container within a document with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    inner = [(value, key) for key in keys]
    below = [value[key] for key in keys if isinstance(value[key], dict | list)]
    return inner + [place for one in below for place in places(one)]


def changed(body: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """The document with something else, nothing, something more, or another order in one place."""
    document = json.loads(body)
    parent, key = draw(st.sampled_from(places(document)))
    match draw(st.sampled_from(["other", "gone", "more", "last", "twice", "bytes"])):
        case "gone":
            del parent[key]
        case "more" if isinstance(parent, dict):
            parent[draw(st.sampled_from(["x", "type", "schema", "recorded_at_source"]))] = draw(
                OTHER
            )
        case "last" if isinstance(parent, dict):
            parent[key] = parent.pop(key)
        case "twice" if isinstance(key, str):
            name = json.dumps(key).encode() + b":"
            doubled: bytes = body.replace(
                name, name + json.dumps(draw(OTHER)).encode() + b"," + name, 1
            )
            return doubled
        case "bytes":
            place = draw(st.integers(0, len(body) - 1))
            scrap: bytes = draw(st.binary(max_size=2))
            return body[:place] + scrap + body[place + 1 :]
        case _:
            parent[key] = draw(OTHER)
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("topic", "old", "new"),
    [
        ("observation-recorded", b'"code":', b'"code":"c3","code":'),
        ("observation-recorded", b'"components":{', b'"components":{"arthritis":null,'),
        ("observation-recorded", b'"components":{', b'"components": {'),
        ("corrected", b'"data":{"data":{', b'"data":{"data":{"a":100000000000000000000,'),
        ("corrected", b'"data":{"data":{', b'"data":{"data":{"a":1E2,'),
    ],
)
def test_what_is_not_written_as_the_ledger_writes_is_left_to_the_schema(
    topic: str, old: bytes, new: bytes
) -> None:
    bodies = [one.body for one in EVERY_TYPE if one.topic == f"participant.{topic}.v1"]
    (body,) = [body for body in bodies if old in body][:1]
    one = stored(f"participant.{topic}.v1", body)
    assert quickly(one) is not None
    assert quickly(stored(one.topic, body.replace(old, new, 1))) is None


@settings(deadline=None, max_examples=1_000)
@given(data=st.data())
def test_what_the_schema_refuses_or_reads_otherwise_is_left_to_it(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(EVERY_TYPE))
    bent = stored(one.topic, changed(one.body, data.draw))
    found = quickly(bent)
    if found is not None:
        assert told(found) == told(by_schema(bent))
