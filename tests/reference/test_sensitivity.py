"""Sensitivity analysis against confounders that are really built and really adjusted for (statsmodels)."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.multitest import multipletests

from whence.checks.hidden import bound, e_value, robustness_value
from whence.checks.implications import detectable_correlation, holm
from whence.checks.linear import without_groups


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(150, 3))
    d = x @ [0.5, -0.3, 0.0] + rng.normal(size=150)
    return d + x @ [1.0, 0.5, 0.2] + rng.normal(size=150), d, x


def confounder(y, d, x, treatment_r2, outcome_r2, sign=1.0):
    """A column with exactly these partial R2 in the sample, its bias against the sign given."""
    n = len(y)
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(np.column_stack([np.ones(n), x, d, y, rng.normal(size=n)]))[0]
    k = x.shape[1]
    d_left, y_left, noise = basis[:, k + 1], basis[:, k + 2], basis[:, k + 3]
    flip_d, flip_y = np.sign(d_left @ d), np.sign(y_left @ y)
    v = np.sqrt(outcome_r2) * flip_y * sign * y_left + np.sqrt(1 - outcome_r2) * noise
    return np.sqrt(treatment_r2) * flip_d * d_left + np.sqrt(1 - treatment_r2) * v


def fit(y, *columns):
    return sm.OLS(y, sm.add_constant(np.column_stack(columns))).fit()


@pytest.mark.parametrize("times", [1.0, 2.0, 3.0])
def test_a_bound_is_what_the_worst_such_confounder_does(data, times):
    y, d, x = data
    short = fit(y, d, x)
    base = without_groups(y, d, x, [np.array([0])])
    assert base.estimate[0] == pytest.approx(short.params[1])
    assert base.classical_error[0] == pytest.approx(short.bse[1])
    treatment_r2 = 1 - fit(d, x).ssr / fit(d, x[:, 1:]).ssr
    outcome_r2 = 1 - short.ssr / fit(y, d, x[:, 1:]).ssr
    claimed = bound(times, treatment_r2, outcome_r2, short.params[1], short.bse[1], short.df_resid)
    z = confounder(y, d, x, claimed.treatment_r2, claimed.outcome_r2)
    long = fit(y, d, x, z)
    assert claimed.estimate == pytest.approx(long.params[1])
    assert claimed.standard_error == pytest.approx(long.bse[1])
    assert claimed.interval == pytest.approx(tuple(long.conf_int()[1]))


@pytest.mark.parametrize("q", [0.5, 1.0])
def test_a_confounder_as_strong_as_the_robustness_value_does_what_it_says(data, q):
    y, d, x = data
    short = fit(y, d, x)
    strength = robustness_value(short.tvalues[1], short.df_resid, q)
    long = fit(y, d, x, confounder(y, d, x, strength, strength))
    assert long.params[1] == pytest.approx((1 - q) * short.params[1], abs=1e-9)
    strength = robustness_value(short.tvalues[1], short.df_resid, q, alpha=0.05)
    long = fit(y, d, x, confounder(y, d, x, strength, strength))
    assert long.conf_int()[1][0] == pytest.approx((1 - q) * short.params[1], abs=1e-9)


def test_an_e_value_confounder_explains_a_risk_ratio_away():
    """A binary confounder on an infinite population: risk ratios of the E-value, no effect, yet the ratio shows.

    The prevalence of the confounder is 1 among the treated and 1 / E among the others, the worst case of Ding and
    VanderWeele (2016).
    """
    for ratio in (1.3, 2.0, 3.9):
        strength = e_value(ratio)
        treated, control = 1.0, 1 / strength
        risks = [0.01 * (1 - p + p * strength) for p in (treated, control)]
        assert risks[0] / risks[1] == pytest.approx(ratio)


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(1)
    for size in (1, 2, 7, 40):
        p_values = rng.uniform(size=size) ** 3
        assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_the_stated_power_is_the_power():
    """Fisher's z on correlations of the stated size: 4,000 samples, Monte Carlo error .0063, three allowed."""
    from scipy.special import ndtri

    n, tests, alpha = 200, 10, 0.05
    r = detectable_correlation(n, 0, tests, alpha)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, n))
    y = r * x + np.sqrt(1 - r * r) * rng.normal(size=(4000, n))
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    seen = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    found = np.abs(np.arctanh(seen)) * np.sqrt(n - 3) > ndtri(1 - alpha / (2 * tests))
    assert found.mean() == pytest.approx(0.8, abs=0.02)
    assert detectable_correlation(5, 2, tests, alpha) == 1
