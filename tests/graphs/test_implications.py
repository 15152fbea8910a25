from __future__ import annotations

import random
from itertools import combinations

from tests.reference import graphs_by_definition as naive

from whence.graphs.build import graph
from whence.graphs.implications import implied_independences
from whence.graphs.separation import separated
from whence.graphs.transform import to_cpdag


def test_a_known_graph():
    g = graph("z --> x --> m --> y; z --> y")
    assert implied_independences(g) == [("m", "z", ("x",)), ("x", "y", ("m", "z"))]


def test_every_pair_without_an_edge_once_with_a_minimal_set():
    rng = random.Random(0)
    for _ in range(80):
        names = list("abcdef")
        edges = naive.random_dag_edges(names, 0.4, rng)
        g = graph([*names, *edges])
        found = implied_independences(g)
        joined = {frozenset((a, b)) for a, _, b in edges}
        assert [(x, y) for x, y, _ in found] == [
            p for p in combinations(names, 2) if frozenset(p) not in joined]
        for x, y, given in found:
            assert naive.separated(edges, [x], [y], given)
            assert not any(naive.separated(edges, [x], [y], set(given) - {z}) for z in given)


def test_latent_nodes_and_inseparable_pairs_are_left_out():
    g = graph("u [latent]; u --> x; u --> y; x --> z; w --> y")
    assert implied_independences(g) == [("w", "x", ()), ("w", "z", ()), ("y", "z", ("x",))]


def test_a_class_implies_what_its_members_imply():
    g = to_cpdag(graph("a --> b --> c --> d; a --> d"))
    for x, y, given in implied_independences(g):
        assert separated(g, x, y, given)


def test_node_order_does_not_matter():
    edges = [("z", "-->", "x"), ("x", "-->", "m"), ("m", "-->", "y"), ("z", "-->", "y")]
    assert implied_independences(graph(edges)) == implied_independences(graph([*"ymxz", *edges]))
