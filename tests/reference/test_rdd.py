"""The discontinuity estimator against weighted least squares written out, with neighbours found by looking."""

from __future__ import annotations

import numpy as np
import pytest

from whence import Spec, estimate
from whence.stats.local_polynomial import boundary_weights, coefficient_weights, kernel_weights, neighbour_residuals


def sample(seed: int, n: int = 400, ties: bool = False) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = 2 * rng.beta(2, 4, n) - 1
    x = np.round(x, 2) if ties else x
    z, side = rng.standard_normal(n), (x >= 0).astype(int)
    taken = (rng.random(n) < 0.15 + 0.6 * side).astype(int)
    y = 0.5 + x + 3 * x**2 * (x < 0) + 0.5 * side + 0.7 * taken + 0.5 * z + 0.3 * rng.standard_normal(n)
    return {"x": x, "y": y, "z": z, "side": side, "taken": taken, "group": np.arange(n) // 4}


def fitted(x: np.ndarray, values: np.ndarray, w: np.ndarray, order: int) -> np.ndarray:
    """Coefficients of weighted least squares by its normal equations."""
    powers = np.array([[v**j for j in range(order + 1)] for v in x])
    return np.linalg.solve(powers.T @ (powers * w[:, None]), powers.T @ (w * values))


def by_looking(x: np.ndarray, values: np.ndarray, wanted: int = 3) -> np.ndarray:
    """Residuals from the nearest neighbours, all rows at one distance together."""
    out = np.zeros(len(x))
    for i in range(len(x)):
        distance = np.abs(x - x[i])
        others = np.arange(len(x)) != i
        limit = np.sort(distance[others])[min(wanted, len(x) - 1) - 1]
        near = others & (distance <= limit * (1 + 1e-9))
        count = near.sum()
        out[i] = np.sqrt(count / (count + 1)) * (values[i] - values[near].mean())
    return out


@pytest.mark.parametrize("ties", [False, True])
def test_neighbours_are_those_that_one_sees(ties: bool) -> None:
    rng = np.random.default_rng(3)
    x = np.sort(np.round(rng.random(60), 2) if ties else rng.random(60))
    values = rng.standard_normal(60)
    np.testing.assert_allclose(neighbour_residuals(x, values), by_looking(x, values), atol=1e-12)
    assert (neighbour_residuals(x[:1], values[:1]) == 0).all()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kernel", ["triangular", "epanechnikov", "uniform"])
def test_weights_are_least_squares(order: int, kernel: str) -> None:
    rng = np.random.default_rng(order)
    x, values = np.sort(rng.random(80)), rng.standard_normal(80)
    near, wide = kernel_weights(x, 0.5, kernel), kernel_weights(x, 0.8, kernel)
    plain, corrected = boundary_weights(x, near, wide, order, 0)
    assert plain @ values == pytest.approx(fitted(x, values, near, order)[0], rel=1e-9)
    curve = fitted(x, values, wide, order + 1)[order + 1]
    assert corrected @ values == pytest.approx(fitted(x, values - curve * x ** (order + 1), near, order)[0], rel=1e-9)
    slope = coefficient_weights(x, near, order, 1)
    assert slope @ values == pytest.approx(fitted(x, values, near, order)[1], rel=1e-8)


def jump(x: np.ndarray, values: np.ndarray, h: float, b: float) -> tuple[float, float, np.ndarray]:
    """Plain and corrected jump, and what each row adds to the corrected one times its residual."""
    ends, spread = [], np.zeros(len(x))
    for side, sign in ((x < 0, -1), (x >= 0, 1)):
        u, v = x[side], values[side]
        near, wide = (np.maximum(1 - np.abs(u) / width, 0) for width in (h, b))
        curve = fitted(u, v, wide, 2)[2]
        ends.append((sign * fitted(u, v, near, 1)[0], sign * fitted(u, v - curve * u**2, near, 1)[0]))
        inside = (near > 0) | (wide > 0)
        order = np.argsort(u[inside], kind="stable")
        error = np.zeros(inside.sum())
        error[order] = by_looking(u[inside][order], v[inside][order])
        each = np.zeros(len(u))
        for k, i in enumerate(np.flatnonzero(inside)):
            one = np.zeros(len(u))
            one[i] = 1.0
            own = fitted(u, one, wide, 2)[2]
            each[i] = fitted(u, one - own * u**2, near, 1)[0] * error[k]
        spread[side] = each
    (a, c), (d, e) = ends
    return a + d, c + e, spread


@pytest.mark.parametrize("ties", [False, True])
def test_sharp_by_hand(ties: bool) -> None:
    data = sample(1, ties=ties)
    found = estimate(data, Spec("rdd", ("side",), ("y",), running_variable="x", cutoff=0.0), bandwidth=0.4,
                     bias_bandwidth=0.55)
    plain, corrected, spread = jump(data["x"], data["y"], 0.4, 0.55)
    assert found.estimate == pytest.approx(plain, rel=1e-9)
    assert found.diagnostics["bias_corrected"] == pytest.approx(corrected, rel=1e-9)
    assert found.standard_error == pytest.approx(np.sqrt((spread**2).sum()), rel=1e-9)
    half = 1.959963984540054 * found.standard_error
    assert found.interval == pytest.approx((corrected - half, corrected + half), rel=1e-9)


def test_fuzzy_with_a_control_by_hand() -> None:
    """The control's coefficients from the regression of everything at once; the ratio and its linear expansion."""
    data = sample(2)
    found = estimate(data, Spec("rdd", ("taken",), ("y",), controls=("z",), running_variable="x", cutoff=0.0),
                     bandwidth=0.5, bias_bandwidth=0.6)
    x, right = data["x"], data["x"] >= 0
    w = np.maximum(1 - np.abs(x) / 0.5, 0)
    design = np.column_stack([~right, ~right * x, right, right * x, data["z"]]).astype(float)
    left = []
    for values in (data["y"], data["taken"]):
        b = np.linalg.solve(design.T @ (design * w[:, None]), design.T @ (w * values))
        left.append(values - b[-1] * data["z"])
    up, across = (jump(x, v, 0.5, 0.6)[0] for v in left)
    combined = (left[0] - up / across * left[1]) / across
    plain, corrected, spread = jump(x, combined, 0.5, 0.6)
    assert plain == pytest.approx(0, abs=1e-9)
    assert found.estimate == pytest.approx(up / across, rel=1e-8)
    assert found.diagnostics["bias_corrected"] == pytest.approx(up / across + corrected, rel=1e-8)
    assert found.standard_error == pytest.approx(np.sqrt((spread**2).sum()), rel=1e-8)
    assert found.diagnostics["design"] == "fuzzy" and found.diagnostics["treatment_jump"] == pytest.approx(across)


def test_a_kink_is_the_change_of_the_slope() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, 4000)
    dose = 1 + 2 * np.maximum(x, 0)
    y = x**2 + 1.5 * dose + 0.1 * rng.standard_normal(4000)
    found = estimate({"x": x, "dose": dose, "y": y}, Spec("rdd", ("dose",), ("y",), running_variable="x", cutoff=0.0),
                     change="kink")
    assert abs(found.estimate - 1.5) < 0.3 and found.interval[0] < 1.5 < found.interval[1]
    assert found.diagnostics["treatment_jump"] == pytest.approx(2, rel=1e-6) and found.diagnostics["order"] == 2
