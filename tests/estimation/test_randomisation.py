"""Randomisation inference: what it says, what it refuses, and that it holds its level when effects differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.core.result import Refused
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("rct", ("t",), ("y",))


def trial(n: int = 40, seed: int = 0, share: float = 0.5) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    t = rng.permutation(np.arange(n) < share * n).astype(int)
    return {"t": t, "y": t + rng.normal(size=n), "c": np.arange(n) // 2, "w": rng.uniform(1, 2, n)}


def answered(columns: Any, spec: Spec = SPEC, **params: Any) -> Effect:
    effect = estimate(columns, spec, "randomisation", **params)
    assert isinstance(effect, Effect), effect
    return effect


def refused(columns: Any, spec: Spec = SPEC, **params: Any) -> str:
    answer = estimate(columns, spec, "randomisation", **params)
    assert isinstance(answer, Refused) and answer.remedy and answer.method == "randomisation"
    return answer.code


def test_same_estimate_and_error_as_the_difference_in_means() -> None:
    effect, plain = answered(trial()), estimate(trial(), SPEC)
    assert isinstance(plain, Effect)
    assert effect.estimate == pytest.approx(plain.estimate)
    assert effect.standard_error == pytest.approx(plain.standard_error)
    assert effect.interval[0] < effect.estimate < effect.interval[1]
    said = next(w for w in effect.warnings if w.code == "randomisation")
    assert "2,000 random ways" in said.text


def test_the_seed_decides_and_nothing_else() -> None:
    columns = trial()
    assert answered(columns, seed=1).interval == answered(columns, seed=1).interval
    assert answered(columns, seed=1).interval != answered(columns, seed=2).interval
    backwards = {n: columns[n] for n in reversed(columns)}
    assert answered(backwards, seed=1).interval == answered(columns, seed=1).interval


def test_too_few_ways_to_rule_anything_out() -> None:
    columns = {"t": [1, 1, 1, 0, 0, 0], "y": [5.0, 3, 6, 2, 1, 3]}
    assert refused(columns) == "too_few_assignments"
    assert answered(columns, level=0.8).p_value == pytest.approx(0.2)


def test_an_unclear_draw_is_refused() -> None:
    assert refused(trial(), SPEC.replace(cluster="c")) == "assignment_unclear"


def test_weights_are_refused() -> None:
    assert refused(trial(), SPEC.replace(weights="w")) == "weights_unused"


def test_a_dose_is_refused() -> None:
    columns = trial()
    assert refused(columns | {"t": columns["w"]}) == "continuous_treatment"


def test_two_of_three_arms_and_unused_controls_are_said() -> None:
    columns = trial(60)
    effect = answered(columns | {"t": np.arange(60) % 3}, SPEC.replace(controls=("w",)))
    assert {"arms_set_aside", "controls_unused"} <= {w.code for w in effect.warnings} and effect.n == 40


def test_one_stratum_of_single_rows_still_gives_an_exact_test() -> None:
    """A single treated row in one stratum: no error can be read from it, so estimates are compared as they are."""
    s = np.repeat([0.0, 1.0], [6, 8])
    t = np.array([1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0])
    effect = answered({"s": s, "t": t, "y": t * 3 + np.random.default_rng(1).normal(size=14)},
                      SPEC.replace(strata=("s",)))
    assert effect.diagnostics["assignments"] == 6 * 70 and 0 < effect.p_value < 0.1


def rejections(studentised: bool, sets: int) -> float:
    """No average effect, a small arm that varies three times as much: the case where plain permutation fails."""
    hits = 0
    for seed in range(sets):
        rng = np.random.default_rng([3, seed])
        t = rng.permutation(np.arange(100) < 20).astype(int)
        y = rng.normal(size=100) * (1 + 2 * t)
        hits += answered({"t": t, "y": y}, draws=199, studentised=studentised).p_value <= 0.05
    return hits / sets


def test_level_when_effects_differ() -> None:
    """120 sets, Monte Carlo error 2 %: about 5 % with the standard error; 60 sets: far more without."""
    assert rejections(True, 120) <= 0.10
    assert rejections(False, 60) > 0.15
