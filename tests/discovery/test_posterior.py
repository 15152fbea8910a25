"""The exact posterior: against enumeration, published tables, knowledge and its own draws."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from tests.reference import dags_by_enumeration as truth

import whence
from whence import DAG, Knowledge, WhenceError
from whence.discovery import dag_sums as module
from whence.discovery.dag_sums import draw, sum_dags
from whence.discovery.posterior import of_score
from whence.discovery.probability_table import probability_table
from whence.discovery.scored import Scored
from whence.graphs.transform import to_cpdag
from whence.kernels.scores import called_score
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian
from whence.stats.score.choose import score
from whence.stats.score.score import Score


def numbers(d: int = 4, n: int = 50, seed: int = 0) -> whence.Table:
    return linear_gaussian(random_dag(d, min(2.0, d - 1), seed=seed), seed=seed).sample(n, seed=seed)


def levels(n: int = 60, seed: int = 0) -> whence.Table:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2, n)
    b, c = np.where(rng.random(n) < 0.8, a, 1 - a), rng.integers(0, 3, n)
    d = np.where(rng.random(n) < 0.7, (b + c) % 3, rng.integers(0, 3, n))
    return whence.read({k: [f"l{v}" for v in x] for k, x in zip("abcd", (a, b, c, d), strict=True)})


def truth_of(table: whence.Table, method: str, knowledge: Knowledge | None = None, most: int = 9) -> dict[str, Any]:
    names = tuple(sorted(table.names))
    found = score(table, names, method, {"gamma": 0.0})

    def local(y: int, parents: frozenset[int]) -> float:
        named = {names[z] for z in parents}
        required = {a for a, b in (knowledge.required if knowledge else ()) if b == names[y]}
        allowed = all(not knowledge or knowledge.allows(a, names[y]) for a in named)
        return found.local(names[y], named) if allowed and required <= named and len(named) <= most else -np.inf

    return truth.tables(len(names), local)


def assert_same(found: whence.Posterior, expected: dict[str, Any]) -> None:
    for name in ("edge", "path", "adjacent", "blanket"):
        ask = getattr(found, "markov_blanket" if name == "blanket" else name)
        for (i, a), (j, b) in itertools.permutations(enumerate(found.names), 2):
            assert ask(a, b) == pytest.approx(expected[name][i, j], abs=1e-10), (name, a, b)
    assert found.log_total == pytest.approx(expected["log_total"], abs=1e-9)
    assert found.best_probability == pytest.approx(expected["weights"].max(), rel=1e-9)


@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_numbers_equal_enumeration(d: int) -> None:
    table = numbers(d, seed=d)
    assert_same(whence.posterior(table), truth_of(table, "bge"))


def test_categories_equal_enumeration() -> None:
    table = levels()
    assert_same(whence.posterior(table), truth_of(table, "bdeu"))


@pytest.mark.parametrize("knowledge, most", [
    (Knowledge(forbidden=(("x0", "x1"),), required=(("x2", "x0"),)), 9),
    (Knowledge(tiers=(("x1",), ("x0", "x3"), ("x2",)), within_tiers=False), 9),
    (None, 1),
    (Knowledge(required=(("x0", "x1"), ("x2", "x1"))), 2),
])
def test_knowledge_and_limits_equal_enumeration(knowledge: Knowledge | None, most: int) -> None:
    table = numbers(4, seed=9)
    assert set(table.names) == {"x0", "x1", "x2", "x3"}
    found = whence.posterior(table, knowledge, max_parents=most)
    assert_same(found, truth_of(table, "bge", knowledge, most))
    if knowledge:
        learned = whence.discover(table, "posterior", knowledge, max_parents=most)
        assert all((a, "-->", b) in learned.graph.edges() for a, b in knowledge.required)


@pytest.mark.parametrize("kind", ["ell", "len", "spr"])
def test_published_tables_of_galaxies(cases: Path, kind: str) -> None:
    folder = cases / "discovery" / "galaxies"
    expected = json.loads((folder / "posterior.json").read_text())[kind]
    table = whence.read(folder / f"{kind}.csv")
    whence.posterior(table)
    spent = []
    for _ in range(3):
        start = time.process_time()
        found = whence.posterior(table)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1
    pairs = list(itertools.permutations(enumerate(expected["names"]), 2))
    assert len(pairs) == 42
    for (i, a), (j, b) in pairs:
        assert found.edge(a, b) == pytest.approx(expected["edge"][i][j], abs=1e-4)
        assert found.path(a, b) == pytest.approx(expected["path"][i][j], abs=1e-4)


def test_draws_are_as_frequent_as_probable() -> None:
    names = ("a", "b", "c", "d", "e")
    rng = np.random.default_rng(3)
    sets = [c for k in range(5) for c in itertools.combinations(range(5), k)]
    known = {(y, c): rng.normal() * 1.5 for y in range(5) for c in sets}
    kernel = called_score(5, lambda y, parents: known[y, parents])
    found = of_score(Scored(names, Score("own", names, 100, {}, kernel), ()))
    dags, counts = np.unique(draw(found._sums, 20_000, 1), axis=0, return_counts=True)
    expected = 20_000 * np.exp(found._sums.log_probability(dags))
    often = expected > 20
    z = (counts - expected)[often] / np.sqrt(expected[often])
    assert often.sum() > 100 and (z**2).mean() == pytest.approx(1, abs=5 * np.sqrt(2 / often.sum()))
    assert len(found.sample(5)) == 5 and found.sample(5, seed=2) == found.sample(5, seed=2)
    graph = found.sample(1)[0]
    value = sum(known[y, tuple(np.flatnonzero(graph.marks[:, y] == 2).tolist())] for y in range(5))
    assert found.probability(graph) == pytest.approx(np.exp(value - found.log_total))


def test_credible_set_is_the_smallest() -> None:
    table = numbers(4, 200, seed=1)
    found = whence.posterior(table)
    weights, arrows = truth_of(table, "bge")["weights"], truth.all_dags(4)[0]
    classes: dict[Any, float] = {}
    for weight, dag in zip(weights, arrows, strict=True):
        cpdag = to_cpdag(DAG(found.names, (2 * dag + 3 * dag.T).astype(np.int8)))
        classes[cpdag.marks.tobytes()] = classes.get(cpdag.marks.tobytes(), 0.0) + weight
    best = np.sort(list(classes.values()))[::-1]
    for level in (0.5, 0.9, 0.95):
        credible = found.credible(level)
        assert credible.kind == "CPDAG" and credible.complete and credible.covered >= level
        assert len(credible) == int(np.searchsorted(np.cumsum(best), level)) + 1
        for graph, value in zip(credible.graphs, credible.probabilities, strict=True):
            assert value == pytest.approx(classes[graph.marks.tobytes()], rel=1e-9)
    known = Knowledge(forbidden=(("x0", "x1"),), required=(("x2", "x0"),))
    told = whence.posterior(table, known)
    weights = truth_of(table, "bge", known)["weights"]
    at = next(k for k, dag in enumerate(arrows) if np.array_equal(dag, told.best.marks == 2))
    assert weights[at] == pytest.approx(weights.max(), rel=1e-9)
    credible, best = told.credible(0.9), np.sort(weights)[::-1]
    assert credible.kind == "DAG" and credible.complete
    assert len(credible) == int(np.searchsorted(np.cumsum(best), 0.9)) + 1
    assert credible.probabilities == pytest.approx(best[: len(credible)], rel=1e-8)
    limited = whence.posterior(table, max_parents=1).credible(0.9)
    assert limited.kind == "DAG" and "DAGs hold" in repr(limited)


def test_same_answer_for_any_column_order_and_thread_count() -> None:
    table = numbers(10, 80, seed=4)
    found = whence.posterior(table)
    turned = whence.posterior(table.select(tuple(reversed(table.names))))
    assert np.array_equal(found.edges, turned.edges) and np.array_equal(found.paths, turned.paths)
    for workers in (1, 8):
        with mock.patch.object(module, "threads", lambda workers=workers: workers):
            again = whence.posterior(table)
        assert np.array_equal(found.edges, again.edges) and np.array_equal(found.paths, again.paths)
        assert np.array_equal(found.blankets, again.blankets) and found.best == again.best
    assert found.error < 1e-12


def test_strong_data_of_any_scale_stay_exact() -> None:
    """Scores span thousands of units: no float holds their exponentials."""
    table = numbers(4, 5000, seed=2)
    assert_same(whence.posterior(table), truth_of(table, "bge"))
    large = whence.posterior(numbers(12, 20_000, seed=3))
    assert np.isfinite(large.edges).all() and large.error < 1e-10
    assert (large.edges + large.edges.T <= 1 + 1e-9).all() and (large.edges <= large.paths + 1e-9).all()


def test_discovery_has_the_tables_by_name() -> None:
    table = numbers(5, 300, seed=5)
    found, exact = whence.discover(table, "posterior"), whence.posterior(table)
    assert found.details["edges"]["x0"]["x1"] == exact.edge("x0", "x1")
    assert found.details["paths"]["x3"]["x1"] == exact.path("x3", "x1")
    assert found.graph == to_cpdag(exact.best)
    assert found.score is not None and np.exp(found.score - exact.log_total) == pytest.approx(exact.best_probability)
    json.dumps(exact.to_dict(), allow_nan=False)


def test_refusals_and_errors() -> None:
    assert isinstance(whence.posterior(numbers(3).select(("x0",))), whence.Refused)
    with pytest.raises(WhenceError, match="21 columns") as caught:
        whence.posterior(numbers(21))
    assert caught.value.code == "too_many_columns" and "partition_mcmc" in str(caught.value.hint)
    with pytest.raises(WhenceError) as caught:
        whence.posterior(numbers(3), Knowledge(required=(("x0", "x2"), ("x1", "x2"))), max_parents=1)
    assert caught.value.code == "no_graph"
    found = whence.posterior(numbers(3))
    for call in (lambda: found.edge("x0", "nobody"), lambda: found.probability(whence.graph("p --> q", kind="DAG"))):
        with pytest.raises(WhenceError) as caught:
            call()
        assert caught.value.code == "unknown_node"
    for wrong in ({"level": 1.0}, {"draws": 0}):
        with pytest.raises(WhenceError) as caught:
            found.credible(**wrong)
        assert caught.value.code == "bad_parameter"
    with pytest.raises(WhenceError):
        whence.posterior(numbers(3), "x1 --> X2")  # pyright: ignore[reportArgumentType]


def test_what_was_assumed_is_said() -> None:
    mixed = {**{n: numbers(2).column(n).values for n in ("x0", "x1")}, "g": ["p", "q"] * 25}
    assert "approximate_posterior" in {r.code for r in whence.posterior(mixed).remarks}
    assert "parents_limited" in {r.code for r in of_score(_flat(16)).remarks}
    assert "prior_matters" in {r.code for r in whence.posterior(numbers(4, 20)).remarks}


def _flat(d: int) -> Scored:
    names = tuple(f"v{k:02d}" for k in range(d))
    table = whence.read({n: np.random.default_rng(k).normal(size=50) for k, n in enumerate(names)})
    return Scored(names, score(table, names, "bge"), ())


def test_pictures_and_words() -> None:
    found = whence.posterior(numbers(4, 500, seed=1))
    page, text = found._repr_html_(), repr(found)
    assert page.count("<rect") == 2 * 12 and "most probable single graph" in page
    assert "probability" in text and "-->" in text
    odd = probability_table(["<a>", "b" * 40], [("p & q", np.full((2, 2), 0.25))])
    assert "<a>" not in odd and "&lt;a&gt;" in odd and "p &amp; q" in odd


@pytest.mark.slow
def test_twenty_columns_in_a_minute() -> None:
    table = numbers(20, 500, seed=7)
    start = time.process_time()
    found = whence.posterior(table)
    assert time.process_time() - start < 60
    assert found.blankets is None and found.error < 1e-10
    with pytest.raises(WhenceError, match="15"):
        found.markov_blanket(*found.names[:2])
    drawn = np.mean([graph.marks == 2 for graph in found.sample(400)], axis=0)
    assert np.abs(drawn - found.edges).max() < 5 * 0.5 / np.sqrt(400)


def test_no_graph_is_left_when_every_family_needs_the_other() -> None:
    scores = np.array([[-np.inf, 0.0], [-np.inf, 0.0]])
    with pytest.raises(WhenceError) as caught:
        sum_dags(scores)
    assert caught.value.code == "no_graph"
