from __future__ import annotations

import itertools
import math
import random
import time

import pytest

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.classes import CPDAG, DAG
from whence.graphs.equivalence import class_size
from whence.graphs.graph import marks_from_edges
from whence.graphs.orient import class_of
from whence.graphs.transform import close, enumerate_members, to_cpdag


def _all_dags(d):
    names = "abcde"[:d]
    pairs = list(itertools.combinations(names, 2))
    for choice in itertools.product((None, "-->", "<--"), repeat=len(pairs)):
        edges = [(a, e, b) for (a, b), e in zip(pairs, choice, strict=True) if e]
        try:
            yield DAG(names, marks_from_edges(names, edges))
        except WhenceError as error:
            assert error.code == "cycle"


def _undirected(pairs):
    names = sorted({n for pair in pairs for n in pair})
    return CPDAG(names, marks_from_edges(names, [(a, "---", b) for a, b in pairs]))


@pytest.mark.parametrize(
    ("d", "dags", "classes"), [(3, 25, 11), (4, 543, 185), pytest.param(5, 29281, 8782, marks=pytest.mark.slow)]
)
def test_every_class_of_few_nodes(d, dags, classes):
    members = {}
    for dag in _all_dags(d):
        key = class_of(dag.marks).tobytes()
        example, count = members.get(key, (dag, 0))
        members[key] = example, count + 1
    assert (len(members), sum(n for _, n in members.values())) == (classes, dags)  # OEIS A007984, A003024
    for dag, count in members.values():
        assert class_size(to_cpdag(dag)) == count


def test_random_classes_against_enumeration():
    rng = random.Random(3)
    for _ in range(60):
        d = rng.randint(4, 7)
        names = [f"v{k}" for k in range(d)]
        rng.shuffle(names)
        edges = [(a, "-->", b) for a, b in itertools.combinations(names, 2) if rng.random() < rng.choice((0.3, 0.8))]
        cpdag = to_cpdag(graph([*names, *edges], "DAG"))
        assert class_size(cpdag) == sum(1 for _ in enumerate_members(cpdag))


def test_random_chordal_graphs_against_enumeration():
    rng = random.Random(4)
    for _ in range(30):
        cpdag = _random_chordal(rng, rng.randint(4, 7), 3)
        assert class_size(cpdag) == sum(1 for _ in enumerate_members(cpdag))


def _random_chordal(rng, n, width):
    """Each node is joined to a part of a clique among those before it."""
    cliques, pairs = [["n000"]], []
    for k in range(1, n):
        clique = rng.choice(cliques)
        joined = rng.sample(clique, rng.randint(1, min(width, len(clique))))
        name = f"n{k:03}"
        pairs += [(other, name) for other in joined]
        cliques.append([*joined, name])
    return _undirected(pairs)


def test_known_sizes():
    assert class_size(_undirected(list(itertools.combinations([f"n{k:02}" for k in range(30)], 2)))) == (
        math.factorial(30))
    path = [(f"n{k:03}", f"n{k + 1:03}") for k in range(199)]
    assert class_size(_undirected(path)) == 200  # a tree has one orientation for each root
    # Two complete graphs of 5 that share 2 nodes: those that put the shared ones first are counted once.
    left = list(itertools.combinations("abcde", 2))
    right = list(itertools.combinations("abfgh", 2))
    assert class_size(_undirected(sorted({*left, *right}))) == (
        2 * math.factorial(5) * math.factorial(3) - math.factorial(2) * math.factorial(3) ** 2)
    assert class_size(to_cpdag(graph("a; b; c"))) == 1
    assert class_size(to_cpdag(graph([], "DAG"))) == 1
    assert class_size(to_cpdag(graph("a --> b; c --> b; d --> e"))) == 2


def test_a_large_class_is_counted_quickly():
    cpdag = _random_chordal(random.Random(5), 150, 6)
    start = time.perf_counter()
    assert class_size(cpdag) > 10**20
    assert time.perf_counter() - start < 5


def test_knowledge():
    # An arrow between components leaves them independent; one within a component does not.
    assert class_size(close(graph("a --> b; a --> c; b --- c", kind="Graph"))) == 2
    mpdag = close(graph("a --- b; b --- c; a --- c; c --- d; b --- d; a --> d", kind="Graph"))
    with pytest.raises(WhenceError, match="enumerate_members") as error:
        class_size(mpdag)
    assert error.value.code == "not_countable"
    with pytest.raises(WhenceError, match="not for DAG"):
        class_size(graph("a --> b"))


def test_mpdags_against_enumeration():
    rng, counted = random.Random(6), 0
    for _ in range(80):
        cpdag = _random_chordal(rng, rng.randint(4, 6), 3)
        a, _, b = rng.choice(cpdag.edges())
        edges = [e for e in cpdag.edges() if {e[0], e[2]} != {a, b}]
        mpdag = close(graph([*edges, (a, "-->", b)], kind="Graph"))
        try:
            size = class_size(mpdag)
        except WhenceError as error:
            assert error.code == "not_countable"
            continue
        counted += 1
        assert size == sum(1 for _ in enumerate_members(mpdag))
    assert counted > 20
