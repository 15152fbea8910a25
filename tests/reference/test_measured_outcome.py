"""Corrected effects on predicted outcomes, by formulas of their own."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("rct", ("t",), ("p",), truth="y")


def trial(n=400, extra=150, seed=0):
    rng = np.random.default_rng(seed)
    t = np.where(np.arange(n + extra) < n, np.arange(n + extra) % 2, np.nan)
    y = np.nan_to_num(t) + rng.normal(size=n + extra)
    p = 0.3 + 0.6 * y + 0.5 * rng.normal(size=n + extra)
    return {"t": t, "p": p, "y": np.where(np.isnan(t), y, np.nan)}


def halves(columns):
    t = columns["t"]
    return columns["p"][t == 1], columns["p"][t == 0], columns["p"][np.isnan(t)], columns["y"][np.isnan(t)]


def test_linear_correction_and_its_delta_method(make_table):
    columns = trial()
    effect = estimate(make_table(columns), SPEC, "measured_outcome")
    one, zero, p, y = halves(columns)
    line = sm.OLS(p, sm.add_constant(y)).fit(cov_type="HC3")
    slope, gap = line.params[1], one.mean() - zero.mean()
    by_trial = one.var(ddof=1) / len(one) + zero.var(ddof=1) / len(zero)
    by_slope = gap**2 / slope**2 * line.cov_params()[1, 1]
    assert effect.estimate == pytest.approx(gap / slope)
    assert effect.standard_error == pytest.approx(np.sqrt(by_trial + by_slope) / slope)
    parts = by_trial / slope**2, by_slope / slope**2
    welch = by_trial**2 / sum((a.var(ddof=1) / len(a)) ** 2 / (len(a) - 1) for a in (one, zero))
    assert effect.df == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / welch + parts[1] ** 2 / (len(p) - 2)))
    assert effect.n == 550 and effect.influence is not None
    assert effect.standard_error == pytest.approx(np.sqrt(effect.influence @ effect.influence) / 550)


@pytest.mark.parametrize("density", ["trial", "calibration"])
def test_tweedie_correction_by_a_loop_over_kernels(make_table, density):
    columns = trial(seed=1)
    effect = estimate(make_table(columns), SPEC, "measured_outcome", correction="tweedie", density=density)
    one, zero, p, y = halves(columns)
    sample = np.concatenate([one, zero]) if density == "trial" else p
    widen = len(sample) ** -0.2
    h, centres = widen * sample.std(), sample.mean() + (sample - sample.mean()) / np.sqrt(1 + widen**2)

    def score(value):  # beyond the sample, that of its end and half a bandwidth
        value = np.clip(value, sample.min() - h / 2, sample.max() + h / 2)
        kernel = np.exp(-(((value - centres) / h) ** 2) / 2)
        return -(kernel @ (value - centres)) / h**2 / kernel.sum()

    spread2 = (p - y).var(ddof=1)
    fixed = [np.mean([v - spread2 * score(v) for v in arm]) for arm in (one, zero)]
    assert effect.estimate == pytest.approx(fixed[0] - fixed[1], rel=0.002)


def test_tweedie_errors_by_the_bootstrap(make_table):
    """200 resamples of trial and calibration rows; the error of such a standard deviation is 5 %."""
    columns = trial(seed=2)
    rng, inside = np.random.default_rng(0), ~np.isnan(columns["t"])
    table = make_table(columns)
    for density in ("trial", "calibration"):
        estimates = []
        for _ in range(200):
            rows = np.concatenate([rng.choice(np.flatnonzero(m), m.sum()) for m in (inside, ~inside)])
            again = estimate(table.take(rows), SPEC, "measured_outcome", correction="tweedie", density=density)
            estimates.append(again.estimate)
        effect = estimate(table, SPEC, "measured_outcome", correction="tweedie", density=density)
        assert effect.standard_error == pytest.approx(np.std(estimates), rel=0.2)
