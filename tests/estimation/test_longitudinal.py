"""Treatments in turn: known truths, robustness to one wrong model at each time, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("longitudinal", ("a1", "a2"), ("y",), controls=("c",), histories=((), ("x",)))
LINEAR = {"outcome_learner": "linear", "treatment_learner": "linear", "n_splits": 1}
TRUTH = 1.0 + 0.8 * 0.5 + 0.7  # a1 itself, through x, and a2


def drawn(n: int = 1500, seed: int = 0, hard: bool = False, curved: bool = False) -> dict[str, Any]:
    """a2 answers to x, which answers to a1. hard: little overlap and unequal noise. curved: y has squares of c and x
    of mean zero, which lines miss."""
    rng = np.random.default_rng([seed, n])
    c = rng.normal(size=n)
    push = 1.2 if hard else 0.6
    a1 = (rng.random(n) < 1 / (1 + np.exp(-push * c))).astype(int)
    x = 0.5 * a1 + 0.6 * c + rng.normal(size=n)
    a2 = (rng.random(n) < 1 / (1 + np.exp(-push * x - 0.4 * a1 + 0.3))).astype(int)
    noise = rng.normal(size=n) * (1 + (0.7 * a2 if hard else 0))
    bend = 0.5 * (c * c - 1) if curved else 0
    return {"c": c, "a1": a1, "x": x, "a2": a2, "y": a1 + 0.8 * x + 0.7 * a2 + c + bend + noise}


def answered(columns: Any, spec: Spec = SPEC, **params: Any) -> Effect:
    effect = estimate(read(columns), spec, **(LINEAR | params))
    assert isinstance(effect, Effect), effect
    return effect


def refused(columns: Any, spec: Spec = SPEC, **params: Any) -> Refused:
    answer = estimate(read(columns), spec, **(LINEAR | params))
    assert isinstance(answer, Refused) and answer.remedy, answer
    return answer


def test_always_against_never() -> None:
    effect = answered(drawn(3000))
    assert effect.contrast == "a1: always 1 vs always 0" and effect.method == "longitudinal"
    assert abs(effect.estimate - TRUTH) < 3 * effect.standard_error < 0.3
    means = effect.diagnostics["means"]
    assert means["always"] - means["never"] == pytest.approx(effect.estimate, abs=0.02)


def test_a_wrong_outcome_model_is_made_up_for() -> None:
    effect = answered(drawn(6000, 3, curved=True))
    assert abs(effect.estimate - TRUTH) < 3 * effect.standard_error < 0.25


def test_words_clusters_weights_and_gaps() -> None:
    columns = drawn(1500, 5) | {"g": np.arange(1500) // 3, "w": 0.5 + np.arange(1500) % 3}
    for name in ("a1", "a2"):
        columns[name] = np.array(["no", "yes"])[columns[name]]
    effect = answered(columns, SPEC.replace(cluster="g", weights="w"))
    assert "always yes" in effect.contrast and effect.diagnostics["clusters"] == 500
    assert abs(effect.estimate - TRUTH) < 4 * effect.standard_error
    columns["x"] = np.where(np.arange(1500) % 10 == 0, np.nan, columns["x"])
    gaps = answered(columns)
    assert gaps.n == 1350 and gaps.warnings[0].evidence["missing"] == {"x": 150}


def test_refusals() -> None:
    columns = drawn(600)
    assert refused(columns | {"a2": columns["x"]}).code == "treatment_not_binary"
    never = columns | {"a2": np.where(columns["a1"] == 1, 0, columns["a2"])}
    found = refused(never)
    assert found.code == "regime_not_followed"
    assert found.evidence["followed_after"]["1"] == {"a1": int(columns["a1"].sum()), "a2": 0}
    apart = refused(columns | {"a2": (columns["x"] > 0).astype(int)})
    assert apart.code == "positivity" and "a2" in apart.reason
    many = SPEC.replace(treatments=("a1", "a2", "b3", "b4", "b5", "b6"), histories=((),) * 6)
    more = {f"b{k}": np.arange(600) // k % 2 for k in (3, 4, 5, 6)}
    assert refused(columns | more, many).code == "periods_out_of_range"
    assert refused(columns, SPEC.replace(treatments=("a1",), histories=(("x",),))).code == "periods_out_of_range"
    assert refused(columns | {"a2": np.zeros(600, dtype=int)}).code == "treatment_constant"
    assert refused(columns, SPEC.replace(quantity="ATT")).code == "quantity_not_available"
    with pytest.raises(WhenceError, match="groups of columns") as caught:
        estimate(read(columns), SPEC.replace(histories=(("x",),)))
    assert caught.value.code == "bad_histories"
    with pytest.raises(WhenceError, match="between them"):
        estimate(read(columns), SPEC.replace(histories=()))
    one = estimate(read(columns), SPEC.replace(strategy="adjustment"))
    assert isinstance(one, Refused) and one.code == "role_not_used"


def coverage(sets: int, n: int, hard: bool) -> tuple[float, float, float]:
    """Share of intervals that hold the truth, error over spread, bias in spreads."""
    effects = [answered(drawn(n, seed, hard)) for seed in range(sets)]
    found = np.array([e.estimate for e in effects])
    inside = np.mean([e.interval[0] <= TRUTH <= e.interval[1] for e in effects])
    return (float(inside), float(np.mean([e.standard_error for e in effects]) / found.std()),
            float((found.mean() - TRUTH) / found.std()))


def test_coverage_in_forty_sets() -> None:
    assert coverage(40, 600, False)[0] >= 0.84


@pytest.mark.slow
@pytest.mark.parametrize("hard", [False, True])
def test_coverage_of_300_sets(hard: bool) -> None:
    inside, ratio, bias = coverage(300, 1500, hard)
    assert 0.915 <= inside <= 0.985 and abs(ratio - 1) < 0.2 and abs(bias) < 0.2, (inside, ratio, bias)
