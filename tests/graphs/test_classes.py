from __future__ import annotations

import pickle

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.classes import ADMG, CPDAG, DAG, MAG, MPDAG, PAG
from whence.graphs.graph import Graph, marks_from_edges


@pytest.mark.parametrize(
    ("kind", "text", "code", "words"),
    [
        ("DAG", "a --> b --> c --> a", "cycle", "a --> b --> c --> a"),
        ("DAG", "s --> b; b --> c; c --> d; d --> b; d --> e", "cycle", "b --> c --> d --> b"),
        ("DAG", "a --> b; b --> a", "cycle", "b --> a --> b"),
        ("DAG", "a --> b; b <-> c", "edge_not_allowed", "not b <-> c. <-> edges belong to an ADMG"),
        ("DAG", "a --- b", "edge_not_allowed", "not a --- b"),
        ("DAG", "a o-> b", "edge_not_allowed", "not a o-> b. Circles belong to a PAG"),
        ("DAG", "a --> b; a <-> b", "double_edge", "'a' and 'b'"),
        ("DAG", "a --> a", "self_loop", "'a'"),
        ("ADMG", "a --> b --> a", "cycle", "b --> a --> b"),
        ("ADMG", "a --- b", "edge_not_allowed", "An ADMG has only --> and <-> edges"),
        ("ADMG", "a --- b; a --> b", "double_edge", "'a' and 'b'"),
        ("CPDAG", "a --> b --- c", "not_a_cpdag", "a --> b should be a --- b"),
        ("CPDAG", "a --> c <-- b; c --- d", "not_a_cpdag", "c --- d should be c --> d"),
        ("CPDAG", "a --- b; b --- c; c --- d; d --- a", "no_extension", "a --- b cannot be directed"),
        ("CPDAG", "a --> b; b --> c; c --> a", "cycle", "a --> b --> c --> a"),
        ("CPDAG", "a <-> b", "edge_not_allowed", "not a <-> b"),
        ("MPDAG", "a --> b --- c", "not_an_mpdag", "b --> c by Meek's rule 1"),
        ("MPDAG", "a --> b --> c; a --- c", "not_an_mpdag", "a --> c by Meek's rule 2"),
        ("MPDAG", "a --- b; b --- c; c --- d; d --- a", "no_extension", "a --- b"),
        ("MAG", "a --> b --> c; a <-> c", "almost_cycle", "a <-> c beside a --> b --> c"),
        ("MAG", "a --- b; c --> a", "not_ancestral", "points at 'a', an end of a --- b"),
        ("MAG", "a --- b; c <-> a", "not_ancestral", "points at 'a'"),
        ("MAG", "a o-o b", "edge_not_allowed", "a o-o b"),
        ("MAG", "u --> a; u [latent]", "latent_node", "not latent ['u']"),
        ("PAG", "a --> b --> c --> a", "cycle", "a --> b --> c --> a"),
        ("PAG", "a --> b --> c; a <-> c", "almost_cycle", "a <-> c beside"),
        ("PAG", "a --- b; c o-> a", "not_ancestral", "points at 'a'"),
    ],
)
def test_each_class_names_what_breaks_it(kind, text, code, words):
    with pytest.raises(WhenceError) as error:
        graph(text, kind=kind)
    assert error.value.code == code
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("cls", "text"),
    [(DAG, "a --> b; c"), (ADMG, "a --> b; a <-> b"), (CPDAG, "a --- b; c --> d <-- e"),
     (MPDAG, "a --> b; a --> c; b --- c"), (MAG, "a --- b; b --> c <-> d"), (PAG, "a o-> b <-o c; b --> d")],
)
def test_each_class_accepts_its_own(cls, text):
    g = graph(text, kind=cls.__name__)
    assert isinstance(g, cls)
    assert g.kind == cls.__name__
    assert pickle.loads(pickle.dumps(g)) == g


def test_an_admg_keeps_both_edges_of_a_pair():
    g = graph("a --> b; a <-> b; b <-> c")
    assert sorted(g.edges()) == [("a", "-->", "b"), ("a", "<->", "b"), ("b", "<->", "c")]
    assert g != graph("a --> b; b <-> c", kind="ADMG")
    assert g.hash != graph("a --> b; b <-> c", kind="ADMG").hash
    assert g == graph("c <-> b; b <-> a; a --> b")
    assert hash(g) == hash(graph("c <-> b; b <-> a; a --> b"))
    assert repr(g) == "ADMG(3 nodes, 3 edges: a --> b; a <-> b; b <-> c)"
    assert g.to_dict() == {
        "kind": "ADMG", "names": ["a", "b", "c"], "latents": [],
        "edges": [["a", "-->", "b"], ["a", "<->", "b"], ["b", "<->", "c"]],
    }


def test_lone_bidirected_edges_show_in_marks_and_in_bidirected():
    by_marks = ADMG(("a", "b"), np.array([[0, 2], [2, 0]]))
    by_matrix = ADMG(("a", "b"), np.zeros((2, 2)), bidirected=np.array([[0, 1], [1, 0]]))
    assert by_marks == by_matrix
    assert by_matrix.marks.tolist() == [[0, 2], [2, 0]]
    assert by_marks.bidirected.tolist() == [[False, True], [True, False]]


def test_latents_are_part_of_the_graph():
    g, h = graph("u --> x"), graph("u --> x; u [latent]")
    assert g != h and g.hash != h.hash
    assert h.observed == ("x",)
    assert "latent: u" in repr(h)
    assert h.to_dict()["latents"] == ["u"]
    with pytest.raises(WhenceError, match="no node 'v'"):
        DAG(("a",), np.zeros((1, 1)), frozenset({"v"}))


def test_graphs_are_frozen_and_their_matrices_too():
    g = graph("a --> b")
    with pytest.raises(ValueError, match="read-only"):
        g.marks[0, 1] = 0
    with pytest.raises(AttributeError):
        g.names = ("x", "y")


@pytest.mark.parametrize(
    ("names", "marks", "code"),
    [(("a",), np.zeros((2, 2)), "bad_graph"), (("a", "a"), np.zeros((2, 2)), "duplicate_node"),
     (("a", "b"), [[0, 7], [7, 0]], "bad_graph"), (("a", "b"), [[0, 2.5], [3, 0]], "bad_graph"),
     (("a", "b"), [[0, 2], [0, 0]], "bad_graph"), (("a", ""), np.zeros((2, 2)), "empty_name"),
     (("a", "b"), [[0, float("nan")], [3, 0]], "bad_graph")],
)
def test_bad_storage(names, marks, code):
    with pytest.raises(WhenceError) as error:
        Graph(names, marks)
    assert error.value.code == code


def test_bad_bidirected_matrix():
    for wrong in (np.array([[0, 1], [0, 0]]), np.eye(2), np.zeros((3, 3))):
        with pytest.raises(WhenceError, match="symmetric"):
            ADMG(("a", "b"), np.zeros((2, 2)), bidirected=wrong)


def test_an_empty_graph_is_a_graph():
    g = DAG((), np.zeros((0, 0)))
    assert len(g) == 0 and g.edges() == []


def test_marks_from_edges_refuses_a_double_edge():
    with pytest.raises(WhenceError) as error:
        marks_from_edges(["a", "b"], [("a", "-->", "b"), ("a", "<->", "b")])
    assert error.value.code == "double_edge"
