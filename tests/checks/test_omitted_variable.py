"""Omitted-variable bias under flexible models: hidden causes that are really built do what is said of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from whence.checks.omitted_variable import (
    Short,
    interval_robustness_value,
    omitted_variable,
    robustness_value,
    strength,
)
from whence.checks.robustness import robustness
from whence.core.errors import WhenceError
from whence.report.figures import contour

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}


def hidden(n=60_000, seed=0, strong=0.8):
    """x is seen, u is not; everything is linear, so that its shares are known from regressions with u."""
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=(2, n))
    d = x + strong * u + rng.normal(size=n)
    return {"x": x, "u": u, "d": d, "y": d + x + strong * u + rng.normal(size=n)}


def rss(target, *columns):
    design = np.column_stack([np.ones(len(target)), *columns])
    return ((target - design @ np.linalg.lstsq(design, target, rcond=None)[0]) ** 2).sum()


def test_the_bias_of_a_hidden_cause_is_the_bound(table_of, effect_of):
    """In the linear model theorem 2 holds with equality (rho = 1)."""
    c = hidden()
    effect = effect_of(table_of({k: c[k] for k in "xdy"}), ["x"], "partially_linear", **LINEAR)
    outcome = 1 - rss(c["y"], c["d"], c["x"], c["u"]) / rss(c["y"], c["d"], c["x"])
    treatment = 1 - rss(c["d"], c["x"], c["u"]) / rss(c["d"], c["x"])
    found = effect.diagnostics["omitted_variable"]
    short = Short(effect.estimate, found["sigma2"], found["nu2"], np.array(found["covariance"]), 1.96)
    moved, _ = short.bound(strength(outcome, treatment))
    assert moved == pytest.approx(1.0, abs=0.02) and effect.estimate > 1.3


def test_elements_of_two_arms(table_of, effect_of):
    """With a known chance of treatment the representer's mean square is E 1 / (e (1 - e))."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=20_000)
    e = 1 / (1 + np.exp(-x))
    d = (rng.random(20_000) < e).astype(float)
    table = table_of({"d": d, "x": x, "y": d + x + 2 * rng.normal(size=20_000)})
    for method in ("aipw", "tmle"):
        found = effect_of(table, ["x"], method, **LINEAR).diagnostics["omitted_variable"]
        assert found["nu2"] == pytest.approx((1 / (e * (1 - e))).mean(), rel=0.02)
        assert found["sigma2"] == pytest.approx(4.0, rel=0.03)
        assert np.array(found["covariance"])[1, 1] == pytest.approx(2 * 16 / 20_000, rel=0.1)


def test_agrees_with_the_linear_robustness_value(table_of, effect_of):
    c = hidden(5000, strong=0.2)
    table = table_of({k: c[k] for k in "xdy"})
    ours = omitted_variable(table, effect_of(table, ["x"], "partially_linear", **LINEAR)).numbers
    linear = robustness(table, effect_of(table, ["x"], degree=1)).numbers
    assert ours["robustness_value"] == pytest.approx(linear["robustness_value"], rel=0.01)
    # Ours carries the uncertainty of sigma2 and nu2, and robust errors.
    assert ours["robustness_value_interval"] == pytest.approx(linear["robustness_value_interval"], rel=0.03)
    mine, theirs = (next(b for b in n["benchmarks"] if b["times"] == 1) for n in (ours, linear))
    assert mine["treatment_r2"] == pytest.approx(theirs["treatment_r2"], rel=1e-6)


def test_bounds_and_robustness_values_by_definition():
    short = Short(-0.8, 2.0, 3.0, np.array([[0.01, 0.001, 0.002], [0.001, 0.02, 0.0], [0.002, 0.0, 0.05]]), 1.96)
    r = robustness_value(0.8 / short.scale)
    assert short.bound(strength(r, r))[0] == pytest.approx(0, abs=1e-12)
    r = interval_robustness_value(short, 1.0)
    moved, error = short.bound(strength(r, r))
    assert moved + 1.96 * error == pytest.approx(0, abs=1e-9)
    rng = np.random.default_rng(0)
    draws = rng.multivariate_normal([-0.8, 2.0, 3.0], short.covariance / 1e4, 400_000)
    bounds = draws[:, 0] + strength(0.2, 0.1) * np.sqrt(draws[:, 1] * draws[:, 2])
    moved, error = short.bound(strength(0.2, 0.1))
    assert bounds.mean() == pytest.approx(moved, abs=1e-4) and bounds.std() == pytest.approx(error / 100, rel=0.01)
    assert interval_robustness_value(Short(0.1, 1.0, 1.0, np.eye(3), 1.96), 1.0) == 0


