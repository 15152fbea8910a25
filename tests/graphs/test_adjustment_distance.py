"""Against the definition by brute force over class members, and against gadjid where it is installed."""

from __future__ import annotations

import functools
import itertools
import random

import numpy as np
import pytest
from tests.reference import graphs_by_definition as naive

from whence.core.errors import WhenceError
from whence.graphs.adjustment_distance import (
    STRATEGIES,
    AdjustmentDistance,
    adjustment_distance,
    structural_intervention_distance,
)
from whence.graphs.build import graph
from whence.graphs.transform import enumerate_members, to_cpdag


def _random(rng, d, density, as_class):
    names = [f"v{k}" for k in range(d)]
    rng.shuffle(names)
    dag = graph([*names, *naive.random_dag_edges(names, density, rng)], "DAG")
    return to_cpdag(dag) if as_class else dag


def _members(g):
    return [tuple(g.edges())] if g.kind == "DAG" else [tuple(m.edges()) for m in enumerate_members(g)]


@functools.cache
def _valid(edges, t, y, z):
    """The complete criterion in one DAG, path by path."""
    paths = list(naive.simple_paths(edges, t, y))
    causal = [p for p in paths if all(e == "-->" for _, e, _ in p)]
    forbidden = set().union(*(naive.below(edges, step[2]) for p in causal for step in p))
    return not forbidden & z and not any(naive.is_open(edges, p, z) for p in paths if p not in causal)


def _claim(g, t, y, strategy):
    """What the graph says: "none", "unknown", or the set to adjust for."""
    members = _members(g)
    fixed = [e for e in g.edges() if e[1] == "-->"]
    parents = {a for a, _, b in fixed if b == t}
    if (y in parents) if strategy == "parents" else all(y not in naive.below(m, t) for m in members):
        return "none"
    if not _identified(g, t, y):
        return "unknown"
    if strategy == "parents":
        return frozenset(parents)
    if strategy == "ancestors":
        return frozenset(n for n in g.names if n != t and t in naive.below(fixed, n))
    sets = set()
    for m in members:
        causal = {n for n in naive.below(m, t) - {t} if y in naive.below(m, n)}
        forbidden = set().union(*(naive.below(m, n) for n in causal)) | {t}
        sets.add(frozenset({a for a, _, b in m if b in causal} - forbidden))
    assert len(sets) == 1
    return sets.pop()


def _identified(g, t, y):
    others = [n for n in g.names if n not in (t, y)]
    subsets = (frozenset(s) for k in range(len(others) + 1) for s in itertools.combinations(others, k))
    members = _members(g)
    return any(all(_valid(m, t, y, z) for m in members) for z in subsets)


def _right(g, t, y, claim):
    if claim == "none":
        return all(y not in naive.below(m, t) for m in _members(g))
    if claim == "unknown":
        # Where y is above t in every member no set is valid either, but that there is no effect is known.
        return not _identified(g, t, y) and any(y in naive.below(m, t) for m in _members(g))
    return all(_valid(m, t, y, claim) for m in _members(g))


@pytest.mark.parametrize("as_class", [(False, False), (True, True), (False, True), (True, False)])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_by_definition(strategy, as_class):
    rng = random.Random(len(strategy) + sum(as_class))
    for _ in range(8):
        d = rng.randint(2, 4)
        g, h = (_random(rng, d, rng.choice((0.4, 0.8)), c) for c in as_class)
        wrong = sum(not _right(h, t, y, _claim(g, t, y, strategy)) for t, y in itertools.permutations(g.names, 2))
        assert adjustment_distance(g, h, strategy) == AdjustmentDistance(wrong, d * (d - 1))


def _matrix(g):
    order = sorted(range(len(g)), key=g.names.__getitem__)
    m = g.marks[np.ix_(order, order)]
    return np.where((m == 2) & (m.T == 3), 1, np.where((m == 3) & (m.T == 3), 2, 0)).astype(np.int8)


def test_against_gadjid():
    gadjid = pytest.importorskip("gadjid")
    theirs = {"parents": gadjid.parent_aid, "ancestors": gadjid.ancestor_aid, "oset": gadjid.oset_aid}
    rng = random.Random(8)
    for _ in range(150):
        d = rng.randint(2, 12)
        g, h = (_random(rng, d, rng.choice((0.2, 0.5, 0.8)), rng.random() < 0.5) for _ in "gh")
        matrices = _matrix(h), _matrix(g)
        for strategy, function in theirs.items():
            expected = function(*matrices, edge_direction="from row to column")
            found = adjustment_distance(g, h, strategy)
            assert (found.share, found.wrong) == (pytest.approx(expected[0]), expected[1])
        if g.kind == h.kind == "DAG":
            sid = gadjid.sid(*matrices, edge_direction="from row to column")
            assert structural_intervention_distance(g, h).wrong == sid[1]


def test_worked_examples():
    chain = graph("a --> b --> c")
    assert structural_intervention_distance(chain, chain).wrong == 0
    # Peters and Bühlmann (2015): an edge too many is no mistake, one too few is.
    full = graph("a --> b --> c; a --> c")
    assert structural_intervention_distance(full, chain).wrong == 0
    assert structural_intervention_distance(chain, full) == AdjustmentDistance(wrong=1, pairs=6)
    assert structural_intervention_distance(chain, full).to_dict() == {"wrong": 1, "pairs": 6, "share": 1 / 6}
    # All members of a class are equally far from the class: its undirected edges leave every effect open.
    undirected = graph("a --- b; b --- c")
    assert [adjustment_distance(chain, undirected, s).wrong for s in STRATEGIES] == [6, 6, 6]
    assert adjustment_distance(graph("a"), graph("a")).share == 0
    assert adjustment_distance(graph("c; b; a"), graph("a --> b; c")).wrong == 1


def test_the_order_of_the_nodes_does_not_matter():
    g, h = graph("a --> b; c --> b; a --> d"), graph("d --> a; a --> b; c")
    turned = type(g)(g.names[::-1], g.marks[::-1, ::-1])
    for strategy in STRATEGIES:
        assert adjustment_distance(g, h, strategy) == adjustment_distance(turned, h, strategy)


def test_bad_input():
    g = graph("a --> b")
    with pytest.raises(WhenceError, match="no strategy 'o'"):
        adjustment_distance(g, g, "o")
    with pytest.raises(WhenceError, match="DAG or CPDAG, not ADMG"):
        adjustment_distance(graph("a <-> b"), g)
    with pytest.raises(WhenceError, match="class DAG, not CPDAG"):
        structural_intervention_distance(g, graph("a --- b"))
    with pytest.raises(WhenceError, match="only one has"):
        adjustment_distance(g, graph("a --> c"))
