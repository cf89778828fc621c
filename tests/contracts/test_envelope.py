"""The bytes of an event: canonical, the same for ever, and read back as what was written."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from domain.canonical import NotCanonical, canonical
from domain.catalogue import PARTICIPANT, STUDY
from domain.journey.consent import Consented
from domain.journey.oversight import Corrected, DeviationDetected
from domain.journey.referral import Referred
from domain.kernel import PROVISIONAL, Actor, Clear, Conclusion, Event, Fact, Recorded, Sealed
from domain.safety.events import ContradictionFound, Side
from domain.time import When
from infra.ledger.envelope import EVIDENCE, instant_text, read, template
from infra.ledger.markers import BEGINNING, filled, leaf
from infra.ledger.types import Stored
from infra.ledger.upcasting import current, topic

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "vectors" / "jcs" / "testdata"
AT = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
HASH = "ab" * 32


def envelope(body: Event, **changes: Any) -> Recorded:
    fields: dict[str, Any] = {
        "body": body,
        "position": PROVISIONAL,
        "version": 8,
        "occurred_at": When.parse("2026-11-02T09:15:00-05:00"),
        "recorded_at": AT,
        "actor": Actor(id="dr.lee", role="investigator"),
        "participant": "01-004",
    }
    return Recorded(**(fields | changes))


def stored(event: Recorded, first: int = 1043, previous: str | None = HASH) -> Stored:
    text, _ = filled(template(event).decode(), first, previous, BEGINNING)
    body = text.encode()
    return Stored(first, "01-004", 8, topic("participant", event.body), body, leaf(body))


def integers(cls: Any) -> Iterator[str]:
    """The members of a model that hold integers, and those of its parts."""
    for name, member in cls.model_fields.items():
        found = _types(member.annotation)
        if int in found:
            yield name
        for part in found:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from integers(part)


def _types(hint: Any) -> set[Any]:
    return {hint}.union(*map(_types, get_args(hint)))


FACT = envelope(
    Consented(form_version="1.0", signed_by="participant"),
    id="EDC-88121",
    source="urn:edc:site-01",
    protocol="2.0",
    recorded_at_source=When.parse("2026-11-02T10:00:00-05:00"),
)
FACT_BYTES = (
    '{"actor":{"id":"dr.lee","role":"investigator"},"cause":null,'
    '"data":{"form_version":"1.0","signed_by":"participant"},"id":"EDC-88121","kind":"fact",'
    '"occurred_at":"2026-11-02T09:15:00-05:00","participant":"01-004","position":1043,'
    f'"previous":"{HASH}","protocol":"2.0","reason":null,'
    '"recorded_at":"2026-11-22T10:00:00.123456Z",'
    '"recorded_at_source":"2026-11-02T10:00:00-05:00","schema":1,"source":"urn:edc:site-01",'
    '"type":"consented","version":8}'
)
CONCLUSION = envelope(
    DeviationDetected(
        rule="window",
        category="visit-window",
        importance="minor",
        explanation="9007199254740992 \x03 Zoë",
        evidence=(17, PROVISIONAL, PROVISIONAL + 2),
    ),
    position=PROVISIONAL + 1,
    cause=PROVISIONAL,
)
CONCLUSION_BYTES = (
    '{"actor":{"id":"dr.lee","role":"investigator"},"cause":1043,'
    '"data":{"category":"visit-window","evidence":[17,1043,1045],'
    '"explanation":"9007199254740992 \\u0003 Zoë","importance":"minor","rule":"window"},'
    '"id":null,"kind":"conclusion","occurred_at":"2026-11-02T09:15:00-05:00",'
    f'"participant":"01-004","position":1044,"previous":"{HASH}","protocol":null,"reason":null,'
    '"recorded_at":"2026-11-22T10:00:00.123456Z","schema":1,"source":null,'
    '"type":"deviation-detected","version":8}'
)


@pytest.mark.parametrize(
    ("event", "expected"),
    [(FACT, FACT_BYTES), (CONCLUSION, CONCLUSION_BYTES)],
    ids=["fact", "conclusion"],
)
def test_the_bytes_of_an_event_never_change(event: Recorded, expected: str) -> None:
    assert stored(event).body.decode() == expected
    assert canonical(json.loads(expected)) == expected.encode()


def test_an_event_is_read_back_as_it_was_written() -> None:
    back = read(stored(FACT), PARTICIPANT)
    assert back == envelope(
        FACT.body,
        position=1043,
        id=FACT.id,
        source=FACT.source,
        protocol=FACT.protocol,
        recorded_at_source=FACT.recorded_at_source,
        previous=HASH,
        hash=leaf(FACT_BYTES.encode()),
    )
    evidence = read(stored(CONCLUSION), PARTICIPANT).body
    assert isinstance(evidence, DeviationDetected)
    assert evidence.evidence == (17, 1043, 1045)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
INSTANTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))]))


@given(texts=st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), at=INSTANTS, first=st.integers(1, 2**52))
def test_whatever_the_texts_are_the_bytes_are_canonical_and_read_back(
    texts: tuple[str, str, str, str], at: datetime, first: int
) -> None:
    reason, source, explanation, rule = texts
    body = DeviationDetected(
        rule=rule,
        category="visit-window",
        importance="minor",
        explanation=explanation,
        evidence=(1, PROVISIONAL),
    )
    event = envelope(body, reason=reason, source=source, id=rule, recorded_at=at)
    written = stored(event, first)
    assert canonical(json.loads(written.body)) == written.body
    back = read(written, PARTICIPANT)
    assert (back.reason, back.source, back.id) == (reason, source, rule)
    assert back.body == body.model_copy(update={"evidence": (1, first)})
    assert back.recorded_at == at


@given(st.lists(INSTANTS, max_size=10))
def test_recording_times_sort_as_texts_like_instants(instants: list[datetime]) -> None:
    assert sorted(map(instant_text, instants)) == list(map(instant_text, sorted(instants)))


def test_decimals_of_a_correction_are_written_as_they_were_sent() -> None:
    body = Corrected(position=3, data={"value": Decimal("45.0"), "evidence": [2, None]})
    assert b'"data":{"data":{"evidence":[2,null],"value":"45.0"},"position":3}' in template(
        envelope(body)
    )


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (envelope(Corrected(position=3, data={"value": 4.5})), NotCanonical),
        (envelope(Corrected(position=3, data={"value": 2**53 + 10_000})), NotCanonical),
        (envelope(Corrected(position=3, data={"value": -(2**53)})), NotCanonical),
        (envelope(Corrected(position=3, data={"größe": 1})), NotCanonical),
        (envelope(FACT.body, reason="\ud800"), NotCanonical),
        (
            envelope(Referred(site="01", channel="self", message=Clear("call me"))),
            PydanticSerializationError,
        ),
    ],
    ids=["a float", "too large", "too small", "a key", "half a character", "unsealed"],
)
def test_what_has_no_canonical_form_is_not_written(event: Recorded, error: type[Exception]) -> None:
    with pytest.raises(error) as refused:
        template(event)
    assert "call me" not in str(refused.value)


def test_a_sealed_value_comes_back_sealed() -> None:
    sealed = Sealed(sealed="c2VhbGVk", key="k1")
    event = envelope(Referred(site="01", channel="self", message=sealed))
    body = read(stored(event), PARTICIPANT).body
    assert isinstance(body, Referred)
    assert body.message == sealed


@pytest.mark.parametrize(
    ("old", "new"),
    [('"version":8', '"version":"8"'), ('"kind"', '"kinds"'), ('1.0"', '1.0","x":1')],
)
def test_bytes_that_are_no_such_event_are_not_read(old: str, new: str) -> None:
    body = FACT_BYTES.replace(old, new, 1)
    assert body != FACT_BYTES
    with pytest.raises(ValidationError):
        read(Stored(1, "01-004", 8, "participant.consented.v1", body.encode(), ""), PARTICIPANT)


class Weighed(Fact):
    """A type in its third version: `kg` was called `weight`, and before that it was in grams."""

    schema_version: ClassVar[int] = 3
    type: Literal["weighed"] = "weighed"
    kg: int


STEPS = {
    "participant.weighed.v1": lambda data: {"weight": data["grams"] // 1_000},
    "participant.weighed.v2": lambda data: {"kg": data["weight"]},
}


@pytest.mark.parametrize(
    ("version", "data"), [(1, {"grams": 81_000}), (2, {"weight": 81}), (3, {"kg": 81})]
)
def test_older_versions_of_an_event_are_brought_to_todays(
    version: int, data: dict[str, Any]
) -> None:
    body = canonical({"data": data, "schema": version, "type": "weighed"})
    name, brought = current(f"participant.weighed.v{version}", body, {"weighed": Weighed}, STEPS)
    assert name == "weighed"
    assert json.loads(brought) == {"data": {"kg": 81}, "schema": version, "type": "weighed"}


def test_a_version_without_a_step_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        current("participant.weighed.v1", b'{"data":{}}', {"weighed": Weighed}, {})
    with pytest.raises(KeyError):
        current("participant.measured.v1", b'{"data":{}}', {"weighed": Weighed}, STEPS)


@pytest.mark.skipif(not VECTORS.exists(), reason="the published RFC 8785 vectors are not here")
@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("arrays", True),
        ("french", False),
        ("unicode", True),
        ("structures", False),
        ("values", False),
        ("weird", False),
    ],
)
def test_the_published_vectors_are_met_where_they_fit_the_profile(name: str, fits: bool) -> None:
    """Left out on purpose: floats (structures, values) and keys beyond ASCII (french, weird)."""
    value = json.loads((VECTORS / "input" / f"{name}.json").read_text("utf-8"))
    if not fits:
        with pytest.raises(NotCanonical):
            canonical(value)
        return
    assert canonical(value) == (VECTORS / "output" / f"{name}.json").read_bytes().strip()


@pytest.mark.skipif(not VECTORS.exists(), reason="the published RFC 8785 vectors are not here")
def test_texts_of_the_vectors_beyond_the_profile_are_escaped_alike() -> None:
    values = json.loads((VECTORS / "input" / "values.json").read_text("utf-8"))
    expected = (VECTORS / "output" / "values.json").read_bytes()
    assert b'"string":' + canonical(values["string"]) in expected
    weird = json.loads((VECTORS / "input" / "weird.json").read_text("utf-8"))
    output = (VECTORS / "output" / "weird.json").read_bytes()
    assert all(b":" + canonical(text) in output for text in weird.values())


COUNTS = {"occasion", "dosed", "evaluable", "with_toxicity"}


def test_a_conclusion_names_positions_as_evidence_and_nowhere_else() -> None:
    conclusions = [cls for cls in (PARTICIPANT | STUDY).values() if issubclass(cls, Conclusion)]
    assert len(conclusions) > 10
    for cls in conclusions:
        assert set(integers(cls)) - COUNTS == {EVIDENCE}, cls


@pytest.mark.parametrize("first", [44, 1043, PROVISIONAL])
def test_wherever_a_conclusion_was_judged_the_ledger_gives_its_positions(first: int) -> None:
    told = ContradictionFound(
        because="end-before-onset",
        explanation="60 is not a position, nor is 44.",
        evidence=(3, 43, first, first + 1),
        sides=(Side(said="1043", evidence=(first,)), Side(said="44", evidence=(43,))),
    )
    event = envelope(told, position=first + 1, cause=first)
    text, _ = filled(template(event, first=first).decode(), 60, HASH, BEGINNING)
    found = json.loads(text)
    assert (found["position"], found["cause"]) == (61, 60)
    assert found["data"] == {
        "because": "end-before-onset",
        "evidence": [3, 43, 60, 61],
        "explanation": "60 is not a position, nor is 44.",
        "sides": [{"evidence": [60], "said": "1043"}, {"evidence": [43], "said": "44"}],
    }


def test_what_was_posted_is_a_number_whatever_was_foreseen() -> None:
    event = envelope(Corrected(position=44, data={"evidence": [44, 45]}), position=44)
    text, _ = filled(template(event, first=44).decode(), 60, HASH, BEGINNING)
    assert json.loads(text)["data"] == {"data": {"evidence": [44, 45]}, "position": 44}
    assert json.loads(text)["position"] == 60
