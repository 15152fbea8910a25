"""Adjustment through an embedding, by loops of its own: components, ridge fits by fold, scores."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge

from whence.estimation.embedding import least_shrunk, principal_components
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec
from whence.stats.foldwise import PENALTIES
from whence.stats.resample import folds

LOGIT = (1.0, 10.0, 100.0, 1000.0)


@pytest.mark.parametrize(("n", "p"), [(60, 20), (20, 60)])
def test_components(n, p):
    x = np.random.default_rng(1).normal(size=(n, p)) @ np.diag(np.linspace(3, 1, p))
    x -= x.mean(axis=0)
    ours, theirs = principal_components(x, 8), PCA(8, svd_solver="full").fit_transform(x)
    assert np.abs(ours) == pytest.approx(np.abs(theirs), abs=1e-8)
    assert (ours[np.abs(ours).argmax(axis=0), np.arange(8)] > 0).all()


def test_by_hand(make_table):
    rng = np.random.default_rng(2)
    n = 240
    hidden = rng.normal(size=(n, 2))
    x = hidden @ rng.normal(size=(2, 12)) + 0.5 * rng.normal(size=(n, 12))
    t = (rng.random(n) < 1 / (1 + np.exp(-hidden[:, 0]))).astype(int)
    y = t + 2 * hidden[:, 0] + rng.normal(size=n)
    names = [f"e{j:02d}" for j in range(12)]
    table = make_table(dict(zip(names, x.T, strict=True)) | {"t": t, "y": y})
    spec = Spec("adjustment", ("t",), ("y",), controls=tuple(names))
    effect = estimate(table, spec, "embedding", 3, n_folds=3)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    fold = folds(3, t, None, 3, 0)
    outcome = np.empty((n, 2))
    for arm in (0, 1):
        for k in range(3):
            losses = np.zeros(len(PENALTIES))
            for other in set(range(3)) - {k}:
                rows = (t == arm) & (fold != k) & (fold != other)
                held = (t == arm) & (fold == other)
                losses += [((y[held] - Ridge(a).fit(z[rows], y[rows]).predict(z[held])) ** 2).sum() for a in PENALTIES]
            rows = (t == arm) & (fold != k)
            best = Ridge(PENALTIES[int(np.argmin(losses))]).fit(z[rows], y[rows])
            outcome[fold == k, arm] = best.predict(z[fold == k])
    design = np.column_stack([30 * (outcome - outcome.mean(axis=0)) / outcome.std(axis=0), z])
    tried = np.empty((n, 4))
    for j, penalty in enumerate(LOGIT):
        for k in range(3):
            fit = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(design[fold != k], t[fold != k])
            tried[fold == k, j] = fit.predict_proba(design[fold == k])[:, 1]
    losses = -np.log(np.where(t[:, None] == 1, tried, 1 - tried))
    chosen = [least_shrunk(losses[fold != k], np.ones((fold != k).sum())) for k in range(3)]
    e = np.clip(tried[np.arange(n), np.array(chosen)[fold]], 0.01, 0.99)
    score = outcome[:, 1] - outcome[:, 0] + t * (y - outcome[:, 1]) / e - (1 - t) * (y - outcome[:, 0]) / (1 - e)
    assert effect.estimate == pytest.approx(score.mean(), rel=1e-3)
    assert effect.standard_error == pytest.approx(score.std() / np.sqrt(n), rel=1e-3)
    one, zero = t / e, (1 - t) / (1 - e)
    weighted = (one @ y) / one.sum() - (zero @ y) / zero.sum()
    plain = estimate(table, spec, "embedding", 3, n_folds=3, estimator="hajek")
    assert plain.estimate == pytest.approx(weighted, rel=1e-3)
    assert effect.diagnostics["hajek"] == pytest.approx(plain.estimate)


def test_the_smallest_penalty_that_predicts_no_worse_than_chance_explains():
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(500, 1))
    losses = 1 + noise + np.array([0.5, 0.001, 0.0, 0.3]) + 0.1 * rng.normal(size=(500, 4))
    assert least_shrunk(losses, np.ones(500)) == 1
    assert least_shrunk(losses[:, [0, 2, 3]], np.ones(500)) == 1
