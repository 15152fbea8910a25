"""The propensity-only ball: published values, its theorem, and the no-assumption interval inside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize

from whence.identification.bounds import monotone_bounds
from whence.identification.propensity_ball import (
    DIVERGENCES,
    WARNING,
    ball,
    propensity_ball_bounds,
    radius,
    radius_slope,
)

F: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "kl": lambda t: t * np.log(np.maximum(t, 1e-300)), "chi2": lambda t: (t - 1) ** 2 / 2,
    "hellinger": lambda t: 1 - np.sqrt(np.maximum(t, 0)), "tv": lambda t: np.abs(t - 1) / 2,
    "js": lambda t: 0.5 * (t * np.log(np.maximum(t, 1e-300)) - (1 + t) * np.log((1 + t) / 2)),
}


@pytest.mark.parametrize("divergence, ends", [
    ("chi2", (0.261, 0.939)), ("kl", (0.168, 0.987)), ("tv", (0.2, 1.0)), ("js", (0.088, 1.0)),
    ("hellinger", (0.042, 1.0)),
])
def test_a_coin_with_p_07_and_propensity_half(divergence: str, ends: tuple[float, float]) -> None:
    """Worked by hand for a Bernoulli outcome: D(Bern(0.7) || Bern(q)) = B(0.5) solved for q."""
    low, high = ball(np.array([0.0, 1.0]), np.array([0.3, 0.7]), 0.5, divergence, (0.0, 1.0))
    assert (low.value, high.value) == pytest.approx(ends, abs=5e-4)
    p, f = np.array([0.7, 0.3]), F[divergence]
    for q in (low.value, high.value):
        if 1e-6 < q < 1 - 1e-6:
            law = np.array([q, 1 - q])
            assert law @ f(p / law) == pytest.approx(radius(0.5, divergence), abs=1e-9)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_radius_holds_for_every_unseen_distribution(divergence: str) -> None:
    rng = np.random.default_rng(2)
    f = F[divergence]
    for _ in range(4000):
        p, r, e = rng.uniform(0.001, 0.999), rng.uniform(), rng.uniform(0.01, 0.99)
        seen = np.array([p, 1 - p])
        law = e * seen + (1 - e) * np.array([r, 1 - r])
        assert law @ f(seen / law) <= radius(e, divergence) + 1e-12
        assert radius(e, divergence) == pytest.approx(float(e * f(np.array(1 / e)) + (1 - e) * f(np.array(0.0))))
    for e in (0.1, 0.7):
        change = (radius(e + 1e-6, divergence) - radius(e - 1e-6, divergence)) / 2e-6
        assert radius_slope(e, divergence) == pytest.approx(change, rel=1e-5)


@pytest.mark.parametrize("divergence", [d for d in DIVERGENCES if d != "tv"])
def test_equals_a_convex_program_over_the_values_and_the_limit(divergence: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        k, e = int(rng.integers(1, 5)), rng.uniform(0.03, 0.99)
        y, p = np.sort(rng.normal(size=k)), rng.dirichlet(np.ones(k))
        limits = (float(y[0] - 1), float(y[-1] + rng.choice([0, 0.5, 3])))
        values, mass = np.append(y, limits[1]), np.append(p, 0.0)
        size = radius(e, divergence)

        def room(q: np.ndarray, mass: np.ndarray = mass, size: float = size) -> float:
            return size - float((q * F[divergence](mass / np.maximum(q, 1e-300))).sum())

        best = -np.inf
        for start in (e * mass + (1 - e) / (k + 1), rng.dirichlet(np.ones(k + 1))):
            found = minimize(lambda q, v=values: -q @ v, start, bounds=[(1e-12, 1)] * (k + 1), method="SLSQP",
                             constraints=[{"type": "eq", "fun": lambda q: q.sum() - 1}, {"type": "ineq", "fun": room}],
                             options={"ftol": 1e-14, "maxiter": 1000})
            best = max(best, -found.fun) if room(found.x) > -1e-8 else best
        exact = ball(y, p, e, divergence, limits)[1]
        assert exact.value == pytest.approx(best, abs=2e-5 * (limits[1] - limits[0]))
        assert p @ exact.scores == pytest.approx(exact.value, abs=1e-9)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_no_assumption_interval_lies_inside(divergence: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        joint = rng.dirichlet(np.ones(18)).reshape(3, 2, 3)
        found = propensity_ball_bounds(joint, divergence, limits=(-1, 3))
        plain = monotone_bounds(joint.sum(axis=0), limits=(-1, 3))
        assert found.lower <= plain.lower + 1e-9 and found.upper >= plain.upper - 1e-9  # type: ignore[union-attr]
        assert found.evidence["without_assumptions"] == pytest.approx(
            [plain.lower, plain.upper])  # type: ignore[union-attr]
        assert found.evidence["warning"] == WARNING


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_bound_grows_without_end_with_the_limits(divergence: str) -> None:
    y, p = np.linspace(-1, 1, 5), np.full(5, 0.2)
    tops = [ball(y, p, 0.5, divergence, (-1, top))[1].value for top in (1, 10, 100, 1000)]
    assert (np.array(tops[1:]) / np.array(tops[:-1]) > 5).all()
