"""Standardised generalised linear models: choices, refusals with the violation planted, and coverage in brief."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.core.result import Refused
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("adjustment", ("t",), ("y",), controls=("x",))


def drawn(n: int = 300, seed: int = 0, counts: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    t = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    mean = 0.4 * t + 0.5 * x
    y = rng.poisson(rng.gamma(2, 0.5, n) * np.exp(mean)) if counts else (rng.random(n) < 1 / (1 + np.exp(-mean)))
    return {"t": t, "x": x, "y": np.asarray(y).astype(int)}


def answered(columns: Any, spec: Spec = SPEC, **params: Any) -> Effect:
    effect = estimate(columns, spec, "glm", **params)
    assert isinstance(effect, Effect), effect
    return effect


def refused(columns: Any, spec: Spec = SPEC, **params: Any) -> Refused:
    answer = estimate(columns, spec, "glm", **params)
    assert isinstance(answer, Refused) and answer.remedy and answer.method == "glm", answer
    return answer


def test_the_family_follows_the_outcome() -> None:
    assert answered(drawn()).diagnostics["family"] == "logit"
    counted = answered(drawn(counts=True))
    assert counted.diagnostics["family"] == "poisson" and counted.diagnostics["dispersion"] > 1.2
    shares = drawn()
    assert answered(shares | {"y": 0.2 + 0.5 * shares["y"] + 0.01 * shares["x"]}).diagnostics["family"] == "logit"


def test_means_and_ratios_are_told() -> None:
    effect = answered(drawn())
    told = next(w for w in effect.warnings if w.code == "in_ratios")
    assert told.evidence["treated"] - told.evidence["control"] == pytest.approx(effect.estimate)
    assert "odds ratio" in told.text
    assert "odds ratio" not in next(w.text for w in answered(drawn(counts=True)).warnings if w.code == "in_ratios")


def test_outcomes_out_of_range_are_refused() -> None:
    columns = drawn()
    negative = columns | {"y": np.random.default_rng(1).normal(size=300)}
    assert refused(negative).code == refused(negative, family="poisson").code == "outcome_out_of_range"
    answer = refused(drawn(counts=True), family="logit")
    assert answer.code == "outcome_out_of_range" and "poisson" in answer.remedy


@pytest.mark.parametrize("family", ["logit", "probit", "cloglog", "poisson"])
def test_an_arm_with_one_outcome_only_is_refused(family: str) -> None:
    columns = drawn()
    answer = refused(columns | {"y": np.where(columns["t"] == 1, 0, columns["y"])}, family=family)
    assert answer.code == "separation" and "t = 1 has y = 0" in answer.reason


def test_a_control_that_tells_the_outcome_is_named() -> None:
    columns = drawn()
    group = np.where(np.arange(300) < 40, "sure", "other")
    columns = columns | {"g": group, "y": np.where(np.arange(300) < 40, 1, columns["y"])}
    answer = refused(columns, SPEC.replace(controls=("x", "g")))
    assert answer.code == "separation" and "g=sure" in answer.reason


def test_where_one_arm_has_no_fit_of_its_own_one_model_serves_both() -> None:
    """A group with a single outcome among the treated only."""
    columns = drawn(400, 3)
    group = np.where(np.arange(400) % 4 == 0, "b", "a")
    y = np.where((group == "b") & (columns["t"] == 1), 1, columns["y"])
    effect = answered(columns | {"g": group, "y": y}, SPEC.replace(controls=("x", "g")))
    assert "no_interactions" in {w.code for w in effect.warnings} and not effect.diagnostics["interactions"]
    assert refused(columns | {"g": group, "y": y}, SPEC.replace(controls=("x", "g")),
                   interactions=True).code == "separation"


def test_rare_outcomes_share_one_model() -> None:
    rng = np.random.default_rng(5)
    columns = {"t": np.arange(400) % 2, "y": (rng.random(400) < 0.05).astype(int)}
    columns |= {f"x{j}": rng.normal(size=400) for j in range(3)}
    effect = answered(columns, SPEC.replace(controls=("x0", "x1", "x2")), degree=1)
    assert not effect.diagnostics["interactions"] and "no_interactions" in {w.code for w in effect.warnings}


def test_too_many_columns_are_refused() -> None:
    rng = np.random.default_rng(6)
    columns: dict[str, Any] = {f"x{j}": rng.normal(size=20) for j in range(19)}
    columns |= {"t": np.arange(20) % 2, "y": rng.integers(0, 2, 20)}
    assert refused(columns, SPEC.replace(controls=tuple(f"x{j}" for j in range(19))), degree=1).code == \
        "more_features_than_rows"


def test_controls_that_decide_the_treatment_are_refused() -> None:
    columns = drawn()
    half = (columns["x"] > 0).astype(int)
    both = SPEC.replace(controls=("a", "b"))
    data = columns | {"a": np.where(half == 1, columns["x"], 0.0), "b": columns["t"] - np.where(half, columns["x"], 0)}
    assert refused(data, both, degree=1).code == "treatment_determined"


def test_several_arms() -> None:
    columns = drawn(600, 7)
    columns["t"] = np.array(["none", "one", "two"])[np.arange(600) % 3]
    effect = answered(columns)
    assert len(effect.comparisons) == 2 and set(effect.diagnostics["means"]) == {"one vs none", "two vs none"}


def test_in_an_experiment_a_wrong_model_is_right_on_average() -> None:
    """Outcomes that follow a sine of the control: over 100 trials the mean error is within three of its errors."""
    found = []
    for seed in range(100):
        rng = np.random.default_rng([9, seed])
        x, t = rng.normal(size=200), rng.permutation(200) % 2
        y = rng.random(200) < 0.5 + 0.3 * np.sin(3 * x) * (2 * t - 1) + 0.1 * t
        effect = answered({"t": t, "x": x, "y": y.astype(int)}, SPEC.replace(strategy="rct"))
        found.append(effect.estimate - 0.1)
    assert abs(np.mean(found)) < 3 * np.std(found) / 10
