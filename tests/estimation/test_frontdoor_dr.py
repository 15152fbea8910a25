"""The doubly robust front door: known truths where least squares goes wrong, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.core.result import Refused
from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Contrast, Spec

SPEC = Spec("frontdoor", ("x",), ("y",), mediators=("m",))
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}


def drawn(n: int, seed: int = 0, waves: bool = False) -> dict[str, Any]:
    """A hidden u behind x and y; the effect through m is 0.8. waves: the outcome is a step function of m instead."""
    rng = np.random.default_rng(seed)
    u, w = rng.normal(size=(2, n))
    x = (rng.random(n) < 1 / (1 + np.exp(-0.8 * u - 0.5 * w))).astype(int)
    m = 0.8 * x + 0.5 * w + rng.normal(size=n)
    effect = 2.0 * (np.abs(m) > 1) if waves else m
    return {"x": x, "w": w, "m": m, "y": effect + 0.6 * w + u + rng.normal(size=n)}


def answered(columns: Any, spec: Spec = SPEC, **params: Any) -> Effect:
    effect = estimate(read(columns), spec, "frontdoor_dr", **params)
    assert isinstance(effect, Effect), effect
    return effect


def refused(columns: Any, spec: Spec = SPEC, **params: Any) -> Refused:
    answer = estimate(read(columns), spec, "frontdoor_dr", **(LINEAR | params))
    assert isinstance(answer, Refused) and answer.remedy, answer
    return answer


def test_finds_the_truth_with_controls() -> None:
    effect = answered(drawn(4000), SPEC.replace(controls=("w",)), **LINEAR)
    assert abs(effect.estimate - 0.8) < 3 * effect.standard_error < 0.2


@pytest.mark.slow
def test_steps_that_a_line_does_not_see() -> None:
    """The chance of |m| > 1 given x and w, by simulation; boosting follows the steps."""
    rng = np.random.default_rng(1)
    w, noise = rng.normal(size=(2, 400_000))
    truth = 2 * np.mean((np.abs(0.8 + 0.5 * w + noise) > 1) * 1.0 - (np.abs(0.5 * w + noise) > 1))
    effect = answered(drawn(2000, 2, waves=True), SPEC.replace(controls=("w",)), n_splits=1, n_folds=2,
                      outcome_learner="boosting", treatment_learner="linear")
    assert abs(effect.estimate - truth) < 3 * effect.standard_error


def test_binary_outcome_and_categories() -> None:
    columns = drawn(1500, 3)
    columns["y"] = (columns["y"] > 0).astype(int)
    columns["m"] = np.array(["low", "middle", "high"])[np.digitize(columns["m"], [-0.3, 0.9])]
    effect = answered(columns, SPEC.replace(controls=("w",)), **LINEAR)
    assert 0 < effect.estimate < 0.4 and effect.standard_error < 0.05


def test_several_arms() -> None:
    rng = np.random.default_rng(4)
    u = rng.normal(size=3000)
    x = np.clip(np.round(u + rng.normal(size=3000)), -1, 1).astype(int) + 1
    m = 0.5 * x + rng.normal(size=3000)
    effect = answered({"x": np.array(["none", "one", "two"])[x], "m": m, "y": m + u + rng.normal(size=3000)},
                      SPEC.replace(contrast=Contrast("one", "none")), **LINEAR)
    for c, truth in zip(effect.comparisons, (0.5, 1.0), strict=True):
        assert abs(c.estimate - truth) < 3.5 * c.standard_error


def test_clusters_of_copies_have_the_error_of_single_rows() -> None:
    columns = drawn(600, 5)
    twice = {n: np.repeat(v, 2) for n, v in columns.items()} | {"c": np.repeat(np.arange(600), 2)}
    single, clustered = answered(columns, **LINEAR), answered(twice, SPEC.replace(cluster="c"), **LINEAR)
    assert clustered.estimate == pytest.approx(single.estimate, abs=0.2 * single.standard_error)
    assert clustered.standard_error == pytest.approx(single.standard_error, rel=0.05)


def test_order_of_rows_does_not_matter_much_and_of_columns_not_at_all() -> None:
    columns = drawn(500, 6)
    backwards = {n: columns[n] for n in reversed(columns)}
    assert answered(columns, **LINEAR).estimate == pytest.approx(answered(backwards, **LINEAR).estimate, rel=1e-9)


def test_a_constant_treatment_is_refused() -> None:
    columns = drawn(200)
    for method in ("auto", "frontdoor", "frontdoor_dr"):
        answer = estimate(read(columns | {"x": np.ones(200, dtype=int)}), SPEC, method)
        assert isinstance(answer, Refused) and answer.code == "treatment_constant"


def test_a_constant_mediator_is_refused() -> None:
    assert refused(drawn(200) | {"m": np.ones(200)}).code == "mediator_constant"


def test_a_mediator_that_tells_the_treatment_is_refused() -> None:
    columns = drawn(400)
    assert refused(columns | {"m": columns["m"] + 20 * columns["x"]}).code == "positivity"


def test_a_dose_is_refused_towards_the_plug_in() -> None:
    columns = drawn(200)
    answer = refused(columns | {"x": columns["w"]})
    assert answer.code == "continuous_treatment" and "'frontdoor'" in answer.remedy


def test_a_small_arm_and_single_clusters_are_refused() -> None:
    columns = drawn(200)
    assert refused(columns | {"x": (np.arange(200) < 6).astype(int)}).code == "small_arm"
