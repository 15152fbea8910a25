"""Partition MCMC: agrees with the exact posterior within its own error, honours knowledge, and knows when to doubt."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import whence
from whence import Knowledge, WhenceError
from whence.discovery.partition_mcmc import Chain, Families, convergence
from whence.kernels.scores import called_score
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian


def table(d: int, n: int, seed: int) -> whence.Table:
    return linear_gaussian(random_dag(d, 2.0, seed=seed), seed=seed).sample(n, seed=seed)


@pytest.mark.parametrize("knowledge", [None, Knowledge((("x1",), ("x0", "x3")), required=(("x2", "x0"),))])
def test_agrees_with_the_exact_posterior(knowledge: Knowledge | None) -> None:
    data = table(4, 40, 4)
    exact = whence.posterior(data, knowledge, max_parents=2)
    found = whence.discover(data, "partition_mcmc", knowledge, max_parents=2, steps=6000, draws=1500)
    assert found.details["r_hat"] < 1.05 and found.details["effective_draws"] > 200
    error = 5 * 0.5 / np.sqrt(found.details["effective_draws"])
    for a, b in itertools.permutations(exact.names, 2):
        assert found.details["edges"][a][b] == pytest.approx(exact.edge(a, b), abs=error)
        assert found.details["paths"][a][b] == pytest.approx(exact.path(a, b), abs=error)
        if knowledge and not knowledge.allows(a, b):
            assert found.details["edges"][a][b] == 0
    assert found.score == pytest.approx(exact.log_total + np.log(exact.best_probability))


def test_every_partition_is_visited_as_often_as_it_weighs() -> None:
    """All families alike: the weight of a partition is its number of graphs; 25 DAGs of three variables."""
    d = 3
    kernel = called_score(d, lambda y, parents: 0.0)
    families = Families.of(kernel, ~np.eye(d, dtype=bool), np.zeros((d, d), dtype=bool), d)
    chain, seen = Chain(families, 1, 0, (7,)), {}
    for _ in range(40_000):
        chain.step()
        seen[chain.layers] = seen.get(chain.layers, 0) + 1
    weights = {layers: np.exp(chain.total(layers)) for layers in seen}
    assert len(seen) == 13 and sum(weights.values()) == pytest.approx(25)
    for layers, count in seen.items():
        assert count / 40_000 == pytest.approx(weights[layers] / 25, abs=0.015)


def test_draws_beyond_the_exact_limit() -> None:
    data = table(24, 300, 2)
    found = whence.discover(data, "partition_mcmc", max_parents=2, steps=300, draws=50, chains=2)
    assert found.details["draws"] == 100 and len(found.details["edges"]) == 24
    assert any(remark.code == "not_converged" for remark in found.warnings)
    json.dumps(found.to_dict(), allow_nan=False)


def test_same_seed_and_any_column_order_give_the_same_draws() -> None:
    data = table(5, 60, 3)
    asked = {"method": "partition_mcmc", "steps": 300, "draws": 100}
    found = whence.discover(data, seed=2, **asked)
    assert whence.discover(data.select(tuple(reversed(data.names))), seed=2, **asked).details == found.details
    assert whence.discover(data, seed=3, **asked).details != found.details


def test_convergence_of_known_chains() -> None:
    rng = np.random.default_rng(0)
    alike = rng.random((4, 1000, 3)) < 0.4
    rhat, size = convergence(alike.astype(float))
    assert rhat < 1.02 and 2500 < size < 6000
    apart = alike.copy()
    apart[0] = rng.random((1000, 3)) < 0.9
    assert convergence(apart.astype(float))[0] > 1.1
    slow = np.repeat(alike[:, ::10], 10, axis=1).astype(float)
    assert convergence(slow)[1] == pytest.approx(size / 10, rel=0.5)
    assert convergence(np.zeros((2, 50, 2))) == (1.0, 100.0)


def test_refusals() -> None:
    with pytest.raises(WhenceError) as caught:
        whence.discover(table(61, 100, 0), "partition_mcmc", max_parents=1)
    assert caught.value.code == "too_many_columns"
    with pytest.raises(WhenceError) as caught:
        both = Knowledge(required=(("x0", "x2"), ("x1", "x2")))
        whence.discover(table(3, 50, 0), "partition_mcmc", both, max_parents=1)
    assert caught.value.code == "no_graph"
