"""Synthetic controls by scipy's general optimiser, by matrices written out, and by leaving units out one at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from whence import Spec, estimate
from whence.estimation.synthetic_weights import augmented, pooled, simplex, synthetic_did
from whence.stats.block_permutation import accepted, moving_block_p_value

SPEC = Spec("synthetic_control", ("d",), ("y",), time="t", unit="u")


def slsqp(loss, k, groups=1):
    """The least of ``loss`` over ``groups`` simplices of k weights each, from several starts."""
    best = None
    for start in range(2):
        first = np.random.default_rng(start).dirichlet(np.ones(k), groups).ravel()
        sums = [{"type": "eq", "fun": lambda v, g=g: v[g * k : (g + 1) * k].sum() - 1} for g in range(groups)]
        found = minimize(loss, first, bounds=[(0, 1)] * (k * groups), method="SLSQP", constraints=sums,
                         options={"maxiter": 1000, "ftol": 1e-14})
        best = found if best is None or found.fun < best.fun else best
    return best.x


def data(seed=0, units=9, periods=14):
    rng = np.random.default_rng(seed)
    y = rng.random((units, 2)) @ np.cumsum(rng.standard_normal((2, periods)), axis=1)
    return y + 0.3 * rng.standard_normal((units, periods))


@pytest.mark.parametrize("seed", range(3))
def test_weights_with_traits(seed):
    y, traits = data(seed), np.random.default_rng(seed + 9).standard_normal((9, 2))
    before = np.arange(14) < 10
    found = simplex(y[0], y[1:], before, (traits[0], traits[1:]))

    def loss(w):
        return ((y[0, :10] - w @ y[1:, :10]) ** 2).sum() + ((traits[0] - w @ traits[1:]) ** 2).sum()

    assert loss(found.weights) <= loss(slsqp(loss, 8)) + 1e-9
    assert found.effect == pytest.approx((y[0, 10:] - found.weights @ y[1:, 10:]).mean())


@pytest.mark.parametrize("seed", range(3))
def test_augmented_is_the_corrected_estimate(seed):
    """Ben-Michael et al. (2021), equation 3: the simplex's prediction, and what a ridge regression of the donors' later
    outcomes on their earlier ones says of the misfit that is left."""
    y, penalty = data(seed), 0.7
    before = np.arange(14) < 10
    weights = simplex(y[0], y[1:], before).weights
    centre = y[1:, :10].mean(axis=0)
    x = y[1:, :10] - centre
    slopes = np.linalg.solve(x.T @ x + penalty * np.eye(10), x.T @ (y[1:, 10:] - y[1:, 10:].mean(axis=0)))
    # The ridge prediction at the treated less its weighted average over donors, added to the weighted average.
    predicted = weights @ y[1:, 10:] + (y[0, :10] - centre) @ slopes - weights @ (x @ slopes)
    found = augmented(y[0], y[1:], before, None, penalty)
    assert found.gap[10:] == pytest.approx(y[0, 10:] - predicted, abs=1e-9)
    assert found.weights.sum() == pytest.approx(1)


def test_the_penalty_by_leaving_out_periods():
    y = data(4)
    before = np.arange(14) < 10
    top = np.linalg.svd(y[1:, :10] - y[1:, :10].mean(axis=0), compute_uv=False)[0] ** 2
    penalties = [top * 1e-8 ** (k / 20) for k in range(21)]
    errors = np.zeros((10, 21))
    for t in range(10):
        rest = before & (np.arange(14) != t)
        for k, penalty in enumerate(penalties):
            made = augmented(y[0], y[1:], rest, None, penalty)
            errors[t, k] = (y[0, t] - made.weights @ y[1:, t]) ** 2
    mean, error = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(10)
    wanted = max(p for p, m in zip(penalties, mean, strict=True) if m <= mean.min() + error[mean.argmin()])
    assert augmented(y[0], y[1:], before).penalty == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_pooled_weights(share):
    """The joint problem over two simplices, starts three periods apart."""
    y, starts = data(5), [9, 12]
    fits, used = pooled(y[:2], y[2:], starts, share, [None, None])
    assert used == share

    def loss(v):
        gaps = [y[j, :s] - v[7 * j : 7 * j + 7] @ y[2:, :s] for j, s in enumerate(starts)]
        mean = (gaps[0][-9:] + gaps[1][-9:]) / 2
        return share * (mean**2).sum() + (1 - share) / 2 * sum((g**2).sum() for g in gaps)

    found = np.concatenate([f.weights for f in fits])
    assert loss(found) <= loss(slsqp(loss, 7, 2)) + 1e-6


def test_differences_by_the_weighted_regression():
    """Arkhangelsky et al. (2021), algorithm 1, as a weighted two-way regression with an indicator of treatment."""
    y = data(6)
    before = np.arange(14) < 10
    found = synthetic_did(y[0], y[1:], before)
    noise = np.diff(y[1:, :10], axis=1).std(ddof=1)

    def unit_loss(v):
        gap = y[0, :10] - v @ y[1:, :10]
        return ((gap - gap.mean()) ** 2).sum() + np.sqrt(4) * noise**2 * 10 * (v**2).sum()

    assert unit_loss(found.weights) <= unit_loss(slsqp(unit_loss, 8)) + 1e-8
    unit = np.concatenate([[1.0], found.weights])
    time = np.concatenate([found.times, np.full(4, 0.25)])
    u, t = np.meshgrid(np.arange(9), np.arange(14), indexing="ij")
    columns = [(u == k).ravel() for k in range(9)] + [(t == k).ravel() for k in range(1, 14)]
    x = np.column_stack([*columns, ((u == 0) & (t >= 10)).ravel()]).astype(float)
    root = np.sqrt(np.outer(unit, time).ravel())
    slopes = np.linalg.lstsq(x * root[:, None], y.ravel() * root, rcond=None)[0]
    assert found.effect == pytest.approx(slopes[-1], abs=1e-8)


def long(y, starts):
    """A table of a panel whose units start as said."""
    units, periods = y.shape
    u, t = np.meshgrid(np.arange(units), np.arange(periods), indexing="ij")
    d = (t >= np.asarray(starts)[:, None]).astype(int)
    return {"u": u.ravel(), "t": t.ravel(), "d": d.ravel(), "y": y.ravel()}


def test_the_jackknife_by_leaving_out():
    """Algorithm 3 with two starts of two units: each estimate again, from the weights as they were."""
    y = data(7, units=12)
    starts = [9, 9, 11, 11] + [14] * 8
    found = estimate(long(y, starts), SPEC, kind="did", errors="jackknife")
    cohorts = {9: [0, 1], 11: [2, 3]}
    fits = {s: synthetic_did(y[c].mean(axis=0), y[4:], np.arange(14) < s, units=2) for s, c in cohorts.items()}

    def again(left):
        total = parts = 0.0
        for s, c in cohorts.items():
            own = [k for k in c if k != left]
            donors = [k for k in range(4, 12) if k != left]
            w = np.array([fits[s].weights[k - 4] for k in donors])
            gap = y[own].mean(axis=0) - w / w.sum() @ y[donors]
            total += len(own) * (14 - s) * (gap[s:].mean() - fits[s].times @ gap[:s])
            parts += len(own) * (14 - s)
        return total / parts

    assert found.estimate == pytest.approx(again(None))
    values = np.array([again(k) for k in range(12)])
    assert found.standard_error == pytest.approx(np.sqrt(11 / 12 * ((values - values.mean()) ** 2).sum()))


def test_moving_blocks_one_by_one():
    residuals, after = np.random.default_rng(0).standard_normal(12), np.arange(12) >= 9
    means = [abs(np.roll(residuals, -s)[after].mean()) for s in range(12)]
    assert moving_block_p_value(residuals, after) == pytest.approx(np.mean(np.array(means) >= means[0]))


def test_the_conformal_interval_by_a_grid():
    y = data(8, units=9, periods=26)
    y[0, 22:] += 2
    spec = SPEC
    found = estimate(long(y, [22] + [26] * 8), spec, errors="conformal", level=0.9)
    after = np.arange(26) >= 22

    def p(effect):
        made = simplex(y[0] - effect * after, y[1:], np.ones(26, dtype=bool))
        return moving_block_p_value(made.gap, after)

    grid = np.linspace(found.interval[0] - 1, found.interval[1] + 1, 1501)
    kept = [v for v in grid if p(v) > 0.1]
    assert found.interval == pytest.approx((kept[0], kept[-1]), abs=0.01)
    assert found.p_value == pytest.approx(p(0.0))


def test_accepted_finds_both_ends():
    assert accepted(lambda v: float(-1 < v < 3), 0.0, 0.1, 0.5) == pytest.approx((-1, 3), abs=1e-5)
    assert accepted(lambda v: 0.0, 0.0, 0.1, 0.5) is None
    assert accepted(lambda v: float(v < 3), 0.0, 0.1, 0.5) == (-np.inf, pytest.approx(3, abs=1e-5))
