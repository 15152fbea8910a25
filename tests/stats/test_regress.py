"""Least squares against statsmodels: coefficients and every covariance."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.stats.regress import COVARIANCES, covariance_matrix, influence, kept_columns, ols

RNG = np.random.default_rng(1)
N, K = 120, 4
X = np.column_stack([np.ones(N), RNG.normal(size=(N, K - 1))])
Y = X @ [1.0, 2.0, -1.0, 0.5] + RNG.normal(size=N) * (1 + np.abs(X[:, 1]))
GROUPS = RNG.integers(0, 12, N)
WEIGHTS = RNG.uniform(0.2, 3, N)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_hc_covariances(kind):
    theirs = sm.OLS(Y, X).fit(cov_type=kind)
    fit = ols(X, Y)
    assert np.allclose(fit.coefficients, theirs.params, rtol=1e-10)
    assert np.allclose(covariance_matrix(influence(fit, np.eye(K), kind)), theirs.cov_params(), rtol=1e-9)
    assert fit.r_squared == pytest.approx(theirs.rsquared)


def test_cluster_covariance():
    theirs = sm.OLS(Y, X).fit(cov_type="cluster", cov_kwds={"groups": GROUPS, "use_correction": True})
    values = influence(ols(X, Y), np.eye(K), clusters=GROUPS)
    assert np.allclose(covariance_matrix(values, GROUPS), theirs.cov_params(), rtol=1e-9)


@pytest.mark.parametrize("kind", ["HC0", "HC1"])
def test_weighted(kind):
    theirs = sm.WLS(Y, X, weights=WEIGHTS).fit(cov_type=kind)
    fit = ols(X, Y, WEIGHTS)
    assert np.allclose(fit.coefficients, theirs.params, rtol=1e-10)
    assert np.allclose(covariance_matrix(influence(fit, np.eye(K), kind)), theirs.cov_params(), rtol=1e-9)


def test_integer_weights_repeat_rows_in_the_coefficients():
    times = RNG.integers(1, 4, N)
    repeated = ols(np.repeat(X, times, axis=0), np.repeat(Y, times))
    assert np.allclose(ols(X, Y, times.astype(float)).coefficients, repeated.coefficients)


def test_rank_deficiency_drops_the_later_column():
    wide = np.column_stack([X, X[:, 1] - 2 * X[:, 2]])
    fit = ols(wide, Y)
    assert fit.kept.tolist() == [True] * K + [False]
    assert np.allclose(fit.coefficients[:K], ols(X, Y).coefficients) and fit.coefficients[K] == 0
    assert fit.rank == K and fit.df == N - K


def test_ill_conditioned_columns_keep_their_digits():
    # Condition number about 1e7: the normal equations would lose all but two digits of these.
    near = np.column_stack([X, X[:, 1] + 1e-7 * RNG.normal(size=N)])
    beta = np.array([1.0, 2.0, -1.0, 0.5, 3.0])
    assert np.allclose(ols(near, near @ beta).coefficients, beta, rtol=1e-6)


def test_full_leverage_row_has_finite_hc3():
    lone = np.zeros(N)
    lone[5] = 1.0
    fit = ols(np.column_stack([X, lone]), Y)
    values = influence(fit, np.eye(K + 1), "HC3")
    assert np.isfinite(values).all() and values[5] == pytest.approx(0)


def test_kept_columns_when_wider_than_long():
    assert kept_columns(RNG.normal(size=(3, 6))).tolist() == [True] * 3 + [False] * 3
