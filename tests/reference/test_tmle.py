"""Targeted maximum likelihood against the same steps with statsmodels' logistic regression with an offset."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.stats.resample import folds

RNG = np.random.default_rng(31)
N = 600
X = RNG.normal(size=(N, 2))
T = (RNG.random(N) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
Y = 1 + T * (1 + X[:, 1]) + X[:, 0] + RNG.normal(size=N)
GROUPS = RNG.integers(0, 40, N)


def predictions(fold):
    m, e = np.empty((N, 2)), np.empty(N)
    x = sm.add_constant(X)
    for k in range(fold.max() + 1):
        train, test = fold != k, fold == k
        for b in (0, 1):
            use = train & (b == T)
            m[test, b] = sm.OLS(Y[use], x[use]).fit().predict(x[test])
        e[test] = sm.Logit(T[train], x[train]).fit(disp=0).predict(x[test])
    return m, e


def shifted(q, y, weights, inside):
    offset = np.log(q / (1 - q))
    fit = sm.GLM(y[inside], np.ones(inside.sum()), sm.families.Binomial(), offset=offset[inside],
                 freq_weights=weights[inside]).fit(tol=1e-12)
    return 1 / (1 + np.exp(-offset - fit.params[0]))


def by_hand(quantity, fold, clusters=None):
    m, e = predictions(fold)
    low, spread = Y.min(), np.ptp(Y)
    y, q = (Y - low) / spread, np.clip((m - low) / spread, 5e-4, 1 - 5e-4)
    if quantity == "ATE":
        q1, q0 = shifted(q[:, 1], y, 1 / e, T == 1), shifted(q[:, 0], y, 1 / (1 - e), T == 0)
        estimate = (q1 - q0).mean()
        psi = T / e * (y - q1) - (1 - T) / (1 - e) * (y - q0) + q1 - q0 - estimate
    elif quantity == "ATT":
        q0 = shifted(q[:, 0], y, e / (1 - e), T == 0)
        estimate = (y - q0)[T == 1].mean()
        psi = (T * (y - q0 - estimate) - (1 - T) * e / (1 - e) * (y - q0)) / T.mean()
    else:
        q1 = shifted(q[:, 1], y, (1 - e) / e, T == 1)
        estimate = (q1 - y)[T == 0].mean()
        psi = ((1 - T) * (q1 - y - estimate) + T * (1 - e) / e * (y - q1)) / (1 - T).mean()
    psi = psi / N * spread
    if clusters is None:
        return estimate * spread, np.sqrt((psi**2).sum())
    sums = np.bincount(clusters, weights=psi)
    g = len(np.unique(clusters))
    return estimate * spread, np.sqrt(g / (g - 1) * (sums**2).sum())


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_by_hand(make_table, quantity, clustered):
    table = make_table({"t": T, "y": Y, "a": X[:, 0], "b": X[:, 1], "g": GROUPS}, t="binary", g="count")
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("a", "b"), cluster="g" if clustered else None)
    effect = estimate(table, spec, "tmle", 3, n_splits=1, n_folds=4, outcome_learner="linear",
                      treatment_learner="linear")
    groups = GROUPS if clustered else None
    expected = by_hand(quantity, folds(4, T, groups, 3, 0), groups)
    assert effect.estimate == pytest.approx(expected[0], abs=2e-4)  # the logit's penalty moves the fifth digit
    assert effect.standard_error == pytest.approx(expected[1], rel=2e-3)
