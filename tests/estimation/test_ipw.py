"""Inverse weighting: weighted means, separation, trimming, overlap."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.core.result import Refused
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec


@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_point_estimate_is_the_hajek_difference(sample, spec, quantity):
    s = sample(300, 1)
    effect = estimate(s.table, spec(quantity=quantity), "ipw", degree=1)
    p = sm.Logit(s.t, sm.add_constant(s.x)).fit(disp=0).predict()
    h = {"ATE": 1.0, "ATT": p, "ATC": 1 - p}[quantity]
    means = [np.average(s.y[s.t == a], weights=(h / np.where(s.t == 1, p, 1 - p))[s.t == a]) for a in (0, 1)]
    assert effect.estimate == pytest.approx(means[1] - means[0], rel=1e-6)
    assert effect.propensity == pytest.approx(p, rel=1e-5)


def test_without_controls_it_is_the_difference_in_means(sample, spec):
    s = sample(200, 2, randomised=True)
    weighted = estimate(s.table, spec("rct", controls=()), "ipw")
    plain = estimate(s.table, spec("rct", controls=()), "difference")
    assert weighted.estimate == pytest.approx(plain.estimate)
    assert weighted.standard_error == pytest.approx(plain.standard_error, rel=0.02)


def test_knowing_the_propensity_is_estimated_shortens_the_interval(sample, spec):
    s = sample(400, 3, randomised=True)
    with_controls = estimate(s.table, spec("rct"), "ipw", degree=1)
    without = estimate(s.table, spec("rct", controls=()), "difference")
    assert with_controls.standard_error < 0.85 * without.standard_error


def test_three_arms(make_table):
    rng = np.random.default_rng(4)
    x = rng.normal(size=3000)
    arm = np.clip(np.digitize(x + rng.logistic(size=3000), [-0.7, 0.7]), 0, 2)
    y = x + np.array([0.0, 1.0, 3.0])[arm] + rng.normal(size=3000)
    table = make_table({"x": x, "arm": np.array(["a", "b", "c"])[arm], "y": y}, arm="categorical")
    effect = estimate(table, Spec("adjustment", ("arm",), ("y",), controls=("x",)), "ipw")
    for comparison, truth in zip(effect.comparisons, (1.0, 3.0), strict=True):
        assert abs(comparison.estimate - truth) < 4 * comparison.standard_error
        assert comparison.standard_error < 0.15
    treated = estimate(table, Spec("adjustment", ("arm",), ("y",), "ATT", controls=("x",)), "ipw")
    assert abs(treated.estimate - 1) < 4 * treated.standard_error


@pytest.mark.parametrize("how", ["level", "threshold"])
def test_separation_is_refused_and_named(make_table, how):
    rng = np.random.default_rng(5)
    x = rng.normal(size=300)
    site = rng.choice(["n", "s", "w"], 300)
    t = rng.integers(0, 2, 300)
    if how == "level":
        t[site == "w"] = 1
    else:
        t = (x > 0.2).astype(int)
    table = make_table({"x": x, "site": site, "t": t, "y": rng.normal(size=300)}, t="binary", site="categorical")
    answer = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("x", "site")), "ipw")
    assert isinstance(answer, Refused) and answer.code == "separation" and answer.remedy
    assert ("site=w" if how == "level" else "x") in answer.evidence["columns"]


def steep(make_table, n=2000, slope=4.0):
    rng = np.random.default_rng(6)
    x = rng.normal(size=n)
    t = rng.random(n) < 1 / (1 + np.exp(-slope * x))
    return make_table({"x": x, "t": t, "y": x + t + rng.normal(size=n)}, t="binary")


def test_no_overlap_is_refused_and_weak_overlap_warned(make_table):
    spec = Spec("adjustment", ("t",), ("y",), controls=("x",))
    answer = estimate(steep(make_table, slope=8.0), spec, "ipw", degree=1)
    assert isinstance(answer, Refused) and answer.code == "no_overlap"
    assert answer.evidence["share_without_counterpart"] > 0.25
    effect = estimate(steep(make_table, slope=2.0), spec, "ipw", degree=1)
    assert "weak_overlap" in {w.code for w in effect.warnings}
    assert not estimate(steep(make_table, slope=0.3), spec, "ipw", degree=1).warnings


def test_trimming_says_what_it_did_and_restores_overlap(make_table):
    effect = estimate(steep(make_table), Spec("adjustment", ("t",), ("y",), controls=("x",)), "ipw", degree=1, trim=0.1)
    said = next(w for w in effect.warnings if w.code == "trimmed").evidence
    assert said["used"] == effect.n == len(effect.rows) == len(effect.influence)
    assert said["dropped"] + said["used"] == 2000
    assert abs(effect.estimate - 1) < 4 * effect.standard_error


def test_crump_keeps_the_rows_that_make_the_effect_most_precise(make_table):
    from whence.estimation.ipw import crump_limit

    rng = np.random.default_rng(0)
    e = 1 / (1 + np.exp(-3 * rng.normal(size=500)))
    burden, w = 1 / (e * (1 - e)), rng.uniform(0.5, 2, 500)
    limit = crump_limit(burden, w)
    bounds = np.linspace(0.001, 0.2, 400)
    variances = []
    for bound in bounds:  # the definition: weighted mean of 1 / (e (1 - e)) over the share kept
        keep = (e > bound) & (e < 1 - bound)
        variances.append(np.average(burden[keep], weights=w[keep]) / w[keep].sum())
    keep = burden <= limit
    assert np.average(burden[keep], weights=w[keep]) / w[keep].sum() <= min(variances) * (1 + 1e-12)
    even = np.full(50, 4.1)
    assert crump_limit(even, np.ones(50)) >= 4.1
    effect = estimate(steep(make_table), Spec("adjustment", ("t",), ("y",), controls=("x",)), "ipw", degree=1,
                      trim_rule="crump")
    said = next(w for w in effect.warnings if w.code == "trimmed").evidence
    assert said["rule"] == "crump" and effect.n == said["used"] < 2000
    assert abs(effect.estimate - 1) < 4 * effect.standard_error


def test_overlap_weights_need_no_trimming(make_table):
    spec = Spec("adjustment", ("t",), ("y",), "ATO", controls=("x",))
    effect = estimate(steep(make_table, slope=8.0), spec, degree=1)
    assert effect.method == "ipw" and abs(effect.estimate - 1) < 4 * effect.standard_error
    assert effect.standard_error < 0.25


def test_a_rare_level_that_is_always_treated_is_named(make_table):
    rng = np.random.default_rng(8)
    site = rng.choice(["a", "b", "rare"], 1500, p=[0.5, 0.495, 0.005])
    t = rng.integers(0, 2, 1500)
    t[site == "rare"] = 1
    table = make_table({"site": site, "t": t, "y": rng.normal(size=1500)}, t="binary", site="categorical")
    answer = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("site",)), "ipw")
    assert isinstance(answer, Refused) and answer.code == "separation" and "site=rare" in answer.reason
    t[site == "rare"] = np.arange((site == "rare").sum()) % 2
    table = make_table({"site": site, "t": t, "y": rng.normal(size=1500)}, t="binary", site="categorical")
    assert estimate(table, Spec("adjustment", ("t",), ("y",), controls=("site",)), "ipw").n == 1500


def test_att_needs_only_counterparts_of_the_treated(make_table):
    rng = np.random.default_rng(7)
    far = rng.normal(-6, 1, 2000)
    x = np.append(far, rng.normal(size=600))
    t = np.append(np.zeros(2000, dtype=int), rng.integers(0, 2, 600))
    table = make_table({"x": x, "t": t, "y": x + t + rng.normal(size=2600)}, t="binary")
    spec = Spec("adjustment", ("t",), ("y",), controls=("x",))
    assert isinstance(estimate(table, spec, "ipw"), Refused)
    effect = estimate(table, spec.replace(quantity="ATT"), "ipw")
    assert abs(effect.estimate - 1) < 4 * effect.standard_error


def test_weights_repeat_rows(sample, spec, make_table):
    s = sample(200, 8)
    times = np.random.default_rng(0).integers(1, 4, 200)
    weighted = make_table({"t": s.t, "y": s.y, "x0": s.x[:, 0], "x1": s.x[:, 1], "w": times}, t="binary")
    index = np.repeat(np.arange(200), times)
    repeated = make_table({"t": s.t[index], "y": s.y[index], "x0": s.x[index, 0], "x1": s.x[index, 1], "g": index},
                          t="binary", g="count")
    a = estimate(weighted, spec(weights="w"), "ipw", degree=1)
    b = estimate(repeated, spec(cluster="g"), "ipw", degree=1)
    assert a.estimate == pytest.approx(b.estimate)
    # A weighted row is one draw, as is a cluster of copies.
    assert a.standard_error == pytest.approx(b.standard_error)


def test_too_many_columns(make_table):
    rng = np.random.default_rng(9)
    columns = {f"x{j}": rng.normal(size=100) for j in range(30)}
    columns |= {"t": np.repeat([0, 1], [92, 8]), "y": rng.normal(size=100)}
    answer = estimate(make_table(columns, t="binary"),
                      Spec("adjustment", ("t",), ("y",), controls=tuple(f"x{j}" for j in range(30))), "ipw")
    assert isinstance(answer, Refused) and answer.code == "more_features_than_rows"


def test_a_dose_is_refused(make_table):
    rng = np.random.default_rng(0)
    table = make_table({"t": rng.normal(size=50), "y": rng.normal(size=50), "x": rng.normal(size=50)})
    for method in ("ipw", "aipw"):
        answer = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("x",)), method)
        assert isinstance(answer, Refused) and answer.code == "continuous_treatment" and answer.method == method