@pytest.mark.parametrize("method", ["aipw", "tmle", "partially_linear"])
def test_verdicts(table_of, effect_of, method):
    rng = np.random.default_rng(4)
    x, z = rng.normal(size=(2, 800))
    for size, slope, verdict in ((2.0, 0.2, "pass"), (0.4, 2.0, "worry"), (0.0, 0.2, "informational")):
        d = (0.7 * x + rng.normal(size=800) > 0).astype(float)
        table = table_of({"d": d, "y": size * d + slope * x + rng.normal(size=800), "x": x, "z": z})
        found = omitted_variable(table, effect_of(table, ["x", "z"], method, **LINEAR))
        assert found.verdict == verdict, (size, found.saw)
        json.dumps([found.numbers, found.figure], allow_nan=False)
        assert "svg" in contour(found.figure)
        assert found.numbers["strongest"] == "x" or verdict == "informational"


def test_learned_benchmarks(table_of, effect_of):
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, 3000))
    d = (rng.random(3000) < 1 / (1 + np.exp(-x - 0.3 * z))).astype(float)
    table = table_of({"d": d, "y": d + x + z + rng.normal(size=3000), "x": x, "z": z})
    effect = effect_of(table, ["x", "z"], "aipw", **LINEAR)
    found = omitted_variable(table, effect, benchmarks="x, z")
    once = {b["control"]: b for b in found.numbers["benchmarks"] if b["times"] == 1}
    without = effect_of(table, ["z"], "aipw", **LINEAR)
    assert once["x"]["change"] == pytest.approx(without.estimate - effect.estimate)
    short, long = (e.diagnostics["omitted_variable"] for e in (without, effect))
    assert once["x"]["outcome_r2"] == pytest.approx(short["sigma2"] / long["sigma2"] - 1)
    assert once["x"]["treatment_r2"] == pytest.approx(long["nu2"] / short["nu2"] - 1)
    assert 0 < once["x"]["rho"] <= 1 and found.numbers["learned"]
    with pytest.raises(WhenceError) as error:
        omitted_variable(table, effect, benchmarks="w")
    assert error.value.code == "unknown_benchmark"


def test_where_it_has_no_meaning(table_of, effect_of):
    c = hidden(400)
    table = table_of({k: c[k] for k in "xdy"})
    assert not omitted_variable(table, effect_of(table, ["x"])).applies
    assert not omitted_variable(table, effect_of(table, ["x"], "partially_linear", strategy="rct", **LINEAR)).applies
    arms = table_of({"x": c["x"], "y": c["y"], "d": (c["d"] > 0).astype(float)})
    assert not omitted_variable(arms, effect_of(arms, ["x"], "aipw", quantity="ATT", **LINEAR)).applies


def test_clusters_and_weights_reach_the_bounds(table_of, effect_of):
    c = hidden(900)
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(30), 30)
    noise = rng.normal(size=30)[group] * 2
    table = table_of({"x": c["x"], "d": c["d"], "y": c["y"] + noise, "g": group.astype(float),
                      "w": rng.uniform(0.5, 2, 900)})
    found = {}
    for key, fields in (("rows", {}), ("clusters", {"cluster": "g"}), ("weights", {"weights": "w"})):
        effect = effect_of(table, ["x"], "partially_linear", **fields, **LINEAR)
        found[key] = omitted_variable(table, effect).numbers
    assert found["clusters"]["robustness_value_interval"] != found["rows"]["robustness_value_interval"]
    assert found["weights"]["sigma2"] != found["rows"]["sigma2"]
