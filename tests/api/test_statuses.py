"""Every status of the contract's table: what it takes to get it, that nothing is recorded by it,
and that nothing of what was sent comes back or reaches a log."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.ledger.types import StoreAway, StoreFull
from services import logs
from services.api.gate import Gate
from services.bootstrap import Settings, open_cairn
from services.problems import PROBLEMS, URN
from tests.api.conftest import (
    PROTOCOL,
    STUDY,
    Api,
    Clock,
    begin,
    consented,
    event,
    referred,
    served,
)
from tests.conftest import Server

pytestmark = pytest.mark.anyio

CANARY = "Xyzzy-Canary-4711"
EVENTS = "/participants/01-004/events"


def raw(text: str) -> bytes:
    return text.replace("CANARY", CANARY).encode()


def body(document: Any) -> bytes:
    return raw(json.dumps(document))


@dataclass(frozen=True)
class Row:
    name: str
    status: int
    problem: str
    content: bytes
    path: str = EVENTS
    headers: dict[str, str] = field(default_factory=dict)
    media: str = "application/json"
    role: str | None = "administrator"
    scope: dict[str, Any] = field(default_factory=dict)
    rule: str | None = None
    pointer: str | None = None


def wrong(name: str, document: Any, pointer: str, rule: str, **more: Any) -> Row:
    return Row(name, 422, "invalid", body(document), rule=rule, pointer=pointer, **more)


def unreadable(name: str, text: str, rule: str) -> Row:
    return Row(name, 400, "malformed", raw(text), rule=rule)


LONG = {"type": "note-added", "occurred_at": "2026-11-02", "data": {"text": "CANARY" * 12_000}}
CE = {
    "specversion": "1.0",
    "id": "1",
    "source": "urn:x",
    "type": "cairn.participant.consented.v1",
    "subject": f"{STUDY}/01-004",
    "time": "2026-11-02T09:00:00Z",
    "data": {"form_version": "1.0", "signed_by": "participant"},
}

ROWS = [
    # --- 400
    unreadable("not JSON", '{"type": "CANARY"', "not-json"),
    unreadable("a member twice", '{"type": "CANARY", "type": "CANARY"}', "duplicate-key"),
    unreadable("not a number", '{"type": NaN, "a": "CANARY"}', "number"),
    unreadable("beyond a double", '{"type": 1e400, "a": "CANARY"}', "number"),
    unreadable("beyond 2^53", '{"type": 9007199254740993, "a": "CANARY"}', "number"),
    unreadable("NUL", '{"type": "CANARY\\u0000"}', "nul"),
    unreadable("half a surrogate pair", '{"type": "CANARY\\ud800"}', "surrogate"),
    unreadable("too deep", '{"a":' * 40 + '"CANARY"' + "}" * 40, "too-deep"),
    unreadable(
        "too many members",
        json.dumps({f"a{n}": "CANARY" for n in range(1_001)}),
        "too-many-keys",
    ),
    Row("not UTF-8", 400, "malformed", b'{"type": "\xff"}', rule="encoding"),
    Row(
        "a key that cannot be read",
        400,
        "malformed",
        body(consented()),
        headers={"Idempotency-Key": CANARY * 20},
        rule="idempotency-key",
    ),
    # --- 401
    Row("no token", 401, "unauthenticated", body(consented()), role=None),
    Row(
        "a made-up token",
        401,
        "unauthenticated",
        body(consented()),
        role=None,
        headers={"Authorization": f"Bearer cairn1.{CANARY}.{CANARY}"},
    ),
    Row(
        "another scheme",
        401,
        "unauthenticated",
        body(consented()),
        role=None,
        headers={"Authorization": f"Basic {CANARY}"},
    ),
    # --- 403
    Row("an auditor posts", 403, "forbidden", body(consented()), role="auditor"),
    Row("a coordinator enrols", 403, "forbidden", body(event("enrolled")), role="coordinator"),
    Row("a system decides", 403, "forbidden", body(event("completed")), role="system"),
    Row(
        "another type than the system's",
        403,
        "forbidden",
        body(consented()),
        role="system",
        scope={"types": ("visit-completed",)},
    ),
    Row(
        "an administrator signs",
        403,
        "forbidden",
        body(event("signed", meaning="review", up_to_version=1)),
    ),
    Row(
        "a coordinator opens a site",
        403,
        "forbidden",
        body(event("site-opened", site="03", name=CANARY, timezone="UTC")),
        path="/events",
        role="coordinator",
    ),
    # --- 404
    Row(
        "an unknown participant",
        404,
        "not-found",
        body(consented()),
        path=f"/participants/{CANARY}/events",
    ),
    Row(
        "another site's participant, even for a role that may not post",
        404,
        "not-found",
        body(consented()),
        role="monitor",
        scope={"site": "02"},
    ),
    Row(
        "another study's token",
        404,
        "not-found",
        body(consented()),
        scope={"study": "S-2"},
    ),
    Row(
        "a referral to another site",
        404,
        "not-found",
        body(referred("02")),
        path="/participants/01-005/events",
        role="coordinator",
        scope={"site": "01"},
    ),
    # --- 409
    Row(
        "a decision that a rule blocks",
        409,
        "refused",
        body(event("enrolled")),
        rule="consent",
    ),
    Row(
        "a fact that would deviate",
        409,
        "would-deviate",
        body(event("visit-completed", visit="UNS", mode="in-person")),
        headers={"Prefer": "handling=strict"},
        rule="consent-before-procedure",
    ),
    Row(
        "an id used for something else",
        409,
        "event-id-reused",
        body(consented("2.0", id="R-1", source="urn:edc")),
    ),
    Row(
        "an id used for another participant",
        409,
        "event-id-reused",
        body({**referred("01"), "id": "R-1", "source": "urn:edc"}),
        path="/participants/01-005/events",
    ),
    # --- 412
    Row(
        "another version",
        412,
        "precondition-failed",
        body(consented()),
        headers={"If-Match": '"7"'},
    ),
    Row("a weak tag", 412, "precondition-failed", body(consented()), headers={"If-Match": 'W/"1"'}),
    Row(
        "no version at all",
        412,
        "precondition-failed",
        body(consented()),
        headers={"If-Match": CANARY},
    ),
    # --- 413
    Row("an event too large", 413, "too-large", body(LONG)),
    Row("one of an array too large", 413, "too-large", body([consented(), LONG])),
    # --- 415
    Row("XML", 415, "unsupported-media-type", raw("<a>CANARY</a>"), media="application/xml"),
    Row("no type at all", 415, "unsupported-media-type", raw("CANARY"), media=""),
    Row(
        "another charset",
        415,
        "unsupported-media-type",
        body(consented()),
        media="application/json; charset=latin-1",
    ),
    # --- 422
    wrong("not an object", ["CANARY"], "/0", "model-type"),
    wrong("nothing", [], "", "too-short"),
    wrong("no type", {"occurred_at": "2026-11-02"}, "/type", "required"),
    wrong("an unknown type", event("CANARY"), "/type", "unknown-type"),
    wrong("a study's type", event("hold-placed"), "/participant", "not-for-study-events"),
    wrong(
        "a participant's type without one",
        consented(),
        "/participant",
        "required",
        path="/events",
    ),
    wrong("no time", {"type": "consented"}, "/occurred_at", "required"),
    wrong("no such time", event("consented", "CANARY"), "/occurred_at", "moment"),
    wrong(
        "a member that is none",
        {**consented(), "CANARY": 1},
        "",
        "extra-forbidden",
    ),
    wrong(
        "data that are missing",
        event("consented", form_version="CANARY"),
        "/data/signed_by",
        "required",
    ),
    wrong(
        "a value that is none",
        event("consented", form_version="1.0", signed_by="CANARY"),
        "/data/signed_by",
        "literal-error",
    ),
    wrong(
        "data that are none",
        event("consented", form_version="1.0", signed_by="participant", CANARY="CANARY"),
        "/data",
        "extra-forbidden",
    ),
    wrong(
        "the event's type in its data",
        event("consented", form_version="1.0", signed_by="participant", type="consented"),
        "/data/type",
        "extra-forbidden",
    ),
    wrong(
        "a number as text",
        event("lost-to-follow-up", attempts="3"),
        "/data/attempts",
        "int-type",
    ),
    wrong(
        "a yes as a number",
        event("prescreened", proceed=1),
        "/data/proceed",
        "bool-type",
    ),
    wrong(
        "a protected value of another kind",
        event("referred", site="01", channel="self", contact={"first_name": ["CANARY"]}),
        "/data/contact/first_name",
        "string-type",
    ),
    wrong(
        "what only Cairn writes",
        event("eligibility-confirmed", verdict_hash="CANARY"),
        "/data/verdict_hash",
        "read-only",
    ),
    wrong("no reason", event("retracted", position=5), "/reason", "required"),
    wrong(
        "an identity with control characters",
        {**consented(), "id": "CANARY\n"},
        "/id",
        "string-pattern-mismatch",
    ),
    wrong(
        "another participant than the path",
        {**consented(), "participant": "CANARY"},
        "/participant",
        "differs-from-path",
    ),
    wrong(
        "a name that nobody may have",
        referred(),
        "/participant",
        "string-pattern-mismatch",
        path="/participants/a%20b/events",
    ),
    wrong(
        "another id than the key",
        {**consented(), "id": "CANARY"},
        "/id",
        "differs-from-idempotency-key",
        headers={"Idempotency-Key": "K"},
    ),
    wrong(
        "a key for several",
        [consented(), consented()],
        "",
        "idempotency-key-on-several-events",
        headers={"Idempotency-Key": "K"},
    ),
    wrong(
        "a version for a batch",
        [{**consented(), "participant": "01-004"}] * 2,
        "",
        "if-match-on-a-batch",
        path="/events",
        headers={"If-Match": '"1"'},
    ),
    wrong(
        "a correction to what cannot be",
        {
            **event("corrected", position=5, data={"site": "01", "channel": "CANARY"}),
            "reason": "CANARY",
        },
        "/data/data/channel",
        "literal-error",
    ),
    wrong(
        "a name where Cairn chooses",
        {**referred(), "participant": "CANARY"},
        "/participant",
        "chosen-by-cairn",
        path="/participants",
    ),
    wrong(
        "another beginning than a referral",
        consented(),
        "/type",
        "referred-first",
        path="/participants",
    ),
    wrong(
        "a CloudEvent of another participant",
        {**CE, "subject": f"{STUDY}/CANARY"},
        "/subject",
        "differs-from-path",
        media="application/cloudevents+json",
    ),
    wrong(
        "a CloudEvent of another version",
        {**CE, "type": "cairn.participant.consented.v9"},
        "/type",
        "unknown-version",
        media="application/cloudevents+json",
    ),
    wrong(
        "a CloudEvent without an id",
        {name: value for name, value in CE.items() if name != "id"},
        "/id",
        "required",
        media="application/cloudevents+json",
    ),
    Row(
        "in the future",
        422,
        "impossible",
        body(consented(occurred_at="2026-11-22T10:05:01Z", reason="CANARY")),
        rule="future",
    ),
    Row(
        "before birth",
        422,
        "impossible",
        body(consented(occurred_at="1979", reason="CANARY")),
        rule="before-birth",
    ),
]


@pytest.fixture
async def ready(api: Api) -> Api:
    """Participant 01-004 of site 01, born in 1980."""
    await _refer(api)
    return api


@pytest.fixture(scope="module")
async def shared(
    anyio_backend: str, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Api]:
    """The same for many tests: nothing is recorded by any of them."""
    clock = Clock()
    with server.fresh() as conninfo:
        data = tmp_path_factory.mktemp("data")
        cairn = open_cairn(Settings(data=data), conninfo=conninfo, clock=clock)
        async with served(cairn, clock) as opened:
            await begin(opened)
            await _refer(opened)
            yield opened
        cairn.close()


async def _refer(api: Api) -> None:
    first = {**referred("01"), "id": "R-1", "source": "urn:edc"}
    birth = event("demographics-recorded", "2026-11-02", birth_date="1980-05-05", sex="female")
    for document in (first, birth):
        answer = await api.post(EVENTS, document)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.status} {row.name}")
async def test_what_is_wrong_is_said_and_nothing_is_recorded_or_echoed(
    shared: Api, row: Row, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure()
    head = shared.head()
    answer = await shared.post(
        row.path,
        content=row.content,
        media=row.media,
        role=row.role,
        scope=row.scope,
        **row.headers,
    )
    assert answer.status_code == row.status, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == URN + row.problem
    assert problem["status"] == row.status
    assert problem["title"] == PROBLEMS[row.problem].title
    if row.pointer is not None:
        assert {"pointer": row.pointer, "rule": row.rule} in problem["problems"]
    elif row.rule is not None:
        assert problem["rule"] == row.rule
    assert shared.head() == head
    logged = capsys.readouterr()
    for said in (answer.text, str(answer.headers), logged.out, logged.err):
        assert "canary" not in said.lower()
        assert "Traceback" not in said
    assert '"status":' + str(row.status) in logged.err


async def test_a_refusal_names_the_events_that_it_rests_on(ready: Api) -> None:
    died = await ready.post(EVENTS, event("died", "2026-11-10", on="2026-11-10"))
    answer = await ready.post(EVENTS, event("lost-to-follow-up", attempts=5))
    assert answer.status_code == 409
    assert answer.json()["rule"] == "terminal"
    assert answer.json()["blocked_by"] == [died.json()["events"][0]["position"]]


async def test_after_death_a_living_person_does_nothing(ready: Api) -> None:
    await ready.post(EVENTS, event("died", "2026-11-10", on="2026-11-10"))
    head = ready.head()
    answer = await ready.post(EVENTS, consented(occurred_at="2026-11-11"))
    assert (answer.status_code, answer.json()["rule"]) == (422, "after-death")
    assert ready.head() == head


async def test_a_missed_version_links_to_what_was_missed(ready: Api) -> None:
    await ready.post(EVENTS, consented())
    answer = await ready.post(EVENTS, consented(), **{"If-Match": '"1"'})
    problem = answer.json()
    assert answer.status_code == 412
    assert problem["current_version"] == 3
    missed = await ready.send("GET", problem["missed"])
    assert [one["version"] for one in missed.json()["items"]] == [2, 3]


async def test_a_decision_names_its_version_where_the_study_asks(ready: Api) -> None:
    second = {**PROTOCOL, "version": "2.0", "settings": {"decisions_need_if_match": True}}
    await ready.send("PUT", f"/v1/studies/{STUDY}/protocols/2.0", second)
    activated = event("protocol-activated", "2026-11-03", site="01", protocol="2.0")
    assert (await ready.post("/events", activated)).status_code == 201
    decision = event("referral-closed", cause="declined")
    answer = await ready.post(EVENTS, decision)
    assert (answer.status_code, answer.json()["type"]) == (428, URN + "precondition-required")
    assert (await ready.post(EVENTS, event("prescreened", proceed=True))).status_code == 201
    answer = await ready.post(EVENTS, decision, **{"If-Match": '"3"'})
    assert answer.status_code == 201


async def test_too_many_at_once_are_asked_to_come_back(ready: Api) -> None:
    ready.http._transport.app.state.gate = Gate(0)  # type: ignore[attr-defined]
    answer = await ready.post(EVENTS, consented())
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("error", "status", "problem"),
    [(StoreAway("x"), 503, "store-away"), (StoreFull("x"), 507, "store-full")],
)
async def test_a_store_that_cannot_record_is_said_so(
    ready: Api,
    error: Exception,
    status: int,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def append(*_: object) -> None:
        raise error

    monkeypatch.setattr(ready.cairn.ledger, "append", append)
    answer = await ready.post(EVENTS, consented())
    assert (answer.status_code, answer.json()["type"]) == (status, URN + problem)
    assert "retry-after" in answer.headers


async def test_a_defect_shows_neither_itself_nor_what_was_sent(
    ready: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def record(*_: object) -> None:
        raise RuntimeError(CANARY)

    logs.configure()
    monkeypatch.setattr(ready.cairn.recording, "record", record)
    answer = await ready.post(EVENTS, consented())
    assert (answer.status_code, answer.json()["type"]) == (500, URN + "internal")
    logged = capsys.readouterr().err
    assert "RuntimeError" in logged
    assert "canary" not in (answer.text + logged).lower()


async def test_unknown_paths_and_methods_are_problems_too(api: Api) -> None:
    answer = await api.send("GET", f"/v1/{CANARY}")
    assert (answer.status_code, answer.json()["type"]) == (404, URN + "not-found")
    answer = await api.send("DELETE", f"/v1/studies/{STUDY}")
    assert (answer.status_code, answer.json()["type"]) == (405, URN + "method-not-allowed")
    assert "GET" in answer.headers["allow"]
    answer = await api.get("/log?limit=" + CANARY)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == "/query/limit"
    assert "canary" not in answer.text.lower()


async def test_what_was_refused_can_be_looked_up_without_its_body(ready: Api) -> None:
    note = {"reason": CANARY, "id": "E-1", "source": "urn:edc"}
    await ready.post(EVENTS, {**event("enrolled"), **note})
    await ready.post(EVENTS, consented(occurred_at="2027"))
    answer = await ready.get("/refusals", role="auditor")
    assert CANARY not in answer.text
    first, second = answer.json()["items"]
    assert first["participant"] == "01-004"
    assert (first["site"], first["type"], first["rule"]) == ("01", "enrolled", "consent")
    assert (first["source"], first["id"]) == ("urn:edc", "E-1")
    assert (second["problem"], second["rule"]) == ("impossible", "future")
    elsewhere = await ready.get("/refusals", role="monitor", scope={"site": "02"})
    assert elsewhere.json()["items"] == []
    page = await ready.get("/refusals?limit=1", role="auditor")
    following = await ready.send("GET", page.links["next"]["url"])
    assert [one["number"] for one in following.json()["items"]] == [2]
