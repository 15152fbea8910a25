"""The independent truths of tests/reference, and graphs from a line of text."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from whence.graphs.classes import ADMG, CPDAG, DAG, MPDAG
from whence.graphs.graph import Graph, marks_from_edges


@pytest.fixture(scope="session")
def truth() -> ModuleType:
    path = Path(__file__).parents[1] / "reference" / "causal_truth.py"
    spec = importlib.util.spec_from_file_location("causal_truth", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["causal_truth"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make() -> Any:
    return make_graph


def make_graph(source: str | tuple[tuple[int, ...], ...], kind: type[Graph] | str = DAG, hidden: Any = (),
               names: list[str] | None = None) -> Graph:
    """A graph from ``"a --> b; b --- c"`` or from parent tuples (nodes v0, v1, ...)."""
    if isinstance(kind, str):
        kind = {"DAG": DAG, "CPDAG": CPDAG, "MPDAG": MPDAG, "ADMG": ADMG}[kind]
    if isinstance(source, str):
        parts = [tuple(part.split()) for part in source.split(";") if part.strip()]
        edges = [p for p in parts if len(p) == 3]
        names = names or sorted({n for p in parts for n in (p[0], p[-1])})
        return kind(tuple(names), marks_from_edges(names, edges), frozenset(hidden))
    marks = np.zeros((len(source), len(source)), dtype=np.int8)
    for v, parents in enumerate(source):
        for u in parents:
            marks[u, v], marks[v, u] = 2, 3
    return kind(tuple(f"v{k}" for k in range(len(source))), marks, frozenset(f"v{k}" for k in hidden))
