"""Bounds on tables: equal to the exact ones on the sample's distribution, with intervals that hold the true bounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whence.core.errors import WhenceError
from whence.core.result import Refused
from whence.estimation.bounds import Bounds, bounds
from whence.identification.bounds import monotone_bounds
from whence.identification.divergence import divergence_bounds
from whence.identification.marginal_sensitivity import marginal_sensitivity_bounds
from whence.identification.propensity_ball import propensity_ball_bounds
from whence.identification.spec import Spec

SPEC = Spec("adjustment", ("t",), ("y",), controls=("x",))
JOINT = np.array([[[0.20, 0.08], [0.06, 0.11]], [[0.09, 0.07], [0.12, 0.27]]])  # x, t, y


def drawn(n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, t, y = np.unravel_index(rng.choice(8, n, p=JOINT.ravel()), JOINT.shape)
    return {"x": x, "t": t, "y": y}


def exact(joint: np.ndarray, method: str, quantity: str = "ATE") -> Any:
    return {
        "marginal_sensitivity": lambda: marginal_sensitivity_bounds(joint, 2.0, quantity=quantity),
        "divergence": lambda: divergence_bounds(joint, "kl", 0.05, quantity=quantity),
        "propensity_ball": lambda: propensity_ball_bounds(joint, "chi2"),
        "manski": lambda: monotone_bounds(joint.sum(axis=0)),
    }[method]()


PARAMS: dict[str, dict[str, Any]] = {"manski": {}, "marginal_sensitivity": {"gamma": 2.0},
                                     "divergence": {"radius": 0.05}, "propensity_ball": {}}


@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
@pytest.mark.parametrize("method", PARAMS)
def test_equals_the_exact_bounds_of_the_samples_distribution(method: str, quantity: str) -> None:
    if quantity != "ATE" and method in ("manski", "propensity_ball"):
        return
    data = drawn(400, 1)
    counts = np.zeros((2, 2, 2))
    np.add.at(counts, (data["x"], data["t"], data["y"]), 1)
    found = bounds(data, SPEC.replace(quantity=quantity), method, **PARAMS[method])
    truth = exact(counts, method, quantity)
    assert isinstance(found, Bounds)
    assert (found.lower, found.upper) == pytest.approx((truth.lower, truth.upper), abs=1e-9)
    assert found.interval[0] < found.lower and found.interval[1] > found.upper
    assert found.arms["1"] == pytest.approx(truth.arms["treated"], abs=1e-9)


@pytest.mark.parametrize("method", [pytest.param(m, marks=() if m == "manski" else pytest.mark.slow) for m in PARAMS])
def test_the_interval_holds_both_true_bounds(method: str) -> None:
    """120 samples of 500 rows; 95 % asked, 4 standard errors (0.08) allowed."""
    truth = exact(JOINT, method)
    held = []
    for seed in range(120):
        found = bounds(drawn(500, seed), SPEC, method, **PARAMS[method])
        assert isinstance(found, Bounds)
        held.append(found.interval[0] <= truth.lower + 1e-9 and found.interval[1] >= truth.upper - 1e-9)
    assert np.mean(held) >= 0.95 - 0.08


def test_clusters_widen_the_interval_and_weights_count() -> None:
    data = drawn(300, 3)
    doubled = {k: np.tile(v, 4) for k, v in data.items()} | {"c": np.tile(np.arange(300), 4)}
    plain = bounds(data, SPEC, "divergence", radius=0.05)
    clustered = bounds(doubled, SPEC.replace(cluster="c"), "divergence", radius=0.05)
    assert isinstance(plain, Bounds) and isinstance(clustered, Bounds)
    assert clustered.standard_errors == pytest.approx(plain.standard_errors, rel=0.01)
    once = data | {"w": np.where(np.arange(300) < 100, 2.0, 1.0)}
    twice = {k: np.concatenate([v, v[:100]]) for k, v in data.items()}
    weighted, repeated = bounds(once, SPEC.replace(weights="w"), "divergence"), bounds(twice, SPEC, "divergence")
    assert isinstance(weighted, Bounds) and isinstance(repeated, Bounds)
    assert (weighted.lower, weighted.upper) == pytest.approx((repeated.lower, repeated.upper), abs=1e-9)


def test_limits_taken_from_the_data_are_said_and_wider_limits_widen() -> None:
    data = drawn(200, 4) | {"y": np.random.default_rng(4).normal(size=200)}
    seen, given = bounds(data, SPEC, "manski"), bounds(data, SPEC, "manski", lowest=-10.0, highest=10.0)
    assert isinstance(seen, Bounds) and isinstance(given, Bounds)
    assert "limits_from_data" in {w.code for w in seen.warnings}
    assert "limits_from_data" not in {w.code for w in given.warnings} and given.width > seen.width
    with pytest.raises(WhenceError) as caught:
        bounds(data, SPEC, "manski", lowest=0.0)
    assert caught.value.code == "bad_limits"


def test_more_rows_of_a_heavy_tail_widen_the_ball_and_it_warns() -> None:
    rng = np.random.default_rng(6)
    widths = []
    for n in (200, 2000, 20_000):
        found = bounds({"t": np.arange(n) % 2, "y": rng.standard_t(3, n)}, Spec("rct", ("t",), ("y",)),
                       "propensity_ball")
        assert isinstance(found, Bounds)
        assert "driven_by_support" in {w.code for w in found.warnings}
        inner = found.evidence["without_assumptions"]
        assert found.lower <= inner[0] and found.upper >= inner[1]
        widths.append(found.width)
    assert widths[0] < widths[1] < widths[2]


def test_missing_rows_are_counted_and_several_levels_compare_the_two_asked_about() -> None:
    rng = np.random.default_rng(7)
    t = rng.choice(["a", "b", "c"], 300)
    y = (rng.random(300) < 0.5).astype(float)
    y[:20] = np.nan
    spec = {"strategy": "adjustment", "treatments": ["t"], "outcomes": ["y"],
            "contrast": {"treated": "b", "control": "a"}}
    found = bounds({"t": t, "y": y}, spec)
    assert isinstance(found, Bounds) and found.n == 280 and found.method == "manski"
    assert "rows_dropped" in {w.code for w in found.warnings} and found.contrast == "t: b vs a"
    share, mean = (t[20:] == "b").mean(), y[20:][t[20:] == "b"].mean()
    assert found.arms["b"] == pytest.approx((share * mean, share * mean + 1 - share))


def test_a_level_that_does_not_occur_in_a_stratum_leaves_the_limits_there() -> None:
    data = drawn(200, 8)
    data["t"][data["x"] == 0] = 0
    found = bounds(data, SPEC, "marginal_sensitivity", gamma=1.0)
    assert isinstance(found, Bounds) and found.evidence["rows_without_counterpart"] == (data["x"] == 0).sum()
    assert found.width == pytest.approx((data["x"] == 0).mean())


@pytest.mark.parametrize("change, code", [
    ({"x": lambda n: np.random.default_rng(0).normal(size=n)}, "too_many_strata"),
    ({"t": lambda n: np.random.default_rng(0).normal(size=n)}, "continuous_treatment"),
    ({"y": lambda n: np.ones(n)}, "outcome_constant"),
])
def test_an_analysis_that_cannot_be_done_is_refused(change: dict[str, Callable], code: str) -> None:
    found = bounds(drawn(200, 9) | {k: make(200) for k, make in change.items()}, SPEC, "marginal_sensitivity")
    assert isinstance(found, Refused) and found.code == code and found.reason.endswith(".")


def test_an_unknown_method_is_named_and_the_answer_is_plain() -> None:
    with pytest.raises(WhenceError) as caught:
        bounds(drawn(50, 1), SPEC, "mansky")
    assert caught.value.code == "unknown_method" and "manski" in str(caught.value.hint)
    found = bounds(drawn(200, 1), SPEC, level=0.9)
    assert isinstance(found, Bounds) and "90%" in str(found) and "<table>" in found._repr_html_()
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["method"] == "manski"


@pytest.mark.parametrize("response, selection", [
    ("increasing", "none"), ("decreasing", "none"), ("none", "increasing"), ("none", "decreasing"), ("none", "none"),
    ("increasing", "increasing"),
])
def test_monotone_equals_the_linear_program(response: Any, selection: Any) -> None:
    data = drawn(300, 11)
    counts = np.zeros((2, 2))
    np.add.at(counts, (data["t"], data["y"]), 1)
    given = {k: v for k, v in (("response", response), ("selection", selection)) if v != "none"}
    truth = monotone_bounds(counts, **given)
    found = bounds(data, SPEC, "monotone", response=response, selection=selection)
    assert isinstance(found, Bounds) and not isinstance(truth, Refused)
    assert (found.lower, found.upper) == pytest.approx((truth.lower, truth.upper), abs=1e-7)


def test_monotone_directions_that_the_data_deny_are_refused() -> None:
    data = drawn(300, 11)
    both = bounds(data, SPEC, "monotone", response="decreasing", selection="decreasing")
    mixed = bounds(data, SPEC, "monotone", response="increasing", selection="decreasing")
    several = bounds({"t": ["a", "b", "c"] * 30, "y": [0, 1] * 45}, Spec("rct", ("t",), ("y",)), "monotone")
    codes = [found.code for found in (both, mixed, several) if isinstance(found, Refused)]
    assert codes == ["monotonicity_contradicted", "mixed_directions", "several_levels"]


@pytest.mark.slow
def test_the_monotone_interval_holds_both_true_bounds() -> None:
    """120 samples of 500 rows; 95 % asked, 4 standard errors (0.08) allowed."""
    truth = monotone_bounds(JOINT.sum(axis=0), response="increasing", selection="increasing")
    assert not isinstance(truth, Refused)
    held = 0
    for seed in range(120):
        found = bounds(drawn(500, seed), SPEC, "monotone", selection="increasing")
        assert isinstance(found, Bounds)
        held += found.interval[0] <= truth.lower + 1e-9 and found.interval[1] >= truth.upper - 1e-9
    assert held / 120 >= 0.95 - 0.08


def test_an_instrument_that_is_not_used_is_said() -> None:
    found = bounds(drawn(200, 1), Spec("iv", ("t",), ("y",), instruments=("x",)))
    assert isinstance(found, Bounds) and "instrument_not_used" in {w.code for w in found.warnings}


def test_a_role_that_no_bounds_use_is_refused() -> None:
    found = bounds(drawn(200, 1) | {"seen": np.arange(200) % 2}, SPEC.replace(truth="seen"))
    assert isinstance(found, Refused) and found.code == "role_not_used"
