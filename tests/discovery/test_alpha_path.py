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


def test_ranges_are_narrowed_to_the_p_values_at_their_ends() -> None:
    """Two variables: the edge comes exactly at the p-value of their one test."""
    rng = np.random.default_rng(3)
    a = rng.standard_normal(300)
    data = {"a": a, "b": 0.15 * a + rng.standard_normal(300)}
    p = discover(data).evidence.of("a", "b").p_value
    path = alpha_path(data)
    assert isinstance(path, AlphaPath)
    apart, joined = path.of("a", "b")
    assert (apart.edge, joined.edge) == (None, "---") and joined.p_value is None
    assert apart.p_value == p and apart.high < p <= joined.low < 1.02 * apart.high
    assert 1 < path.precision <= 1.02 and len(path.alphas) < 40
    wide = alpha_path(data, [p / 30, p * 30], precision=2)
    assert isinstance(wide, AlphaPath) and 1 < wide.precision <= 2


def test_marks_have_ranges_of_their_own_and_a_picture() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 400))
    c = a + b + rng.standard_normal(400)
    d = 0.16 * a + rng.standard_normal(400)
    path = alpha_path({"a": a, "b": b, "c<&": c, "d": d})
    assert isinstance(path, AlphaPath)
    for x, y in path.pairs:
        for mark in path.of_mark(x, y):
            for alpha, graph in zip(path.alphas, path.graphs, strict=True):
                if mark.low <= alpha <= mark.high:
                    edges = {(u, v): e for u, e, v in graph.edges()}
                    edge = edges.get((x, y)) or {"-->": "<--"}.get(edges.get((y, x), ""), edges.get((y, x)))
                    expected = {None: None, "-->": "arrow", "<--": "tail", "---": "open"}[edge]
                    assert mark.mark == expected
    assert {m.mark for m in path.of_mark("a", "c<&")} >= {"arrow"}
    assert {m.mark for m in path.of_mark("c<&", "a")} <= {"tail", "open", None}
    picture = path._repr_html_()
    assert "<svg" in picture and "c&lt;&amp;" in picture and "c<&" not in picture
    assert picture.count("<rect") == sum(len(path.of(x, y)) for x, y in path.pairs)


def test_a_method_without_tests_has_no_levels() -> None:
    rng = np.random.default_rng(1)
    data = {"a": rng.standard_normal(50), "b": rng.standard_normal(50)}
    for bad in ({"method": "boss"}, {"method": "boss_fci"}, {"precision": 1.0}, {"precision": "fine"}):
        with pytest.raises(WhenceError) as error:
            alpha_path(data, **bad)
        assert error.value.code == "bad_parameter"
        assert "method" not in bad or error.value.allowed == ("fci", "pc", "rfci")


@pytest.mark.parametrize("method", ["pc", "fci", "rfci"])
def test_a_discovery_shows_over_which_levels_its_edges_hold(method: str) -> None:
    rng = np.random.default_rng(5)
    a, noise = rng.standard_normal((2, 300))
    data = {"a": a, "b": 0.15 * a + noise, "c": a + rng.standard_normal(300)}
    known = Knowledge(tiers=(("a",), ("b", "c")))
    found = discover(data, method, known, alpha=0.013, alpha_path=True)
    path = found.alpha_path
    assert 0.013 in path.alphas and path.precision <= 1.02
    assert path.graphs[path.alphas.index(0.013)] == found.graph
    held = path.around(0.013)
    assert {(x, y) for x, y, _ in held} == {(x, y) for x, _, y in found.graph.edges()}
    widths = [h.high / h.low for _, _, h in held]
    assert widths == sorted(widths) and all(h.low <= 0.013 <= h.high for _, _, h in held)
    assert f"a {held[0][2].edge} {held[0][1]}: " in repr(found)
    assert found._repr_html_().count("<svg") == 2
    assert f"p at most {found.evidence.of('a', 'c').p_value:.3g}" in found._repr_html_()
    assert found.to_dict()["alpha_path"]["pairs"]
    plain = discover(data, method, known, alpha=0.013)
    assert plain.alpha_path is None and plain.graph == found.graph
