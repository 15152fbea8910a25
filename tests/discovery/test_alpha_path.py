"""The graphs at every level of the tests."""

from __future__ import annotations

import json

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.discovery.alpha_path import AlphaPath, Held, alpha_path
from whence.discovery.discovery import discover
from whence.graphs.knowledge import Knowledge
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian


def test_each_level_is_what_discover_gives_there() -> None:
    table = linear_gaussian(random_dag(12, 3, 1), 1).sample(150, 1)
    path = alpha_path(table, [0.1, 0.001, 0.01])
    assert isinstance(path, AlphaPath)
    assert path.alphas == (0.001, 0.01, 0.1)
    for alpha, graph in zip(path.alphas, path.graphs, strict=True):
        assert graph == discover(table, alpha=alpha).graph
    for a, b in path.pairs:
        held = path.of(a, b)
        assert held[0].low == 0.001 and held[-1].high == 0.1
        for h in held:
            for alpha, graph in zip(path.alphas, path.graphs, strict=True):
                if h.low <= alpha <= h.high:
                    assert ((a, h.edge, b) in graph.edges() or (b, "-->", a) in graph.edges()) == (h.edge is not None)
    assert json.loads(json.dumps(path.to_dict(), allow_nan=False)) == path.to_dict()


def test_strong_edges_hold_throughout_and_weak_ones_at_lenient_levels() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal(400)
    weak = rng.standard_normal(400) + 0.13 * a
    path = alpha_path({"a": a, "b": a + rng.standard_normal(400), "c": weak})
    assert isinstance(path, AlphaPath)
    assert [h.edge for h in path.of("a", "b")][-1] is not None
    assert len(path.of("a", "c")) >= 2
    assert path.of("a", "c")[0].edge is None
    assert path.of("b", "c")[0] == Held(None, path.alphas[0], path.of("b", "c")[0].high)
    assert all({x, y} == {"a", "b"} for x, _, y in path.always())


def test_knowledge_parameters_and_bad_input() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal(200)
    data = {"a": a, "b": a + rng.standard_normal(200)}
    path = alpha_path(data, [0.01], Knowledge(tiers=(("b",), ("a",))), colliders="majority")
    assert isinstance(path, AlphaPath)
    assert path.always() == (("b", "-->", "a"),)
    assert isinstance(alpha_path({"a": a[:5], "b": a[5:10]}), Refused)
    for bad in ([], [0.0], [1.0], ["x"], 0.1):
        with pytest.raises(WhenceError) as error:
            alpha_path(data, bad)
        assert error.value.code == "bad_parameter"
    with pytest.raises(WhenceError) as error:
        alpha_path(data, colider="majority")
    assert error.value.code == "unknown_parameter"
