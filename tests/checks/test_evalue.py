from __future__ import annotations

import math

import numpy as np
import pytest

from whence.checks.evalue import evalue, from_difference, from_risks


def test_risks_by_hand():
    found = from_risks((0.3, 0.2), 0.5, 0.1, (0.05, 0.15))
    assert found.value == pytest.approx(1.5)
    assert found.low == pytest.approx(0.275 / 0.225) and found.high == pytest.approx(0.325 / 0.175)
    assert from_risks((0.3, -0.01), 0.5, 0.31, (0.2, 0.4)) is None
    assert math.isinf(from_risks((0.3, 0.05), 0.5, 0.25, (0.1, 0.4)).high)


def test_standardised_difference_as_published():
    """VanderWeele and Ding (2017): RR about exp(.91 d), interval exp(.91 d +- 1.78 s)."""
    found = from_difference(0.5, (0.5 - 1.96 * 0.1, 0.5 + 1.96 * 0.1), 1.0)
    assert found.value == pytest.approx(math.exp(0.91 * 0.5))
    assert (found.low, found.high) == pytest.approx((math.exp(0.455 - 0.178), math.exp(0.455 + 0.178)), rel=1e-3)


def binary(table_of, lift, n=2000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    d = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(float)
    y = (rng.random(n) < np.clip(0.2 + lift * d + 0.03 * x, 0, 1)).astype(float)
    return table_of({"d": d, "y": y, "x": x})


def test_a_difference_in_means_gives_the_ratio_of_the_two_shares(table_of, effect_of):
    table = binary(table_of, 0.3)
    y, d = table.numeric("y"), table.numeric("d")
    found = evalue(table, effect_of(table, [], "difference"))
    ratio = y[d == 1].mean() / y[d == 0].mean()
    assert found.numbers["risk_ratio"] == pytest.approx(ratio)
    assert found.numbers["e_value"] == pytest.approx(ratio + math.sqrt(ratio * (ratio - 1)))
    assert found.verdict == "pass"


@pytest.mark.parametrize("method", ["regression", "ipw", "aipw"])
@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_adjusted_risks_are_near_the_truth(table_of, effect_of, method, quantity):
    """True risks: .2 and .5 at x = 0, .03 more per unit of x; errors of a risk are about .02."""
    table = binary(table_of, 0.3, seed=3)
    found = evalue(table, effect_of(table, ["x"], method, quantity=quantity))
    x, d = table.numeric("x"), table.numeric("d")
    inside = {"ATE": d >= 0, "ATT": d == 1, "ATC": d == 0}[quantity]
    base = 0.2 + 0.03 * x[inside].mean()
    assert found.numbers["risk_control"] == pytest.approx(base, abs=0.06)
    assert found.numbers["risk_treated"] == pytest.approx(base + 0.3, abs=0.06)


def test_worries_about_a_faint_but_significant_effect(table_of, effect_of):
    rng = np.random.default_rng(1)
    d = np.tile([0.0, 1.0], 20000)
    table = table_of({"d": d, "y": 0.04 * d + rng.normal(size=40000)})
    found = evalue(table, effect_of(table, [], "difference"))
    assert found.numbers["e_value_limit"] > 1 and found.verdict == "worry"
    assert evalue(table, effect_of(table, [], "difference"), weak=1.0).verdict == "pass"


def test_informational_when_the_interval_includes_no_effect(table_of, effect_of):
    rng = np.random.default_rng(2)
    table = table_of({"d": np.tile([0.0, 1.0], 50), "y": rng.normal(size=100)})
    found = evalue(table, effect_of(table, [], "difference"))
    assert found.verdict == "informational" and found.numbers["e_value_limit"] == 1
    assert "includes no effect as it is" in found.saw


def test_protective_effects_are_inverted(table_of, effect_of):
    table = binary(table_of, -0.15)
    found = evalue(table, effect_of(table, ["x"]))
    assert found.numbers["risk_ratio"] < 1 < found.numbers["e_value_limit"] < found.numbers["e_value"]


def test_a_dose_is_taken_per_standard_deviation(table_of, effect_of):
    rng = np.random.default_rng(4)
    dose = rng.normal(size=500)
    y = 0.5 * dose + rng.normal(size=500)
    one = evalue(table := table_of({"d": dose, "y": y}), effect_of(table, []))
    grams = evalue(table := table_of({"d": 1000 * dose, "y": y}), effect_of(table, []))
    assert one.numbers["e_value"] == pytest.approx(grams.numbers["e_value"])
    assert one.numbers["standardised"] == pytest.approx(0.5, abs=0.1) and "standard deviation more" in one.saw


def test_says_so_when_there_is_no_ratio(table_of, effect_of):
    """The adjusted control risk falls below zero: a straight line through a rare outcome."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=300)
    d = (x + 0.3 * rng.normal(size=300) > 0).astype(float)
    y = (d * (x < 0.3) > 0).astype(float)
    table = table_of({"d": d, "y": y, "x": x})
    effect = effect_of(table, ["x"], interactions=False, degree=1)
    found = evalue(table, effect)
    assert not found.applies and "no risk ratio" in found.saw


def test_has_no_meaning_in_an_experiment(confounded, effect_of):
    assert not evalue(confounded, effect_of(confounded, [], "difference", strategy="rct")).applies
