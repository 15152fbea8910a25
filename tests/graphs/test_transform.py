from __future__ import annotations

import random
from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest
from tests.reference import graphs_by_definition as naive

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.classes import ADMG, CPDAG, DAG, MPDAG
from whence.graphs.graph import marks_from_edges
from whence.graphs.orient import extension, meek
from whence.graphs.separation import separated
from whence.graphs.transform import (
    close,
    consistent_extension,
    enumerate_members,
    latent_projection,
    moral,
    skeleton,
    to_cpdag,
    v_structures,
)


def dag_of(names, pairs):
    return DAG(tuple(names), marks_from_edges(names, [(a, "-->", b) for a, b in pairs]))


def pdag_marks(names, directed, undirected):
    edges = [(a, "-->", b) for a, b in directed] + [(a, "---", b) for a, b in undirected]
    return marks_from_edges(names, edges)


def classes_of(names):
    classes = defaultdict(list)
    for pairs in naive.all_dags(names):
        classes[naive.equivalence_key(pairs)].append(pairs)
    return list(classes.values())


def pairs_of(dag):
    return tuple(sorted((a, b) for a, _, b in dag.edges()))


def test_every_class_of_four_nodes():
    """185 classes of 543 DAGs (Gillispie and Perlman 2002): CPDAG, extension and members of each."""
    classes = classes_of("abcd")
    assert (len(classes), sum(map(len, classes))) == (185, 543)
    for dags in classes:
        expected = CPDAG(tuple("abcd"), pdag_marks("abcd", *naive.union_of(dags)))
        assert {to_cpdag(dag_of("abcd", pairs)) for pairs in dags} == {expected}
        assert pairs_of(consistent_extension(expected)) in dags
        listed = [pairs_of(m) for m in enumerate_members(expected)]
        assert sorted(listed) == sorted(dags)
        assert len(set(listed)) == len(listed)


def test_classes_of_five_nodes():
    """8,782 classes of 29,281 DAGs; a random 150 of them in full."""
    classes = classes_of("abcde")
    assert (len(classes), sum(map(len, classes))) == (8782, 29281)
    for dags in random.Random(0).sample(classes, 150):
        cpdag = to_cpdag(dag_of("abcde", random.Random(len(dags)).choice(dags)))
        assert np.array_equal(cpdag.marks, pdag_marks("abcde", *naive.union_of(dags)))
        assert sorted(pairs_of(m) for m in enumerate_members(cpdag)) == sorted(dags)


def random_pdag(names, rng):
    edges = naive.random_dag_edges(names, 0.6, rng)
    directed = [(a, b) for a, _, b in edges if rng.random() < 0.45]
    undirected = [tuple(sorted((a, b))) for a, _, b in edges if (a, b) not in directed]
    return directed, undirected


def test_extension_of_any_partially_directed_graph():
    """Dor and Tarsi find a DAG exactly when there is one, in random graphs that need not be closed."""
    rng, without = random.Random(5), 0
    for _ in range(600):
        directed, undirected = random_pdag("abcde", rng)
        found, stuck = extension(pdag_marks("abcde", directed, undirected))
        members = naive.members(directed, undirected)
        if found is None:
            without += 1
            assert not members
            assert stuck
        else:
            assert pairs_of(DAG(tuple("abcde"), found)) in members
    assert 50 < without < 550


def test_meek_rules_find_all_that_follows():
    """With background arrows the closure is what the members have in common, and the MPDAG class agrees."""
    rng, done = random.Random(2), 0
    while done < 200:
        directed, undirected = random_pdag("abcde", rng)
        members = naive.members(directed, undirected)
        if not members:
            continue
        done += 1
        closed = meek(pdag_marks("abcde", directed, undirected))
        assert np.array_equal(closed, pdag_marks("abcde", *naive.union_of(members)))
        mpdag = close(graph([*"abcde", *[(a, "-->", b) for a, b in directed],
                             *[(a, "---", b) for a, b in undirected]], kind="Graph"))
        assert sorted(pairs_of(m) for m in enumerate_members(mpdag)) == sorted(members)


