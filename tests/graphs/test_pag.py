from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from tests.reference import graphs_by_definition as paths

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.classes import DAG, MAG, PAG
from whence.graphs.graph import marks_from_edges
from whence.graphs.mag import to_mag
from whence.graphs.pag import to_pag
from whence.graphs.separation import separated
from whence.graphs.transform import to_cpdag
from whence.graphs.zhang import colliders, zhang


def random_source(rng, d=8, hidden=2, density=0.35):
    names = [f"n{k}" for k in range(d)]
    edges = paths.random_dag_edges(names, density, rng)
    return names, edges, rng.sample(names, hidden)


def test_textbook_pags():
    assert to_pag(graph("a --> b --> c")) == graph("a o-o b; b o-o c", kind="PAG")
    y = to_pag(graph("a --> c; b --> c; c --> d"))
    assert y == graph("a o-> c; b o-> c; c --> d", kind="PAG")
    # Instrument: z --> x --> y with x and y confounded; nothing is learned.
    iv = to_pag(graph("z --> x --> y; u --> x; u --> y; u [latent]"))
    assert iv == graph("z o-o x; x o-o y; z o-o y", kind="PAG")
    selected = graph("a --- b; b --- c; c --- d; d --- a", kind="MAG")
    assert to_pag(selected) == PAG(selected.names, selected.marks)


def test_equivalent_mags_have_one_pag_and_its_member_is_one():
    rng = random.Random(1)
    for _ in range(40):
        names, edges, latents = random_source(rng, 9, 3)
        source = DAG(tuple(names), marks_from_edges(names, edges), frozenset(latents))
        pag = to_pag(source)
        assert isinstance(pag.member, MAG)
        assert to_pag(pag.member) == pag == to_pag(to_mag(source)) == to_pag(pag)


def test_order_of_nodes_does_not_matter():
    rng = random.Random(2)
    for _ in range(30):
        names, edges, latents = random_source(rng)
        other = rng.sample(names, len(names))
        one, two = (to_pag(DAG(tuple(n), marks_from_edges(n, edges), frozenset(latents))) for n in (names, other))
        assert one == two and one.member == two.member


def test_arrowheads_and_tails_hold_in_the_source():
    """Without latent nodes the PAG has the CPDAG's edges, and its --> are arrows there."""
    rng = random.Random(6)
    for _ in range(30):
        names, edges, _ = random_source(rng, density=0.4)
        dag = DAG(tuple(names), marks_from_edges(names, edges))
        pag, cpdag = to_pag(dag), to_cpdag(dag)
        assert ((pag.marks != 0) == (cpdag.marks != 0)).all()
        assert ((pag.marks == 2) <= (cpdag.marks == 2)).all()
        assert not ((pag.marks == 2) & (pag.marks.T == 2)).any()


def test_separation_in_a_pag_is_that_of_the_source():
    rng = random.Random(9)
    for _ in range(25):
        names, edges, latents = random_source(rng)
        dag = DAG(tuple(names), marks_from_edges(names, edges), frozenset(latents))
        pag = to_pag(dag)
        for _ in range(12):
            x, y, *rest = rng.sample(dag.observed, len(dag.observed))
            given = rest[: rng.randint(0, 4)]
            here = separated(pag, x, y, given)
            assert bool(here) == bool(separated(dag, x, y, given))
            assert here or here.member == pag.member


@pytest.mark.parametrize(
    "text, value, part",
    [
        ("a o-> b", ["a", "b"], "a o-> b should be a o-o b"),
        ("a o-o b; b o-o c; c o-o d; d o-o a", None, "four or more without a chord"),
        ("a <-> b <-> c <-> d; b --> d; c --> a", ["a", "d"], "nothing separates them"),
        ("a o-> c <-o b; c o-> d", ["c", "d"], "c o-> d should be c --> d"),
        ("a o-o c; c --> b", ["b", "c"], "b <-- c should be b o-o c"),
    ],
)
def test_the_pag_of_no_mag(text, value, part):
    pag = graph(text, kind="PAG")
    for ask in (lambda: pag.member, lambda: separated(pag, "a", "b")):
        with pytest.raises(WhenceError) as error:
            ask()
        assert error.value.code == "not_a_pag" and part in error.value.message
        assert value is None or error.value.value[:2] == value


def test_a_class_of_dags_is_refused():
    with pytest.raises(WhenceError, match="not of a CPDAG"):
        to_pag(graph("a --- b"))


def circles(names, text):
    return np.where(marks_from_edges(names, [tuple(e.split()) for e in text.split("; ")]) != 0, 1, 0)


def test_separators_that_are_not_known_orient_nothing():
    start = circles("abc", "a --> b; b --> c")
    unknown = colliders(start, lambda i, j: None)
    assert (unknown == start).all()
    assert (zhang(unknown, lambda i, j: None) == start).all()
    found = colliders(start, lambda i, j: 0)
    assert found[0, 1] == found[2, 1] == 2 and found[1, 0] == found[1, 2] == 1


def test_contradicting_separators_give_the_same_answer_in_every_order():
    """Separating sets as finite data leave them: at random, so that rules contradict each other."""
    rng = random.Random(12)
    changed = 0
    for _ in range(60):
        d = 7
        skeleton = np.zeros((d, d), dtype=np.int8)
        for i, j in itertools.combinations(range(d), 2):
            skeleton[i, j] = skeleton[j, i] = rng.random() < 0.5
        sets = {p: rng.getrandbits(d) & ~(1 << p[0] | 1 << p[1]) for p in itertools.combinations(range(d), 2)}

        def separator(i, j, sets=sets):
            return sets[min(i, j), max(i, j)]

        order = rng.sample(range(d), d)

        def moved(i, j, order=order, sets=sets):
            given = sets[min(order[i], order[j]), max(order[i], order[j])]
            return sum(1 << k for k, old in enumerate(order) if given >> old & 1)

        first = zhang(colliders(skeleton, separator), separator)
        square = np.ix_(order, order)
        assert (zhang(colliders(skeleton[square], moved), moved) == first[square]).all()
        changed += (first > 1).any()
    assert changed > 30


def test_without_selection_no_edge_is_undirected():
    square = circles("abcd", "a --> b; b --> c; c --> d; a --> d")
    assert (zhang(square, lambda i, j: 0b1111)[square != 0] == 3).all()
    assert (zhang(square, lambda i, j: 0b1111, selection=False) == square).all()


def test_a_long_chain_is_oriented_to_its_end():
    d = 300
    names = [f"n{k:03d}" for k in range(d)] + ["z"]
    edges = [(a, "-->", b) for a, b in itertools.pairwise(names[:-1])] + [("z", "-->", names[1])]
    pag = to_pag(DAG(tuple(names), marks_from_edges(names, edges)))
    assert len([e for e in pag.edges() if e[1] == "-->"]) == d - 2
