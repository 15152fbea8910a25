"""Closed forms against published numbers, and against a brute-force search over confounders."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from whence.checks.hidden import (
    adjusted,
    bound,
    critical_f,
    e_value,
    e_value_of_limit,
    partial_r2,
    ratio_from_difference,
    robustness_value,
)

# Cinelli and Hazlett (2020), Darfur: coefficient .0973 (.0233) on 783 degrees of freedom.
DARFUR = (0.09731582, 0.02325654, 783)


def test_robustness_value_of_the_paper():
    t, freedom = DARFUR[0] / DARFUR[1], DARFUR[2]
    assert partial_r2(t, freedom) == pytest.approx(0.0219, abs=5e-5)
    assert robustness_value(t, freedom) == pytest.approx(0.139, abs=5e-4)
    assert robustness_value(t, freedom, alpha=0.05) == pytest.approx(0.0763, abs=5e-4)


@pytest.mark.parametrize(
    ("times", "r2dz", "r2yz", "estimate", "error"),
    [(1, 0.0092, 0.1246, 0.0752, 0.0219), (2, 0.0183, 0.2493, 0.0529, 0.0204), (3, 0.0275, 0.3741, 0.0304, 0.0187)],
)
def test_bounds_of_the_paper_for_a_confounder_like_female(times, r2dz, r2yz, estimate, error):
    # Partial R2 of female with treatment .0091 and with outcome .1090 (to more digits from the regression).
    found = bound(times, 0.0090828, 0.1090, *DARFUR)
    assert found.treatment_r2 == pytest.approx(r2dz, abs=2e-4)
    assert found.outcome_r2 == pytest.approx(r2yz, abs=1e-3)
    assert found.estimate == pytest.approx(estimate, abs=3e-4)
    assert found.standard_error == pytest.approx(error, abs=1e-4)


def worst_limit(estimate, error, freedom, strength, alpha):
    """Lowest interval end over all confounders with partial R2 up to ``strength``, by search."""
    lowest = math.inf
    for r2y in np.linspace(0, strength, 4001):
        new, new_error = adjusted(estimate, error, freedom, strength, r2y)
        lowest = min(lowest, new - student.ppf(1 - alpha / 2, freedom - 1) * new_error)
    return lowest


@pytest.mark.parametrize(("t", "freedom"), [(4.2, 783), (2.5, 40), (9.0, 30), (2.2, 2000), (40.0, 25)])
def test_the_robustness_value_of_the_interval_is_where_its_worst_end_meets_zero(t, freedom):
    strength = robustness_value(t, freedom, alpha=0.05)
    assert 0 < strength < 1
    assert worst_limit(t, 1.0, freedom, strength * 0.99, 0.05) > 0
    assert worst_limit(t, 1.0, freedom, min(strength * 1.01, 1 - 1e-9), 0.05) < 0


@pytest.mark.parametrize(("t", "freedom", "q"), [(4.2, 783, 1.0), (2.5, 40, 0.5), (30.0, 50, 1.0)])
def test_the_robustness_value_of_the_estimate_takes_away_the_share_q(t, freedom, q):
    strength = robustness_value(t, freedom, q)
    left, _ = adjusted(t, 1.0, freedom, strength, strength)
    assert left == pytest.approx((1 - q) * t, abs=1e-9 * t)


def test_an_interval_that_holds_zero_has_robustness_value_zero():
    assert robustness_value(1.0, 100, alpha=0.05) == 0
    assert critical_f(101, 0.05) == pytest.approx(student.ppf(0.975, 100) / 10)


def test_a_confounder_that_would_explain_everything_is_not_possible():
    assert not bound(1, 0.6, 0.1, *DARFUR).possible
    assert bound(1, 0.1, 1.0, *DARFUR).outcome_r2 == 1


def test_adjusting_by_the_true_confounder_is_what_adjusting_says():
    """Regression with and without z: the omitted-variable formula is exact in the sample."""
    rng = np.random.default_rng(3)
    z, x = rng.normal(size=(2, 200))
    d = 0.5 * z + x + rng.normal(size=200)
    y = 1.0 * d + 2.0 * z - x + rng.normal(size=200)
    one = np.ones(200)

    def fit(columns):
        design = np.column_stack(columns)
        beta, *_ = np.linalg.lstsq(design, y, rcond=None)
        rss, df = ((y - design @ beta) ** 2).sum(), 200 - design.shape[1]
        return beta[0], math.sqrt(rss / df * np.linalg.inv(design.T @ design)[0, 0]), rss

    def left(target, columns):
        design = np.column_stack(columns)
        return ((target - design @ np.linalg.lstsq(design, target, rcond=None)[0]) ** 2).sum()

    short, long = fit([d, one, x]), fit([d, one, x, z])
    r2yz = 1 - long[2] / short[2]
    r2dz = 1 - left(d, [one, x, z]) / left(d, [one, x])
    estimate, error = adjusted(short[0], short[1], 197, r2dz, r2yz)
    assert estimate == pytest.approx(long[0]) and error == pytest.approx(long[1])


def test_e_values_of_the_paper():
    # VanderWeele and Ding (2017): risk ratio 3.9 (1.8 to 8.7) and, protective, 0.80 (0.71 to 0.91).
    assert e_value(3.9) == pytest.approx(7.26, abs=0.005)
    assert e_value_of_limit(1.8, 8.7) == pytest.approx(3.0, abs=0.005)
    assert e_value(0.8) == pytest.approx(1.81, abs=0.005)
    assert e_value_of_limit(0.71, 0.91) == pytest.approx(1.43, abs=0.005)


def test_e_value_edges():
    assert e_value(1.0) == 1 and e_value_of_limit(0.9, 1.2) == 1
    assert math.isinf(e_value(0.0)) and math.isinf(e_value(math.inf))
    assert e_value(0.25) == pytest.approx(e_value(4.0))
    assert ratio_from_difference(0.0) == 1 and ratio_from_difference(0.5) == pytest.approx(1.576, abs=5e-4)


@pytest.mark.parametrize("ratio", [1.2, 2.0, 5.0])
def test_an_e_value_is_the_least_strength_whose_bias_factor_reaches_the_ratio(ratio):
    # Ding and VanderWeele (2016): the bias factor of strengths (g, u) is g u / (g + u - 1).
    strength = e_value(ratio)
    assert strength**2 / (2 * strength - 1) == pytest.approx(ratio)
