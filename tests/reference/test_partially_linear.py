"""The partially linear model against plain loops with statsmodels on the same folds, and least squares in its limit."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.stats.resample import folds

RNG = np.random.default_rng(21)
N = 500
X = RNG.normal(size=(N, 2))
GROUPS = RNG.integers(0, 40, N)
WEIGHTS = RNG.uniform(0.3, 3, N)
DOSE = X[:, 0] + RNG.normal(size=N)
ARM = (RNG.random(N) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear"}


def by_hand(y, d, fold, w=None, clusters=None, binary=False):
    w = np.ones(N) if w is None else w / w.mean()
    x = sm.add_constant(X)
    u, v = np.empty(N), np.empty(N)
    for k in range(fold.max() + 1):
        train, test = fold != k, fold == k
        u[test] = y[test] - sm.WLS(y[train], x[train], w[train]).fit().predict(x[test])
        if binary:
            fit = sm.GLM(d[train], x[train], sm.families.Binomial(), freq_weights=w[train]).fit()
        else:
            fit = sm.WLS(d[train], x[train], w[train]).fit()
        v[test] = d[test] - fit.predict(x[test])
    theta = sum(w * v * u) / sum(w * v * v)
    psi = [w[i] * v[i] * (u[i] - theta * v[i]) / sum(w * v * v) for i in range(N)]
    share = w * v * v / sum(w * v * v)
    if clusters is None:
        return theta, np.sqrt(sum((p / (1 - h)) ** 2 for p, h in zip(psi, share, strict=True)))
    names = set(clusters.tolist())
    total = [sum(p for p, c in zip(psi, clusters, strict=True) if c == name) / (1 - share[clusters == name].sum())
             for name in names]
    return theta, np.sqrt(len(names) / (len(names) - 1) * sum(s**2 for s in total))


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_by_hand(make_table, binary, weighted, clustered):
    d = ARM if binary else DOSE
    y = 2.0 * d + X @ [1.0, 0.5] + RNG.normal(size=N)
    table = make_table({"d": d, "y": y, "a": X[:, 0], "b": X[:, 1], "g": GROUPS, "w": WEIGHTS}, g="count",
                       **({"d": "binary"} if binary else {}))
    spec = Spec("adjustment", ("d",), ("y",), controls=("a", "b"), cluster="g" if clustered else None,
                weights="w" if weighted else None)
    effect = estimate(table, spec, "partially_linear", 4, n_splits=1, n_folds=4, **LINEAR)
    groups = GROUPS if clustered else None
    fold = folds(4, ARM if binary else np.zeros(N, dtype=int), groups, 4, 0)
    expected = by_hand(y, d, fold, WEIGHTS if weighted else None, groups, binary)
    # The logit has a penalty of .01, which moves it in the fifth digit.
    assert effect.estimate == pytest.approx(expected[0], abs=2e-4 if binary else 1e-8)
    assert effect.standard_error == pytest.approx(expected[1], rel=1e-3 if binary else 1e-8)


def test_with_as_many_folds_as_can_be_it_comes_near_least_squares(make_table):
    y = 2.0 * DOSE + X @ [1.0, 0.5] + RNG.normal(size=N)
    table = make_table({"d": DOSE, "y": y, "a": X[:, 0], "b": X[:, 1]})
    effect = estimate(table, Spec("adjustment", ("d",), ("y",), controls=("a", "b")), "partially_linear", n_folds=50,
                      n_splits=1, **LINEAR)
    fit = sm.OLS(y, sm.add_constant(np.column_stack([DOSE, X]))).fit(cov_type="HC3")
    assert effect.estimate == pytest.approx(fit.params[1], abs=0.05 * fit.bse[1])
    assert effect.standard_error == pytest.approx(fit.bse[1], rel=0.02)
