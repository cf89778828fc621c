"""The few shapes that every component schema is made of."""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def null_or(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def record(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """An object with these members."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
    }


def list_of(item: Schema, **optional: Schema) -> Schema:
    """A list as every list is answered: the position it reflects and its items."""
    position: Schema = {"type": "integer", "minimum": 0}
    return record({"position": position, "items": {"type": "array", "items": item}}, **optional)
