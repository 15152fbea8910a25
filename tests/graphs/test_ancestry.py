from __future__ import annotations

import random

import pytest
from tests.reference import graphs_by_definition as naive

from whence.core.errors import WhenceError
from whence.graphs import ancestry
from whence.graphs.build import graph
from whence.graphs.separation import separated
from whence.graphs.transform import close, enumerate_members, to_cpdag


def test_relations_of_a_small_graph():
    g = graph("a --> b --> c; a <-> c; d")
    assert ancestry.parents(g, "b") == {"a"}
    assert ancestry.parents(g, ["b", "c"]) == {"a", "b"}
    assert ancestry.children(g, "a") == {"b"}
    assert ancestry.spouses(g, "a") == {"c"}
    assert ancestry.adjacent(g, "a") == {"b", "c"}
    assert ancestry.ancestors(g, "c") == {"a", "b", "c"}
    assert ancestry.descendants(g, ["a"]) == {"a", "b", "c"}
    assert ancestry.districts(g) == [{"a", "c"}, {"b"}, {"d"}]
    assert ancestry.district(g, "c") == {"a", "c"}
    assert ancestry.neighbours(graph("a --- b --- c"), "b") == {"a", "c"}
    assert ancestry.parents(g, []) == frozenset()


def test_unknown_node():
    with pytest.raises(WhenceError, match="no node 'aa'") as error:
        ancestry.parents(graph("a --> b"), "aa")
    assert error.value.code == "unknown_node"


def test_topological_order_is_by_name_among_free_nodes():
    assert ancestry.topological_order(graph("z --> a; b; c --> b")) == ("c", "b", "z", "a")
    assert ancestry.topological_order(graph(["b", "c", ("c", "-->", "b"), "a", ("z", "-->", "a")])) == (
        "c", "b", "z", "a")


def test_descendants_against_the_definition():
    rng = random.Random(0)
    for _ in range(100):
        names = "abcdefg"
        g = graph([*names, *naive.random_dag_edges(names, 0.3, rng)])
        for node in names:
            assert ancestry.descendants(g, node) == naive.below(g.edges(), node)
        order = ancestry.topological_order(g)
        assert all(order.index(a) < order.index(b) for a, _, b in g.edges())
        for a in names:
            assert ancestry.ancestors(g, a) == {b for b in names if a in ancestry.descendants(g, b)}


def test_possible_descendants_against_all_members():
    """In classes and in classes restricted by random background arrows."""
    rng, restricted = random.Random(1), 0
    for trial in range(250):
        names = "abcdef"
        g = to_cpdag(graph([*names, *naive.random_dag_edges(names, 0.5, rng)]))
        edges = g.edges()
        undirected = [e for e in edges if e[1] == "---"]
        if trial % 2 and undirected:
            a, _, b = rng.choice(undirected)
            edges.remove((a, "---", b))
            g = close(graph([*names, *edges, rng.choice([(a, "-->", b), (b, "-->", a)])], kind="Graph"))
            restricted += 1
        members = list(enumerate_members(g))
        for node in names:
            assert ancestry.possible_descendants(g, node) == set().union(
                *(ancestry.descendants(m, node) for m in members))
            assert ancestry.possible_ancestors(g, node) == set().union(
                *(ancestry.ancestors(m, node) for m in members))
        pair = rng.sample(names, 2)
        assert ancestry.possible_descendants(g, pair) == set().union(
            *(ancestry.descendants(m, pair) for m in members))
    assert restricted > 50


def test_possible_descent_in_a_dag_is_descent():
    g = graph("a --> b --> c")
    assert ancestry.possible_descendants(g, "b") == {"b", "c"}
    assert ancestry.possible_ancestors(g, "b") == {"a", "b"}
    assert ancestry.possible_descendants(graph("a o-> b; c o-> b; b --> d"), "a") == {"a", "b", "d"}
    assert ancestry.possible_ancestors(graph("a o-o b; c <-> d"), ["a", "d"]) == {"a", "b", "d"}


def test_markov_blanket_is_the_smallest_separator_from_the_rest():
    rng = random.Random(6)
    for trial in range(120):
        names = "abcdef"
        edges = naive.random_dag_edges(names, 0.35, rng)
        if trial % 2:
            edges += [(a, "<->", b) for a in names for b in names if a < b and rng.random() < 0.15]
        g = graph([*names, *edges])
        for node in names:
            blanket = ancestry.markov_blanket(g, node)
            for other in set(names) - {node}:
                given = blanket - {other}
                rest = set(names) - {node, other}
                if other in blanket:  # connected given everything else in it, and given everything else
                    assert not separated(g, node, other, given)
                    assert not separated(g, node, other, rest)
                else:
                    assert separated(g, node, other, given)


def test_markov_blanket_of_a_class_is_that_of_its_members():
    g = to_cpdag(graph("a --> b --> c; d --> c; c --> e"))
    for node in g.names:
        assert {ancestry.markov_blanket(m, node) for m in enumerate_members(g)} == {
            ancestry.markov_blanket(g, node)}
    assert ancestry.markov_blanket(graph("a o-> b; c o-> b; b --> d"), "a") == {"b", "c"}
    with pytest.raises(WhenceError, match="the PAG of no MAG"):
        ancestry.markov_blanket(graph("a o-> b"), "a")
