"""What the linters do not say: sizes, docstrings, purity of the core, and nothing of a machine."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("domain", "projections", "infra", "services", "bench")
PURE = ("domain", "projections")
SKIPPED = {"build", "node_modules", "vendor"}
DOTTED = {".ci", ".dockerignore", ".gitignore"}
"""Dotted names that are ours; every other one is a tool's."""

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 70

IMPURE_MODULES = {
    *("asyncio", "io", "logging", "os", "random", "secrets", "shutil", "socket", "subprocess"),
    *("sys", "tempfile", "threading", "time", "urllib", "uuid"),
}
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "float"}
IMPURE_METHODS = {"now", "utcnow", "today", "read_text", "write_text", "read_bytes", "write_bytes"}
SWALLOWING = {"Exception", "BaseException"}

FOREIGN = {
    "an unfinished mark": r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b",
    "a path of a machine": r"(^|[^A-Za-z0-9_.])/(w[o]rk|f[a]rm|r[o]ot|h[o]me/[a-z]+)/",
    "a package registry": r"p[y]pi[.]org|python[h]osted|registry[.]n[p]mjs|deb[.]d[e]bian|"
    r"repo[0-9]?[.]m[a]ven|proxy[.]g[o]lang|c[r]ates[.]io/api|docker[.]i[o]/|ghcr[.]i[o]",
    "an address of an inner network": r"\b(10[.]\d+|192[.]168|172[.](1[6-9]|2\d|3[01]))"
    r"[.]\d+[.]\d+",
}


def files(*folders: str) -> Iterator[Path]:
    """Our files: not an environment's, a cache's or somebody else's."""
    for start in [ROOT / folder for folder in folders] or [ROOT]:
        yield from _walk(start)


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        name = path.name
        if (name.startswith(".") and name not in DOTTED) or name in SKIPPED:
            continue
        if path.is_dir():
            if name != "__pycache__" and not name.endswith(".egg-info"):
                yield from _walk(path)
        else:
            yield path


def place(path: Path, line: int = 0) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def parsed(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in files(*folders):
        if path.suffix == ".py":
            yield path, ast.parse(path.read_text(), str(path))


def test_files_and_functions_are_short() -> None:
    long = []
    for path, tree in parsed(*ROOMS):
        lines = path.read_text().count("\n")
        if lines > FILE_LINES_MAX:
            long.append(f"{place(path)} has {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno
                if size > FUNCTION_LINES_MAX:
                    long.append(f"{place(path, node.lineno)} {node.name} has {size} lines")
    assert not long, "\n".join(long)


def test_everything_public_says_what_it_means() -> None:
    silent = []
    for path, tree in parsed(*ROOMS):
        if not ast.get_docstring(tree):
            silent.append(place(path))
        silent += [
            place(path, node.lineno) for node in _public(tree) if not ast.get_docstring(node)
        ]
    assert not silent, "\n".join(silent)


def _public(
    node: ast.Module | ast.ClassDef,
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield child
            yield from _public(child)
        elif (
            isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            and not child.name.startswith("_")
            and not {"overload", "override"} & {ast.unparse(one) for one in child.decorator_list}
        ):
            yield child


def test_the_core_and_the_views_are_pure() -> None:
    impure = [
        f"{place(path, line)} {what}"
        for path, tree in parsed(*PURE)
        for line, what in _impurities(tree)
    ]
    assert not impure, "\n".join(impure)


def _impurities(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        for what in (*_reaching(node), *_unsafe(node)):
            yield getattr(node, "lineno", 0), what


def _reaching(node: ast.AST) -> Iterator[str]:
    """What would make the same input give another answer, or touch the world."""
    match node:
        case ast.Import():
            names = {one.name.split(".")[0] for one in node.names}
            yield from (f"imports {name}" for name in sorted(names & IMPURE_MODULES))
        case ast.ImportFrom(module=str(module), level=0):
            if module.split(".")[0] in IMPURE_MODULES:
                yield f"imports from {module}"
        case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
            yield f"calls {name}"
        case ast.Call(func=ast.Attribute(attr=name)) if name in IMPURE_METHODS:
            yield f"calls .{name}()"
        case _:
            pass


def _unsafe(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=float()):
            yield "has a binary floating-point number"
        case ast.ExceptHandler(type=None):
            yield "catches everything"
        case ast.ExceptHandler(type=ast.Name(id=name)) if name in SWALLOWING:
            yield f"catches {name}"
        case _:
            pass


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import random", "imports random"),
        ("from time import monotonic", "imports from time"),
        ("when = datetime.now(UTC)", "calls .now()"),
        ("text = open('x')", "calls open"),
        ("share = 0.5", "has a binary floating-point number"),
        ("try:\n    f()\nexcept Exception:\n    g()", "catches Exception"),
        ("try:\n    f()\nexcept:\n    g()", "catches everything"),
    ],
)
def test_an_impurity_is_seen(code: str, what: str) -> None:
    assert [found for _, found in _impurities(ast.parse(code))] == [what]


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_has(what: str) -> None:
    pattern = re.compile(FOREIGN[what])
    found = []
    for path in files():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [place(path, n) for n, line in enumerate(lines, 1) if pattern.search(line)]
    assert not found, "\n".join(found)


def test_the_core_is_not_missed_by_these_tests() -> None:
    assert {path.name for path, _ in parsed("domain")} >= {
        "kernel.py",
        "admit.py",
        "participant.py",
    }
    assert ROOT / ".ci" / "run" in set(files())
