"""Front-door sets against the definition, by enumeration of paths, subsets and distributions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.graphs.classes import ADMG
from whence.graphs.graph import Graph, matrices_from_edges
from whence.identification.expression import P
from whence.identification.frontdoor import FrontDoor, NoFrontDoor, frontdoor
from whence.simulate.graphs import random_dag


def subsets(items: Any) -> list[frozenset[int]]:
    items = list(items)
    return [frozenset(s) for k in range(len(items) + 1) for s in itertools.combinations(items, k)]


def cut(dag: Any, nodes: Any) -> Any:
    """The DAG without the edges out of ``nodes``."""
    return tuple(tuple(u for u in p if u not in nodes) for p in dag)


def linked(truth: Any, dag: Any, a: Any, b: Any, given: set[int]) -> bool:
    return any(truth.is_open(dag, p, given) for x in a for y in b for p in truth.paths(dag, x, y))


def is_frontdoor(truth: Any, dag: Any, xs: set[int], ys: set[int], z: frozenset[int]) -> bool:
    """Pearl's three conditions one by one."""
    directed = [p for x in xs for y in ys for p in truth.paths(dag, x, y) if truth.is_causal(dag, p)]
    return (all(z & set(p) for p in directed)
            and not linked(truth, cut(dag, xs), xs, z, set())
            and not linked(truth, cut(dag, z), z, ys, xs))


def check(truth: Any, make: Any, dag: Any, xs: set[int], ys: set[int], hidden: Any = ()) -> bool:
    free = [v for v in range(len(dag)) if v not in xs | ys | set(hidden)]
    good = {z for z in subsets(free) if is_frontdoor(truth, dag, xs, ys, z)}
    answer = frontdoor(make(dag, hidden=hidden), [f"v{v}" for v in sorted(xs)], [f"v{v}" for v in sorted(ys)])
    assert bool(answer) == bool(good)
    if isinstance(answer, FrontDoor):
        assert positions(answer.largest) == frozenset().union(*good) and positions(answer.largest) in good
        small = positions(answer.mediators)
        assert small in good and not any(z < small for z in good)
    return bool(good)


def positions(names: Any) -> frozenset[int]:
    return frozenset(int(name[1:]) for name in names)


def test_all_dags_of_four_nodes(truth: Any, make: Any) -> None:
    # Up to renaming, one pair covers every question about one treatment and one outcome.
    found = [check(truth, make, dag, {0}, {1}) for dag in truth.all_dags(4)]
    assert 0 < sum(found) < len(found)


def test_all_dags_of_four_nodes_with_one_hidden(truth: Any, make: Any) -> None:
    assert any(check(truth, make, dag, {0}, {1}, hidden=(3,)) for dag in truth.all_dags(4))


