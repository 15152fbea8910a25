"""Regression: equal to statsmodels where a formula fixes it; refusals and fall-backs."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec
from whence.stats.regress import COVARIANCES


@pytest.mark.parametrize("kind", COVARIANCES)
def test_without_interactions_it_is_the_coefficient(sample, spec, kind):
    s = sample(150, 1)
    effect = estimate(s.table, spec(), "regression", degree=1, interactions=False, covariance=kind)
    fit = sm.OLS(s.y, np.column_stack([np.ones(150), s.t, s.x])).fit(cov_type=kind, use_t=True)
    assert effect.estimate == pytest.approx(fit.params[1])
    assert effect.standard_error == pytest.approx(fit.bse[1])
    assert effect.interval == pytest.approx(fit.conf_int()[1], rel=1e-6)
    assert effect.p_value == pytest.approx(fit.pvalues[1], rel=1e-6)
    assert effect.diagnostics["r_squared"] == pytest.approx(fit.rsquared)


def test_cluster_robust(sample, spec):
    s = sample(200, 2, clusters=20)
    effect = estimate(s.table, spec(cluster="c"), "regression", degree=1, interactions=False, covariance="CR1")
    design = np.column_stack([np.ones(200), s.t, s.x])
    fit = sm.OLS(s.y, design).fit(cov_type="cluster", cov_kwds={"groups": s.clusters}, use_t=True)
    assert effect.standard_error == pytest.approx(fit.bse[1])
    assert effect.interval == pytest.approx(fit.conf_int()[1], rel=1e-6)


def test_fixed_effects_nested_in_clusters_do_not_count(sample, make_table):
    s = sample(200, 3, clusters=50)
    columns = {"t": s.t, "y": s.y, "x0": s.x[:, 0], "g": s.clusters}
    spec = Spec("adjustment", ("t",), ("y",), controls=("x0", "g"), cluster="g")
    table = make_table(columns, t="binary", g="categorical")
    effect = estimate(table, spec, "regression", degree=1, interactions=False)
    dummies = (s.clusters[:, None] == np.arange(1, 50)).astype(float)
    fit = sm.OLS(s.y, np.column_stack([np.ones(200), s.t, s.x[:, 0], dummies])).fit(
        cov_type="cluster", cov_kwds={"groups": s.clusters})
    assert effect.estimate == pytest.approx(fit.params[1])
    # Same sandwich, with k = 3 instead of 52 in (n - 1) / (n - k).
    assert effect.standard_error == pytest.approx(fit.bse[1] * np.sqrt((200 - 52) / (200 - 3)))


def test_lin_estimator_in_an_experiment(sample, spec):
    s = sample(200, 4, randomised=True)
    effect = estimate(s.table, spec("rct"), covariance="HC2")
    centred = s.x - s.x.mean(axis=0)
    design = np.column_stack([np.ones(200), s.t, centred, s.t[:, None] * centred])
    fit = sm.OLS(s.y, design).fit(cov_type="HC2")
    assert effect.method == "regression" and effect.diagnostics["interactions"] and effect.diagnostics["degree"] == 1
    assert effect.estimate == pytest.approx(fit.params[1])
    # The population the rows come from varies too: its part is the variance of the predicted effects.
    effects = fit.params[1] + centred @ fit.params[4:]
    cross = 2 * (sm_influence(design, fit.resid, 2) @ (effects - effects.mean())) / 200**2
    expected = np.sqrt(fit.bse[1] ** 2 + (effects - effects.mean()) @ (effects - effects.mean()) / 200**2 + cross)
    assert effect.standard_error == pytest.approx(expected)


def sm_influence(design, residuals, kind):
    bread = np.linalg.inv(design.T @ design)
    leverage = np.einsum("ij,jk,ik->i", design, bread, design)
    return len(design) * (design @ bread[:, 1]) * residuals / np.sqrt(1 - leverage)


@pytest.mark.parametrize(("quantity", "who"), [("ATE", None), ("ATT", 1), ("ATC", 0)])
def test_standardisation_by_arm(sample, spec, quantity, who):
    s = sample(300, 5)
    effect = estimate(s.table, spec(quantity=quantity), "regression", degree=1)
    predicted = []
    for arm in (0, 1):
        x = np.column_stack([np.ones(300), s.x])
        predicted.append(x @ np.linalg.lstsq(x[s.t == arm], s.y[s.t == arm], rcond=None)[0])
    difference = predicted[1] - predicted[0]
    assert effect.estimate == pytest.approx(difference.mean() if who is None else difference[s.t == who].mean())


def test_doses(make_table):
    rng = np.random.default_rng(6)
    x, dose = rng.normal(size=(2, 400))
    y = 2 * dose + dose * x + x + rng.normal(size=400)
    table = make_table({"x": x, "dose": dose, "y": y})
    spec = Spec("adjustment", ("dose",), ("y",), controls=("x",))
    one = estimate(table, spec, degree=1)
    assert one.method == "regression" and one.contrast == "dose: one more unit"
    fit = sm.OLS(y, np.column_stack([np.ones(400), dose, x])).fit(cov_type="HC3")
    assert (one.estimate, one.standard_error) == (pytest.approx(fit.params[1]), pytest.approx(fit.bse[1]))
    three = estimate(table, spec.replace(contrast=Contrast(4.0, 1.0)), degree=1)
    assert three.estimate == pytest.approx(3 * one.estimate)
    assert three.standard_error == pytest.approx(3 * one.standard_error)
    slopes = estimate(table, spec, "regression", degree=1, interactions=True)
    assert abs(slopes.estimate - 2) < 3 * slopes.standard_error


def test_weights_change_the_population(make_table):
    rng = np.random.default_rng(7)
    x = rng.integers(0, 2, 4000)
    t = rng.integers(0, 2, 4000)
    y = t * (1.0 + 2 * x) + x + rng.normal(size=4000) * 0.1
    w = np.where(x == 1, 3.0, 1.0)
    table = make_table({"x": x, "t": t, "y": y, "w": w}, x="binary", t="binary")
    spec = Spec("rct", ("t",), ("y",), controls=("x",))
    assert estimate(table, spec).estimate == pytest.approx(2, abs=0.1)
    assert estimate(table, spec.replace(weights="w")).estimate == pytest.approx(2.5, abs=0.1)


def test_small_arms_get_no_interactions_and_it_is_said(make_table):
    rng = np.random.default_rng(8)
    columns = {f"x{j}": rng.normal(size=60) for j in range(6)}
    columns |= {"t": np.repeat([0, 1], [50, 10]), "y": rng.normal(size=60)}
    table = make_table(columns, t="binary")
    spec = Spec("rct", ("t",), ("y",), controls=tuple(f"x{j}" for j in range(6)))
    effect = estimate(table, spec)
    assert not effect.diagnostics["interactions"]
    assert "no_interactions" in {w.code for w in effect.warnings}
    answer = estimate(table, spec.replace(controls=tuple(f"x{j}" for j in range(6))), interactions=True, degree=2)
    assert isinstance(answer, Refused) and answer.code == "small_arm"


def test_more_columns_than_rows(make_table):
    rng = np.random.default_rng(9)
    columns = {f"x{j}": rng.normal(size=20) for j in range(19)} | {"t": np.tile([0, 1], 10), "y": rng.normal(size=20)}
    answer = estimate(make_table(columns, t="binary"),
                      Spec("adjustment", ("t",), ("y",), controls=tuple(f"x{j}" for j in range(19))))
    assert isinstance(answer, Refused) and answer.code == "more_features_than_rows" and answer.method == "regression"


def test_controls_that_determine_the_treatment(make_table):
    rng = np.random.default_rng(10)
    a, b = rng.integers(0, 2, (2, 100))
    dose = a + 2.0 * b
    answer = estimate(make_table({"a": a, "b": b, "dose": dose, "y": rng.normal(size=100)}, a="binary", b="binary"),
                      Spec("adjustment", ("dose",), ("y",), controls=("a", "b")))
    assert isinstance(answer, Refused) and answer.code == "treatment_determined"


def test_duplicated_controls_change_nothing(sample, spec, make_table):
    s = sample(100, 11)
    columns = {"t": s.t, "y": s.y, "x0": s.x[:, 0], "x1": s.x[:, 1], "x2": 3 - s.x[:, 0], "k": np.ones(100)}
    table = make_table(columns, t="binary")
    twice = estimate(table, spec(controls=("x0", "x1", "x2", "k")), "regression", degree=1)
    assert twice.estimate == pytest.approx(estimate(table, spec(), "regression", degree=1).estimate)
    assert next(w for w in twice.warnings if w.code == "controls_dropped").evidence["dropped"] == ["k", "x2"]


@pytest.mark.parametrize("params", [{"degree": 0}, {"covariance": "HC9"}, {"degre": 2}, {"level": 1.5}])
def test_bad_parameters(sample, spec, params):
    with pytest.raises(WhenceError):
        estimate(sample(50, 1).table, spec(), "regression", **params)
