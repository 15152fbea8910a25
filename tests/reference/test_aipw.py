"""Cross-fitted AIPW against an independent version in plain loops, on the same folds."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.stats.resample import folds

RNG = np.random.default_rng(13)
N = 600
X = RNG.normal(size=(N, 2))
T = (RNG.random(N) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
Y = 1 + T * (1 + X[:, 1]) + X[:, 0] + RNG.normal(size=N)
GROUPS = RNG.integers(0, 40, N)


def by_hand(fold, quantity, clusters=None):
    """Row by row: predict from the other folds, form the score, average; the sandwich by cluster."""
    m1, m0, e = np.empty(N), np.empty(N), np.empty(N)
    x = sm.add_constant(X)
    for k in range(fold.max() + 1):
        train, test = fold != k, fold == k
        m1[test] = sm.OLS(Y[train & (T == 1)], x[train & (T == 1)]).fit().predict(x[test])
        m0[test] = sm.OLS(Y[train & (T == 0)], x[train & (T == 0)]).fit().predict(x[test])
        e[test] = sm.Logit(T[train], x[train]).fit(disp=0).predict(x[test])
    scores, targets = [], []
    for i in range(N):
        if quantity == "ATE":
            right = m1[i] - m0[i] + (Y[i] - m1[i]) / e[i] if T[i] else m1[i] - m0[i] - (Y[i] - m0[i]) / (1 - e[i])
            scores.append(right)
            targets.append(1)
        elif quantity == "ATT":
            scores.append(Y[i] - m0[i] if T[i] else -(Y[i] - m0[i]) * e[i] / (1 - e[i]))
            targets.append(T[i])
        else:
            scores.append((Y[i] - m1[i]) * (1 - e[i]) / e[i] if T[i] else m1[i] - Y[i])
            targets.append(1 - T[i])
    effect = sum(scores) / sum(targets)
    psi = [(s - t * effect) / sum(targets) for s, t in zip(scores, targets, strict=True)]
    if clusters is None:
        return effect, np.sqrt(sum(p**2 for p in psi))
    g = len(set(clusters))
    total = {c: sum(p for p, b in zip(psi, clusters, strict=True) if b == c) for c in set(clusters)}
    return effect, np.sqrt(g / (g - 1) * sum(v**2 for v in total.values()))


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_by_hand(make_table, quantity, clustered):
    table = make_table({"t": T, "y": Y, "a": X[:, 0], "b": X[:, 1], "g": GROUPS}, t="binary", g="count")
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("a", "b"), cluster="g" if clustered else None)
    learners = {"outcome_learner": "linear", "treatment_learner": "linear"}
    effect = estimate(table, spec, "aipw", 3, n_splits=1, n_folds=4, **learners)
    groups = GROUPS if clustered else None
    expected = by_hand(folds(4, T, groups, 3, 0), quantity, groups)
    # The logit nuisance has a penalty of 0.01, which moves it in the fifth digit.
    assert effect.estimate == pytest.approx(expected[0], abs=2e-4)
    assert effect.standard_error == pytest.approx(expected[1], rel=2e-3)
