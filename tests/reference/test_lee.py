"""Lee's bounds against trimming by hand, the bootstrap, and how often their interval holds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from whence.stats.lee import imbens_manski, lee_bounds


def trial(n: int, seed: int, keep: tuple[float, float] = (0.9, 0.7)) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and arms; the treated keep ``keep[0]`` of their outcomes, the controls ``keep[1]``, and whoever would be
    seen in the arm that keeps fewer would be in the other. The effect on those always seen is 1."""
    rng = np.random.default_rng([seed, n])
    treated = rng.permutation(n) < n // 2
    base = rng.normal(size=n)
    rank = rng.random(n)  # seen as a control below keep[1], as treated below keep[0]
    y = base + treated * 1.0 + 0.8 * (rank > 0.5)
    seen = rank < np.where(treated, keep[0], keep[1])
    return np.where(seen, y, np.nan), treated


def by_hand(y: np.ndarray, treated: np.ndarray) -> tuple[float, float]:
    """Sort the fuller arm and average the part that is left, the last one in part."""
    a, b = y[treated & ~np.isnan(y)], y[~treated & ~np.isnan(y)]
    rates = len(a) / treated.sum(), len(b) / (~treated).sum()
    full, other, sign = (a, b, 1) if rates[0] >= rates[1] else (b, a, -1)
    stay = len(full) * min(rates) / max(rates)
    ends = []
    for ordered in (np.sort(full), np.sort(full)[::-1]):
        whole = int(stay)
        total = ordered[:whole].sum() + ((stay - whole) * ordered[whole] if whole < len(ordered) else 0)
        ends.append(sign * (total / stay - other.mean()))
    return min(ends), max(ends)


@pytest.mark.parametrize("keep", [(0.9, 0.7), (0.6, 0.8), (0.8, 0.8)])
@pytest.mark.parametrize("ties", [False, True])
def test_ends_by_hand(keep: tuple[float, float], ties: bool) -> None:
    for seed in range(20):
        y, treated = trial(101, seed, keep)
        y = np.round(y) if ties else y
        found = lee_bounds(y, treated, np.ones(101))
        assert found is not None
        assert (found.lower, found.upper) == pytest.approx(by_hand(y, treated))


@pytest.mark.parametrize("keep", [(0.9, 0.7), (0.6, 0.8)])
def test_errors_are_those_of_the_bootstrap(keep: tuple[float, float]) -> None:
    """1,000 resamples: 2.2 % of Monte Carlo error; three of them allowed."""
    y, treated = trial(800, 1, keep)
    found = lee_bounds(y, treated, np.ones(800))
    assert found is not None
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(1000):
        rows = rng.integers(0, 800, 800)
        draws.append(by_hand(y[rows], treated[rows]))
    assert found.errors == pytest.approx(np.std(draws, axis=0), rel=0.08)


def test_weights_are_copies_and_clusters_of_copies_are_single_rows() -> None:
    y, treated = trial(120, 2)
    w = np.random.default_rng(3).integers(1, 4, 120)
    weighted, copied = lee_bounds(y, treated, w.astype(float)), lee_bounds(np.repeat(y, w), np.repeat(treated, w),
                                                                         np.ones(w.sum()))
    assert weighted is not None and copied is not None
    assert (weighted.lower, weighted.upper) == pytest.approx((copied.lower, copied.upper))
    one = lee_bounds(y, treated, np.ones(120))
    twice = lee_bounds(np.repeat(y, 2), np.repeat(treated, 2), np.ones(240), np.repeat(np.arange(120), 2))
    assert one is not None and twice is not None
    assert twice.errors == pytest.approx(one.errors * np.sqrt(120 / 119))


def test_nothing_missing_is_the_difference_in_means() -> None:
    y, treated = trial(90, 4, (1.0, 1.0))
    found = lee_bounds(y, treated, np.ones(90))
    assert found is not None and found.trimmed == 0
    assert found.lower <= found.upper
    assert [found.lower, found.upper] == pytest.approx([y[treated].mean() - y[~treated].mean()] * 2)
    error = np.sqrt(y[treated].var() / treated.sum() + y[~treated].var() / (~treated).sum())
    assert found.errors == pytest.approx([error, error])
    assert found.interval[1] - found.interval[0] == pytest.approx(2 * 1.959964 * error, rel=1e-5)


def test_no_outcome_in_an_arm_gives_nothing() -> None:
    y, treated = trial(40, 5)
    assert lee_bounds(np.where(treated, np.nan, y), treated, np.ones(40)) is None


@pytest.mark.parametrize("width", [0.0, 0.3, 5.0])
def test_imbens_and_manskis_factor(width: float) -> None:
    errors = np.array([0.4, 0.5])
    factor = optimize.brentq(lambda c: stats.norm.cdf(c + width / 0.5) - stats.norm.cdf(-c) - 0.95, 1, 3)
    assert imbens_manski(0.0, width, errors, 0.95) == pytest.approx((-factor * 0.4, width + factor * 0.5), abs=1e-9)


def test_the_interval_holds_the_effect() -> None:
    """300 trials of 400 rows; the effect on those always seen is inside: at least 95 % less two Monte Carlo errors."""
    hits = 0
    for seed in range(300):
        found = lee_bounds(*trial(400, seed), np.ones(400))
        assert found is not None
        hits += found.interval[0] <= 1 <= found.interval[1]
    assert hits / 300 >= 0.925
