"""Honest intervals at a cutoff: the worst bias by integrating over all curves, the critical value by counting draws."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Effect, Refused, Spec, WhenceError, estimate
from whence.stats.bounded_curvature import critical_value, worst_bias
from whence.stats.local_polynomial import coefficient_weights, kernel_weights

SPEC = Spec("rdd", ("d",), ("y",), running_variable="x", cutoff=0.0)


def steps(seed: int = 0, values: int = 8, n: int = 2000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.integers(-values, values, n) / values
    d = (x >= 0).astype(int)
    return {"x": x, "d": d, "y": np.sin(3 * x) + 0.5 * d + 0.3 * rng.standard_normal(n)}


def test_the_worst_bias_is_the_integral_over_bends():
    """A curve is a line plus the sum of its bends times hinges; each bend adds what the weights make of its hinge."""
    rng = np.random.default_rng(0)
    right, left = np.sort(rng.random(60)), -np.sort(rng.random(50))[::-1]
    w_right, w_left = (coefficient_weights(x, kernel_weights(x, 0.7, "triangular"), 1, 0) for x in (right, left))
    places = (np.arange(20_000) + 0.5) / 20_000
    total = sum(np.abs(np.maximum(np.abs(x)[:, None] - places, 0).T @ w).mean() for x, w in
                ((right, w_right), (left, w_left)))
    assert worst_bias(w_left, left, w_right, right, 3.0) == pytest.approx(3.0 * total, rel=1e-4)


@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.5, 6.0])
def test_the_critical_value_by_counting(ratio):
    draws = np.abs(np.random.default_rng(1).standard_normal(2_000_000) + ratio)
    assert critical_value(ratio, 0.95) == pytest.approx(np.quantile(draws, 0.95), abs=0.01)


def test_few_values_near_the_cutoff_get_the_honest_interval():
    found = estimate(steps(), SPEC)
    assert isinstance(found, Effect) and found.diagnostics["interval"] == "honest"
    assert {"worst_bias", "mass_points"} <= {w.code for w in found.warnings}
    assert found.interval[0] < 0.5 < found.interval[1]
    tight, wide = (estimate(steps(), SPEC, interval="honest", bandwidth=0.5, curvature=c) for c in (1.0, 9.0))
    assert tight.estimate == pytest.approx(wide.estimate)
    assert np.ptp(tight.interval) < np.ptp(wide.interval)
    bias, error = (wide.diagnostics["worst_bias"], wide.standard_error)
    assert np.ptp(wide.interval) == pytest.approx(2 * critical_value(bias / error, 0.95) * error)


def test_the_honest_interval_covers():
    held = [e.interval[0] <= 0.5 <= e.interval[1] for e in (estimate(steps(seed), SPEC) for seed in range(60))]
    assert np.mean(held) >= 0.93


def test_too_few_values_are_refused_unless_the_bend_is_given():
    few = steps(values=3)
    refused = estimate(few, SPEC)
    assert isinstance(refused, Refused) and refused.code == "too_few_values"
    assert isinstance(estimate(few, SPEC, interval="honest", curvature=9.0), Effect)
    with pytest.raises(WhenceError) as caught:
        estimate(steps(), SPEC, interval="honest", change="kink")
    assert caught.value.code == "no_honest_interval"
