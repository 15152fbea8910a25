"""Logit and multinomial logit against statsmodels; separation is a value."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.stats.logit import logit, multinomial

RNG = np.random.default_rng(2)
N = 400
X = np.column_stack([np.ones(N), RNG.normal(size=(N, 2))])
T = (RNG.random(N) < 1 / (1 + np.exp(-X @ [0.3, 1.0, -0.5]))).astype(int)
ARMS = np.clip(np.digitize(X[:, 1] + RNG.logistic(size=N), [-0.5, 0.8]), 0, 2)


def test_logit_matches_statsmodels():
    theirs = sm.Logit(T, X).fit(disp=0, method="newton", tol=1e-12)
    fit = logit(X, T)
    assert fit.problem is None
    assert np.allclose(fit.coefficients[:, 0], theirs.params, rtol=1e-8)
    assert fit.log_likelihood == pytest.approx(theirs.llf)
    assert np.allclose(np.linalg.inv(fit.information), theirs.cov_params(), rtol=1e-6)


def test_multinomial_matches_statsmodels():
    theirs = sm.MNLogit(ARMS, X).fit(disp=0, method="newton", tol=1e-12)
    fit = multinomial(X, ARMS, 3)
    assert np.allclose(fit.coefficients, theirs.params, rtol=1e-7)
    assert np.allclose(np.linalg.inv(fit.information), theirs.cov_params(), rtol=1e-6)
    assert np.allclose(fit.probabilities.sum(axis=1), 1)


def test_weights_repeat_rows():
    times = RNG.integers(1, 4, N)
    repeated = logit(np.repeat(X, times, axis=0), np.repeat(T, times))
    assert np.allclose(logit(X, T, times.astype(float)).coefficients, repeated.coefficients, rtol=1e-8)


def test_influence_gives_the_sandwich():
    fit = logit(X, T)
    theirs = sm.Logit(T, X).fit(disp=0, method="newton", tol=1e-12, cov_type="HC0")
    for j in range(3):
        unit = np.zeros((1, 3))
        unit[0, j] = 1.0
        assert np.sqrt((fit.influence(unit) ** 2).sum()) / N == pytest.approx(theirs.bse[j], rel=1e-5)


@pytest.mark.parametrize("case", ["complete", "quasi", "one_level"])
def test_separation_is_recognised(case):
    x = X.copy()
    t = T.copy()
    if case == "complete":
        t = (x[:, 1] > 0).astype(int)
    elif case == "quasi":
        x[:, 2] = np.where(t == 1, np.abs(x[:, 2]), 0.0)
    else:
        x[:, 2] = (RNG.random(N) < 0.1) & (t == 1)
    fit = logit(x, t)
    assert fit.problem == "separation"
    assert np.isfinite(fit.coefficients).all() and np.isfinite(fit.probabilities).all()


def test_strong_but_finite_fit_is_not_separation():
    # A flipped row on each side makes the maximum finite, however steep.
    x = np.column_stack([np.ones(N), np.linspace(-40, 40, N)])
    t = (x[:, 1] > 0).astype(int)
    t[N // 2 - 4], t[N // 2 + 3] = 1, 0
    assert logit(x, t).problem is None


def test_separation_in_one_arm_of_three():
    x = X.copy()
    x[:, 2] = (ARMS == 2) * RNG.integers(0, 2, N)
    assert multinomial(x, ARMS, 3).problem == "separation"


def test_penalty_keeps_separated_fits_finite():
    fit = logit(X, (X[:, 1] > 0).astype(int), penalty=0.01)
    assert fit.problem is None and np.abs(fit.coefficients).max() < 1e3


def test_wild_scales_converge_or_say_so():
    for scale in (1e-6, 1e6):
        fit = logit(X * [1, scale, 1], T)
        assert fit.problem is None
        assert fit.coefficients[1, 0] * scale == pytest.approx(logit(X, T).coefficients[1, 0], rel=1e-5)