def test_rule_four_is_needed():
    # d --- c --> ... : a --- b, a --- c, a --- d, c --> d, d --> b with b and c apart gives a --> b.
    marks = pdag_marks("abcd", [("c", "d"), ("d", "b")], [("a", "b"), ("a", "c"), ("a", "d")])
    closed = meek(marks)
    assert (closed[0, 1], closed[1, 0]) == (2, 3)
    assert (closed[0, 2], closed[2, 0]) == (3, 3)


def test_meek_does_not_depend_on_the_order_of_the_nodes():
    rng = random.Random(9)
    for _ in range(200):
        directed, undirected = random_pdag("abcdef", rng)  # contradictory graphs included
        marks = pdag_marks("abcdef", directed, undirected)
        order = rng.sample(range(6), 6)
        assert np.array_equal(meek(marks)[np.ix_(order, order)], meek(marks[np.ix_(order, order)]))


def test_members_do_not_depend_on_the_order_of_the_nodes():
    a = graph("a --- b --- c --- d; b --- d")
    b = graph(["d", "c", "b", "a", *a.edges()])
    assert a == b
    assert list(map(str, enumerate_members(a))) != []
    assert list(enumerate_members(a)) == list(enumerate_members(b))
    assert consistent_extension(a) == consistent_extension(b)


def test_enumeration_is_lazy():
    names = [f"v{i:02d}" for i in range(40)]
    complete = graph([(a, "---", b) for a, b in combinations(names, 2)])  # 40! members
    assert isinstance(next(enumerate_members(complete)), DAG)


def test_latent_nodes_stay_latent():
    dag = graph("u --> x --> y; u --> y; u [latent]")
    for other in (to_cpdag(dag), consistent_extension(to_cpdag(dag)), next(enumerate_members(to_cpdag(dag)))):
        assert other.latents == {"u"}


def test_skeleton_v_structures_and_moral_graph():
    g = graph("b --> c; a --> c; c --> d; e")
    assert skeleton(g) == {("b", "c"), ("a", "c"), ("c", "d")}
    assert v_structures(g) == {("a", "c", "b")}
    assert moral(g) == {("b", "c"), ("a", "c"), ("c", "d"), ("a", "b")}


def test_latent_projection_keeps_every_separation_and_ancestor():
    rng = random.Random(4)
    for _ in range(120):
        names = [f"v{i}" for i in range(7)]
        dag = graph([*names, *naive.random_dag_edges(names, 0.4, rng)], latents=rng.sample(names, 3))
        admg = latent_projection(dag)
        assert isinstance(admg, ADMG)
        assert set(admg.names) == set(dag.observed)
        for x, y in combinations(dag.observed, 2):
            rest = [n for n in dag.observed if n not in (x, y)]
            given = rng.sample(rest, rng.randint(0, 2))
            assert bool(separated(dag, x, y, given)) == bool(separated(admg, x, y, given))
        for node in dag.observed:
            assert naive.below(admg.edges(), node) == naive.below(dag.edges(), node) & set(dag.observed)


def test_latent_projection_of_known_graphs():
    assert latent_projection(graph("u [latent]; u --> x; u --> y; x --> y")) == graph("x --> y; x <-> y")
    assert latent_projection(graph("a --> u --> b; u --> c; u [latent]")) == graph(
        "a --> b; a --> c; b <-> c")
    # A latent node in the middle of a bidirected chain passes it on downwards only.
    admg = graph("a <-> u; u --> b; u <-> c; u [latent]")
    assert latent_projection(admg) == graph("a <-> b; b <-> c")


@pytest.mark.parametrize("function", [to_cpdag, consistent_extension, enumerate_members, latent_projection, moral])
def test_the_wrong_class_is_refused(function):
    with pytest.raises(WhenceError) as error:
        result = function(graph("a o-> b"))
        list(result)
    assert error.value.code == "unsupported_graph"


def test_close_says_when_no_dag_fits():
    square = graph("a --- b; b --- c; c --- d; d --- a", kind="Graph")
    with pytest.raises(WhenceError, match="No DAG fits: a --- b") as error:
        close(square)
    assert error.value.code == "no_extension"
    assert isinstance(close(graph("a --> b; b --- c", kind="Graph")), MPDAG)
