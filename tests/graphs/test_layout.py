"""The layout keeps its promises on random graphs of every kind: no overlap, no edge through a node."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.graphs.classes import ADMG, CPDAG, DAG
from whence.graphs.crossings import crossings, order_columns
from whence.graphs.graph import Graph, marks_from_edges
from whence.graphs.layering import acyclic, layers
from whence.graphs.layout import Layout, Route, layout
from whence.graphs.svg import controls


def mixed(d: int, degree: float, seed: int) -> Graph:
    """Any marks at all, cycles included."""
    rng = np.random.default_rng(seed)
    marks = np.zeros((d, d), dtype=np.int8)
    for i, j in itertools.combinations(range(d), 2):
        if rng.random() < degree / (d - 1):
            marks[i, j], marks[j, i] = rng.integers(1, 4, size=2)
    return Graph(tuple(f"n{k:02d}" for k in range(d)), marks)


def directed(d: int, degree: float, seed: int) -> DAG:
    rng = np.random.default_rng(seed)
    marks = np.zeros((d, d), dtype=np.int8)
    order = rng.permutation(d)
    for i, j in itertools.combinations(range(d), 2):
        if rng.random() < degree / (d - 1):
            marks[order[i], order[j]], marks[order[j], order[i]] = 2, 3
    return DAG(tuple(f"n{k:02d}" for k in range(d)), marks)


def sizes(graph: Graph, seed: int) -> dict[str, tuple[float, float]]:
    rng = np.random.default_rng(seed)
    return {n: (float(rng.integers(40, 160)), float(rng.choice([34, 50]))) for n in graph.names}


def points_of(route: Route) -> np.ndarray:
    """Many points along the drawn line."""
    t = np.linspace(0, 1, 25)[:, None]
    pieces = []
    for k in range(len(route.points) - 1):
        a, b = np.array(route.points[k]), np.array(route.points[k + 1])
        if k % 2 == 0:
            pieces.append(a + t * (b - a))
        else:
            c, e = (np.array(p) for p in controls(route, route.points[k], route.points[k + 1]))
            pieces.append((1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * c + 3 * t**2 * (1 - t) * e + t**3 * b)
    return np.concatenate(pieces)


def check_promises(graph: Graph, placed: Layout) -> None:
    assert set(placed.boxes) == set(graph.names) and len(placed.routes) == len(graph.edges())
    boxes = list(placed.boxes.values())
    for a, b in itertools.combinations(boxes, 2):
        apart = max(abs(a.x - b.x) - (a.width + b.width) / 2, abs(a.y - b.y) - (a.height + b.height) / 2)
        assert apart > 8
    for box in boxes:
        assert box.x - box.width / 2 > 0 and box.x + box.width / 2 < placed.width
        assert box.y - box.height / 2 > 0 and box.y + box.height / 2 < placed.height
    for route in placed.routes:
        line = points_of(route)
        assert (line > 0).all() and (line < [placed.width, placed.height]).all()
        for name, box in placed.boxes.items():
            depth = np.maximum(abs(line[:, 0] - box.x) - box.width / 2, abs(line[:, 1] - box.y) - box.height / 2)
            assert depth.min() > -0.01, (route.a, route.b, name)
        for end, name in ((0, route.a), (-1, route.b)):
            box, (x, y) = placed.boxes[name], route.points[end]
            assert abs(abs(x - box.x) - box.width / 2) < 1e-6 and abs(y - box.y) <= box.height / 2 - 6


@pytest.mark.parametrize("seed", range(12))
def test_any_marks(seed: int) -> None:
    graph = mixed([2, 5, 9, 20][seed % 4], 2.5, seed)
    check_promises(graph, layout(graph, sizes(graph, seed)))


@pytest.mark.parametrize("d, degree", [(5, 2), (20, 3), (60, 3), (30, 8)])
def test_random_dags_run_left_to_right(d: int, degree: float) -> None:
    graph = directed(d, degree, d)
    placed = layout(graph, sizes(graph, d))
    check_promises(graph, placed)
    for a, _, b in graph.edges():
        assert placed.boxes[a].x < placed.boxes[b].x


def test_small_graphs() -> None:
    nothing = layout(Graph((), np.zeros((0, 0))))
    assert nothing.boxes == {} and nothing.width > 0
    check_promises(one := Graph(("a",), np.zeros((1, 1))), layout(one))
    check_promises(many := Graph(tuple(map(str, range(40))), np.zeros((40, 40))), layout(many))


def test_both_edges_of_a_pair_are_routed() -> None:
    marks = np.array([[0, 2], [3, 0]])
    graph = ADMG(("a", "b"), marks, frozenset(), np.array([[False, True], [True, False]]))
    placed = layout(graph)
    check_promises(graph, placed)
    assert {(r.mark_a, r.mark_b) for r in placed.routes} == {(3, 2), (2, 2)}
    assert len({r.points[0] for r in placed.routes}) == 2


def test_treatment_left_and_outcome_right() -> None:
    names = list("cdmpxyz")
    edges = [("z", "-->", "x"), ("z", "-->", "y"), ("x", "-->", "m"), ("m", "-->", "y"), ("p", "-->", "y"),
             ("d", "-->", "c")]
    graph = DAG(tuple(names), marks_from_edges(names, edges))
    x = {n: b.x for n, b in layout(graph, left=["x"], right=["y"]).boxes.items()}
    assert x["z"] < x["x"] < x["m"] < x["y"]
    assert all(x["x"] <= x[n] for n in "mpcd") and x["y"] == max(x.values())
    backwards = layout(graph, left=["y"], right=["x"])  # cannot be had: the arrows win
    assert backwards.boxes["x"].x < backwards.boxes["y"].x
    with pytest.raises(WhenceError):
        layout(graph, left=["nobody"])


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_nodes_does_not_matter(seed: int) -> None:
    graph = mixed(15, 3, seed)
    order = np.random.default_rng(seed).permutation(15)
    turned = Graph(tuple(graph.names[k] for k in order), graph.marks[np.ix_(order, order)])
    assert layout(graph).boxes == layout(turned).boxes


def test_undirected_chains_are_one_line() -> None:
    names = list("abcdef")
    graph = CPDAG(tuple(names), marks_from_edges(names, [(a, "---", b) for a, b in itertools.pairwise("dbfaec")]))
    placed = layout(graph)
    assert len({round(b.y, 3) for b in placed.boxes.values()}) == 1
    assert placed.height < 70


def test_cycles_are_broken_and_sources_stand_by_their_effects() -> None:
    assert sorted(acyclic(3, [(0, 1), (1, 2), (2, 0)])) == [(0, 1), (0, 2), (1, 2)]
    assert layers(5, [(0, 1), (1, 2), (2, 3), (4, 3)], []) == [0, 1, 2, 3, 2]
    assert layers(4, [(0, 1), (2, 3)], [], left=[2], right=[1]) == [0, 1, 0, 1]


def test_crossings_are_counted_and_removed() -> None:
    after = {0: [3], 1: [2], 2: [], 3: []}
    before = {0: [], 1: [], 2: [1], 3: [0]}
    beside: dict[int, list[int]] = {v: [] for v in range(4)}
    assert crossings([[0, 1], [2, 3]], after) == 1
    assert crossings(order_columns([[0, 1], [2, 3]], before, after, beside), after) == 0


def test_crossings_agree_with_pairs() -> None:
    rng = np.random.default_rng(0)
    after = {v: sorted(set(rng.integers(8, 16, size=4).tolist())) for v in range(8)} | {v: [] for v in range(8, 16)}
    order = [list(range(8)), list(rng.permutation(range(8, 16)))]
    at = {v: k for k, v in enumerate(order[1])}
    edges = [(u, at[v]) for u in range(8) for v in after[u]]
    assert crossings(order, after) == sum((a < c and b > d) or (a > c and b < d)
                                          for (a, b), (c, d) in itertools.combinations(edges, 2))
