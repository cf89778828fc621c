"""As much of JSON Schema as the OpenAPI document uses, to hold answers against it."""

import re
from collections.abc import Iterator
from typing import Any

KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
WORDS = {
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "default",
    "description",
    "discriminator",
    "enum",
    "examples",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "propertyNames",
    "required",
    "title",
    "type",
    "uniqueItems",
    "x-protected",
}


def errors(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "") -> list[str]:
    """Where the value breaks the schema; empty when it does not."""
    return list(_errors(value, schema, document, at))


def _errors(value: Any, schema: Any, document: dict[str, Any], at: str) -> Iterator[str]:
    assert schema.keys() <= WORDS, schema.keys() - WORDS
    if "$ref" in schema:
        yield from _errors(value, resolved(schema["$ref"], document), document, at)
    if "type" in schema:
        kinds = KINDS[schema["type"]]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            yield f"{at}: is no {schema['type']}"
            return
    yield from _variants(value, schema, document, at)
    yield from _scalar(value, schema, at)
    if isinstance(value, dict):
        yield from _object(value, schema, document, at)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _errors(item, schema.get("items", {}), document, f"{at}/{index}")


def _variants(
    value: Any, schema: dict[str, Any], document: dict[str, Any], at: str
) -> Iterator[str]:
    for part in schema.get("allOf", ()):
        yield from _errors(value, part, document, at)
    if "anyOf" in schema and all(errors(value, one, document, at) for one in schema["anyOf"]):
        yield f"{at}: fits none of {[errors(value, one, document, at) for one in schema['anyOf']]}"
    if "oneOf" in schema:
        fitting = [one for one in schema["oneOf"] if not errors(value, one, document, at)]
        if len(fitting) != 1:
            yield f"{at}: fits {len(fitting)} of the variants"


def _scalar(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    if "const" in schema and value != schema["const"]:
        yield f"{at}: is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: is none of {schema['enum']}"
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{at}: does not look like {schema['pattern']}"
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"{at}: has the wrong length"
    if isinstance(value, int) and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
    ):
        yield f"{at}: is out of range"


def _object(
    value: dict[str, Any], schema: dict[str, Any], document: dict[str, Any], at: str
) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}: lacks {name}"
    known = schema.get("properties", {})
    alike = schema.get("patternProperties", {})
    for name, member in value.items():
        matching = [inner for pattern, inner in alike.items() if re.search(pattern, name)]
        for inner in [known[name]] if name in known else matching:
            yield from _errors(member, inner, document, f"{at}/{name}")
        if name in known or matching:
            continue
        if schema.get("additionalProperties") is False:
            yield f"{at}: has {name}"
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from _errors(member, schema["additionalProperties"], document, f"{at}/{name}")


def resolved(ref: str, document: dict[str, Any]) -> dict[str, Any]:
    """The component that a reference names."""
    found: Any = document
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    assert isinstance(found, dict)
    return found
