"""The reference pages that are generated from the code: event catalogue, error registry, topics.

`python -m services.reference` writes them; a test fails while they differ from the code.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from domain import catalogue
from domain.kernel import Event, Kind
from domain.participant import CHAPTER_OF
from domain.refusals import IMPOSSIBLE, REFUSED
from services import asyncapi
from services.problems import PROBLEMS

DOCS = Path(__file__).parents[1] / "docs"

_KIND = {Kind.FACT: "fact", Kind.DECISION: "decision", Kind.CONCLUSION: "conclusion"}


def pages() -> Mapping[str, str]:
    """File name below `docs/` -> what must stand in it."""
    return {
        "events.md": "\n".join(_events()),
        "errors.md": "\n".join(_errors()),
        "asyncapi.yaml": asyncapi.text(),
    }


def write() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")


def _events() -> Iterator[str]:
    yield "# Event catalogue"
    yield ""
    yield "Generated from the code by `make docs`; do not edit."
    yield ""
    yield (
        "`?` marks an optional field, **P** a protected one (sealed per participant before it is"
        " kept), *(Cairn)* one that only Cairn writes. The schema version is part of the stored"
        " topic, and every version stays readable."
    )
    chapter = None
    for cls in catalogue.PARTICIPANT.values():
        name = _chapter(cls)
        if name != chapter:
            chapter = name
            yield from ("", f"## {name.capitalize()}", "")
        yield from _event(cls)
    yield from ("", "## Study stream", "")
    for cls in catalogue.STUDY.values():
        yield from _event(cls)


def _chapter(cls: type[Event]) -> str:
    return CHAPTER_OF[cls][0]


def _event(cls: type[Event]) -> Iterator[str]:
    reason = ", reason required" if cls.reason_required else ""
    name = cls.model_fields["type"].default
    yield f"### `{name}`"
    yield ""
    yield f"*{_KIND[cls.kind]}, schema {cls.schema_version}{reason}.* {inspect.getdoc(cls)}"
    yield ""
    schema = cls.model_json_schema()
    required = set(schema.get("required", ()))
    names = {info.alias or name: name for name, info in cls.model_fields.items()}
    rows = [
        f"| `{field}`{'' if field in required else '?'} | {_type(prop, schema)}"
        f"{_mark(cls, names[field])} |"
        for field, prop in schema.get("properties", {}).items()
        if names[field] != "type"
    ]
    if rows:
        yield from ("| field | values |", "|---|---|", *rows, "")


def _mark(cls: type[Event], field: str) -> str:
    texts = repr(cls.model_fields[field].metadata)
    if "Protects" in texts:
        return " **P**"
    return " *(Cairn)*" if "_written_by_cairn" in texts else ""


def _type(prop: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    if "$ref" in prop:
        name = prop["$ref"].rsplit("/", maxsplit=1)[-1]
        return _type(root["$defs"][name], root) if name in root.get("$defs", {}) else name
    if "enum" in prop:
        return ", ".join(f"`{value}`" for value in prop["enum"])
    if "const" in prop:
        return f"`{prop['const']}`"
    if "anyOf" in prop:
        parts = [_type(one, root) for one in prop["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(parts))
    match prop.get("type"):
        case "array":
            return f"list of {_type(prop.get('items', {}), root)}"
        case "object":
            inner = prop.get("properties")
            if inner:
                return "{" + ", ".join(inner) + "}"
            more = prop.get("additionalProperties")
            return f"map to {_type(more, root)}" if isinstance(more, dict) else "object"
        case None:
            return "any"
        case kind:
            return _scalar(kind, prop)


def _scalar(kind: str, prop: Mapping[str, Any]) -> str:
    if prop.get("format"):
        return str(prop["format"])
    if "examples" in prop:
        return "instant, date, month or year"
    low, high = prop.get("minimum"), prop.get("maximum")
    if low is not None and high is not None:
        return f"{kind} {low} to {high}"
    if low is not None:
        return f"{kind}, at least {low}"
    return str(kind)


def _errors() -> Iterator[str]:
    yield "# Errors"
    yield ""
    yield "Generated from the code by `make docs`; do not edit."
    yield ""
    yield (
        "Every error is a problem document (RFC 9457, `application/problem+json`). It names the"
        " field and the rule, never the value that was sent."
    )
    yield from ("", "| problem | status | title | when |", "|---|---|---|---|")
    for problem in PROBLEMS.values():
        yield f"| `{problem.type}` | {problem.status} | {problem.title} | {problem.when} |"
    yield from ("", "## Rules of refused decisions", "", "| rule | meaning |", "|---|---|")
    for rule, meaning in REFUSED.items():
        yield f"| `{rule}` | {meaning} |"
    yield from ("", "## Rules of impossible reports", "", "| rule | meaning |", "|---|---|")
    for rule, meaning in IMPOSSIBLE.items():
        yield f"| `{rule}` | {meaning} |"
    yield ""


if __name__ == "__main__":
    write()
    sys.stdout.write("".join(f"docs/{name} is written\n" for name in pages()))
