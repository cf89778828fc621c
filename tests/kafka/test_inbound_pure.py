"""Inbound without a broker: what a message says, in which order messages go on, what may wait."""

import json
from typing import Any

import pytest

from domain.kernel import Impossible, Refused, WouldDeviate
from domain.refusals import REFUSED
from infra.kafka.inbound import Message
from infra.ledger.types import StoreAway
from services.inbound.message import Received, received
from services.inbound.patience import LIFTED_BY_OTHERS, may_be_lifted
from services.inbound.progress import Progress
from services.inbound.results import answer_of
from services.inbound.sequence import Sequence
from services.inbound.settling import terms_of
from services.state import NotFound
from services.terms import EventIdReused, PreconditionFailed, PreconditionRequired
from tests.kafka.posting import CALLER, Sent, as_message, consented, referred

STUDY = "S-1"
TOPIC = "cairn.S-1.inbound"
TERMS = terms_of(CALLER, TOPIC)
STRUCTURED = ("content-type", b"application/cloudevents+json; charset=utf-8")
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "7",
    "source": "urn:lab",
    "type": "cairn.participant.consented.v1",
    "subject": "S-1/a",
    "time": "2025-11-02T10:00:00Z",
}
SIGNED = {"form_version": "1.0", "signed_by": "participant"}


def binary(**but: str) -> tuple[tuple[str, bytes], ...]:
    return tuple((f"ce_{name}", value.encode()) for name, value in {**ATTRIBUTES, **but}.items())


def read(value: Any, *headers: tuple[str, bytes | None], offset: int = 5) -> Received:
    body = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return received(STUDY, as_message(STUDY, offset, b"k", body, headers), TERMS)


@pytest.mark.parametrize(
    ("value", "headers", "source", "name"),
    [
        (consented("a"), (), f"urn:kafka:{TOPIC}", "0:5"),
        (consented("a", id="1"), (), f"urn:kafka:{TOPIC}", "1"),
        (consented("a", source="urn:edc"), (), "urn:edc", f"{TOPIC}:0:5"),
        (consented("a", id="1", source="urn:edc"), (), "urn:edc", "1"),
        ({**ATTRIBUTES, "data": SIGNED}, (STRUCTURED,), "urn:lab", "7"),
        (SIGNED, binary(), "urn:lab", "7"),
        (SIGNED, (("content-type", b"application/json"), *binary()), "urn:lab", "7"),
    ],
    ids=["bare", "id", "source", "both", "structured", "binary", "binary with its type"],
)
def test_every_form_says_the_same(
    value: Any, headers: tuple[tuple[str, bytes], ...], source: str, name: str
) -> None:
    found = read(value, *headers)
    assert found.posted is not None
    assert (found.posted.source, found.posted.id) == (source, name)
    assert (found.posted.body.type, found.posted.participant) == ("consented", "a")
    assert found.terms is None


POISON: dict[str, tuple[Sent, int, str]] = {
    "no value": ((b"k", None, ()), 400, "empty"),
    "no bytes": ((b"k", b"", ()), 400, "not-json"),
    "not JSON": ((b"k", b'{"type": ', ()), 400, "not-json"),
    "not UTF-8": ((b"k", b"\xff\xfe", ()), 400, "encoding"),
    "a member twice": ((b"k", b'{"a":1,"a":1}', ()), 400, "duplicate-key"),
    "no number": ((b"k", b'{"a":NaN}', ()), 400, "number"),
    "too deep": ((b"k", b'{"a":' * 40 + b"1" + b"}" * 40, ()), 400, "too-deep"),
    "too large": ((b"k", b'"' + b"x" * 70_000 + b'"', ()), 413, ""),
    "several": ((b"k", b"[{}, {}]", ()), 422, "one-event-a-message"),
    "no event": ((b"k", b'"text"', ()), 422, "model-type"),
    "unknown type": (
        (b"k", b'{"type":"eaten","participant":"a","occurred_at":"2025-01-01"}', ()),
        422,
        "unknown-type",
    ),
    "lines": ((b"k", b"{}", (("content-type", b"application/x-ndjson"),)), 415, ""),
    "another type": ((b"k", b"{}", (("content-type", b"text/plain"),)), 415, ""),
    "two types": ((b"k", b"{}", (("content-type", b"a"), ("Content-Type", b"b"))), 400, "headers"),
    "a type in no text": ((b"k", b"{}", (("content-type", b"\xff"),)), 400, "encoding"),
    "an attribute in no text": ((b"k", b"{}", (*binary(), ("ce_x", b"\xff"))), 400, "encoding"),
    "an attribute twice": ((b"k", b"{}", (*binary(), *binary())), 422, "duplicate-attribute"),
    "another study": ((b"k", b"{}", binary(subject="S-2/a")), 422, "differs-from-path"),
    "another version": ((b"k", b"{}", binary(specversion="2.0")), 422, "literal-error"),
}


@pytest.mark.parametrize("what", POISON)
def test_what_cannot_be_read_is_answered_with_its_rule(what: str) -> None:
    (_, value, headers), status, rule = POISON[what]
    found = read(value, *headers)
    assert found.posted is None
    assert found.problem is not None
    said = found.problem.document()
    rules = {one["rule"] for one in said.get("problems", [])} or {said.get("rule", "")}
    assert (said["status"], rules) == (status, {rule})


