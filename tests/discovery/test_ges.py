"""Greedy equivalence search: exact with perfect data, faithful to knowledge, the same for any order of columns."""

from __future__ import annotations

import numpy as np
import pytest
from tests.discovery.perfect import all_dags, perfect

import whence
from whence import Knowledge
from whence.core.errors import WhenceError
from whence.discovery.ges import ges
from whence.graphs.graph import ARROW
from whence.graphs.metrics import shd
from whence.graphs.transform import to_cpdag
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian

REFINEMENTS = ("none", "turning", "xges")


@pytest.mark.parametrize("d", [2, 3, 4])
def test_finds_every_small_class_from_perfect_data(d: int) -> None:
    for k, dag in enumerate(all_dags(d)):
        asked = perfect(dag, k)
        for refine in REFINEMENTS if d < 4 else REFINEMENTS[k % 3 :][:1]:
            assert ges(asked, None, {"refine": refine}, 0).graph == to_cpdag(dag)


def _larger(seeds: range) -> None:
    for seed in seeds:
        dag = random_dag(5 + seed % 8, 2.0 + seed % 3 / 2, seed=seed)
        asked, truth = perfect(dag, seed), to_cpdag(dag)
        for refine in REFINEMENTS:
            assert ges(asked, None, {"refine": refine}, 0).graph == truth, (seed, refine)


def test_finds_larger_classes_from_perfect_data() -> None:
    _larger(range(200))


@pytest.mark.slow
def test_finds_thousands_of_classes_from_perfect_data() -> None:
    _larger(range(200, 3200))


def test_close_to_the_truth_on_fifty_columns_raw_or_standardised() -> None:
    far = []
    for seed in range(4):
        dag = random_dag(50, 4.0, seed=seed)
        table = linear_gaussian(dag, seed=seed).sample(1000, seed=seed)
        found = whence.discover(table, "ges")
        scaled = {name: (v := table.column(name).values) / v.std() for name in table.names}
        assert whence.discover(scaled, "ges").graph == found.graph
        far.append(shd(found.graph, to_cpdag(dag)))
    assert np.mean(far) <= 4, far


def test_same_answer_for_any_column_order() -> None:
    table = linear_gaussian(random_dag(20, 3.0, seed=5), seed=5).sample(300, seed=5)
    found = whence.discover(table, "ges")
    turned = whence.discover(table.select(tuple(reversed(table.names))), "ges")
    assert found.graph == turned.graph and found.score == turned.score


@pytest.mark.parametrize("refine", REFINEMENTS)
@pytest.mark.parametrize("seed", range(4))
def test_knowledge_is_never_contradicted(seed: int, refine: str) -> None:
    table = linear_gaussian(random_dag(8, 3.0, seed=seed), seed=seed).sample(200, seed=seed)
    order = np.random.default_rng(seed).permutation(sorted(table.names)).tolist()
    knowledge = Knowledge(tiers=(tuple(order[:4]), tuple(order[4:])), required=((order[0], order[6]),),
                          forbidden=((order[1], order[5]), (order[5], order[7])))
    found = whence.discover(table, "ges", knowledge, refine=refine)
    assert not list(knowledge.check(found.graph))
    assert found.evidence.of(order[0], order[6]).decided_by == "knowledge"


def test_tiers_that_are_true_do_no_harm_with_perfect_data() -> None:
    for seed in range(40):
        dag = random_dag(7, 3.0, seed=seed)
        order = [dag.names[i] for i in np.argsort(np.linalg.matrix_power(np.eye(7) + (dag.marks == ARROW), 7).sum(0),
                                                  kind="stable")]
        knowledge = Knowledge(tiers=(tuple(order[:3]), tuple(order[3:])))
        if list(knowledge.check(dag)):
            continue
        expected = knowledge.apply(to_cpdag(dag))
        assert ges(perfect(dag, seed), knowledge, {"refine": "xges"}, 0).graph == expected


def test_categories_and_bad_parameters() -> None:
    rng = np.random.default_rng(0)
    a, c = rng.integers(0, 3, 2000), rng.integers(0, 2, 2000)
    b = np.where(rng.random(2000) < 0.8, a + c > 1, rng.integers(0, 2, 2000)).astype(int)
    coded = {"a": [f"l{v}" for v in a], "b": [f"l{v}" for v in b], "c": [f"l{v}" for v in c]}
    assert set(whence.discover(coded, "ges").graph.edges()) == {("a", "-->", "b"), ("c", "-->", "b")}
    with pytest.raises(WhenceError, match="refine"):
        whence.discover(coded, "ges", refine="more")
