"""What the door refuses. No message holds anything of what was sent."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from domain.kernel import Problem

PROBLEMS_MAX = 100
"""How many problems of one document are listed."""

_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Malformed(Exception):
    """Not what it says it is: not JSON, or JSON that no careful reader accepts (400)."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


class Invalid(Exception):
    """Well-formed, but not valid against the schema (422): every place and the rule it breaks."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the document is not valid")
        self.problems = tuple(problems)


class TooLarge(Exception):
    """More bytes than the door takes (413)."""

    def __init__(self, most: int) -> None:
        super().__init__("the body is too large")
        self.most = most


class UnknownContent(Exception):
    """A content type that the route does not read (415)."""

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__("the content type is not accepted here")
        self.accepted = tuple(accepted)


def invalid(pointer: str, rule: str) -> Invalid:
    """One problem, at one place."""
    return Invalid((Problem(pointer, rule),))


def problems_of(error: ValidationError, prefix: str = "") -> list[Problem]:
    """A validation error as places and rules; neither values nor made-up member names."""
    return [
        _problem(one, prefix)
        for one in error.errors(include_input=False, include_url=False)[:PROBLEMS_MAX]
    ]


def problems_of_request(errors: Sequence[Any]) -> list[dict[str, str]]:
    """What is wrong with a request's parameters, as places (`/query/limit`) and rules."""
    return [
        {"pointer": pointer(error["loc"]), "rule": error["type"].replace("_", "-")}
        for error in errors[:PROBLEMS_MAX]
    ]


def _problem(error: Any, prefix: str) -> Problem:
    where, rule = [*error["loc"]], error["type"]
    if rule == "protected":
        where += [part for part in error["ctx"]["where"].split(".") if part]
        rule = error["ctx"]["rule"]
    elif rule == "missing":
        rule = "required"
    return Problem(prefix + pointer(where), rule.replace("_", "-"))


def pointer(where: Iterable[object]) -> str:
    """A JSON pointer; it ends before a member whose name does not look like a field's name.

    A sender may have put a value where a name belongs, and a value is never echoed.
    """
    parts = []
    for part in where:
        if isinstance(part, str) and not part.isdigit() and not _FIELD_NAME.fullmatch(part):
            break
        parts.append(f"/{part}")
    return "".join(parts)