def test_a_defect_in_one_message_is_answered_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_document: object, **_named: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("services.door.content.posted", broken)
    found = read(consented("a"))
    assert found.problem is not None
    assert found.problem.status == 500


def test_headers_set_conditions_as_over_rest() -> None:
    strict = read(consented("a"), ("prefer", b"handling=strict")).terms
    matched = read(consented("a"), ("if-match", b'"7"')).terms
    assert strict is not None
    assert matched is not None
    assert (strict.strict, strict.if_match) == (True, None)
    assert (matched.strict, matched.if_match) == (False, 7)


def test_an_answer_names_the_message_and_nothing_that_it_says() -> None:
    secret = "Ada Lovelace"
    sent = read(
        {**referred("a", id="1"), "reason": secret, secret: secret},
        ("correlation-id", b"c-1"),
        ("traceparent", b"x" * 300),
        ("other", b"y"),
    )
    assert sent.problem is not None
    problem = sent.problem.document()
    result = answer_of(sent, {"index": 3, "status": 422, "problem": problem}, None)
    assert secret.encode() not in result.value
    assert result.topic == "cairn.S-1.inbound-results"
    assert json.loads(result.value) == {
        "topic": TOPIC,
        "partition": 0,
        "offset": 5,
        "status": 422,
        "problem": problem,
    }
    assert dict(result.headers) == {
        "content-type": b"application/json",
        "status": b"422",
        "correlation-id": b"c-1",
    }


# --- order ----------------------------------------------------------------------------------------


def at(moment: str, offset: int, partition: int = 0, recorded: str | None = None) -> Received:
    document = {**consented("a"), "occurred_at": moment, "recorded_at_source": recorded}
    message = Message(TOPIC, partition, offset, b"a", json.dumps(document).encode(), ())
    return received(STUDY, message, TERMS)


def offsets(taken: list[Received]) -> list[int]:
    return [one.message.offset for one in taken]


def test_when_nothing_more_is_known_to_come_everything_goes_on_in_order() -> None:
    sequence = Sequence()
    sequence.add(at("2025-01-03", 0))
    sequence.add(at("2025-01-01T10:00:00Z", 1, recorded="2025-01-04"))
    sequence.add(at("2025-01-02", 2))
    sequence.add(read(None, offset=3))
    assert offsets(sequence.taken({(TOPIC, 0): 0}, 10)) == [3, 2, 0, 1]


def test_while_more_comes_only_what_nothing_can_overtake_any_more_goes_on() -> None:
    sequence = Sequence(reach=2)
    for offset, day in enumerate(("04", "03", "02", "01")):
        sequence.add(at(f"2025-01-{day}", offset))
    assert offsets(sequence.taken({(TOPIC, 0): 9, (TOPIC, 1): 0}, 10)) == [3, 2]
    assert offsets(sequence.taken({(TOPIC, 0): 0, (TOPIC, 1): 1}, 10)) == []
    assert offsets(sequence.taken({(TOPIC, 0): 0, (TOPIC, 1): 0}, 10)) == [1, 0]


def test_what_is_anothers_now_does_not_go_on() -> None:
    sequence = Sequence()
    sequence.add(at("2025-01-01", 0, partition=0))
    sequence.add(at("2025-01-02", 0, partition=1))
    sequence.drop({(TOPIC, 0)})
    assert [one.partition for one in sequence.taken({}, 10)] == [(TOPIC, 1)]


def test_a_partition_is_done_up_to_the_first_message_that_is_not() -> None:
    progress, partition = Progress(), (TOPIC, 0)
    progress.begin(partition, 10)
    assert [progress.read(partition, offset) for offset in (10, 11, 11, 13, 9)] == [
        *(True, True, False, True, False)
    ]
    progress.done(partition, 11)
    assert progress.to_commit() == {}
    progress.done(partition, 10)
    assert progress.to_commit() == {partition: 13}
    progress.committed({partition: 13})
    assert progress.to_commit() == {}
    progress.done(partition, 13)
    assert progress.to_commit() == {partition: 14}
    progress.forget([partition])
    progress.done(partition, 14)
    assert progress.to_commit() == {}
    assert not progress.read(partition, 15)


# --- patience -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (NotFound("participant"), True),
        (NotFound("study"), False),
        (WouldDeviate(("visit-window",), ()), True),
        (PreconditionFailed(6, 7, STUDY, "a"), True),
        (PreconditionFailed(8, 7, STUDY, "a"), False),
        (PreconditionRequired("x"), False),
        (Impossible("future", "x"), False),
        (EventIdReused(3), False),
        (StoreAway("x"), False),
        *((Refused(rule, "x"), True) for rule in sorted(LIFTED_BY_OTHERS)),
        *((Refused(rule, "x"), False) for rule in sorted(set(REFUSED) - LIFTED_BY_OTHERS)),
    ],
    ids=lambda value: str(getattr(value, "rule", None) or value),
)
def test_only_what_others_may_lift_waits(error: BaseException, waits: bool) -> None:
    assert may_be_lifted(error) is waits


def test_every_rule_that_others_lift_is_a_rule() -> None:
    assert set(REFUSED) > LIFTED_BY_OTHERS
