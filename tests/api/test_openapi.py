"""The OpenAPI document: clean, complete and true."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from domain import catalogue
from domain.kernel import Kind
from services.api.described import OPERATIONS
from services.door import Invalid, posted, strict
from tests.api.conftest import PROTOCOL, STUDY, Api, consented, event, referred
from tests.api.schema import errors, resolved

pytestmark = pytest.mark.anyio


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    answer = await api.send("GET", "/openapi.json", role=None)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def refs(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from refs(value)
    elif isinstance(part, list):
        for value in part:
            yield from refs(value)


async def test_the_document_is_clean(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    info = document["info"]
    assert info["description"]
    assert info["contact"]
    assert info["license"]
    assert document["servers"]
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    seen = set()
    for path, _method, operation in operations(document):
        assert operation["operationId"] not in seen
        seen.add(operation["operationId"])
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= described.keys()
        for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
            assert name in {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (path, parameter["name"])
        assert not path.endswith("/")
    assert seen == OPERATIONS.keys()
    for ref in refs(document):
        assert resolved(ref, document)


async def test_every_refusal_is_a_problem_document(document: dict[str, Any]) -> None:
    for path, _method, operation in operations(document):
        for status, response in operation["responses"].items():
            if status.startswith(("4", "5")) and not path.startswith("/health"):
                assert list(response["content"]) == ["application/problem+json"], path
                for example in response["content"]["application/problem+json"]["examples"].values():
                    problem = document["components"]["schemas"]["Problem"]
                    assert not errors(example["value"], problem, document)
                    assert example["value"]["status"] == int(status)


async def test_every_event_that_can_be_posted_is_described(document: dict[str, Any]) -> None:
    posted = document["components"]["schemas"]["PostedEvent"]
    described = set(posted["discriminator"]["mapping"])
    types = {**catalogue.PARTICIPANT, **catalogue.STUDY}
    assert described == {name for name, cls in types.items() if cls.kind is not Kind.CONCLUSION}


async def test_examples_fit_their_schema_and_are_recorded(
    api: Api, document: dict[str, Any]
) -> None:
    await api.refer("01-004")
    for path, method, operation in operations(document):
        media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in media:
            assert not errors(media["example"], media["schema"], document), path
            where = path.format(study=STUDY, participant="01-004")
            answer = await api.send(method.upper(), where, media["example"])
            assert answer.status_code in (200, 201), answer.text


BODIES = [
    referred(contact={"first_name": "A"}),
    consented(),
    event("lost-to-follow-up", attempts=3),
    {**event("corrected", position=5, data={"site": "01"}), "reason": "typo"},
    event("sample-collected", sample="S-1", type="serum", volume_ml=2.5),
    event("observation-recorded", code="egfr", value="61.5", unit="mL/min"),
    event("site-opened", site="03", name="A", timezone="UTC"),
    # and what is not one
    {"type": "consented", "data": {"form_version": "1.0", "signed_by": "participant"}},
    event("consented", form_version="1.0"),
    event("consented", form_version="1.0", signed_by="participant", more=1),
    event("eligibility-confirmed", verdict_hash="x"),
    event("retracted", position=5),
    event("nothing"),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:60])
async def test_the_schema_takes_what_the_door_takes(
    api: Api, document: dict[str, Any], body: dict[str, Any]
) -> None:
    schema = {"$ref": "#/components/schemas/PostedEvent"}
    participant = "a" if body["type"] not in catalogue.STUDY else None
    try:
        posted(strict.document(json.dumps(body).encode()), participant=participant)
    except Invalid:
        assert errors(body, schema, document)
    else:
        assert not errors(body, schema, document)


async def test_answers_are_as_they_are_described(api: Api, document: dict[str, Any]) -> None:
    base = f"/v1/studies/{STUDY}"
    events = f"{base}/participants/01-004/events"
    asked = [
        ("POST", events, referred()),
        ("POST", events, event("visit-completed", visit="UNS", mode="in-person")),
        ("POST", events, {**consented(), "id": "1"}),
        ("POST", events, {**consented(), "id": "1"}),
        ("POST", events, event("enrolled")),
        ("POST", events, {"type": "consented"}),
        ("POST", f"{base}/participants", referred()),
        ("POST", f"{base}/events", event("hold-placed", scope="study", cause="x")),
        ("POST", f"{base}/events", [{**consented(), "participant": "01-004"}, {"type": "x"}]),
        ("PUT", f"{base}/protocols/1.0", PROTOCOL),
        ("PUT", f"{base}/protocols/1.1", {**PROTOCOL, "version": "1.1"}),
        ("PUT", f"{base}/protocols/1.0", {**PROTOCOL, "title": "Another"}),
        ("PUT", f"{base}/protocols/1.2", {"study": STUDY}),
        ("GET", "/v1/studies", None),
        ("GET", base, None),
        ("GET", f"{base}/protocols", None),
        ("GET", f"{base}/protocols/1.0", None),
        ("GET", f"{base}/protocols/9", None),
        ("GET", f"{base}/sites", None),
        ("GET", events, None),
        ("GET", f"{base}/participants/01-004/replay", None),
        ("GET", f"{base}/log", None),
        ("GET", f"{base}/refusals", None),
        ("GET", "/v1/studies/S-2", None),
        ("GET", "/health/live", None),
        ("GET", "/health/ready", None),
    ]
    for method, path, body in asked:
        answer = await api.send(method, path, body)
        _, operation = _operation(document, method, path)
        described = operation["responses"].get(str(answer.status_code))
        assert described, (method, path, answer.status_code, answer.text)
        media = described["content"][answer.headers["content-type"].partition(";")[0]]
        found = errors(answer.json(), media["schema"], document)
        assert not found, (method, path, found)


def _operation(document: dict[str, Any], method: str, path: str) -> tuple[str, dict[str, Any]]:
    asked = path.partition("?")[0].split("/")
    for known, methods in document["paths"].items():
        parts = known.split("/")
        if len(parts) == len(asked) and all(
            part.startswith("{") or part == given for part, given in zip(parts, asked, strict=True)
        ):
            return known, methods[method.lower()]
    raise AssertionError(f"{method} {path} is not described")
