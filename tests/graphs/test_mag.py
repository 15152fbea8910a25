from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from tests.reference import graphs_by_definition as paths
from tests.reference import mags_by_definition as naive

from whence.core.errors import WhenceError
from whence.graphs.ancestry import ancestors
from whence.graphs.build import graph
from whence.graphs.classes import ADMG, DAG, MAG
from whence.graphs.graph import matrices_from_edges
from whence.graphs.mag import to_mag
from whence.graphs.separation import separated


def make(cls, names, edges, latents=()):
    marks, bidirected = matrices_from_edges(names, edges)
    return cls(tuple(names), marks, frozenset(latents), bidirected)


def check(source, edges, mag):
    """The MAG has the separations and ancestors that the source has among observed nodes, and is maximal."""
    assert set(mag.names) == set(source.observed)
    connected = naive.models(mag.marks[None])
    assert naive.ancestral(mag.marks[None]).all() and naive.maximal(mag.marks[None], connected).all()
    d = len(mag)
    for i, j in itertools.combinations(range(d), 2):
        a, b = mag.names[i], mag.names[j]
        assert (a in ancestors(mag, b)) == (b in paths.below(edges, a))
        rest = [k for k in range(d) if k not in (i, j)]
        for given in itertools.chain.from_iterable(itertools.combinations(rest, r) for r in range(d - 1)):
            apart = paths.separated(edges, [a], [b], [mag.names[k] for k in given])
            assert connected[0, sum(1 << k for k in given), i, j] == (not apart), (edges, a, b, given)


def test_every_dag_of_four_nodes_with_a_latent_one():
    for pairs in paths.all_dags("abcd"):
        edges = [(a, "-->", b) for a, b in pairs]
        source = make(DAG, "abcd", edges, "a")
        check(source, edges, to_mag(source))


def test_random_dags_with_latent_nodes():
    rng = random.Random(3)
    for _ in range(60):
        edges = paths.random_dag_edges("abcdefg", 0.35, rng)
        source = make(DAG, "abcdefg", edges, rng.sample("abcdefg", rng.choice((2, 3))))
        check(source, edges, to_mag(source))


def test_random_admgs():
    rng = random.Random(4)
    for _ in range(60):
        edges = paths.random_dag_edges("abcde", 0.3, rng)
        edges += [(a, "<->", b) for a, b in itertools.combinations("abcde", 2) if rng.random() < 0.3]
        source = make(ADMG, "abcde", edges)
        check(source, edges, to_mag(source))


def test_textbook_inducing_path():
    """A collider that is an ancestor of an end makes the ends inseparable; one that is not does not."""
    mag = to_mag(graph("a --> c; b --> d; u --> a; u --> b; v --> b; v --> c; u [latent]; v [latent]"))
    assert mag == graph("a --> c; b --> d; a <-> b; b <-> c", kind="MAG")
    mag = to_mag(graph("u --> a; u --> b; v --> b; v --> c; b --> c; u [latent]; v [latent]"))
    assert mag.edges() == [("a", "<->", "b"), ("a", "<->", "c"), ("b", "-->", "c")]


def test_maximality_on_every_ancestral_graph_of_four_nodes():
    pairs = list(itertools.combinations(range(4), 2))
    marks = naive.orientations(4, pairs, naive.CHOICES)
    marks = marks[naive.ancestral(marks)]
    truth = naive.maximal(marks, naive.models(marks))
    assert not truth.all()
    for one, is_maximal in zip(marks, truth, strict=True):
        try:
            MAG(("a", "b", "c", "d"), one)
        except WhenceError as error:
            assert error.code == "not_maximal" and not is_maximal
        else:
            assert is_maximal


def test_what_is_not_maximal_is_named_with_its_path():
    with pytest.raises(WhenceError) as error:
        graph("a <-> b <-> c <-> d; b --> d; c --> a", kind="MAG")
    assert error.value.code == "not_maximal" and error.value.value == ["a", "d"]
    assert "inducing path a <-> b <-> c <-> d" in error.value.message
    assert error.value.hint == "Add a <-> d."
    spaced = [("a 1", "<->", "b 2"), ("b 2", "<->", "c"), ("c", "<->", "d"), ("b 2", "-->", "d"), ("c", "-->", "a 1")]
    with pytest.raises(WhenceError, match="inducing path a 1 <-> b 2 <-> c <-> d"):
        graph(spaced, kind="MAG")


@pytest.mark.parametrize("kind", ["CPDAG", "MPDAG", "PAG"])
def test_only_graphs_without_open_ends(kind):
    source = graph("a o-o b" if kind == "PAG" else "a --- b", kind=kind)
    with pytest.raises(WhenceError, match=f"not of a {kind}") as error:
        to_mag(source)
    assert error.value.code == "unsupported_graph"


def test_order_of_nodes_does_not_matter():
    rng = random.Random(8)
    for _ in range(20):
        names = [f"n{k}" for k in range(9)]
        edges = paths.random_dag_edges(names, 0.3, rng)
        latents = rng.sample(names, 3)
        first = to_mag(make(DAG, names, edges, latents))
        assert first == to_mag(make(DAG, rng.sample(names, 9), edges, latents))
        assert to_mag(first) is first


def test_no_latent_nodes_leaves_the_dag():
    source = graph("a --> b --> c; d --> c")
    assert np.array_equal(to_mag(source).marks, source.marks)
    assert not separated(to_mag(source), "a", "d", "c")
