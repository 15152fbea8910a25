"""AIPW with missing outcomes against the score written out, with nuisances fitted fold by fold by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.stats.resample import folds

RNG = np.random.default_rng(3)
N = 400
X = RNG.normal(size=(N, 2))
T = (RNG.random(N) < 1 / (1 + np.exp(-0.7 * X[:, 0]))).astype(int)
Y = X[:, 0] + T * (1 + X[:, 1]) + RNG.normal(size=N)
SEEN = RNG.random(N) < 1 / (1 + np.exp(-1 - X[:, 0] + T))
W = RNG.uniform(0.5, 2, N)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_score(make_table, quantity, weighted):
    y = np.where(SEEN, Y, np.nan)
    table = make_table({"t": T, "y": y, "a": X[:, 0], "b": X[:, 1], "w": W}, t="binary")
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("a", "b"), weights="w" if weighted else None)
    effect = estimate(table, spec, "missing_outcome", seed=4, outcome_learner=LinearRegression(),
                      treatment_learner=LogisticRegression(C=5.0), n_splits=1, n_folds=4, clip=0.0)
    w = W / W.mean() if weighted else np.ones(N)
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    fold = folds(4, 2 * T + SEEN, None, 4, 0)
    m, e, r = np.zeros((N, 2)), np.zeros(N), np.zeros((N, 2))
    for k in range(4):
        out, new = fold != k, fold == k

        def chance(rows, target, new=new):
            return LogisticRegression(C=5.0).fit(z[rows], target[rows], w[rows]).predict_proba(z[new])[:, 1]

        e[new] = chance(out, T)
        for b in (0, 1):
            rows = out & (b == T) & SEEN
            m[new, b] = LinearRegression().fit(z[rows], Y[rows], w[rows]).predict(z[new])
            r[new, b] = chance(out & (b == T), SEEN)
    residual = np.where(SEEN, Y, 0.0)[:, None] - m
    one, nil = (T == 1) & SEEN, (T == 0) & SEEN
    if quantity == "ATE":
        score = m[:, 1] - m[:, 0] + one * residual[:, 1] / e / r[:, 1] - nil * residual[:, 0] / (1 - e) / r[:, 0]
        s = np.ones(N)
    elif quantity == "ATT":
        s = (T == 1).astype(float)
        score = s * (m[:, 1] - m[:, 0]) + one * residual[:, 1] / r[:, 1] - nil * residual[:, 0] * e / (1 - e) / r[:, 0]
    else:
        s = (T == 0).astype(float)
        score = s * (m[:, 1] - m[:, 0]) + one * residual[:, 1] * (1 - e) / e / r[:, 1] - nil * residual[:, 0] / r[:, 0]
    expected = (w @ score) / (w @ s)
    psi = w * (score - s * expected) / np.mean(w * s)
    assert effect.estimate == pytest.approx(expected, rel=1e-6)
    assert effect.standard_error == pytest.approx(np.sqrt((psi**2).sum()) / N, rel=1e-6)
    assert effect.n == N and len(effect.rows) == N
