"""The effect with an instrument that has an effect of its own: by hand, and on models whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec
from whence.stats.resample import folds

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
SPEC = Spec("iv", ("a",), ("y",), controls=("x",), instruments=("z",))


def columns(n, seed=0, dose=False):
    """Effect 1 + x / 2 (average 1), the instrument's own 0.7, a hidden cause of treatment and outcome."""
    rng = np.random.default_rng([seed, n])
    x, u = rng.uniform(-1, 1, (2, n))
    z = rng.integers(0, 2, n)
    a = u + x + z + (0.6 + 0.9 * z) * rng.normal(size=n) if dose else rng.random(n) < 0.12 + 0.3 * z + 0.1 * u
    return {"x": x, "z": z, "a": np.asarray(a, dtype=float),
            "y": (1 + 0.5 * x) * a + 0.7 * z + x + 1.5 * u + rng.normal(size=n)}


def test_without_controls_by_hand(make_table):
    given = columns(900, dose=True)
    effect = estimate(make_table(given), SPEC.replace(controls=()), "invalid_instrument", 4, n_folds=3, **LINEAR)
    a, y, z, n = given["a"], given["y"], given["z"], 900
    fold, score, own = folds(3, z, None, 4, 0), np.empty(n), np.empty(n)
    left, rest = np.empty((n, 2)), np.empty((n, 2))
    for k in range(3):
        for arm in (0, 1):
            rows = (fold != k) & (z == arm)
            left[fold == k, arm] = a[fold == k] - a[rows].mean()
            rest[fold == k, arm] = y[fold == k] - y[rows].mean()
    for i in range(n):
        c, v = [], []
        for arm in (0, 1):
            rows = (fold != fold[i]) & (z == arm)
            c.append(np.mean(left[rows, arm] * rest[rows, arm]))
            v.append(np.mean(left[rows, arm] ** 2))
        f = np.mean(z[fold != fold[i]])
        chance, sign = (f, 1) if z[i] else (1 - f, -1)
        beta = (c[1] - c[0]) / (v[1] - v[0])
        omega = c[0] - beta * v[0]
        assert omega == pytest.approx(c[1] - beta * v[1])
        la, ry = left[i, z[i]], rest[i, z[i]]
        push = sign / (chance * (v[1] - v[0])) * (la * ry - beta * la**2 - omega)
        score[i] = push + beta
        rows = fold != fold[i]
        taken, given_y = (m[rows & (z == 1)].mean() - m[rows & (z == 0)].mean() for m in (a, y))
        own[i] = given_y + sign / chance * ry - beta * (taken + sign / chance * la) - taken * push
    assert effect.estimate == pytest.approx(score.mean())
    assert effect.standard_error == pytest.approx(score.std() / np.sqrt(n))
    assert effect.diagnostics["own_effect"]["estimate"] == pytest.approx(own.mean())
    assert effect.diagnostics["own_effect"]["standard_error"] == pytest.approx(own.std() / np.sqrt(n))


@pytest.mark.parametrize("dose", [False, True])
def test_near_the_truth_where_two_stages_and_regression_are_not(make_table, dose):
    given = columns(20_000, 1, dose)
    effect = estimate(make_table(given), SPEC, "invalid_instrument", **LINEAR)
    assert abs(effect.estimate - 1) < 3 * effect.standard_error < 0.3
    own = effect.diagnostics["own_effect"]
    assert abs(own["estimate"] - 0.7) < 3 * own["standard_error"] < 0.3
    x = np.column_stack([np.ones(20_000), given["x"]])
    plain = sm.OLS(given["y"], np.column_stack([given["a"], x])).fit().params[0]
    gap = [sm.OLS(given[name], np.column_stack([given["z"], x])).fit().params[0] for name in ("y", "a")]
    assert plain - 1 > 0.15 and gap[0] / gap[1] - 1 > 0.6


def test_the_step_of_a_dose(make_table):
    table = make_table(columns(1500, 2, True))
    one = estimate(table, SPEC, "invalid_instrument", **LINEAR)
    two = estimate(table, SPEC.replace(contrast=Contrast(2, 0)), "invalid_instrument", **LINEAR)
    assert two.estimate == pytest.approx(2 * one.estimate)
    assert two.standard_error == pytest.approx(2 * one.standard_error)
