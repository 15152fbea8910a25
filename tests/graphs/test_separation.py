from __future__ import annotations

import random
from itertools import chain, combinations, pairwise

import networkx as nx
import pytest
from tests.reference import graphs_by_definition as naive

from whence.core.errors import WhenceError
from whence.graphs.build import graph
from whence.graphs.classes import ADMG, CPDAG, DAG, MAG
from whence.graphs.graph import matrices_from_edges
from whence.graphs.separation import minimal_separator, separated
from whence.graphs.transform import enumerate_members, to_cpdag


def subsets(items):
    items = list(items)
    return chain.from_iterable(combinations(items, k) for k in range(len(items) + 1))


def make(cls, names, edges):
    marks, bidirected = matrices_from_edges(names, edges)
    return cls(tuple(names), marks, bidirected=bidirected)


def check_query(g, edges, x, y, given):
    """The verdict equals the definition's, and the witness is an open path of the graph."""
    result = separated(g, x, y, given)
    assert bool(result) == naive.separated(edges, [x], [y], given), (edges, x, y, given)
    if result:
        assert result.path == ()
        return
    both = {*edges, *((b, naive.FLIP[e], a) for a, e, b in edges)}
    path = list(result.path)
    assert all(step in both for step in path)
    assert path[0][0] == x and path[-1][2] == y
    assert all(s[2] == t[0] for s, t in pairwise(path))
    nodes = [path[0][0], *(s[2] for s in path)]
    assert len(set(nodes)) == len(nodes)
    assert naive.is_open(edges, path, given)


def test_every_query_on_every_dag_of_four_nodes():
    for pairs in naive.all_dags("abcd"):
        edges = [(a, "-->", b) for a, b in pairs]
        g = make(DAG, "abcd", edges)
        for x, y in combinations("abcd", 2):
            for given in subsets(set("abcd") - {x, y}):
                check_query(g, edges, x, y, given)


@pytest.mark.parametrize("cls", [ADMG, MAG])
def test_random_mixed_graphs_against_paths(cls):
    rng, done = random.Random(7), 0
    while done < 150:
        names = "abcdef"
        edges = naive.random_dag_edges(names, 0.35, rng)
        for a, b in combinations(names, 2):
            taken = any({a, b} == {s, t} for s, _, t in edges)
            if rng.random() < 0.2 and (cls is ADMG or not taken):
                edges.append((a, "<->", b))
            elif cls is MAG and not taken and rng.random() < 0.15:
                edges.append((a, "---", b))
        try:
            g = make(cls, names, edges)
        except WhenceError:
            assert cls is MAG  # not ancestral: the class says no
            continue
        done += 1
        for _ in range(12):
            x, y, *rest = rng.sample(names, 6)
            check_query(g, edges, x, y, tuple(rest[: rng.randint(0, 4)]))


def test_sets_against_networkx():
    rng = random.Random(1)
    for _ in range(300):
        names = [f"v{i}" for i in range(9)]
        edges = naive.random_dag_edges(names, 0.25, rng)
        g = make(DAG, names, edges)
        peer = nx.DiGraph()
        peer.add_nodes_from(names)
        peer.add_edges_from((a, b) for a, _, b in edges)
        order = rng.sample(names, 9)
        i, j, k = sorted(rng.sample(range(1, 9), 3))
        x, y, z = set(order[:i]), set(order[i:j]), set(order[j:k])
        assert bool(separated(g, x, y, z)) == nx.is_d_separator(peer, x, y, z)


def test_the_witness_does_not_depend_on_the_order_of_the_nodes():
    edges = [("x", "<--", "u"), ("u", "-->", "y"), ("x", "<--", "w"), ("w", "-->", "y")]
    paths = {separated(make(DAG, names, edges), "x", "y").path for names in ("xyuw", "wuyx", "uxwy")}
    assert paths == {(("x", "<--", "u"), ("u", "-->", "y"))}


def test_a_class_answers_as_all_of_its_members():
    rng = random.Random(3)
    for _ in range(60):
        names = "abcde"
        dag = make(DAG, names, naive.random_dag_edges(names, 0.5, rng))
        cpdag = to_cpdag(dag)
        x, y, *rest = rng.sample(names, 5)
        given = rest[: rng.randint(0, 3)]
        answers = {bool(separated(m, x, y, given)) for m in enumerate_members(cpdag)}
        result = separated(cpdag, x, y, given)
        assert answers == {bool(result)}
        if not result:
            assert naive.is_open(result.member.edges(), result.path, given)


def test_minimal_separators_against_all_subsets():
    rng = random.Random(11)
    for trial in range(250):
        names = "abcdef"
        edges = naive.random_dag_edges(names, 0.4, rng)
        cls = DAG
        if trial % 2:
            cls = ADMG
            edges += [(a, "<->", b) for a, b in combinations(names, 2) if rng.random() < 0.15]
        g = make(cls, names, edges)
        x, y, *rest = rng.sample(names, 6)
        within = rest[: rng.randint(0, 4)]
        always = [n for n in rest if rng.random() < 0.15]
        found = minimal_separator(g, x, y, within, always)
        free = set(within) - set(always)
        working = [
            {*s, *always} for s in subsets(free) if naive.separated(edges, [x], [y], {*s, *always})
        ]
        if found is None:
            assert not working
            continue
        assert found in working
        assert not any(w < found for w in working)


def test_latent_nodes_are_not_used_for_separation():
    g = graph("u --> x; u --> y; u [latent]")
    assert minimal_separator(g, "x", "y") is None
    assert minimal_separator(g, "x", "y", within=["u"]) == {"u"}


def test_result_reads_as_text_and_plain_values():
    g = graph("x --> m --> y; u --> x; u --> y")
    result = separated(g, "x", "y", "m")
    assert str(result) == "x and y are connected given m by x <-- u --> y"
    assert result.to_dict()["path"] == [["x", "<--", "u"], ["u", "-->", "y"]]
    assert str(separated(g, "x", "y", ["u", "m"])) == "x and y are separated given m, u"


@pytest.mark.parametrize(
    ("query", "code"),
    [(("a", "nobody"), "unknown_node"), (("a", "a"), "overlapping_sets"), (("a", "b", "b"), "overlapping_sets"),
     ((("a", "b"), "c", ("a",)), "overlapping_sets"), (((), "b"), "empty_set")],
)
def test_bad_queries(query, code):
    with pytest.raises(WhenceError) as error:
        separated(graph("a --> b --> c"), *query)
    assert error.value.code == code


def test_a_pag_of_no_mag_is_refused():
    with pytest.raises(WhenceError, match="a o-> b should be a o-o b") as error:
        separated(graph("a o-> b"), "a", "b")
    assert error.value.code == "not_a_pag"


def test_cpdag_kind_is_kept():
    assert isinstance(graph("a --- b"), CPDAG)
    assert separated(graph("a --- b; c"), "a", "c")
