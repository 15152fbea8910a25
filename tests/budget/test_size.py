"""Sizes that keep the house readable: files, functions, lines; no prints, no star imports."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src" / "whence"
FILES = sorted(p.relative_to(SRC).as_posix() for p in SRC.rglob("*.py"))
MOST_LINES, MOST_FUNCTION = 400, 60
# "file:function" -> why it may be longer.
LONGER: dict[str, str] = {}


@functools.cache
def text(file: str) -> str:
    return (SRC / file).read_text(encoding="utf-8")


@functools.cache
def tree(file: str) -> ast.Module:
    return ast.parse(text(file), file)


def functions(file: str) -> list[tuple[str, int]]:
    """Each function with its lines, decorators, docstring and inner functions included."""
    return [
        (node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(tree(file)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def test_there_are_files() -> None:
    assert len(FILES) > 50


@pytest.mark.parametrize("file", FILES)
def test_file_is_short(file: str) -> None:
    assert len(text(file).splitlines()) <= MOST_LINES


@pytest.mark.parametrize("file", FILES)
def test_functions_are_short(file: str) -> None:
    long = {f"{file}:{name}": size for name, size in functions(file) if size > MOST_FUNCTION}
    assert not {name: size for name, size in long.items() if name not in LONGER}


def test_exceptions_are_still_needed() -> None:
    long = {f"{file}:{name}" for file in FILES for name, size in functions(file) if size > MOST_FUNCTION}
    assert not set(LONGER) - long


def test_the_median_function_is_small() -> None:
    sizes = sorted(size for file in FILES for _, size in functions(file))
    assert sizes[len(sizes) // 2] <= 15


@pytest.mark.parametrize("file", FILES)
def test_every_module_says_what_it_is_for(file: str) -> None:
    assert (ast.get_docstring(tree(file)) or "").strip()


@pytest.mark.parametrize("file", FILES)
def test_no_star_imports_and_no_global_seed(file: str) -> None:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names), f"line {node.lineno}"
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("np.random.seed", "numpy.random.seed", "random.seed")


@pytest.mark.parametrize("file", [f for f in FILES if not f.startswith("cli/")])
def test_only_the_command_line_writes_to_the_screen(file: str) -> None:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("print", "sys.stdout.write", "sys.stderr.write", "pprint")


@pytest.mark.parametrize("file", FILES)
def test_heavy_packages_are_imported_late(file: str) -> None:
    """At the top of a module only what is cheap: these go inside functions."""
    heavy = {"scipy", "sklearn", "duckdb", "pandas", "polars", "pyarrow", "pydantic", "narwhals", "jinja2", "rich"}
    for node in tree(file).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {name.split(".")[0] for name in names} & heavy, f"line {node.lineno}"
