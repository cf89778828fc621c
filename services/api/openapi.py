"""The OpenAPI document: routes as FastAPI knows them, completed from data and the catalogue."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.api.described import CONDITIONS, OPERATIONS, PATHS, TAGS, Described
from services.api.schema_words import ref
from services.api.schemas import components
from services.problems import MEDIA_TYPE, PROBLEMS, answered

DESCRIPTION = """\
Other systems post what happened to the participants of a clinical trial; coordinators read live
views; auditors replay and prove what was recorded. Every error is a problem document (RFC 9457)
that names fields and rules, never a value that was sent."""

_SENTENCES = {200: "As asked.", 201: "Recorded.", 304: "As the reader has it."}


def install(app: FastAPI) -> None:
    """Serve the completed document at `/openapi.json`; it is built when it is first asked for."""
    built: list[dict[str, Any]] = []

    def document() -> dict[str, Any]:
        if not built:
            built.append(_document(app))
        return built[0]

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to do it


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        summary="The event-sourced backend of a participant's journey through a clinical trial",
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": tag.name, "description": tag.description} for tag in TAGS],
        servers=[{"url": "/", "description": "This server"}],
        contact={"name": "Cairn", "url": "https://example.org/cairn"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(path, operation, OPERATIONS[operation["operationId"]])
    document["components"] = {
        "schemas": components(),
        "securitySchemes": {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A local token: `cairn token --role ROLE`.",
            }
        },
    }
    document["security"] = [{"token": []}]
    return document


def _complete(path: str, operation: dict[str, Any], described: Described) -> None:
    asked = [one for one in operation.get("parameters", ()) if one["in"] != "path"]
    operation["parameters"] = [
        *(_path(name) for name in PATHS if f"{{{name}}}" in path),
        *asked,
        *(_header(name) for name in described.conditions),
    ]
    if not operation["parameters"]:
        del operation["parameters"]
    if described.takes is not None:
        operation["requestBody"] = _body(described)
    operation["responses"] = {
        **{str(status): _success(status, content) for status, content in described.answers.items()},
        **{str(status): _problem(status) for status in described.problems},
    }
    if described.open:
        operation["security"] = []


def _path(name: str) -> dict[str, Any]:
    description, pattern = PATHS[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "pattern": pattern},
    }


def _header(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": CONDITIONS[name],
        "schema": {"type": "string"},
    }


def _body(described: Described) -> dict[str, Any]:
    assert described.takes is not None
    content = {media: {"schema": schema} for media, schema in described.takes.items()}
    if described.example is not None:
        content["application/json"]["example"] = described.example
    return {"required": True, "content": content}


def _success(status: int, content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": _SENTENCES.get(status, "Not well."),
        "content": {media: {"schema": schema} for media, schema in content.items()},
    }


def _problem(status: int) -> dict[str, Any]:
    kinds = [kind for kind in PROBLEMS.values() if kind.status == status]
    examples = {kind.type: {"value": answered(kind.type, kind.when).document()} for kind in kinds}
    return {
        "description": " ".join(f"`{kind.type}`: {kind.when}" for kind in kinds),
        "content": {MEDIA_TYPE: {"schema": ref("Problem"), "examples": examples}},
    }
