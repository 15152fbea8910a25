"""Quantile effects: distribution functions against stacked equations with numerical derivatives; sorting by hand."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.estimate import estimate
from whence.estimation.quantile_effect import PENALTY, weighted_quantile
from whence.identification.spec import Spec

RNG = np.random.default_rng(13)
N = 500
X = RNG.normal(size=(N, 2))
T = (RNG.random(N) < 1 / (1 + np.exp(-0.7 * X[:, 0]))).astype(int)
Y = X[:, 0] + X[:, 1] ** 2 + T * (1 + X[:, 1]) + RNG.normal(size=N)
Z = np.column_stack([np.ones(N), (X - X.mean(axis=0)) / X.std(axis=0)])


def by_hand(values, weights, q):
    """The smallest value with at least q of the weight at or below it."""
    for value in np.sort(values):
        if weights[values <= value].sum() >= q * weights.sum() - 1e-12:
            return value
    return values.max()


def logistic(eta):
    return 1 / (1 + np.exp(-eta))


def stacked(arm, q, value, quantity, robust):
    """F at a value, and what each row adds to it, from propensity, outcome model and F as one system."""
    d, below = (arm == T).astype(float), (value[1] >= Y).astype(float)
    start = (value[0] >= Y).astype(float)

    def rows(theta):
        gamma, beta, total = theta[:3], theta[3:6], theta[6]
        p = logistic(Z @ gamma)
        m = logistic(Z @ beta) if robust else np.zeros(N)
        h = np.ones(N) if quantity == "QTE" else p
        v = d * h / (p if arm == 1 else 1 - p)
        # The arms' weights are normalised by their own mean, the people asked about by their number.
        s = np.ones(N) if quantity == "QTE" else (T == 1) / np.mean(T == 1)
        ridge = PENALTY * np.append(0.0, beta[1:]) / d.sum()
        outcome = d[:, None] * ((start - m)[:, None] * Z - ridge) if robust else -np.tile(beta, (N, 1))
        return np.vstack([((T - p)[:, None] * Z).T, outcome.T,
                          (s * m + v / v.mean() * (below - m) - total)[None, :]])

    def both(theta):
        return rows(theta).sum(axis=1)

    theta = np.append(sm.Logit(T, Z).fit(disp=0, tol=1e-12).params, np.zeros(4))
    for _ in range(12):
        slope = np.column_stack([(both(theta + h) - both(theta - h)) / 2e-6 for h in np.eye(7) * 1e-6])
        theta = theta - np.linalg.solve(slope, both(theta))
    at = rows(theta)
    # v / mean(v) is a ratio: its rows are linearised, F - (v - 1) mean(v (below - m)).
    p = logistic(Z @ theta[:3])
    m = logistic(Z @ theta[3:6]) if robust else np.zeros(N)
    v = d * (1 if quantity == "QTE" else p) / (p if arm == 1 else 1 - p)
    v = v / v.mean()
    s = np.ones(N) if quantity == "QTE" else (T == 1) / np.mean(T == 1)
    at[6] = s * m - s * np.mean(s * m) + v * (below - m) - v * np.mean(v * (below - m))
    inverse = np.linalg.inv(slope)
    return theta[6], -(inverse @ at)[6]


@pytest.mark.parametrize("score", ["weighting", "doubly_robust"])
@pytest.mark.parametrize("quantity", ["QTE", "QTT"])
@pytest.mark.parametrize("q", [0.3, 0.8])
def test_inverted_distribution_functions(make_table, quantity, q, score):
    table = make_table({"t": T, "y": Y, "a": X[:, 0], "b": X[:, 1]}, t="binary")
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("a", "b"))
    effect = estimate(table, spec, quantiles=str(q), score=score, degree=1)
    assert effect.method == "quantile_effect"
    p = sm.Logit(T, Z).fit(disp=0, tol=1e-12).predict()
    values, psi = [], np.zeros(N)
    found = effect.diagnostics["quantiles"][0]
    for arm, name in ((1, "treated"), (0, "control")):
        d = arm == T
        v = (1.0 if quantity == "QTE" else p) / (p if arm == 1 else 1 - p)
        start = by_hand(Y[d], v[d], q)
        robust = score == "doubly_robust" and not (quantity == "QTT" and arm == 1)
        value = found[name]
        total, added = stacked(arm, q, (start, value), quantity, robust)
        before, _ = stacked(arm, q, (start, value - 1e-9), quantity, robust)
        assert before < q <= total + 1e-9  # the value found is where F passes q
        at = q - (total - (v[d] / v[d].sum())[Y[d] <= value].sum())  # less what the outcome model adds
        error = np.sqrt((added**2).sum())
        low, high = (by_hand(Y[d], v[d], at + k * 1.96 * error) for k in (-1, 1))
        values.append(value)
        psi -= (1 if arm else -1) * (high - low) / (2 * 1.96 * error) * added
    assert effect.estimate == pytest.approx(values[0] - values[1])
    assert effect.standard_error == pytest.approx(np.sqrt((psi**2).sum()), rel=1e-4)
    assert effect.influence == pytest.approx(N * psi, abs=1e-3 * N * np.abs(psi).max())


def test_weighted_quantile_by_sorting():
    rng = np.random.default_rng(0)
    for size in (1, 2, 9, 40):
        values, weights = rng.integers(0, 10, size).astype(float), rng.uniform(0.1, 1, size)
        for q in (0.05, 0.31, 0.5, 0.99):
            assert weighted_quantile(values, weights, q) == by_hand(values, weights, q)
    assert weighted_quantile(np.array([1.0, 2, 3, 4]), np.ones(4), 0.5) == 2.5
