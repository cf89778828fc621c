"""From plain objects to a protocol, or the list of everything that is wrong with them.

A part whose shape is wrong is set aside, so that the rest is still checked: the sender learns of
all problems at once, each with its place (a JSON pointer) and the rule that it breaks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from domain.kernel import Problem, Strict
from domain.trial.overlay import NAMED_BY, escaped
from domain.trial.protocol import Protocol
from domain.trial.validation import problems_of, repeated_names

PROBLEMS_MAX = 200
"""More problems than this are not listed: the document is of another kind."""


def read(
    document: object, *, study: str | None = None, version: str | None = None
) -> Protocol | list[Problem]:
    """The protocol that the document describes, or every problem with it, in the order of places.

    `study` and `version`, where given, stand in for what the document leaves out; what it says
    otherwise is a problem.
    """
    if not isinstance(document, Mapping):
        return [Problem("", "not-an-object")]
    problems, document = _addressed(document, study, version)
    problems += repeated_names(document)
    found = _shaped(document)
    if isinstance(found, Protocol):
        problems += problems_of(found)
    else:
        problems += found
        problems += _of_the_rest(document, found)
    return _listed(problems) if problems else _whole(found)


def plain(protocol: Protocol) -> dict[str, Any]:
    """The protocol as plain objects, complete; reading them gives an equal protocol.

    A value that is absent, and would be without a word about it, is left out.
    """
    found = _said(protocol, protocol.model_dump(mode="json"))
    assert isinstance(found, dict)
    return found


def _said(part: object, dumped: Any) -> Any:
    if isinstance(part, Strict):
        return {
            name: _said(getattr(part, name), dumped[name])
            for name, info in type(part).model_fields.items()
            if getattr(part, name) is not None or info.default is not None
        }
    if isinstance(part, Mapping):
        return {key: _said(value, dumped[key]) for key, value in part.items()}
    if isinstance(part, tuple):
        return [_said(one, other) for one, other in zip(part, dumped, strict=True)]
    return dumped


def _whole(found: Protocol | list[Problem]) -> Protocol:
    assert isinstance(found, Protocol)
    return found


def _listed(problems: list[Problem]) -> list[Problem]:
    unique = {(one.pointer, one.rule): one for one in problems}
    return sorted(unique.values(), key=lambda one: (_order(one.pointer), one.rule))[:PROBLEMS_MAX]


def _order(pointer: str) -> list[tuple[int, str]]:
    return [
        (int(token), "") if token.isdecimal() and len(token) < 10 else (0, token)
        for token in pointer.split("/")
    ]


def _addressed(
    document: Mapping[str, Any], study: str | None, version: str | None
) -> tuple[list[Problem], dict[str, Any]]:
    problems: list[Problem] = []
    whole = dict(document)
    for name, given in (("study", study), ("version", version)):
        if given is not None and whole.setdefault(name, given) != given:
            problems.append(Problem(f"/{name}", f"another-{name}-than-addressed"))
    return problems, whole


# --- shape ----------------------------------------------------------------------------------------


def _shaped(document: Mapping[str, Any]) -> Protocol | list[Problem]:
    try:
        return Protocol.model_validate_json(json.dumps(document, default=_as_text))
    except ValidationError as error:
        return [
            Problem(_pointer(document, one["loc"], one["type"]), shape_rule(one["type"]))
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    except (TypeError, ValueError):
        return [Problem("", "not-plain-data")]


def shape_rule(kind: str) -> str:
    """The name of a rule of shape, by the kind of validation error."""
    return "required" if kind == "missing" else kind.replace("_", "-")


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError("neither JSON nor a decimal")


def _pointer(document: object, place: Sequence[int | str], kind: str) -> str:
    """Where in the document the error lies: names that pydantic adds for unions are left out."""
    node: Any = document
    pointer = ""
    for index, token in enumerate(place):
        if _has(node, token):
            node = node[token]
            pointer += f"/{escaped(str(token))}"
        elif index == len(place) - 1 and kind == "missing":
            pointer += f"/{escaped(str(token))}"
    return pointer


def _has(node: object, token: int | str) -> bool:
    if isinstance(node, Mapping):
        return token in node
    return isinstance(node, list) and isinstance(token, int) and 0 <= token < len(node)


# --- the rest of a document that has parts of the wrong shape -------------------------------------


@dataclass(slots=True)
class _Aside:
    """Parts set aside: what remains, the names they would have defined, where the rest stood."""

    remaining: dict[str, Any]
    words: dict[str, frozenset[str] | None] = field(default_factory=dict)
    indices: dict[str, list[int]] = field(default_factory=dict)


def _of_the_rest(document: Mapping[str, Any], broken: list[Problem]) -> list[Problem]:
    aside = _set_aside(document, broken)
    found = _shaped(aside.remaining)
    if not isinstance(found, Protocol):
        return []
    return [
        Problem(_original(one.pointer, aside.indices), one.rule)
        for one in problems_of(found, aside.words)
    ]


def _set_aside(document: Mapping[str, Any], broken: list[Problem]) -> _Aside:
    places = [problem.pointer.split("/")[1:] for problem in broken]
    aside = _Aside({"study": "S", "version": "V", "title": "T"})
    for name, part in document.items():
        inside = {place[1] for place in places if place[:1] == [name] and len(place) > 1}
        whole = any(place == [name] for place in places)
        if not whole and not inside:
            aside.remaining[name] = part
        elif whole or not isinstance(part, Mapping | list):
            aside.words[name] = None
        elif isinstance(part, Mapping):
            _without_keys(aside, name, part, inside)
        else:
            _without_items(aside, name, part, inside)
    return aside


def _without_keys(aside: _Aside, name: str, part: Mapping[str, Any], inside: set[str]) -> None:
    gone = {key for key in part if escaped(key) in inside}
    aside.remaining[name] = {key: value for key, value in part.items() if key not in gone}
    if name in ("settings", "dose", "toxicity", "stagger"):
        del aside.remaining[name]
    aside.words[name] = frozenset(gone)


def _without_items(aside: _Aside, name: str, part: list[Any], inside: set[str]) -> None:
    gone = [index for index in range(len(part)) if str(index) in inside]
    kept = [index for index in range(len(part)) if index not in gone]
    aside.remaining[name] = [part[index] for index in kept]
    aside.indices[name] = kept
    lost = [part[index] for index in gone]
    field_name = NAMED_BY.get(name, "")
    names = [item.get(field_name) for item in lost if isinstance(item, Mapping)]
    known = [name for name in names if isinstance(name, str)]
    aside.words[name] = frozenset(known) if len(known) == len(lost) else None


def _original(pointer: str, indices: Mapping[str, list[int]]) -> str:
    head, *rest = pointer.split("/")[1:]
    if head in indices and rest and rest[0].isdecimal():
        rest[0] = str(indices[head][int(rest[0])])
    return "/" + "/".join([head, *rest])
