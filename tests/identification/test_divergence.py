"""The worst mean in a divergence ball, against a general convex solver and against its own ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from whence.core.errors import WhenceError
from whence.identification.divergence import DIVERGENCES, divergence_bounds, greatest_mean

F: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "kl": lambda t: t * np.log(np.maximum(t, 1e-300)), "chi2": lambda t: (t - 1) ** 2 / 2,
    "hellinger": lambda t: 1 - np.sqrt(np.maximum(t, 0)), "tv": lambda t: np.abs(t - 1) / 2,
}


def solved(y: np.ndarray, p: np.ndarray, divergence: str, radius: float) -> float:
    """Over q directly: a linear program for total variation, sequential quadratic programming otherwise."""
    k, f = len(y), F[divergence]
    if divergence == "tv":  # q = p + up - down
        eye = np.eye(k)
        up, total = np.concatenate([y, -y]), np.concatenate([np.ones(k), -np.ones(k)])
        found = linprog(-up, A_eq=[total], b_eq=[0], A_ub=np.vstack([np.ones(2 * k) / 2, np.hstack([-eye, eye])]),
                        b_ub=np.concatenate([[radius], p]), bounds=(0, None), method="highs")
        return float(p @ y - found.fun)
    inside = {"type": "ineq", "fun": lambda q: radius - p @ f(q / p)}
    found = minimize(lambda q: -q @ y, p, jac=lambda q: -y, bounds=[(1e-14, 1)] * k, method="SLSQP",
                     constraints=[{"type": "eq", "fun": lambda q: q.sum() - 1}, inside],
                     options={"ftol": 1e-15, "maxiter": 500})
    return float(-found.fun)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_equals_a_convex_program(divergence: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        k = int(rng.integers(2, 6))
        y, p = rng.random(k), rng.dirichlet(np.ones(k))
        for radius in (1e-6, 0.1, 0.4, 2.0):
            found = greatest_mean(y, p, divergence, radius)
            assert found.value == pytest.approx(solved(y, p, divergence, radius), abs=1e-7)
            assert p @ found.scores == pytest.approx(found.value, abs=1e-10)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_scores_are_its_influence_and_the_slope_its_derivative(divergence: str) -> None:
    rng = np.random.default_rng(2)
    y, p, towards = rng.normal(size=30), rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(30))
    found = greatest_mean(y, p, divergence, 0.1)
    step = 1e-6
    moved = greatest_mean(y, p + step * (towards - p), divergence, 0.1).value - found.value
    assert moved / step == pytest.approx((towards - p) @ found.scores, rel=1e-3)
    wider = greatest_mean(y, p, divergence, 0.1 + step).value - found.value
    assert wider / step == pytest.approx(found.slope, rel=1e-3)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_radius_zero_is_the_point_and_larger_is_wider(divergence: str) -> None:
    joint = np.random.default_rng(3).dirichlet(np.ones(12)).reshape(2, 2, 3)
    point = sum(s.sum() * (s[1] @ range(3) / s[1].sum() - s[0] @ range(3) / s[0].sum()) for s in joint)
    zero = divergence_bounds(joint, divergence, 0)
    assert (zero.lower, zero.upper) == pytest.approx((point, point))
    found = [divergence_bounds(joint, divergence, r) for r in (1e-9, 1e-4, 0.01, 0.1, 0.3, 0.8, 5)]
    assert (np.diff([b.upper for b in found]) >= -1e-12).all() and (np.diff([b.lower for b in found]) <= 1e-12).all()
    assert found[0].width < 1e-3 and found[0].lower <= point + 1e-9


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_units_of_the_outcome_do_not_matter(divergence: str) -> None:
    rng = np.random.default_rng(4)
    y, p = rng.normal(size=6), rng.dirichlet(np.ones(6))
    plain = greatest_mean(y, p, divergence, 0.05).value
    for unit in (1e-9, 1e9):
        assert greatest_mean(5 * unit + y * unit, p, divergence, 0.05).value == pytest.approx(5 * unit + unit * plain)


@pytest.mark.parametrize("given, code", [
    (("renyi", 0.1), "unknown_divergence"), (("kl", -1), "bad_radius"), (("kl", float("nan")), "bad_radius"),
    (("kl", "x"), "bad_radius"), (("kl", float("inf")), "bad_radius"),
])
def test_bad_input_is_named(given: tuple, code: str) -> None:
    with pytest.raises(WhenceError) as caught:
        divergence_bounds(np.ones((1, 2, 2)), *given)
    assert caught.value.code == code
