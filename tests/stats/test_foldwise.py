"""Out-of-fold predictions from sums over folds, against every fold fitted by itself."""

from __future__ import annotations

import numpy as np
import pytest

from whence.stats import foldwise
from whence.stats.foldwise import Rows, gram, least_squares, logistic, moments, others, ridge
from whence.stats.logit import multinomial
from whence.stats.regress import ols
from whence.stats.resample import folds

RNG = np.random.default_rng(3)
N, K = 400, 4
X = RNG.normal(size=(N, 3))
Y = X @ [1.0, -0.5, 0.2] + RNG.normal(size=N)
CODES = np.clip(np.digitize(X[:, 0] + RNG.logistic(size=N), [-0.6, 0.6]), 0, 2)
FOLDS = folds(K, CODES, seed=1)
TRAIN = RNG.random(N) < 0.7
WEIGHTS = RNG.uniform(0.2, 3, N)


def one(x):
    return np.column_stack([np.ones(len(x)), x])


def apart(matrix, target, train, w, fold=FOLDS):
    out = np.empty(len(target))
    for k in np.unique(fold):
        use = train & (fold != k)
        out[fold == k] = one(matrix[fold == k]) @ ols(one(matrix[use]), target[use], w[use]).coefficients
    return out


@pytest.mark.parametrize("w", [np.ones(N), WEIGHTS], ids=["equal", "weighted"])
@pytest.mark.parametrize("train", [np.ones(N, dtype=bool), TRAIN], ids=["all", "some"])
def test_least_squares(w, train):
    rows = Rows.of(X, FOLDS, train, w)
    expected = apart(X, Y, train, w)
    assert least_squares(rows, Y) == pytest.approx(expected, abs=1e-10)
    assert least_squares(rows, Y, gram(rows)) == pytest.approx(expected, abs=1e-10)


def test_blocks_do_not_matter(monkeypatch):
    whole = Rows.of(X, FOLDS, TRAIN, WEIGHTS)
    expected = [least_squares(whole, Y), logistic(whole, CODES, 3, 0.01)]
    monkeypatch.setattr(foldwise, "BLOCK", 7)
    monkeypatch.setattr(foldwise, "SMALL", 0)
    rows = Rows.of(X, FOLDS, TRAIN, WEIGHTS)
    for found, wanted in zip((least_squares(rows, Y), logistic(rows, CODES, 3, 0.01)), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-9)
    assert not rows.kept


def test_columns_that_repeat_each_other_are_fitted_on_the_rows():
    near = np.column_stack([X, X[:, 0] + 1e-7 * RNG.normal(size=N), X[:, 1]])
    found = least_squares(Rows.of(near, FOLDS, TRAIN, WEIGHTS), Y)
    assert found == pytest.approx(apart(near, Y, TRAIN, WEIGHTS), abs=1e-6)


def test_a_level_absent_outside_a_fold():
    rare = np.column_stack([X, (np.arange(N) == np.flatnonzero(FOLDS == 2)[0]).astype(float)])
    found = least_squares(Rows.of(rare, FOLDS, np.ones(N, dtype=bool), WEIGHTS), Y)
    assert np.isfinite(found).all()
    assert found[FOLDS != 2] == pytest.approx(apart(rare, Y, np.ones(N, dtype=bool), WEIGHTS)[FOLDS != 2], abs=1e-8)


def test_a_heavy_fold_costs_no_precision():
    """Sums of the other folds are added, not taken from the total: a fold of huge values does not drown them."""
    huge = np.where(FOLDS[:, None] == 0, X * 1e9, X)
    found = least_squares(Rows.of(huge, FOLDS, np.ones(N, dtype=bool), np.ones(N)), Y)
    wanted = apart(huge, Y, np.ones(N, dtype=bool), np.ones(N))
    assert found[FOLDS == 0] == pytest.approx(wanted[FOLDS == 0], rel=1e-9)


def test_sums():
    rows = Rows.of(X, FOLDS, TRAIN, WEIGHTS)
    found = moments(rows, Y)
    for k in range(K):
        use = TRAIN & (k == FOLDS)
        w = WEIGHTS[use][:, None]
        assert found.gram[k] == pytest.approx(one(X[use]).T @ (w * one(X[use])))
        assert found.cross[k] == pytest.approx(one(X[use]).T @ (w[:, 0] * Y[use]))
        assert (found.square[k], found.mass[k]) == pytest.approx((w[:, 0] @ Y[use] ** 2, w.sum()))
    parts = RNG.normal(size=(5, 2))
    assert others(parts) == pytest.approx(parts.sum(axis=0) - parts)
    assert (others(parts[:1]) == 0).all()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("penalty", [0.01, 5.0])
def test_logistic(classes, penalty):
    codes = np.minimum(CODES, classes - 1)
    found = logistic(Rows.of(X, FOLDS, TRAIN, WEIGHTS), codes, classes, penalty)
    for k in range(K):
        use, inside = TRAIN & (k != FOLDS), k == FOLDS
        fit = multinomial(one(X[use]), codes[use], classes, WEIGHTS[use], penalty)
        eta = np.column_stack([np.zeros(inside.sum()), one(X[inside]) @ fit.coefficients])
        assert found[inside] == pytest.approx(np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True), abs=1e-6)


def test_separated_classes_have_finite_chances():
    codes = (X[:, 0] > 0.1).astype(np.int64)
    found = logistic(Rows.of(X, FOLDS, np.ones(N, dtype=bool), np.ones(N)), codes, 2, 0.01)
    assert np.isfinite(found).all() and ((found[:, 1] > 0.5) == (codes == 1)).mean() > 0.97


def test_a_class_that_only_one_fold_has_is_left_to_the_learner():
    codes = np.where(FOLDS == 1, 1, 0)
    assert logistic(Rows.of(X, FOLDS, np.ones(N, dtype=bool), np.ones(N)), codes, 2, 0.01) is None


def test_ridge_is_least_squares_with_signal_and_the_mean_without():
    everyone, w = np.ones(N, dtype=bool), np.ones(N)
    rows = Rows.of(X, FOLDS, everyone, w)
    sharp = X @ [1.0, -0.5, 0.2] + 1e-3 * RNG.normal(size=N)
    assert ridge(rows, sharp) == pytest.approx(apart(X, sharp, everyone, w), abs=1e-3)
    wide = RNG.normal(size=(N, 60))
    noise = RNG.normal(size=N)
    assert np.std(ridge(Rows.of(wide, FOLDS, everyone, w), noise)) < 0.5 * np.std(apart(wide, noise, everyone, w))
    assert ridge(Rows.of(X, FOLDS % 2, everyone, w), Y) is None


def test_ridge_solves_its_equations():
    """Each fold's prediction is that of some penalty of the list, on columns scaled by their own rows."""
    found = ridge(Rows.of(X, FOLDS, np.ones(N, dtype=bool), WEIGHTS), Y)
    for k in range(K):
        use, inside, w = k != FOLDS, k == FOLDS, WEIGHTS[k != FOLDS]
        mean = np.average(X[use], axis=0, weights=w)
        spread = np.sqrt(np.average((X[use] - mean) ** 2, axis=0, weights=w))
        z, new = (X[use] - mean) / spread, (X[inside] - mean) / spread
        y = Y[use] - np.average(Y[use], weights=w)
        tried = [np.average(Y[use], weights=w)
                 + new @ np.linalg.solve(z.T @ (w[:, None] * z) + p * np.eye(3), z.T @ (w * y))
                 for p in foldwise.PENALTIES]
        assert min(np.abs(t - found[inside]).max() for t in tried) < 1e-9
