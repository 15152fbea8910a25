"""Randomisation tests against every assignment written out by a loop, and against known tests."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec

SPEC = Spec("rct", ("t",), ("y",))


def answered(columns: dict[str, Any], spec: Spec = SPEC, **params: Any) -> Effect:
    effect = estimate(columns, spec, "randomisation", **params)
    assert isinstance(effect, Effect), effect
    return effect


def assignments(s: np.ndarray, t: np.ndarray) -> list[np.ndarray]:
    """Every assignment with as many treated in each stratum."""
    ways = [list(itertools.combinations(np.flatnonzero(s == k), int(t[s == k].sum()))) for k in np.unique(s)]
    return [np.isin(np.arange(len(s)), np.concatenate(c)).astype(int) for c in itertools.product(*ways)]


def t_value(y: np.ndarray, t: np.ndarray, s: np.ndarray, studentised: bool = True) -> float:
    """The weighted difference over Neyman's error, stratum by stratum."""
    total = variance = 0.0
    for k in np.unique(s):
        share = (s == k).mean()
        y1, y0 = y[(s == k) & (t == 1)], y[(s == k) & (t == 0)]
        total += share * (y1.mean() - y0.mean())
        variance += share**2 * (y1.var(ddof=1) / len(y1) + y0.var(ddof=1) / len(y0)) if studentised else 0
    return abs(total) / np.sqrt(variance) if studentised else abs(total)


def p_value(y: np.ndarray, t: np.ndarray, s: np.ndarray, b: float = 0.0, studentised: bool = True) -> float:
    bare = y - b * t
    seen = t_value(bare, t, s, studentised)
    return float(np.mean([t_value(bare, a, s, studentised) >= seen * (1 - 1e-9) for a in assignments(s, t)]))


@pytest.mark.parametrize("studentised", [True, False])
@pytest.mark.parametrize("strata", [[10], [5, 6]])
def test_exact_p_value_and_interval_by_a_loop(strata: list[int], studentised: bool) -> None:
    rng = np.random.default_rng(len(strata))
    s = np.repeat(np.arange(len(strata)), strata).astype(float)
    t = np.concatenate([rng.permutation(np.arange(k) < k // 2).astype(int) for k in strata])
    y = 2 * s + t * rng.exponential(2, len(s)) + rng.normal(size=len(s))
    spec = SPEC.replace(strata=("s",)) if len(strata) > 1 else SPEC
    effect = answered({"s": s, "t": t, "y": y}, spec, level=0.9, studentised=studentised)
    assert effect.p_value == pytest.approx(p_value(y, t, s, 0, studentised))
    assert effect.diagnostics["exact"] and effect.diagnostics["assignments"] == len(assignments(s, t))
    for end, way in zip(effect.interval, (-1, 1), strict=True):
        assert p_value(y, t, s, end - way * 1e-6, studentised) > 0.1
        assert p_value(y, t, s, end + way * 1e-6, studentised) <= 0.1


def test_binary_outcome_is_fishers_exact_test() -> None:
    """Without dividing by the error the two-sided p-value adds up tables at least as far from balance."""
    t = np.repeat([1, 0], 9)
    y = np.array([1] * 7 + [0] * 2 + [1] * 2 + [0] * 7, dtype=float)
    effect = answered({"t": t, "y": y}, studentised=False, exact_up_to=100_000)
    assert effect.p_value == pytest.approx(stats.fisher_exact([[7, 2], [2, 7]]).pvalue)


def test_pairs_are_the_sign_flipping_test() -> None:
    rng = np.random.default_rng(5)
    d = rng.normal(0.6, 1, 10)
    level = rng.normal(size=10)
    effect = answered({"t": np.repeat([1, 0], 10), "y": np.concatenate([level + d, level]),
                       "s": np.tile(np.arange(10.0), 2)}, SPEC.replace(strata=("s",)))
    means = [np.mean(np.array(signs) * d) for signs in itertools.product([1, -1], repeat=10)]
    assert effect.diagnostics["assignments"] == 1024
    assert effect.p_value == pytest.approx(np.mean(np.abs(means) >= abs(d.mean()) - 1e-12))


def test_clusters_are_drawn_whole() -> None:
    """Clusters of unequal size; the statistic is the ratio of sums and its error that of sums of deviations."""
    rng = np.random.default_rng(6)
    sizes = np.array([2, 3, 4, 5, 3, 2, 6, 4])
    c = np.repeat(np.arange(8), sizes)
    arm = np.array([1, 0, 1, 0, 0, 1, 1, 0])
    y = arm[c] + rng.normal(size=8)[c] + rng.normal(size=len(c))

    def value(a: np.ndarray) -> float:
        means, variance = [], 0.0
        for k in (0, 1):
            inside = a[c] == k
            means.append(y[inside].mean())
            sums = [((y[c == g] - means[-1]).sum() / inside.sum()) ** 2 for g in range(8) if a[g] == k]
            variance += sum(sums) * 4 / 3
        return abs(means[1] - means[0]) / np.sqrt(variance)

    ways = [np.isin(np.arange(8), w).astype(int) for w in itertools.combinations(range(8), 4)]
    effect = answered({"t": arm[c], "y": y, "c": c}, SPEC.replace(cluster="c"), level=0.9)
    assert effect.p_value == pytest.approx(np.mean([value(a) >= value(arm) * (1 - 1e-9) for a in ways]))
    assert effect.diagnostics["units"] == 8


def test_random_draws_agree_with_all_of_them() -> None:
    """p within four Monte Carlo errors; ends of the interval within a tenth of its length."""
    rng = np.random.default_rng(7)
    t = rng.permutation(np.arange(14) < 7).astype(int)
    columns = {"t": t, "y": 0.8 * t + rng.normal(size=14)}
    exact, drawn = answered(columns), answered(columns, exact_up_to=0, draws=20_000)
    assert exact.diagnostics["exact"] and not drawn.diagnostics["exact"]
    assert abs(exact.p_value - drawn.p_value) < 4 * drawn.diagnostics["monte_carlo_error"] + 1e-4
    width = exact.interval[1] - exact.interval[0]
    assert np.allclose(exact.interval, drawn.interval, atol=0.1 * width)


def test_many_rows_agree_with_the_t_test() -> None:
    rng = np.random.default_rng(8)
    t = rng.permutation(np.arange(2000) < 700).astype(int)
    columns = {"t": t, "y": 0.1 * t + rng.normal(size=2000) * (1 + t)}
    neyman = estimate(columns, SPEC)
    effect = answered(columns, draws=20_000)
    assert isinstance(neyman, Effect)
    assert effect.p_value == pytest.approx(neyman.p_value, abs=0.01)
    assert effect.interval == pytest.approx(neyman.interval, abs=0.02 * neyman.standard_error + 0.01)
