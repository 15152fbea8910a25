"""Simulated data agree with the truth they carry."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.graphs.graph import ARROW
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian
from whence.simulate.networks import random_network
from whence.simulate.treatments import confounded, kang_schafer, partially_linear


def test_random_dag_has_the_expected_degree_and_no_preferred_order() -> None:
    graphs = [random_dag(40, 4, seed) for seed in range(60)]
    edges = np.array([len(g.edges()) for g in graphs])
    # 780 pairs with probability 4 / 39: mean 80, standard error 8.5 / sqrt(60) = 1.1.
    assert abs(edges.mean() - 80) < 4
    forward = np.mean([np.triu(g.marks == ARROW).sum() / len(g.edges()) for g in graphs])
    assert 0.45 < forward < 0.55
    assert random_dag(40, 4, 7) == random_dag(40, 4, 7)
    assert random_dag(["b", "a"], 1, 0).names == ("b", "a")
    with pytest.raises(WhenceError):
        random_dag(3, 2.5)


def test_linear_covariance_and_total_effects() -> None:
    dag = random_dag(5, 3, 2)
    model = linear_gaussian(dag, 2)
    sizes = np.abs(model.weights[model.weights != 0])
    assert len(sizes) == len(dag.edges())
    assert ((sizes >= 0.5) & (sizes <= 1.5)).all()
    # Total effect by hand: sum over directed paths of products of weights.
    for i, j in itertools.permutations(range(5), 2):
        total = sum(
            np.prod([model.weights[a, b] for a, b in itertools.pairwise((i, *middle, j))])
            for k in range(4) for middle in itertools.permutations(set(range(5)) - {i, j}, k)
        )
        assert model.total_effects[i, j] == pytest.approx(total)
    values = model.sample(200_000, 1).matrix(dag.names)
    scale = np.sqrt(np.outer(np.diag(model.covariance), np.diag(model.covariance)))
    # Standard error of a covariance is at most sqrt(2 / n) = 0.003 of the scale.
    assert (np.abs(np.cov(values, rowvar=False) - model.covariance) < 0.015 * scale).all()


def test_the_order_of_names_does_not_matter() -> None:
    dag = random_dag(6, 2, 4)
    turned = type(dag)(dag.names[::-1], dag.marks[::-1, ::-1])
    one, two = linear_gaussian(dag, 5).sample(50, 1), linear_gaussian(turned, 5).sample(50, 1)
    for name in dag.names:
        np.testing.assert_allclose(one.numeric(name), two.numeric(name), rtol=1e-12)
    one, two = random_network(dag, 5).sample(50, 1), random_network(turned, 5).sample(50, 1)
    assert one.hash == two.hash


def test_network_joint_matches_samples_and_intervention() -> None:
    network = random_network(random_dag(5, 2, 3), 3)
    joint = network.joint()
    assert joint.sum() == pytest.approx(1)
    table = network.sample(100_000, 2)
    seen = np.zeros_like(joint)
    np.add.at(seen, tuple(table.codes(n) for n in network.graph.names), 1 / 100_000)
    assert np.abs(seen - joint).max() < 0.008  # five standard errors of a share of one half
    name, *_ = network.order()
    cut = network.joint(do={name: 0})
    axis = network.graph.names.index(name)
    # A node without parents: setting it is the same as seeing it.
    given = joint.take(0, axis) / joint.take(0, axis).sum()
    np.testing.assert_allclose(cut.take(0, axis), given)
    assert cut.take(1, axis).sum() == 0


@pytest.mark.parametrize("kind", ["binary", "categorical"])
@pytest.mark.parametrize("heterogeneity", [0.0, 0.7])
def test_effect_on_the_treated_matches_a_large_sample(kind, heterogeneity: float) -> None:
    data = confounded(400_000, 1, treatment=kind, heterogeneity=heterogeneity, effect=2.0)
    treated = data.table.codes("treatment") == 1
    seen = 2.0 * (1 + heterogeneity * data.table.numeric("age")[treated].mean())
    assert data.att == pytest.approx(seen, abs=0.02)
    assert data.ate == 2.0
    assert dict(data.level_effects) == ({1: 2.0} if kind == "binary" else {"half": 2.0, "full": 4.0})


def test_confounding_is_real_and_adjustment_removes_it() -> None:
    data = confounded(100_000, 3, treatment="continuous", nonlinear=False)
    y, d = data.table.numeric("outcome"), data.table.numeric("treatment")
    x = data.table.matrix(data.confounders)
    naive = np.cov(y, d)[0, 1] / d.var()
    adjusted = np.linalg.lstsq(np.column_stack([np.ones(len(y)), d, x]), y, rcond=None)[0][1]
    assert abs(naive - data.ate) > 0.1
    assert adjusted == pytest.approx(data.ate, abs=0.02)


def test_published_designs() -> None:
    data = kang_schafer(200_000, 1, effect=5.0)
    t, y = data.table.codes("treated"), data.table.numeric("outcome")
    z = data.table.matrix(data.confounders)
    fit = np.linalg.lstsq(np.column_stack([np.ones(len(y)), t, z]), y, rcond=None)[0]
    np.testing.assert_allclose(fit, [210, 5, 27.4, 13.7, 13.7, 13.7], atol=0.05)
    shown = kang_schafer(1000, 1, show="x")
    assert shown.confounders == ("x1", "x2", "x3", "x4")
    assert (shown.table.numeric("x1") > 0).all()
    data = partially_linear(50_000, 1, effect=0.5)
    x = data.table.matrix(data.confounders)
    assert np.corrcoef(x, rowvar=False)[0, 1] == pytest.approx(0.7, abs=0.02)
    y, d = data.table.numeric("outcome"), data.table.numeric("dose")
    left = y - 0.5 * d - 1 / (1 + np.exp(-x[:, 0])) - 0.25 * x[:, 2]
    assert left.std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(left, d)[0, 1]) < 0.02
