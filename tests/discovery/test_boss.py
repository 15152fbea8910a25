"""The order search: exact with perfect data, faithful to knowledge, the same for any order of columns and threads."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from tests.discovery.perfect import all_dags, perfect

import whence
from whence import Knowledge
from whence.discovery import boss as module
from whence.discovery.boss import boss
from whence.discovery.ges import greedy
from whence.discovery.learned import constraints
from whence.discovery.scored import learned_dag
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.metrics import shd
from whence.graphs.transform import to_cpdag
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian

OPTIONS = {"starts": 2, "shakes": 6}


@pytest.mark.parametrize("d", [2, 3, 4])
def test_finds_every_small_class_from_perfect_data(d: int) -> None:
    for k, dag in enumerate(all_dags(d)):
        assert boss(perfect(dag, k), None, OPTIONS, 0).graph == to_cpdag(dag)


def _larger(seeds: range) -> None:
    for seed in seeds:
        dag = random_dag(5 + seed % 8, 2.0 + seed % 3 / 2, seed=seed)
        assert boss(perfect(dag, seed), None, OPTIONS, 0).graph == to_cpdag(dag), seed


def test_finds_larger_classes_from_perfect_data() -> None:
    _larger(range(150))


@pytest.mark.slow
def test_finds_thousands_of_classes_from_perfect_data() -> None:
    _larger(range(150, 2000))


def test_the_search_at_the_end_leads_from_anywhere_to_the_truth() -> None:
    for seed in range(300):
        dag = random_dag(5 + seed % 8, 2.0 + seed % 3 / 2, seed=seed)
        asked, start = perfect(dag, seed), random_dag(len(dag), 1.0 + seed % 4, seed=seed + 10**6)
        may, required = constraints(asked.names, None)
        found = greedy(asked, may, required, "climb", start=(start.marks == ARROW) & (start.marks.T == TAIL))
        assert learned_dag(asked, found.arrows, may, None).graph == to_cpdag(dag), seed


def test_close_to_the_truth_on_fifty_columns() -> None:
    far = []
    for seed in range(4):
        dag = random_dag(50, 4.0, seed=seed)
        found = whence.discover(linear_gaussian(dag, seed=seed).sample(1000, seed=seed), "boss")
        far.append(shd(found.graph, to_cpdag(dag)))
    assert np.mean(far) <= 4, far


def test_same_answer_for_any_column_order_thread_count_and_scale() -> None:
    dag = random_dag(20, 3.0, seed=5)
    table = linear_gaussian(dag, seed=5).sample(300, seed=5)
    found = whence.discover(table, "boss", starts=4, seed=9)
    turned = whence.discover(table.select(tuple(reversed(table.names))), "boss", starts=4, seed=9)
    assert found.graph == turned.graph and found.score == turned.score
    scaled = whence.read({name: 1000 * i + (i + 1) * table.column(name).values for i, name in enumerate(table.names)})
    assert whence.discover(scaled, "boss", starts=4, seed=9).graph == found.graph
    with mock.patch.object(module, "threads", lambda: 1):
        assert whence.discover(table, "boss", starts=4, seed=9).graph == found.graph


@pytest.mark.parametrize("seed", range(6))
def test_knowledge_is_never_contradicted(seed: int) -> None:
    dag = random_dag(8, 3.0, seed=seed)
    table = linear_gaussian(dag, seed=seed).sample(200, seed=seed)
    names = sorted(table.names)
    rng = np.random.default_rng(seed)
    order = rng.permutation(names).tolist()
    knowledge = Knowledge(tiers=(tuple(order[:4]), tuple(order[4:])), required=((order[0], order[6]),),
                          forbidden=((order[1], order[5]), (order[5], order[7])))
    found = whence.discover(table, "boss", knowledge)
    assert not list(knowledge.check(found.graph))
    assert found.evidence.of(order[0], order[6]).decided_by == "knowledge"


def test_categories_and_mixed_columns() -> None:
    rng = np.random.default_rng(0)
    n = 2000
    a, c = rng.integers(0, 3, n), rng.integers(0, 2, n)
    b = np.where(rng.random(n) < 0.8, a + c > 1, rng.integers(0, 2, n)).astype(int)
    coded = {"a": [f"l{v}" for v in a], "b": [f"l{v}" for v in b], "c": [f"l{v}" for v in c]}
    assert set(whence.discover(coded, "boss").graph.edges()) == {("a", "-->", "b"), ("c", "-->", "b")}
    x, y = rng.normal(size=n), rng.normal(size=n)
    mixed = {"x": x, "y": y, "g": [f"l{int(v)}" for v in (x + y + rng.normal(size=n) > 0)]}
    found = whence.discover(mixed, "boss")
    assert found.provenance.parameters["score"] == "auto"
    assert set(found.graph.edges()) == {("x", "-->", "g"), ("y", "-->", "g")}


def test_evidence_and_score_add_up() -> None:
    dag = random_dag(6, 2.0, seed=2)
    found = whence.discover(linear_gaussian(dag, seed=2).sample(500, seed=2), "boss", stability=3)
    assert found.score is not None and found.stability is not None
    assert all(row.loss is not None and row.loss > 0 for row in found.evidence)
    assert {(row.a, row.b) for row in found.evidence} == {tuple(sorted((a, b))) for a, _, b in found.graph.edges()}
