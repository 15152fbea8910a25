"""BOSS-FCI on true separations: whatever order the score search ends with, the answer is the PAG of the graph.

A perfect score leads to a DAG in which each variable has just those earlier ones as parents from which the others do
not separate it (a minimal independence map of some order). Here that DAG is built from true separations, for random
orders, so that no luck of one search is at work; and once more by BOSS itself on covariances of the population.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.discovery.oracle import OracleTests, one_of_each
from tests.reference.test_fci import LINKS, random_hidden, small_dags, with_hidden

from whence.discovery import boss_fci as module
from whence.discovery.boss_fci import CARD, boss_fci
from whence.discovery.learned import EdgeScores, Learned
from whence.discovery.scored import Scored
from whence.graphs.classes import CPDAG, DAG
from whence.graphs.pag import to_pag
from whence.kernels.scores import gaussian_score
from whence.simulate.linear import linear_gaussian
from whence.stats.score.score import Score

ROWS = 10**9  # of the population that the score is told


def independence_map(tests: OracleTests, order: list[int]) -> np.ndarray:
    """Marks of the DAG with y --> x when the nodes before x other than y do not separate them."""
    marks = np.zeros((len(order), len(order)), dtype=np.int8)
    for k, x in enumerate(order):
        before = sum(1 << y for y in order[:k])
        for y in order[:k]:
            if not tests.separated(min(x, y), max(x, y), before & ~(1 << y)):
                marks[y, x], marks[x, y] = 2, 3
    return marks


def agrees(dag: DAG, order: list[int], monkeypatch: pytest.MonkeyPatch) -> bool:
    tests = OracleTests(dag)
    marks = independence_map(tests, order)
    monkeypatch.setattr(module, "boss", lambda asked, *_: Learned(CPDAG.of_dag(asked.names, marks), EdgeScores(())))
    learned = boss_fci(Scored(tests.names, None, (), tests), None, CARD.checked({}), 0)
    assert not learned.remarks, dag
    return learned.graph == to_pag(dag)


def test_any_order_of_four_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    for dag in one_of_each(small_dags(4)):
        for _ in range(3):
            assert agrees(dag, rng.permutation(len(dag.observed)).tolist(), monkeypatch), dag


@pytest.mark.slow
def test_any_order_of_five_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    for dag in one_of_each(small_dags(5)):
        for _ in range(5):
            assert agrees(dag, rng.permutation(len(dag.observed)).tolist(), monkeypatch), dag


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = random_hidden(seed, 6, 10)
    assert agrees(dag, np.random.default_rng(seed).permutation(len(dag.observed)).tolist(), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 520))
def test_many_random_graphs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = random_hidden(seed, 6, 12)
    assert agrees(dag, np.random.default_rng(seed).permutation(len(dag.observed)).tolist(), monkeypatch)


@pytest.mark.parametrize("text", LINKS)
def test_edges_that_no_set_of_neighbours_removes(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dag = with_hidden(text)
    assert agrees(dag, np.random.default_rng(1).permutation(len(dag.observed)).tolist(), monkeypatch)


@pytest.mark.parametrize("seed", range(12))
def test_the_search_itself_on_the_population(seed: int) -> None:
    """Covariances of the population under the score; separations of the graph as the tests."""
    dag = random_hidden(seed, 6, 10)
    tests = OracleTests(dag)
    model = linear_gaussian(dag, seed)
    at = [dag.index[n] for n in tests.names]
    cov = model.covariance[np.ix_(at, at)]
    scale = 1 / np.sqrt(cov.diagonal())
    d = len(at)
    kernel = gaussian_score(np.ascontiguousarray(cov * scale * scale[:, None]), -math.log(ROWS) * np.arange(float(d)),
                            np.full(d, ROWS / 2), 0.0)
    asked = Scored(tests.names, Score("gaussian_bic", tests.names, ROWS, {}, kernel), (), tests)
    learned = boss_fci(asked, None, CARD.checked({}), 0)
    assert learned.graph == to_pag(dag)
    assert not [r for r in learned.remarks if r.code == "not_a_pag"]
