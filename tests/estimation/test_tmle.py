"""Targeted maximum likelihood: it stays in range, one right model is enough, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.estimate import estimate
from whence.estimation.tmle import fluctuate
from whence.identification.spec import Spec

LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}


def test_fluctuation_solves_its_equation_and_stays_in_range():
    rng = np.random.default_rng(0)
    q, y, w = rng.uniform(-0.2, 1.2, 300), rng.random(300), rng.exponential(size=300) * (rng.random(300) < 0.5)
    moved, shift = fluctuate(q, y, w)
    assert w @ (y - moved) == pytest.approx(0, abs=1e-9 * w.sum()) and 0 < moved.min() < moved.max() < 1
    assert np.isfinite(shift)
    for same in (0.0, 1.0):
        moved, shift = fluctuate(q, np.full(300, same), w)
        assert moved == pytest.approx(np.full(300, same), abs=1e-9) and np.isfinite(shift)


@pytest.mark.parametrize("wrong", ["outcome", "treatment"])
def test_one_right_model_is_enough(make_table, wrong):
    rng = np.random.default_rng(2)
    x = rng.normal(size=8000)
    curved = x**2 / 2
    t = rng.random(8000) < 1 / (1 + np.exp(-(curved - 0.5 if wrong == "outcome" else curved * 2 - 1)))
    y = 1 + t + 3 * curved + rng.normal(size=8000)
    table = make_table({"x": x, "t": t, "y": y}, t="binary")
    learners = {"outcome_learner": "quadratic", "treatment_learner": "quadratic"} | {f"{wrong}_learner": "linear"}
    spec = Spec("adjustment", ("t",), ("y",), controls=("x",))
    effect = estimate(table, spec, "tmle", n_splits=1, **learners)
    both = estimate(table, spec, "tmle", **LINEAR)
    assert abs(effect.estimate - 1) < 4 * effect.standard_error
    assert abs(both.estimate - 1) > 8 * both.standard_error


@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_a_rare_outcome_keeps_the_answer_in_range_and_near_aipw(make_table, quantity):
    rng = np.random.default_rng(3)
    x = rng.normal(size=3000)
    t = rng.random(3000) < 1 / (1 + np.exp(-x))
    y = rng.random(3000) < 0.02 + 0.02 * t
    table = make_table({"x": x, "t": t, "y": y}, t="binary", y="binary")
    spec = Spec("adjustment", ("t",), ("y",), quantity, controls=("x",))
    effect, other = (estimate(table, spec, method, **LINEAR) for method in ("tmle", "aipw"))
    assert -1 < effect.estimate < 1 and abs(effect.estimate - other.estimate) < 0.2 * other.standard_error
    assert effect.standard_error == pytest.approx(other.standard_error, rel=0.05)
    assert abs(effect.influence.mean()) < 1e-12 and set(effect.diagnostics["shifts"][0])


def test_three_arms_and_weights(make_table):
    rng = np.random.default_rng(8)
    x = rng.normal(size=3000)
    arm = np.clip(np.digitize(x + rng.logistic(size=3000), [-0.7, 0.7]), 0, 2)
    y = x + np.array([0.0, 1.0, 3.0])[arm] + rng.normal(size=3000)
    table = make_table({"x": x, "arm": np.array(["a", "b", "c"])[arm], "y": y, "w": rng.uniform(0.5, 2, 3000)},
                       arm="categorical")
    spec = Spec("adjustment", ("arm",), ("y",), controls=("x",), weights="w")
    effect = estimate(table, spec, "tmle", **LINEAR)
    for comparison, truth in zip(effect.comparisons, (1.0, 3.0), strict=True):
        assert abs(comparison.estimate - truth) < 4 * comparison.standard_error < 0.6


def test_no_event_in_an_arm_is_no_crash(make_table):
    rng = np.random.default_rng(4)
    x, t = rng.normal(size=400), np.arange(400) % 2
    table = make_table({"x": x, "t": t, "y": (t == 1) & (rng.random(400) < 0.3)}, t="binary", y="binary")
    effect = estimate(table, Spec("adjustment", ("t",), ("y",), controls=("x",)), "tmle", **LINEAR)
    assert effect.estimate == pytest.approx(0.3, abs=0.1) and effect.standard_error > 0


def planted(kind):
    rng = np.random.default_rng(9)
    x, n = rng.normal(size=600), 600
    t = {"no_overlap": x > 0.1, "treatment_constant": np.ones(n), "small_arm": np.arange(n) < 7,
         "continuous_treatment": x + rng.normal(size=n), "too_few_clusters": np.arange(n) < 40}[kind]
    clusters = np.where(np.arange(n) < 40, 0, np.arange(n) // 20)
    return {"x": x, "t": t, "y": x + rng.normal(size=n), "c": clusters}


@pytest.mark.parametrize("kind", ["no_overlap", "treatment_constant", "small_arm", "continuous_treatment",
                                  "too_few_clusters"])
def test_refusals(make_table, kind):
    table = make_table(planted(kind), c="count", **({} if kind == "continuous_treatment" else {"t": "binary"}))
    spec = Spec("adjustment", ("t",), ("y",), controls=("x",), cluster="c" if kind == "too_few_clusters" else None)
    answer = estimate(table, spec, "tmle")
    assert isinstance(answer, Refused) and answer.code == kind and answer.remedy


def test_a_learner_without_probabilities(sample, spec):
    from sklearn.linear_model import LinearRegression

    with pytest.raises(WhenceError, match="predict_proba"):
        estimate(sample(100, 1).table, spec(), "tmle", treatment_learner=LinearRegression())
