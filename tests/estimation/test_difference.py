"""Difference in means: Neyman's variance, Welch's degrees of freedom, clusters, weights."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from whence.core.result import Refused
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec


def test_neyman_and_welch(sample, spec):
    s = sample(90, 1, randomised=True)
    effect = estimate(s.table, spec("rct", controls=()))
    treated, control = s.y[s.t == 1], s.y[s.t == 0]
    welch = CompareMeans(DescrStatsW(treated), DescrStatsW(control))
    assert effect.method == "difference"
    assert effect.estimate == pytest.approx(treated.mean() - control.mean())
    error = np.sqrt(treated.var(ddof=1) / len(treated) + control.var(ddof=1) / len(control))
    assert effect.standard_error == pytest.approx(error)
    assert effect.interval == pytest.approx(welch.tconfint_diff(usevar="unequal"))
    assert effect.p_value == pytest.approx(welch.ttest_ind(usevar="unequal")[1])
    assert effect.diagnostics["arms"]["1"] == {"n": len(treated), "mean": pytest.approx(treated.mean())}


def test_clusters_equal_cr1_of_the_regression(sample, spec):
    s = sample(120, 2, randomised=True, clusters=12)
    effect = estimate(s.table, spec("rct", controls=(), cluster="c"), covariance="CR1")
    fit = sm.OLS(s.y, sm.add_constant(s.t)).fit(cov_type="cluster", cov_kwds={"groups": s.clusters}, use_t=True)
    assert effect.standard_error == pytest.approx(fit.bse[1])
    assert effect.interval == pytest.approx(fit.conf_int()[1], rel=1e-6)
    assert effect.df == 11 and effect.diagnostics["clusters"] == 12


def test_few_equal_clusters_are_compared_by_their_means(sample, spec):
    """CR2 is then the unbiased variance of cluster means, with close to Welch's degrees of freedom."""
    s = sample(120, 2, randomised=True, clusters=12)
    effect = estimate(s.table, spec("rct", controls=(), cluster="c"))
    means, arm = s.y.reshape(12, 10).mean(axis=1), s.t.reshape(12, 10)[:, 0]
    error = np.sqrt(sum(means[arm == a].var(ddof=1) / (arm == a).sum() for a in (0, 1)))
    assert effect.standard_error == pytest.approx(error)
    assert effect.df is not None and 7 < effect.df < 10.5 and "CR2" in effect.errors
    assert [w.code for w in effect.warnings] == ["few_clusters"]


def test_weights_are_those_of_weighted_least_squares(sample, spec, make_table):
    s = sample(80, 3, randomised=True)
    w = np.random.default_rng(0).uniform(0.5, 3, 80)
    table = make_table({"t": s.t, "y": s.y, "w": w}, t="binary")
    effect = estimate(table, spec("rct", controls=(), weights="w"))
    fit = sm.WLS(s.y, sm.add_constant(s.t), weights=w).fit(cov_type="HC2")
    assert effect.estimate == pytest.approx(fit.params[1])
    assert effect.standard_error == pytest.approx(fit.bse[1])


def test_several_arms(make_table):
    rng = np.random.default_rng(1)
    arm = rng.choice(["control", "mail", "phone"], 300)
    y = rng.normal(size=300) + (arm == "phone") * 1.0
    effect = estimate(make_table({"arm": arm, "y": y}, arm="categorical"), Spec("rct", ("arm",), ("y",)))
    assert [c.label for c in effect.comparisons] == ["mail vs control", "phone vs control"]
    assert effect.estimate == effect.comparisons[0].estimate
    assert effect.comparisons[1].estimate == pytest.approx(y[arm == "phone"].mean() - y[arm == "control"].mean())
    joint = effect.diagnostics["joint_test"]
    assert joint["df"] == 2 and joint["p_value"] < 1e-6


def test_perfectly_constant_arms_give_a_point(make_table):
    table = make_table({"t": [0, 0, 1, 1], "y": [1.0, 1.0, 3.0, 3.0]}, t="binary")
    effect = estimate(table, Spec("rct", ("t",), ("y",)))
    assert effect.estimate == 2 and effect.standard_error == 0 and effect.interval == (2, 2) and effect.p_value == 0


def test_a_dose_is_refused(make_table):
    table = make_table({"t": np.arange(30.0), "y": np.random.default_rng(0).normal(size=30)})
    answer = estimate(table, Spec("rct", ("t",), ("y",)), "difference")
    assert isinstance(answer, Refused) and answer.code == "continuous_treatment" and answer.method == "difference"
