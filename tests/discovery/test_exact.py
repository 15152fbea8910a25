"""Exact search: the best of all graphs by enumeration, the same by both ways, faithful to knowledge."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import dags_by_enumeration as truth

import whence
from whence import Knowledge, WhenceError
from whence.discovery import exact as module
from whence.discovery.exact import useful_sets
from whence.discovery.learned import constraints
from whence.discovery.scored import Scored
from whence.graphs.transform import to_cpdag
from whence.kernels.scores import called_score
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian
from whence.stats.score.score import Score


def random_score(d: int, seed: int) -> Scored:
    rng, known = np.random.default_rng(seed), {}
    kernel = called_score(d, lambda y, parents: known.setdefault((y, parents), rng.normal() * 5 - len(parents)))
    names = tuple("abcdefghijklmnopqrstuvwxyz"[:d])
    score = Score("own", names, 100, {}, kernel)
    for y in range(d):  # in one order, whatever asks first
        for number in range(1 << d):
            if not number >> y & 1:
                kernel.local(y, np.array([z for z in range(d) if number >> z & 1], dtype=np.int32))
    return Scored(names, score, ())


def table(d: int, degree: float, n: int, seed: int = 0) -> whence.Table:
    return linear_gaussian(random_dag(d, degree, seed=seed), seed=seed).sample(n, seed=seed)


@pytest.mark.parametrize("search", ["dp", "astar"])
@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_no_graph_is_better(d: int, search: str) -> None:
    for seed in range(3 if d < 5 else 1):
        asked = random_score(d, seed)
        kernel = asked.score.kernel
        best = truth.tables(d, lambda y, ps, k=kernel: k.local(y, np.array(sorted(ps), dtype=np.int32)))["best"]
        found = module.exact(asked, None, {"max_parents": None, "search": search}, 0)
        assert found.score == pytest.approx(best, abs=1e-9)


def test_both_ways_agree_with_and_without_knowledge_and_limits() -> None:
    for seed in range(8):
        asked = random_score(7, seed)
        for knowledge, most in ((None, None), (None, 2), (Knowledge((("c", "d"), ("a",)), (("b", "a"),)), None)):
            by = [module.exact(asked, knowledge, {"max_parents": most, "search": s}, 0) for s in ("dp", "astar")]
            assert by[0].score == pytest.approx(by[1].score, abs=1e-9) and by[0].graph == by[1].graph
            if knowledge:
                assert ("b", "-->", "a") in by[0].graph.edges()


def test_a_table_and_level_by_level_keep_the_same_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = random_score(6, 3)
    given = (asked.score.kernel, *constraints(asked.names, Knowledge(required=(("a", "b"),))), 3)
    expected = useful_sets(*given)
    monkeypatch.setattr(module, "MOST_FOR_TABLES", 2)
    assert useful_sets(*given) == expected


def test_data_larger_than_the_table_and_the_same_for_any_column_order() -> None:
    dag = random_dag(24, 1.5, seed=3)
    data = linear_gaussian(dag, seed=3).sample(1000, seed=3)
    found = whence.discover(data, "exact", max_parents=3)
    assert found.details["search"] == "astar" and found.details["states"] < 100_000
    turned = whence.discover(data.select(tuple(reversed(data.names))), "exact", max_parents=3)
    assert turned.graph == found.graph
    boss = whence.discover(data, "boss")
    assert found.score >= boss.score - 1e-6
    small = whence.discover(table(10, 2.0, 5000, 1), "exact", search="astar")
    assert small.graph == whence.discover(table(10, 2.0, 5000, 1), "exact").graph
    assert small.graph == to_cpdag(random_dag(10, 2.0, seed=1))


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    for d, params in ((31, {}), (21, {"search": "dp"})):
        with pytest.raises(WhenceError) as caught:
            whence.discover(table(d, 1.0, 100), "exact", **params)
        assert caught.value.code == "too_many_columns" and "boss" in str(caught.value.hint)
    required = Knowledge(required=(("a", "c"), ("b", "c")))
    for search in ("dp", "astar"):
        with pytest.raises(WhenceError) as caught:
            module.exact(random_score(3, 0), required, {"max_parents": 1, "search": search}, 0)
        assert caught.value.code == "no_graph"
    monkeypatch.setattr(module, "MOST_STATES", 5)
    with pytest.raises(WhenceError) as caught:
        module.exact(random_score(6, 0), None, {"max_parents": None, "search": "astar"}, 0)
    assert caught.value.code == "too_hard"
