"""Named SQL: every statement stands in a file of its area, under a name, and is read from there.

A file holds blocks, each after a line `-- name: <name>`; what stands before the first is comment.
"""

import re
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$", re.MULTILINE)


@lru_cache
def load(area: str) -> dict[str, LiteralString]:
    """The statements of `sql/<area>.sql` by name; ValueError when a name stands twice."""
    return _named(resources.files("infra.postgres").joinpath("sql", f"{area}.sql"))


@lru_cache
def beside(package: str, name: str) -> dict[str, LiteralString]:
    """The statements of `<name>.sql` in another package, by name; ValueError as in `load`."""
    return _named(resources.files(package).joinpath(f"{name}.sql"))


def _named(file: Traversable) -> dict[str, LiteralString]:
    _, *parts = _NAME.split(file.read_text("utf-8"))
    names, bodies = parts[::2], parts[1::2]
    if len(set(names)) < len(names):
        raise ValueError(f"a statement of {file.name} stands twice")
    # The files ship with the program and nothing is ever put into them: they are literals.
    return {
        name: cast("LiteralString", body.strip().removesuffix(";"))
        for name, body in zip(names, bodies, strict=True)
    }
