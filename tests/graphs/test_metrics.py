from __future__ import annotations

import random

import pytest
from tests.reference import graphs_by_definition as naive

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.metrics import MarkAccuracy, Scores, compare, mark_accuracy, shd
from whence.graphs.transform import to_cpdag


def test_counts_of_a_worked_example():
    truth = graph("a --> b --> c; d")
    found = graph("b --> a; b --> c; c --> d")  # one turned, one right, one too many
    result = compare(found, truth)
    assert result.shd == 2
    assert result.skeleton == Scores(right=2, wrong=1, missed=0)
    assert result.arrowheads == Scores(right=1, wrong=2, missed=1)
    assert result.skeleton.precision == pytest.approx(2 / 3)
    assert result.skeleton.recall == 1
    assert result.arrowheads.f1 == pytest.approx(2 / 5)
    assert result.to_dict()["arrowheads"]["recall"] == 0.5


def test_nothing_found_has_no_precision():
    result = compare(graph("a; b"), graph("a --> b"))
    assert result.skeleton.precision is None
    assert result.skeleton.recall == 0
    assert result.skeleton.f1 == 0
    assert compare(graph("a; b"), graph("a; b")).skeleton.f1 is None


def test_shd_is_the_number_of_pairs_that_differ():
    rng = random.Random(0)
    for _ in range(100):
        names = list("abcdef")
        g, h = (to_cpdag(graph([*rng.sample(names, 6), *naive.random_dag_edges(names, 0.4, rng)])) for _ in "gh")
        of = [{frozenset((a, b)): (a, e, b) if e == "-->" else e for a, e, b in x.edges()} for x in (g, h)]
        pairs = set(of[0]) | set(of[1])
        assert shd(g, h) == shd(h, g) == sum(of[0].get(p) != of[1].get(p) for p in pairs)


def test_a_second_edge_of_a_pair_counts():
    assert shd(graph("a --> b; a <-> b"), graph("a --> b", kind="ADMG")) == 1


def test_different_nodes():
    with pytest.raises(WhenceError, match="only one has \\['c'\\]"):
        compare(graph("a --> b"), graph("a --> b; c"))


def test_mark_accuracy():
    truth = graph("a o-> b; b <-> c; c --> d; e", kind="PAG")
    assert mark_accuracy(truth, truth) == MarkAccuracy(right=6, compared=6)
    found = graph("a o-o b; c --> b; d --> e; c", kind="PAG")  # b: circle for arrowhead; c: tail for arrowhead
    assert mark_accuracy(found, truth) == mark_accuracy(truth, found) == MarkAccuracy(right=2, compared=4)
    assert mark_accuracy(found, truth).to_dict() == {"right": 2, "compared": 4, "accuracy": 0.5}
    assert mark_accuracy(graph("a; b"), graph("a --> b")).accuracy is None
    with pytest.raises(WhenceError, match="two edges between one pair"):
        mark_accuracy(graph("a --> b"), graph("a --> b; a <-> b"))
