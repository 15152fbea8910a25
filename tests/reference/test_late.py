"""The local average treatment effect against plain loops with statsmodels; Fieller's set by search."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.estimate import estimate
from whence.estimation.late import fieller
from whence.identification.spec import Spec
from whence.stats.resample import folds

RNG = np.random.default_rng(41)
N = 900
X = RNG.normal(size=(N, 2))
Z = (RNG.random(N) < 1 / (1 + np.exp(-0.7 * X[:, 0]))).astype(int)
KIND = RNG.random(N)
D = np.where(KIND < 0.5, Z, KIND < 0.7).astype(int)
Y = 1.5 * D + X[:, 0] + 2 * (KIND < 0.7) + RNG.normal(size=N)
GROUPS = RNG.integers(0, 45, N)


def by_hand(fold, clusters=None):
    x = sm.add_constant(X)
    p, m, r = np.empty(N), np.empty((N, 2)), np.empty((N, 2))
    for k in range(fold.max() + 1):
        train, test = fold != k, fold == k
        p[test] = sm.Logit(Z[train], x[train]).fit(disp=0).predict(x[test])
        for z in (0, 1):
            use = train & (z == Z)
            m[test, z] = sm.OLS(Y[use], x[use]).fit().predict(x[test])
            r[test, z] = sm.Logit(D[use], x[use]).fit(disp=0).predict(x[test])

    def effect(values, fit):
        return [fit[i, 1] - fit[i, 0]
                + ((values[i] - fit[i, 1]) / p[i] if Z[i] else -(values[i] - fit[i, 0]) / (1 - p[i])) for i in range(N)]

    top, bottom = np.array(effect(Y, m)), np.array(effect(D, r))
    theta = top.mean() / bottom.mean()
    psi = (top - theta * bottom) / bottom.mean() / N
    f = bottom.mean() ** 2 / (((bottom - bottom.mean()) ** 2).sum() / N**2)
    if clusters is None:
        return theta, np.sqrt((psi**2).sum()), f, bottom.mean()
    sums = np.bincount(clusters, weights=psi)
    g = len(np.unique(clusters))
    return theta, np.sqrt(g / (g - 1) * (sums**2).sum()), None, bottom.mean()


@pytest.mark.parametrize("clustered", [False, True])
def test_by_hand(make_table, clustered):
    table = make_table({"z": Z, "d": D, "y": Y, "a": X[:, 0], "b": X[:, 1], "g": GROUPS}, d="binary", z="binary",
                       g="count")
    spec = Spec("iv", ("d",), ("y",), "LATE", controls=("a", "b"), instruments=("z",),
                cluster="g" if clustered else None)
    effect = estimate(table, spec, "late", 3, n_splits=1, n_folds=4, outcome_learner="linear",
                      treatment_learner="linear")
    groups = GROUPS if clustered else None
    theta, error, f, share = by_hand(folds(4, Z, groups, 3, 0), groups)
    assert effect.estimate == pytest.approx(theta, rel=1e-3)
    assert effect.standard_error == pytest.approx(error, rel=2e-3)
    assert effect.diagnostics["compliers"] == pytest.approx(share, rel=1e-3)
    assert f is None or effect.diagnostics["first_stage_f"] == pytest.approx(f, rel=5e-3)


def test_fieller_is_the_set_not_rejected():
    covariance = np.array([[0.04, 0.01], [0.01, 0.02]])
    top, bottom, critical = 1.0, 0.8, 1.96
    low, high = fieller(top, bottom, covariance, critical)
    grid = np.linspace(-3, 8, 110_001)
    spread = covariance[0, 0] - 2 * grid * covariance[0, 1] + grid**2 * covariance[1, 1]
    inside = grid[np.abs(top - grid * bottom) <= critical * np.sqrt(spread)]
    assert (low, high) == pytest.approx((inside[0], inside[-1]), abs=2e-4)
    assert fieller(1.0, 0.2, covariance, critical) is None
