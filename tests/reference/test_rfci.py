"""RFCI on true separations: no edge of the true graph is missing, and no mark is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from tests.discovery.oracle import OracleTests, one_of_each
from tests.reference.test_fci import LINKS, random_hidden, small_dags, with_hidden

from whence.discovery.rfci import CARD, discriminating_paths, rfci
from whence.graphs.build import graph
from whence.graphs.classes import DAG
from whence.graphs.graph import CIRCLE
from whence.graphs.mag import to_mag
from whence.graphs.pag import to_pag


def learn(dag: DAG):
    tests = OracleTests(dag)
    return rfci(tests, tests.names, None, CARD.checked({}))


def agrees(dag: DAG) -> bool:
    """Whether the skeleton is the true one; the graph is then the PAG (Colombo et al. 2012, theorem 3.2)."""
    found = learn(dag).graph
    mag = to_mag(dag)
    at = [mag.index[n] for n in found.names]
    true, marks = mag.marks[np.ix_(at, at)], found.marks
    assert ((true == 0) | (marks != 0)).all()
    assert ((true == 0) | (marks == CIRCLE) | (marks == true)).all()
    same = bool(((true == 0) == (marks == 0)).all())
    assert not same or found == to_pag(dag)
    return same


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs(seed: int) -> None:
    agrees(random_hidden(seed, 6, 12))


def test_every_dag_of_four_nodes() -> None:
    assert all(agrees(dag) for dag in one_of_each(small_dags(4)))


@pytest.mark.slow
def test_every_dag_of_five_nodes() -> None:
    assert all(agrees(dag) for dag in one_of_each(small_dags(5)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30, 1030))
def test_many_random_graphs(seed: int) -> None:
    agrees(random_hidden(seed, 6, 14))


@pytest.mark.parametrize("text", LINKS)
def test_edges_beyond_the_neighbours_stay(text: str) -> None:
    assert not agrees(with_hidden(text))


def test_discriminating_paths_by_hand() -> None:
    """z *-> v <-> b is discriminated by z for b when v --> a: <z, v, b, a>."""
    found = graph("z o-> v; v <-> b; v --> a; b o-o a", kind="PAG")
    paths = {tuple(found.names[k] for k in path) for path in discriminating_paths(found.marks)}
    assert paths == {("z", "v", "b", "a")}
    longer = graph("z o-> u; u <-> v; v <-> b; u --> a; v --> a; b o-o a", kind="PAG")
    assert {tuple(longer.names[k] for k in p) for p in discriminating_paths(longer.marks)} == {
        ("z", "u", "v", "b", "a")}