@pytest.mark.parametrize("seed", range(4))
def test_random_dags_with_latents(truth: Any, make: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(60):
        n = int(rng.integers(5, 7))
        dag = truth.random_dag(n, rng.uniform(1, 3), rng)
        nodes = [int(v) for v in rng.permutation(n)]
        k = int(rng.integers(1, 3))
        found.append(check(truth, make, dag, set(nodes[:k]), {nodes[k]}, tuple(nodes[k + 1 : k + 2 + seed % 2])))
    assert any(found)


@pytest.mark.parametrize("seed", range(2))
def test_constraints(truth: Any, make: Any, seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    for _ in range(60):
        dag = truth.random_dag(6, rng.uniform(1, 3), rng)
        x, y, *rest = (int(v) for v in rng.permutation(6))
        within, must = rest[:3], rest[:1]
        good = [z for z in subsets(within) if z >= set(must) and is_frontdoor(truth, dag, {x}, {y}, z)]
        answer = frontdoor(make(dag), f"v{x}", f"v{y}", include=[f"v{v}" for v in must],
                           within=[f"v{v}" for v in within])
        assert bool(answer) == bool(good)
        if isinstance(answer, FrontDoor):
            assert positions(answer.largest) == frozenset().union(*good)
            small = positions(answer.mediators)
            assert small in good and not any(z < small for z in good)


def test_the_formula_is_the_interventional_truth(truth: Any, make: Any) -> None:
    rng, seen = np.random.default_rng(7), 0
    while seen < 60:
        dag = truth.random_dag(5, 2.0, rng)
        x, y, h, *_ = (int(v) for v in rng.permutation(5))
        answer = frontdoor(make(dag, hidden=(h,)), f"v{x}", f"v{y}")
        if not isinstance(answer, FrontDoor) or not answer.mediators:
            continue
        seen += 1
        tables = truth.random_tables(dag, [2, 3, 2, 2, 3], rng)
        joint = truth.product(tables).sum(axis=h)
        names = [f"v{v}" for v in range(5) if v != h]
        values = answer.expression.evaluate(joint, names)
        for level in range(joint.shape[names.index(f"v{x}")]):
            whole = truth.intervened(tables, {x: level})
            true = whole.sum(axis=tuple(v for v in range(5) if v != y))
            assert np.abs(values.take(level, axis=names.index(f"v{x}")).ravel() - true).max() < 1e-12


def test_admg_is_its_dag_with_hidden_nodes(truth: Any, make: Any) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        dag = truth.random_dag(5, 2.0, rng)
        pairs = [(0, 1), *((int(a), int(b)) for a, b in [sorted(rng.choice(5, 2, replace=False))])]
        whole = list(dag)
        for a, b in pairs:
            whole.append(())
            for v in (a, b):
                whole[v] = (*whole[v], len(whole) - 1)
        good = {z for z in subsets((2, 3, 4)) if is_frontdoor(truth, tuple(whole), {0}, {1}, z)}
        answer = frontdoor(mixed(dag, pairs), "v0", "v1")
        assert bool(answer) == bool(good)
        if isinstance(answer, FrontDoor):
            assert positions(answer.largest) == frozenset().union(*good)


def mixed(dag: Any, pairs: Any) -> Graph:
    names = [f"v{v}" for v in range(len(dag))]
    edges = [(f"v{u}", "-->", f"v{v}") for v, p in enumerate(dag) for u in p]
    hidden = [(f"v{a}", "<->", f"v{b}") for a, b in pairs]
    marks, bidirected = matrices_from_edges(names, [*edges, *hidden])
    return ADMG(tuple(names), marks, bidirected=bidirected)


def test_smoking() -> None:
    answer = frontdoor("smoking --> tar; tar --> cancer; smoking <-> cancer", "smoking", "cancer")
    assert isinstance(answer, FrontDoor)
    assert answer.mediators == ("tar",)
    assert answer.estimand == P(("cancer",), (), ("smoking",))
    assert answer.expression.text() == ("sum over tar of P(tar | smoking) * [sum over smoking' of "
                                        "P(cancer | smoking', tar) * P(smoking')]")
    assert "only through tar" in answer.assumptions[0]
    assert answer.to_dict()["mediators"] == ["tar"]


def test_a_node_off_the_causal_path_can_be_needed() -> None:
    answer = frontdoor("x --> m; m --> y; v --> m; v --> y; x <-> y", "x", "y")
    assert isinstance(answer, FrontDoor)
    assert answer.mediators == ("m", "v")


def test_a_direct_edge_is_the_reason() -> None:
    answer = frontdoor("x --> m; m --> y; x --> y; x <-> y", "x", "y")
    assert isinstance(answer, NoFrontDoor) and not answer
    assert answer.code == "unmediated_path"
    assert answer.witness["path"] == [["x", "-->", "y"]]


@pytest.mark.parametrize(("text", "why"), [
    ("x --> m; m --> y; x <-> m; x <-> y", "between the treatment and m"),
    ("x --> m; m --> y; m <-> y; x <-> y", "from m to the outcome"),
])
def test_why_a_mediator_cannot_serve(text: str, why: str) -> None:
    answer = frontdoor(text, "x", "y")
    assert isinstance(answer, NoFrontDoor)
    assert why in answer.excluded["m"]
    assert why in str(answer)


def test_a_hidden_mediator_is_never_used_but_named(make: Any) -> None:
    answer = frontdoor(make("x --> m; m --> y; u --> x; u --> y", hidden=["m", "u"]), "x", "y")
    assert isinstance(answer, NoFrontDoor)
    assert answer.excluded == {"m": "m is not measured."}
    assert answer.remedy == "Measuring m would make a front-door set possible."


def test_an_included_node_that_cannot_serve() -> None:
    answer = frontdoor("x --> m; m --> y; x <-> y; x <-> w; w --> y", "x", "y", include="w")
    assert isinstance(answer, NoFrontDoor)
    assert answer.code == "not_usable" and "w" in answer.excluded


def test_without_a_causal_path_nothing_is_mediated() -> None:
    answer = frontdoor("x <-> y; z --> y", "x", "y")
    assert isinstance(answer, FrontDoor)
    assert answer.no_effect and answer.mediators == () and answer.expression == P(("y",))


@pytest.mark.parametrize(("change", "code"), [
    ({"treatment": "nobody"}, "unknown_node"), ({"outcome": "x"}, "role_conflict"), ({"include": "x"}, "role_conflict"),
    ({"treatment": []}, "missing_role"), ({"include": "m", "within": ["z"]}, "not_within"),
    ({"within": ["u"]}, "latent_node"),
])
def test_bad_questions(make: Any, change: dict[str, Any], code: str) -> None:
    graph = make("x --> m; m --> y; u --> x; u --> y; z --> x", hidden="u")
    with pytest.raises(WhenceError) as error:
        frontdoor(graph, **({"treatment": "x", "outcome": "y"} | change))
    assert error.value.code == code


def test_a_class_is_refused_as_input(make: Any) -> None:
    with pytest.raises(WhenceError) as error:
        frontdoor(make("x --- y", kind="CPDAG"), "x", "y")
    assert error.value.code == "unsupported_graph"


def test_the_order_of_the_nodes_does_not_matter() -> None:
    graph = random_dag(12, 3.0, seed=5)
    turned = type(graph)(graph.names[::-1], graph.marks[::-1, ::-1], graph.latents)
    for x, y in itertools.permutations(graph.names[:5], 2):
        one, other = frontdoor(graph, x, y), frontdoor(turned, x, y)
        assert bool(one) == bool(other)
        if isinstance(one, FrontDoor) and isinstance(other, FrontDoor):
            assert one.mediators == other.mediators
