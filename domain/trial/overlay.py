"""Assumptions laid over a study's public facts: a pure merge that never hides a fact.

A place is a path such as `/visits/V2/day`: items of a list are named by their code, id or clock,
so that a place stays right when the list grows. A place that ends in `/-` adds to a list.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from domain.kernel import Problem

NAMED_BY: Mapping[str, str] = {
    "visits": "code",
    "criteria": "id",
    "clocks": "clock",
    "steroids": "name",
}
"""List of the protocol -> the field that names its items."""


class _Misplaced(Exception):
    """The value has no place in the document."""


class _Hides(Exception):
    """A value stands at the place already."""


def merged(facts: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any] | list[Problem]:
    """The facts with every assumption in its place, and the places listed with their reasons.

    `overlay` holds `assumptions`: a list of groups, each a `reason` and `values` (place -> value).
    Problems: an assumption where a fact stands, without a reason, or where there is no place.
    """
    document = deepcopy(dict(facts))
    listed: dict[str, str] = dict(document.get("assumptions", {}))
    problems: list[Problem] = []
    for index, group in enumerate(overlay.get("assumptions", ())):
        reason = group.get("reason") if isinstance(group, Mapping) else None
        values = group.get("values") if isinstance(group, Mapping) else None
        if not isinstance(reason, str) or not isinstance(values, Mapping):
            problems.append(Problem(f"/assumptions/{index}", "assumption-without-reason"))
            continue
        for place, value in values.items():
            where = f"/assumptions/{index}/values/{escaped(place)}"
            try:
                listed.update(dict.fromkeys(_put(document, place, value), reason))
            except _Hides:
                problems.append(Problem(where, "assumption-hides-a-fact"))
            except _Misplaced:
                problems.append(Problem(where, "no-such-place"))
    document["assumptions"] = listed
    return problems or document


def escaped(token: str) -> str:
    """A token of a JSON pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")


def tokens(place: str) -> list[str]:
    """The tokens of a place or JSON pointer."""
    return [token.replace("~1", "/").replace("~0", "~") for token in place.split("/")[1:]]


def stands(document: object, place: str) -> bool:
    """Whether the document has a value at the place."""
    node = document
    field = ""
    for token in tokens(place):
        try:
            node = _step(node, token, field)
        except _Misplaced:
            return False
        field = token
    return True


def _put(document: dict[str, Any], place: str, value: Any) -> Iterator[str]:
    *parents, last = tokens(place)
    node: Any = document
    field = ""
    for token in parents:
        if isinstance(node, dict) and token not in node:
            node[token] = [] if last == "-" and token == parents[-1] else {}
        node, field = _step(node, token, field), token
    if last == "-":
        return _added(node, place.removesuffix("-"), value)
    if isinstance(node, dict):
        if last in node:
            raise _Hides
        node[last] = deepcopy(value)
        return iter([place])
    name = NAMED_BY.get(field)
    if not isinstance(node, list) or name is None or not isinstance(value, Mapping):
        raise _Misplaced
    if any(item.get(name) == last for item in node):
        raise _Hides
    node.append({name: last, **deepcopy(dict(value))})
    return iter([place])


def _added(node: Any, parent: str, values: Any) -> Iterator[str]:
    if not isinstance(node, list) or not isinstance(values, list):
        raise _Misplaced
    if any(not isinstance(value, str) for value in values):
        raise _Misplaced
    if set(values) & set(node):
        raise _Hides
    node.extend(values)
    return iter([f"{parent}{escaped(value)}" for value in values])


def _step(node: Any, token: str, field: str) -> Any:
    """One step down; a list's item by its name, a plain word of a list by itself, else by index."""
    if isinstance(node, Mapping) and token in node:
        return node[token]
    if not isinstance(node, list):
        raise _Misplaced
    name = NAMED_BY.get(field)
    for item in node:
        if item == token or (name and isinstance(item, Mapping) and item.get(name) == token):
            return item
    if token.isdecimal() and int(token) < len(node):
        return node[int(token)]
    raise _Misplaced
