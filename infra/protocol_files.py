"""The text of protocols: YAML and JSON read into plain objects and written again, nothing lost.

A decimal stays the decimal that was written, never a float. YAML is read by the core schema of
YAML 1.2: `no` is a word, `1:40` is a titre and `2026-11-22` is text. Keys that stand twice, aliases
(which can unfold without bound), tags and anything oversized are refused with their line.
"""

import json
import re
from collections.abc import Hashable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from importlib import resources
from typing import Any, Literal, NoReturn, cast

import yaml

Format = Literal["json", "yaml"]

DOCUMENT_BYTES_MAX = 8 * 1024 * 1024
DEPTH_MAX = 64
NODES_MAX = 400_000

_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INT = re.compile(r"[-+]?[0-9]+")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_NULL = re.compile(r"~|null|Null|NULL|")
_INTEGER_DIGITS_MAX = 40


class Unreadable(Exception):
    """The text is not a document that can be read; `detail` names the place, never the content."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def read(body: bytes, form: Format) -> object:
    """The document as plain objects: dict, list, str, int, Decimal, bool, None; Unreadable."""
    if len(body) > DOCUMENT_BYTES_MAX:
        raise Unreadable("the document is too large")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("the document is not UTF-8") from None
    if "\0" in text:
        raise Unreadable("the document contains NUL")
    text = text.removeprefix("\ufeff")
    return _read_json(text) if form == "json" else _read_yaml(text)


def write(document: object, form: Format) -> bytes:
    """The text of plain objects; reading it again gives them back."""
    if form == "json":
        return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"
    text: str = yaml.dump(
        document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100, indent=2
    )
    return text.encode()


@lru_cache(maxsize=8)
def built_in(name: str) -> object:
    """A document that ships with Cairn, by its file name. Callers must not change it."""
    return read(resources.files("domain.protocols").joinpath(name).read_bytes(), "yaml")


# --- JSON -----------------------------------------------------------------------------------------


def _read_json(text: str) -> object:
    try:
        found = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise Unreadable(f"not JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Unreadable("the document is nested too deeply") from None
    _bounded(found)
    return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("a key stands twice in one object")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise Unreadable("NaN and Infinity are not JSON")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Unreadable("a number is out of range") from None


def _integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS_MAX:
        raise Unreadable("a number is out of range")
    return int(text)


def _bounded(document: object) -> None:
    """Depth and size are limited, and every text can be written as UTF-8."""
    waiting = [(document, 1)]
    nodes = 0
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if depth > DEPTH_MAX:
            raise Unreadable("the document is nested too deeply")
        if nodes > NODES_MAX:
            raise Unreadable("the document has too many parts")
        match node:
            case dict():
                waiting.extend((part, depth + 1) for pair in node.items() for part in pair)
            case list():
                waiting.extend((part, depth + 1) for part in node)
            case str() if not node.isascii():
                try:
                    node.encode()
                except UnicodeEncodeError:
                    raise Unreadable("a text has a lone surrogate") from None
            case _:
                pass


# --- YAML -----------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Plain maps, lists and scalars by YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A map; a key that is not text, or stands twice, is refused."""
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise Unreadable(f"a key is not text, {_line(key_node)}")
            if key in found:
                raise Unreadable(f"a key stands twice in one map, {_line(key_node)}")
            found[key] = self.construct_object(value_node, deep=deep)
        return found


class _Dumper(yaml.SafeDumper):
    """Quotes whatever YAML 1.1 or 1.2 would not read as text, and never writes aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Repeated parts are written out."""
        return True


def _line(part: yaml.Node | yaml.Event) -> str:
    mark = part.start_mark
    return f"line {mark.line + 1}" if mark is not None else "at an unknown line"


def _construct_map(loader: _Loader, node: yaml.Node) -> dict[Hashable, Any]:
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


def _construct_number(loader: _Loader, node: yaml.Node) -> Decimal:
    assert isinstance(node, yaml.ScalarNode)
    return _decimal(loader.construct_scalar(node))


def _construct_integer(loader: _Loader, node: yaml.Node) -> int:
    assert isinstance(node, yaml.ScalarNode)
    return _integer(loader.construct_scalar(node))


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_DIGITS = list("-+.0123456789")
_CORE = (
    ("tag:yaml.org,2002:int", _INT, _DIGITS),
    ("tag:yaml.org,2002:float", _FLOAT, _DIGITS),
    ("tag:yaml.org,2002:bool", _BOOL, list("tTfF")),
    ("tag:yaml.org,2002:null", _NULL, ["~", "n", "N", ""]),
)
for _tag, _pattern, _first in _CORE:
    _whole = re.compile(f"(?:{_pattern.pattern})\\Z")
    _Loader.add_implicit_resolver(_tag, _whole, _first)
    _Dumper.add_implicit_resolver(_tag, _whole, _first)
_Loader.add_constructor("tag:yaml.org,2002:map", _construct_map)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_number)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_integer)
_Dumper.add_representer(str, _represent_text)


def _read_yaml(text: str) -> object:
    try:
        _check_events(text)
        return cast(object, yaml.load(text, Loader=_Loader))  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1}" if mark else ""
        raise Unreadable(f"not YAML{where}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise Unreadable("not YAML") from None


def _check_events(text: str) -> None:
    """Bound what the text unfolds into before anything is built from it."""
    depth = nodes = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = _line(event)
        match event:
            case yaml.AliasEvent():
                raise Unreadable(f"aliases are not read, {line}")
            case yaml.DocumentStartEvent():
                documents += 1
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                depth += 1
                nodes += 1
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                depth -= 1
            case yaml.ScalarEvent():
                nodes += 1
            case _:
                pass
        if isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None):
            raise Unreadable(f"tags are not read, {line}")
        if depth > DEPTH_MAX or nodes > NODES_MAX or documents > 1:
            raise Unreadable(f"too deep, too many parts or several documents, {line}")
