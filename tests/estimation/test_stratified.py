"""Experiments in blocks: which method is chosen, what is said, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whence.core.result import Refused
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("rct", ("t",), ("y",), strata=("s",))


def experiment(sizes: list[tuple[int, int]], seed: int = 0) -> dict[str, Any]:
    """The share treated grows with the level of the outcome, so that a plain difference is far off; the effect is 1."""
    rng = np.random.default_rng(seed)
    s = np.concatenate([np.full(a + b, f"site {k}") for k, (a, b) in enumerate(sizes)])
    t = np.concatenate([rng.permutation([1] * a + [0] * b) for a, b in sizes])
    x = rng.normal(size=len(s))
    y = 5.0 * np.repeat(np.arange(len(sizes)), [a + b for a, b in sizes]) + t + x + rng.normal(size=len(s))
    return {"s": s, "t": t, "x": x, "y": y}


def answered(columns: Any, spec: Spec = SPEC, method: str = "auto", **params: Any) -> Effect:
    effect = estimate(columns, spec, method, **params)
    assert isinstance(effect, Effect), effect
    return effect


def codes(effect: Effect) -> set[str]:
    return {w.code for w in effect.warnings}


def test_blocks_are_compared_within() -> None:
    columns = experiment([(20, 60), (40, 40), (60, 20)])
    effect = answered(columns)
    assert effect.method == "stratified" and abs(effect.estimate - 1) < 3 * effect.standard_error
    plain = answered(columns, SPEC.replace(strata=()))
    assert plain.method == "difference" and plain.estimate > 3
    assert effect.diagnostics["strata"] == 3 and effect.diagnostics["by_stratum"]["s = site 1"]["n"] == 80


def test_controls_sharpen_it() -> None:
    columns = experiment([(20, 60), (40, 40), (60, 20)])
    raw, adjusted = answered(columns), answered(columns, SPEC.replace(controls=("x",)))
    assert adjusted.method == "stratified" and adjusted.diagnostics["slopes"] == "by arm"
    assert adjusted.standard_error < 0.8 * raw.standard_error
    assert abs(adjusted.estimate - 1) < 3 * adjusted.standard_error


def test_pairs_are_adjusted_by_one_slope_and_few_pairs_not_at_all() -> None:
    effect = answered(experiment([(1, 1)] * 40), SPEC.replace(controls=("x",)))
    assert effect.diagnostics["slopes"] == "common" and "small_strata" in codes(effect)
    assert "controls_unused" in codes(answered(experiment([(1, 1)] * 6), SPEC.replace(controls=("x",))))


def test_strata_without_both_arms_are_set_aside_and_named() -> None:
    effect = answered(experiment([(5, 5), (0, 7), (6, 6), (4, 0)]))
    said = next(w for w in effect.warnings if w.code == "strata_set_aside")
    assert effect.n == 22 and said.evidence == {"strata": 2, "of": 4, "rows": 11, "used": 22}
    assert "s = site 1; s = site 3" in said.text


def test_no_stratum_with_both_arms_is_refused() -> None:
    answer = estimate(experiment([(5, 0), (0, 7), (6, 0)]), SPEC)
    assert isinstance(answer, Refused) and answer.code == "no_complete_stratum" and answer.method == "stratified"


def test_two_unequal_strata_of_single_rows_are_refused() -> None:
    answer = estimate(experiment([(1, 1), (1, 1), (0, 4)]) | {"w": [1, 1, 3, 3, 1, 1, 1, 1]},
                      SPEC.replace(weights="w"))
    assert isinstance(answer, Refused) and answer.code == "too_few_per_stratum"


def test_a_single_treated_row_borrows_its_variance() -> None:
    """One stratum in which one row is treated: the others tell how much treated rows vary."""
    columns = experiment([(1, 9), (10, 10), (10, 10)], seed=2)
    effect = answered(columns)
    s, t, y = (np.asarray(columns[n]) for n in "sty")
    treated = [y[(s == f"site {k}") & (t == 1)] for k in (1, 2)]
    pooled = sum((v - v.mean()) @ (v - v.mean()) for v in treated) / 18
    control = y[(s == "site 0") & (t == 0)]
    variance = 0.2**2 * (pooled + control.var(ddof=1) / 9)
    for k in (1, 2):
        for arm in (0, 1):
            variance += 0.4**2 * y[(s == f"site {k}") & (t == arm)].var(ddof=1) / 10
    assert effect.standard_error == pytest.approx(np.sqrt(variance))
    assert "other strata" in next(w.text for w in effect.warnings if w.code == "small_strata")


def test_without_strata_the_method_says_what_it_needs() -> None:
    answer = estimate(experiment([(5, 5)]), SPEC.replace(strata=()), "stratified")
    assert isinstance(answer, Refused) and answer.code == "no_strata"


def test_not_for_observational_data() -> None:
    answer = estimate(experiment([(5, 5)]), SPEC.replace(strategy="adjustment"), "stratified")
    assert isinstance(answer, Refused) and answer.code == "other_design"


def test_several_arms_are_each_compared_where_they_can_be() -> None:
    rng = np.random.default_rng(4)
    s = np.repeat([0, 1, 2, 3], 30)
    arm = np.where(rng.random(120) < 0.5, "control", np.where(s < 2, "mail", "phone"))
    y = s + (arm == "phone") * 1.0 + rng.normal(size=120)
    effect = answered({"s": s, "t": arm, "y": y}, SPEC)
    assert [c.label for c in effect.comparisons] == ["mail vs control", "phone vs control"]
    assert {w.evidence["comparison"] for w in effect.warnings if w.code == "strata_left_out"} == {
        "mail vs control", "phone vs control"}
    phone = estimate({"s": s[s > 1], "t": arm[s > 1], "y": y[s > 1]}, SPEC)
    assert isinstance(phone, Effect)
    assert effect.comparisons[1].estimate == pytest.approx(phone.estimate)
    assert effect.comparisons[1].standard_error == pytest.approx(phone.standard_error)


def test_two_strata_columns_cross_and_their_order_does_not_matter() -> None:
    columns = experiment([(10, 20), (20, 10)]) | {"sex": np.arange(60) % 2}
    a, b = (answered(columns, SPEC.replace(strata=names)) for names in (("s", "sex"), ("sex", "s")))
    assert a.diagnostics["strata"] == 4 and a.estimate == b.estimate and a.standard_error == b.standard_error


def test_a_dose_in_blocks_goes_to_regression() -> None:
    columns = experiment([(20, 20), (20, 20)])
    effect = answered(columns | {"t": np.random.default_rng(0).normal(size=80)})
    assert effect.method == "regression"


def test_methods_that_do_not_look_within_strata_say_so():
    rng = np.random.default_rng(0)
    data = {"s": np.repeat(["a", "b"], 50), "d": rng.permutation(np.tile([0, 1], 50)), "y": rng.standard_normal(100)}
    spec = Spec("rct", ("d",), ("y",), strata=("s",))
    for method in ("regression", "ipw", "aipw", "glm"):
        assert estimate(data, spec, method).code == "strata_not_used"
    assert estimate(data, spec, "difference") and estimate(data, spec)
