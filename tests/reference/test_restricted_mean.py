"""Restricted mean times against areas and variances by loops, and Cox regression against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest

from whence.data.load import read
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.estimation.survival import Curves, Durations, scores
from whence.identification.spec import Spec
from whence.stats.cox import Cox, cox


def area_by_hand(time: np.ndarray, event: np.ndarray, horizon: float) -> tuple[float, float]:
    """Area under Kaplan and Meier's curve and Greenwood's variance of it (Royston and Parmar 2013)."""
    moments = sorted(set(time[event & (time <= horizon)].tolist()))
    level, last, area, steps = 1.0, 0.0, 0.0, []
    for moment in moments:
        area += level * (moment - last)
        risk, died = int((time >= moment).sum()), int((event & (time == moment)).sum())
        level *= 1 - died / risk
        steps.append((moment, level, risk, died))
        last = moment
    area += level * (horizon - last)
    variance = 0.0
    for k, (_, _, risk, died) in enumerate(steps):
        ends = [s[0] for s in steps[k + 1:]] + [horizon]
        rest, at = 0.0, steps[k][0]
        for end, (_, height, _, _) in zip(ends, steps[k:], strict=True):
            rest += height * (end - at)
            at = end
        if risk > died:
            variance += rest**2 * died / (risk * (risk - died))
    return area, variance


@pytest.mark.parametrize("rounded", [False, True])
def test_unadjusted_is_the_difference_of_areas(rounded: bool) -> None:
    rng = np.random.default_rng(3)
    n = 300
    d = rng.integers(0, 2, n)
    time, cut = rng.exponential(2 + d), rng.exponential(4, n)
    seen, event = np.minimum(time, cut), time <= cut
    seen = np.ceil(3 * seen) / 3 if rounded else seen
    spec = Spec("rct", ("d",), ("t",), quantity="RMST", event="e", horizon=3.0)
    effect = estimate(read({"d": d, "t": seen, "e": event.astype(int)}), spec)
    assert isinstance(effect, Effect)
    (one, v1), (zero, v0) = (area_by_hand(seen[d == b], event[d == b], 3.0) for b in (1, 0))
    assert effect.estimate == pytest.approx(one - zero, rel=1e-12)
    assert effect.standard_error == pytest.approx(np.sqrt(v1 + v0), rel=1e-10)


def test_cox_beside_statsmodels() -> None:
    from statsmodels.duration.hazard_regression import PHReg

    rng = np.random.default_rng(4)
    x = rng.normal(size=(400, 3))
    time = np.ceil(20 * rng.exponential(1 / np.exp(x @ [0.5, -0.3, 0.0])))
    event = rng.random(400) < 0.7
    ours = cox(x, time, event, np.ones(400), penalty=0.0)
    theirs = PHReg(time, x, event.astype(int), ties="breslow").fit()
    assert np.allclose(ours.coefficients, theirs.params, atol=1e-6)
    at, cumulative, _ = theirs.baseline_cumulative_hazard[0]
    own = ours.baseline(np.asarray(at), before=True) * np.exp(-ours.centre @ ours.coefficients)
    assert np.allclose(own, cumulative, rtol=1e-6)


def test_scores_by_loops() -> None:
    """The sum over falls of the fitted curve, written out; the fits are made up."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(12, 1))
    falls, cuts = np.sort(rng.random(6) * 2), np.sort(rng.random(5) * 2)
    event = Cox(np.array([0.4]), falls, np.cumsum(0.1 + rng.random(6) / 5), np.zeros(1))
    cut = Cox(np.array([-0.3]), cuts, np.cumsum(0.1 + rng.random(5) / 5), np.zeros(1))
    d = Durations(rng.random(12) * 2, rng.random(12) < 0.6, 1.5, np.ones(12))
    d.time[:3] = falls[:3]
    mean, added, _ = scores(Curves(event, cut), x, d, np.arange(12), 1e-9)
    fine = np.linspace(0, 1.5, 300_001)
    for i in range(12):
        def alive(u: float, i: int = i) -> float:
            return float(np.exp(-event.cumulative[event.times <= u].max(initial=0.0) * np.exp(0.4 * x[i, 0])))

        def watched(u: float, i: int = i) -> float:
            return float(np.exp(-cut.cumulative[cut.times < u].max(initial=0.0) * np.exp(-0.3 * x[i, 0])))

        curve = np.array([alive(u) for u in (0.0, *falls)])[np.searchsorted(falls, fine[:-1], side="right")]
        assert mean[i] == pytest.approx(curve.mean() * 1.5, abs=1e-4)

        def rest(u: float, curve: np.ndarray = curve) -> float:
            return float(curve[fine[:-1] >= u].sum() * (fine[1] - fine[0]))

        own = d.time[i]
        wanted = -rest(own) / (alive(own) * watched(own)) if d.event[i] and own <= 1.5 else 0.0
        for u in falls[(falls <= own) & (falls <= 1.5)]:
            before = alive(u - 1e-9)
            wanted += rest(u) * (1 - alive(u) / before) / (alive(u) * watched(u))
        assert added[i] == pytest.approx(wanted, abs=1e-3)
