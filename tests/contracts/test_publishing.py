"""Publishing, on the store in memory and on PostgreSQL: immutable versions under their address."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from domain.kernel import Actor, Problem
from domain.trial.reading import plain
from domain.trial.usdm import exported
from infra.documents import Documents, MemoryDocuments, PostgresDocuments
from infra.ledger.ledger import Ledger
from infra.ledger.memory import MemoryLedger
from infra.ledger.postgres import PostgresLedger
from infra.protocol_files import read, write
from infra.vault.keyring import KeyRing, MemoryKeyStore
from services.door import Invalid, Malformed, TooLarge, UnknownContent
from services.publishing import (
    Publishing,
    Rendering,
    VersionPublished,
    built_in_protocol,
    draft,
    rendered,
)
from services.record import Recording, Terms
from services.state import HotState, NotFound

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
TERMS = Terms(Actor(id="sponsor.one", role="sponsor"), "test")
SMALL = {"title": "A small study", "registry": "NCT00000001", "accrual": 5}
JSON, YAML = "application/json", "application/yaml"

Open = Callable[[], Publishing]
"""Opens the store anew, as another process would."""


@pytest.fixture(params=["memory", "postgresql"])
def process(request: pytest.FixtureRequest) -> Iterator[Open]:
    ledgers: list[Ledger] = []
    documents: Documents
    if request.param == "memory":
        shared, documents = MemoryLedger(), MemoryDocuments()
        yield lambda: publishing(shared, documents)
        return
    pool = request.getfixturevalue("pool")
    documents = PostgresDocuments(pool)

    def opened() -> Publishing:
        ledgers.append(PostgresLedger(pool))
        return publishing(ledgers[-1], documents)

    yield opened
    for ledger in ledgers:
        ledger.close()


def publishing(ledger: Ledger, documents: Documents) -> Publishing:
    keys = KeyRing(bytes(32), MemoryKeyStore())
    hot = HotState(ledger, documents)
    return Publishing(Recording(ledger, keys, hot, lambda: NOW), documents)


def put(
    where: Publishing, version: str, document: dict[str, Any], study: str = "S", kind: str = JSON
) -> Any:
    body = write(document, "json" if kind == JSON else "yaml")
    return asyncio.run(where.publish(study, version, body, kind, TERMS))


def test_the_first_version_registers_the_study_and_says_its_address(process: Open) -> None:
    one = process()
    published = put(one, "1.0", SMALL)
    assert (published.created, published.version, published.position) == (True, "1.0", 2)
    trial = process().protocol("S", "1.0")
    assert (trial.title, trial.accrual) == ("A small study", 5)
    body = json.dumps(plain(trial), sort_keys=True, separators=(",", ":")).encode()
    assert published.sha256 == sha256(body).hexdigest()


def test_a_second_version_does_not_register_the_study_again(process: Open) -> None:
    one = process()
    put(one, "1.0", SMALL)
    second = put(one, "2.0", {**SMALL, "accrual": 6})
    assert second.position == 3
    assert [(v.version, v.position) for v in process().versions("S")] == [("1.0", 2), ("2.0", 3)]


@pytest.mark.parametrize("kind", [JSON, YAML, "text/yaml; charset=utf-8"])
def test_the_same_content_again_is_the_same_version_in_whatever_form(
    process: Open, kind: str
) -> None:
    first = put(process(), "1.0", {**SMALL, "dose": {"amount": "0.50", "unit": "mg"}})
    again = put(process(), "1.0", {**SMALL, "dose": {"amount": "0.5", "unit": "mg"}}, kind=kind)
    assert again.created is False
    assert (again.sha256, again.position) == (first.sha256, first.position)


def test_other_content_under_a_published_version_is_refused(process: Open) -> None:
    one = process()
    put(one, "1.0", SMALL)
    with pytest.raises(VersionPublished):
        put(process(), "1.0", {**SMALL, "accrual": 6})
    assert one.protocol("S", "1.0").accrual == 5


def test_of_two_publishers_of_one_version_exactly_one_wins(process: Open) -> None:
    async def race() -> list[Any]:
        bodies = [write({**SMALL, "accrual": n + 1}, "json") for n in range(8)]
        tries = [process().publish("S", "1.0", body, JSON, TERMS) for body in bodies]
        return await asyncio.gather(*tries, return_exceptions=True)

    outcomes = asyncio.run(race())
    won = [one for one in outcomes if not isinstance(one, BaseException)]
    assert len(won) == 1
    assert all(isinstance(one, VersionPublished) for one in outcomes if one not in won)
    assert [one.sha256 for one in process().versions("S")] == [won[0].sha256]


def test_publishers_of_several_versions_all_succeed(process: Open) -> None:
    async def race() -> None:
        body = write(SMALL, "json")
        await asyncio.gather(
            *(process().publish("S", f"{n}.0", body, JSON, TERMS) for n in range(6))
        )

    asyncio.run(race())
    versions = process().versions("S")
    assert {one.version for one in versions} == {f"{n}.0" for n in range(6)}
    assert [one.position for one in versions] == list(range(2, 8))


def test_a_study_from_usdm_is_read_under_the_address_it_is_put_to(process: Open) -> None:
    document = exported(built_in_protocol())
    published = put(process(), "2.0", document, study="LK-23-01")
    assert published.created
    assert process().protocol("LK-23-01", "2.0") == built_in_protocol()
    assert asyncio.run(process().publish_built_in(TERMS)).created is False


def test_the_built_in_study_is_published_once_and_keeps_an_earlier_edition(process: Open) -> None:
    assert asyncio.run(process().publish_built_in(TERMS)).created is True
    assert asyncio.run(process().publish_built_in(TERMS)).created is False


def test_an_earlier_edition_of_the_built_in_study_stands(process: Open) -> None:
    earlier = {**plain(built_in_protocol()), "title": "An earlier edition"}
    first = put(process(), "2.0", earlier, study="LK-23-01")
    found = asyncio.run(process().publish_built_in(TERMS))
    assert (found.created, found.sha256) == (False, first.sha256)


@pytest.mark.parametrize("form", ["json", "yaml", "usdm"])
def test_every_form_that_is_read_back_is_the_same_content(process: Open, form: Rendering) -> None:
    one = process()
    published = asyncio.run(one.publish_built_in(TERMS))
    body = one.read("LK-23-01", "2.0", form)
    kind = YAML if form == "yaml" else JSON
    again = asyncio.run(one.publish("LK-23-01", "2.0", body, kind, TERMS))
    assert (again.created, again.sha256) == (False, published.sha256)


def test_what_is_not_there_is_not_found(process: Open) -> None:
    one = process()
    with pytest.raises(NotFound):
        one.versions("S")
    put(one, "1.0", SMALL)
    for ask in (one.protocol, one.published):
        with pytest.raises(NotFound):
            ask("S", "9.9")


def test_nothing_is_recorded_of_a_document_with_problems(process: Open) -> None:
    one = process()
    with pytest.raises(Invalid):
        put(one, "1.0", {**SMALL, "accrual": 0})
    with pytest.raises(NotFound):
        process().versions("S")


# --- drafts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "refusal"),
    [
        (b"{", JSON, Malformed),
        (b'{"a": 1, "a": 2}', JSON, Malformed),
        (b"a: &x 1\nb: *x", YAML, Malformed),
        (b"{}", "text/plain", UnknownContent),
        (b"{}", "", UnknownContent),
        (b" " * (8 * 1024 * 1024 + 1), JSON, TooLarge),
        (b"[]", JSON, Invalid),
        (b"canary", YAML, Invalid),
        (b'{"usdmVersion": "4.0.0"}', JSON, Invalid),
    ],
)
def test_what_cannot_be_read_is_refused_without_an_echo(
    body: bytes, kind: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal) as refused:
        draft(body, kind)
    assert "canary" not in str(refused.value)


def test_every_problem_of_a_document_is_listed_with_its_place() -> None:
    document = {
        **SMALL,
        "visits": [{"code": "V1", "name": "Dose", "kind": "dosing", "day": 0}] * 2,
        "criteria": [
            {
                "id": "I1",
                "kind": "inclusion",
                "text": "x",
                "rule": {"rule": "attested", "statement": "wel"},
            },
        ],
        "dictionary": {"egfr": {"name": "eGFR", "kind": "quantity"}},
    }
    with pytest.raises(Invalid) as refused:
        draft(write(document, "json"), JSON, study="S", version="1")
    assert list(refused.value.problems) == [
        Problem("/criteria/0/rule/statement", "unknown-statement"),
        Problem("/dictionary/egfr", "quantity-without-unit"),
        Problem("/visits/1", "overlapping-windows"),
        Problem("/visits/1/code", "duplicate-code"),
        Problem("/visits/1/day", "visits-out-of-order"),
        Problem("/visits/1/kind", "several-dosing-visits"),
    ]


def test_the_built_in_protocol_reads_back_from_yaml() -> None:
    body = rendered(built_in_protocol(), "yaml")
    assert read(body, "yaml") == plain(built_in_protocol())
