"""Entropy balancing: exact balance, double robustness, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.result import Refused
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("adjustment", ("t",), ("y",), "ATT", controls=("a", "b"))


def drawn(make_table, n, seed, outcome, odds):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    t = (rng.random(n) < 1 / (1 + np.exp(-odds(a, b)))).astype(int)
    return make_table({"a": a, "b": b, "t": t, "y": outcome(a, b) + 2.0 * t + rng.normal(size=n)}, t="binary")


@pytest.mark.parametrize("right", ["outcome", "odds"])
@pytest.mark.parametrize("quantity", ["ATT", "ATC"])
def test_one_right_model_is_enough(make_table, right, quantity):
    def curved(a, b):
        return np.exp(0.7 * a) + a * b

    def straight(a, b):
        return 0.7 * a - 0.5 * b

    outcome, odds = (straight, curved) if right == "outcome" else (curved, straight)
    table = drawn(make_table, 40_000, 1, outcome, lambda a, b: np.clip(odds(a, b), -2, 2) if right == "outcome"
                  else odds(a, b))
    effect = estimate(table, SPEC.replace(quantity=quantity), "entropy_balancing", moments="means")
    assert abs(effect.estimate - 2) < 4 * effect.standard_error < 0.2


def test_three_arms(make_table):
    rng = np.random.default_rng(4)
    x = rng.normal(size=2000)
    arm = np.clip(np.digitize(x + rng.logistic(size=2000), [-0.7, 0.7]), 0, 2)
    y = x + np.array([0.0, 1.0, 3.0])[arm] + rng.normal(size=2000)
    table = make_table({"x": x, "arm": np.array(["a", "b", "c"])[arm], "y": y}, arm="categorical")
    for quantity in ("ATE", "ATT", "ATC"):
        spec = Spec("adjustment", ("arm",), ("y",), quantity, controls=("x",))
        effect = estimate(table, spec, "entropy_balancing")
        for comparison, truth in zip(effect.comparisons, (1.0, 3.0), strict=True):
            assert abs(comparison.estimate - truth) < 4 * comparison.standard_error < 0.6


def test_treated_beyond_the_controls_are_refused_and_the_control_named(make_table):
    rng = np.random.default_rng(5)
    t = np.repeat([0, 1], [200, 100])
    a = np.where(t == 1, rng.normal(6, 1, 300), rng.uniform(-2, 2, 300))
    table = make_table({"a": a, "b": rng.normal(size=300), "t": t, "y": rng.normal(size=300)}, t="binary")
    answer = estimate(table, SPEC, "entropy_balancing")
    assert isinstance(answer, Refused) and answer.code == "balance_infeasible" and answer.method == "entropy_balancing"
    assert "a" in answer.evidence["beyond"] and answer.evidence["proved"] and answer.remedy


def test_moments_that_only_clash_together_are_refused(make_table):
    """Each control's treated mean lies within the controls' range, their pair outside the hull."""
    rng = np.random.default_rng(6)
    a = rng.uniform(-1, 1, 400)
    t = np.repeat([0, 1], 200)
    b = np.where(t == 1, -a + rng.uniform(0.5, 0.7, 400), -a + rng.uniform(-0.1, 0.1, 400))
    table = make_table({"a": a, "b": b, "t": t, "y": rng.normal(size=400)}, t="binary")
    answer = estimate(table, SPEC, "entropy_balancing", moments="means")
    assert isinstance(answer, Refused) and answer.code == "balance_infeasible"
    assert answer.evidence["proved"] and not answer.evidence["beyond"]


def test_weights_on_a_handful_are_refused(make_table):
    rng = np.random.default_rng(7)
    t = np.repeat([0, 1], [400, 200])
    a = np.where(t == 1, rng.normal(3.2, 0.3, 600), rng.normal(0, 1, 600))
    table = make_table({"a": a, "b": rng.normal(size=600), "t": t, "y": rng.normal(size=600)}, t="binary")
    answer = estimate(table, SPEC, "entropy_balancing", moments="means")
    assert isinstance(answer, Refused) and answer.code in ("no_overlap", "balance_infeasible")


def test_a_rare_level_without_counterpart_is_named(make_table):
    rng = np.random.default_rng(8)
    site = rng.choice(["a", "b", "rare"], 800, p=[0.5, 0.49, 0.01])
    t = rng.integers(0, 2, 800)
    t[site == "rare"] = 1
    table = make_table({"site": site, "t": t, "y": rng.normal(size=800)}, t="binary", site="categorical")
    answer = estimate(table, Spec("adjustment", ("t",), ("y",), "ATT", controls=("site",)), "entropy_balancing")
    assert isinstance(answer, Refused) and answer.code == "balance_infeasible"
    assert any("site=" in label for label in answer.evidence["beyond"])
    # The controls are like some of the treated, so their effect can be told.
    assert estimate(table, Spec("adjustment", ("t",), ("y",), "ATC", controls=("site",)), "entropy_balancing")


def test_too_many_moments(make_table):
    rng = np.random.default_rng(9)
    columns = {f"x{j}": rng.normal(size=90) for j in range(30)}
    columns |= {"t": np.repeat([0, 1], [70, 20]), "y": rng.normal(size=90)}
    answer = estimate(make_table(columns, t="binary"),
                      Spec("adjustment", ("t",), ("y",), controls=tuple(f"x{j}" for j in range(30))),
                      "entropy_balancing")
    assert isinstance(answer, Refused) and answer.code == "more_features_than_rows"


def test_a_dose_is_refused(make_table):
    rng = np.random.default_rng(0)
    table = make_table({"t": rng.normal(size=50), "y": rng.normal(size=50), "a": rng.normal(size=50)})
    for method in ("entropy_balancing", "matching"):
        answer = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("a",)), method)
        assert isinstance(answer, Refused) and answer.code == "continuous_treatment" and answer.method == method
