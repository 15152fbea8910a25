"""False discovery control of edges: the procedure by its definition, and the share of false edges in simulation."""

from __future__ import annotations

import numpy as np
import pytest

from whence.discovery.discovery import discover
from whence.discovery.false_discovery import benjamini_yekutieli
from whence.graphs.knowledge import Knowledge
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian


def by_definition(p: list[float], rate: float, m: int) -> float:
    """The largest k with p_(k) <= k rate / (m sum 1/i), one after the other."""
    best = 0.0
    for k, value in enumerate(sorted(p), start=1):
        if value <= k * rate / (m * sum(1 / i for i in range(1, m + 1))):
            best = value
    return best


@pytest.mark.parametrize("seed", range(20))
def test_the_threshold_is_that_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random(30) ** 6
    for rate in (0.01, 0.1, 0.5):
        assert benjamini_yekutieli(p, rate) == by_definition(p.tolist(), rate, 30)
        assert benjamini_yekutieli(p, rate, 200) == by_definition(p.tolist(), rate, 200)


def test_nothing_to_reject() -> None:
    assert benjamini_yekutieli(np.array([]), 0.1) == 0.0
    assert benjamini_yekutieli(np.array([0.9, 1.0]), 0.1) == 0.0


def test_false_edges_are_few_where_no_control_lets_many_through() -> None:
    """30 variables, 300 rows, 40 sets, tests at .1: the mean share of false edges, with a rate of .1, stays below it
    by more than two Monte Carlo errors, and without control is far above."""
    shares, free, found = [], [], []
    for seed in range(40):
        dag = random_dag(30, 1.0, seed)
        table = linear_gaussian(dag, seed).sample(300, seed)
        true = {frozenset((a, b)) for a, _, b in dag.edges()}
        for rate, out in ((0.1, shares), (None, free)):
            learned = discover(table, alpha=0.1, fdr=rate)
            edges = {frozenset((a, b)) for a, _, b in learned.graph.edges()}
            out.append(len(edges - true) / max(len(edges), 1))
            if rate:
                found.append(len(edges & true) / max(len(true), 1))
    assert np.mean(shares) + 2 * np.std(shares) / np.sqrt(40) < 0.1
    assert np.mean(free) > 0.2
    assert np.mean(found) > 0.9


def test_what_was_taken_away_is_told_and_the_evidence_agrees() -> None:
    table = linear_gaussian(random_dag(20, 1.0, 3), 3).sample(200, 3)
    learned = discover(table, alpha=0.2, fdr=0.05)
    remark = next(r for r in learned.warnings if r.code == "false_edges_controlled")
    for a, b in remark.evidence["pairs"]:
        edge = learned.evidence.of(a, b)
        assert not edge.present
        assert edge.p_value is not None and edge.p_value > remark.evidence["level"]
    joined = {tuple(sorted((a, b))) for a, _, b in learned.graph.edges()}
    assert {(e.a, e.b) for e in learned.evidence if e.present} == joined


def test_required_edges_stay() -> None:
    rng = np.random.default_rng(0)
    table = {name: rng.standard_normal(300) for name in "abcd"}
    learned = discover(table, alpha=0.3, fdr=0.01, knowledge=Knowledge(required=(("a", "b"),)))
    assert learned.graph.edges() == [("a", "-->", "b")]
