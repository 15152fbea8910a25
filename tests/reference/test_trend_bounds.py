"""Bounds for trends that part, against linear programs over all gaps that the restrictions allow, and by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from whence.stats.trend_bounds import Path, breakdown, frontier, relative, smooth

P, Q = 3, 2
X = np.array([-3, -2, -1, 1, 2])
TARGET = np.array([0.4, 0.6])


def path(estimates: np.ndarray, seed: int = 0, scale: float = 0.3) -> Path:
    rng = np.random.default_rng(seed)
    root = scale * rng.standard_normal((P + Q, P + Q))
    return Path(np.asarray(estimates, float), root @ root.T + scale**2 * np.eye(P + Q), TARGET, 1.959964, 0.05)


def bends() -> np.ndarray:
    """Second differences of a gap at x = -3 .. 2 (with 0 at x = 0) as rows on the five values."""
    place = {int(x): k for k, x in enumerate(X)}
    rows = np.zeros((4, 5))
    for row, x in zip(rows, range(-2, 2), strict=True):
        for other, weight in ((x - 1, 1.0), (x, -2.0), (x + 1, 1.0)):
            if other:
                row[place[other]] += weight
    return rows


def test_relative_without_noise_is_the_identified_set():
    estimates = np.array([0.5, 0.9, 0.2, 1.0, 1.5])
    made = path(estimates, scale=1e-9)
    steps = np.diff([0.5, 0.9, 0.2, 0.0])
    for times in (0.0, 0.7, 2.0):
        most = times * np.abs(steps).max()
        first, second = np.array([1.0, 0.0]), np.array([-1.0, 1.0])
        limits = np.array([first, -first, second, -second])
        ends = [sign * linprog(-sign * TARGET, limits, np.full(4, most), bounds=[(None, None)] * 2).fun * -1
                for sign in (1, -1)]
        value = TARGET @ estimates[P:]
        low, high = relative(made, times)
        assert (low, high) == pytest.approx((value - ends[0], value - ends[1]), abs=1e-6)
    assert breakdown(lambda m: relative(made, m), 1.0) == pytest.approx(TARGET @ [1.0, 1.5] / (0.7 * 1.6), rel=1e-6)


def test_the_bias_of_the_frontier_is_the_worst_gap():
    made = path(np.zeros(5))
    second = bends()
    x = X.astype(float)
    for seed, bend in itertools.product(range(2), (0.1, 1.0)):
        rng = np.random.default_rng(seed)
        found = frontier(made)
        for k in (0, 1, len(found.bias) // 2, len(found.bias) - 1):
            # The weights from how the estimate answers to each of the five numbers.
            v = np.array([frontier(Path(one, made.covariance, TARGET, 1.96, 0.05)).middle[k] for one in np.eye(5)])
            assert v @ x == pytest.approx(0, abs=1e-8) and v[P:] == pytest.approx(TARGET)
            worst = -linprog(-v, np.vstack([second, -second]), np.full(8, bend), bounds=[(None, None)] * 5).fun
            assert bend * found.bias[k] == pytest.approx(worst, rel=1e-6)
            assert found.error[k] == pytest.approx(np.sqrt(v @ made.covariance @ v), rel=1e-8)
        low, high = smooth(made, found, bend)
        for _ in range(60):  # no other estimator of the kind has a shorter interval
            v = np.append(rng.normal(size=P) * 2, TARGET)
            v[0] = -(v[1:] @ x[1:]) / x[0]
            worst = -linprog(-v, np.vstack([second, -second]), np.full(8, bend), bounds=[(None, None)] * 5).fun
            error = np.sqrt(v @ made.covariance @ v)
            draws = np.abs(worst / error + NORMAL)
            assert np.quantile(draws, 0.95) * error >= (high - low) / 2 * 0.98


NORMAL = np.random.default_rng(1).standard_normal(20_000)


@pytest.mark.parametrize(("gap", "times", "bend"), [
    (np.zeros(5), 0.0, 0.0), (0.3 * X, 1.0, 0.0), (0.1 * X**2 * np.sign(X), 3.0, 0.4),
    (np.array([0.0, 0.0, -1.0, 1.0, 2.0]), 1.0, None), (-0.12 * X.astype(float) ** 2, None, 0.24)])
def test_intervals_hold_the_effect(gap, times, bend):
    """The effect is zero; 600 sets: Monte Carlo error 0.9 points."""
    made = path(gap)
    root = np.linalg.cholesky(made.covariance)
    units = [frontier(Path(one, made.covariance, TARGET, 1.96, 0.05)).middle for one in np.eye(5)]
    found, weights = frontier(made), np.column_stack(units)
    held = {"relative": 0, "smooth": 0}
    for k in range(600):
        drawn = Path(gap + root @ np.random.default_rng(k).standard_normal(5), made.covariance, TARGET, 1.959964, 0.05)
        if times is not None:
            low, high = relative(drawn, times)
            held["relative"] += low <= 0 <= high
        if bend is not None:
            moved = type(found)(weights @ drawn.estimates, found.error, found.bias)
            low, high = smooth(drawn, moved, bend)
            held["smooth"] += low <= 0 <= high
    assert times is None or held["relative"] / 600 >= 0.93
    assert bend is None or held["smooth"] / 600 >= 0.93
