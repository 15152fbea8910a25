"""Blocked experiments against formulas written out by hand, and their variance against every possible assignment."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate
from whence.identification.spec import Spec


def blocks(sizes: list[tuple[int, int]], seed: int = 0) -> dict[str, np.ndarray]:
    """Columns of strata with (treated, control) rows; levels and effects differ between strata."""
    rng = np.random.default_rng(seed)
    s = np.concatenate([np.full(a + b, k) for k, (a, b) in enumerate(sizes)])
    t = np.concatenate([rng.permutation([1] * a + [0] * b) for a, b in sizes])
    x = rng.normal(size=len(s))
    return {"s": s.astype(float), "t": t, "x": x, "y": s + t * (1 + 0.3 * s) + x + rng.normal(size=len(s))}


def answered(columns: dict[str, Any], **given: Any) -> Effect:
    params = {k: given.pop(k) for k in list(given) if k in ("sampled_strata", "level")}
    effect = estimate(columns, Spec("rct", ("t",), ("y",), strata=("s",), **given), "stratified", **params)
    assert isinstance(effect, Effect), effect
    return effect


def by_hand(c: dict[str, np.ndarray], quantity: str) -> tuple[float, float]:
    """Weighted differences and Neyman's variance, stratum by stratum."""
    total = variance = whole = 0.0
    for s in np.unique(c["s"]):
        y1, y0 = c["y"][(c["s"] == s) & (c["t"] == 1)], c["y"][(c["s"] == s) & (c["t"] == 0)]
        size = {"ATE": len(y1) + len(y0), "ATT": len(y1), "ATC": len(y0)}[quantity]
        whole += size
        total += size * (y1.mean() - y0.mean())
        variance += size**2 * (y1.var(ddof=1) / len(y1) + y0.var(ddof=1) / len(y0))
    return total / whole, np.sqrt(variance) / whole


@pytest.mark.parametrize("quantity", ["ATE", "ATT", "ATC"])
def test_large_strata_by_hand(quantity: Any) -> None:
    columns = blocks([(4, 6), (8, 3), (2, 9), (5, 5)])
    estimated, error = by_hand(columns, quantity)
    effect = answered(columns, quantity=quantity)
    assert effect.estimate == pytest.approx(estimated) and effect.standard_error == pytest.approx(error)


def test_matched_pairs_are_the_paired_t_test() -> None:
    columns = blocks([(1, 1)] * 17)
    order = np.lexsort((columns["t"], columns["s"]))
    d = np.diff(columns["y"][order].reshape(-1, 2), axis=1)[:, 0]
    effect, interval = answered(columns), sm.stats.DescrStatsW(d).tconfint_mean()
    assert effect.estimate == pytest.approx(d.mean())
    assert effect.standard_error == pytest.approx(d.std(ddof=1) / np.sqrt(17))
    assert effect.interval == pytest.approx(interval) and effect.df == pytest.approx(16)


@pytest.mark.parametrize("sizes", [[(1, 1), (1, 2), (2, 1), (1, 3)], [(1, 2), (1, 2), (3, 1), (2, 2)]])
def test_the_variance_of_small_strata_is_right_on_average(sizes: list[tuple[int, int]]) -> None:
    """With one effect for all, the average of the squared error over all assignments is the true variance."""
    rng = np.random.default_rng(3)
    s = np.concatenate([np.full(a + b, k) for k, (a, b) in enumerate(sizes)])
    base = rng.normal(size=len(s)) + s
    found, squared = [], []
    ways = [list(itertools.combinations(np.flatnonzero(s == k), a)) for k, (a, _) in enumerate(sizes)]
    for chosen in itertools.product(*ways):
        t = np.isin(np.arange(len(s)), np.concatenate(chosen)).astype(int)
        effect = answered({"s": s.astype(float), "t": t, "y": base + 2.0 * t})
        found.append(effect.estimate)
        squared.append(effect.standard_error**2)
    assert np.mean(found) == pytest.approx(2.0)
    assert np.mean(squared) == pytest.approx(np.var(found), rel=1e-9)


def test_adjustment_in_one_stratum_is_lins() -> None:
    """The estimate is that of full interactions; the error is HC1's up to the factor on each arm."""
    columns = blocks([(120, 180)], seed=5)
    lin = estimate(columns, Spec("rct", ("t",), ("y",), controls=("x",)), "regression")
    effect = answered(columns | {"s": np.zeros(300)}, controls=("x",))
    assert isinstance(lin, Effect)
    assert effect.estimate == pytest.approx(lin.estimate, rel=1e-10)
    assert effect.standard_error == pytest.approx(lin.standard_error, rel=0.02)


def test_adjustment_of_pairs_is_the_regression_of_differences() -> None:
    columns = blocks([(1, 1)] * 40, seed=6)
    order = np.lexsort((columns["t"], columns["s"]))
    d, dx = (np.diff(columns[n][order].reshape(-1, 2), axis=1)[:, 0] for n in ("y", "x"))
    fit = sm.OLS(d, sm.add_constant(dx)).fit()
    effect = answered(columns, controls=("x",))
    residual = d - fit.params[1] * dx
    assert effect.estimate == pytest.approx(fit.params[0])
    assert effect.standard_error == pytest.approx(np.sqrt((residual - residual.mean()) @ (residual - residual.mean())
                                                          / (40 * 38)))


def test_clusters_within_strata_by_hand() -> None:
    """Four clusters a stratum, two of them treated; sums of deviations by cluster, times u / (u - 1)."""
    rng = np.random.default_rng(8)
    cluster = np.repeat(np.arange(24), 5)
    s = (cluster // 4).astype(float)
    t = (np.argsort(np.argsort(rng.random((6, 4)), axis=1), axis=1).ravel() < 2).astype(int)[cluster]
    y = s + t + rng.normal(size=24)[cluster] + rng.normal(size=120)
    effect = answered({"s": s, "t": t, "y": y, "c": cluster}, cluster="c")
    variance = 0.0
    for k in np.unique(s):
        for arm in (0, 1):
            inside = (s == k) & (t == arm)
            means = np.array([y[cluster == g].mean() for g in np.unique(cluster[inside])])
            variance += (1 / 6) ** 2 * means.var(ddof=1) / 2
    assert effect.standard_error == pytest.approx(np.sqrt(variance))


def test_pairs_of_clusters_are_a_paired_t_test_on_means() -> None:
    rng = np.random.default_rng(9)
    cluster = np.repeat(np.arange(20), 4)
    t = np.column_stack([first := rng.integers(0, 2, 10), 1 - first]).ravel()[cluster]
    y = t + rng.normal(size=20)[cluster] + rng.normal(size=80)
    effect = answered({"s": (cluster // 2).astype(float), "t": t, "y": y, "c": cluster}, cluster="c")
    means = np.array([y[cluster == g].mean() * (1 if t[cluster == g][0] else -1) for g in range(20)]).reshape(10, 2)
    d = means.sum(axis=1)
    assert effect.estimate == pytest.approx(d.mean())
    assert effect.standard_error == pytest.approx(d.std(ddof=1) / np.sqrt(10))
    assert effect.interval == pytest.approx(sm.stats.DescrStatsW(d).tconfint_mean())


def test_sampled_strata_add_the_variance_of_their_proportions() -> None:
    columns = blocks([(30, 30), (20, 40), (50, 10)], seed=4)
    s, n = columns["s"], len(columns["s"])
    fixed, sampled = answered(columns), answered(columns, sampled_strata=True)
    effects = np.array([columns["y"][(s == k) & (columns["t"] == 1)].mean()
                        - columns["y"][(s == k) & (columns["t"] == 0)].mean() for k in range(3)])
    more = np.bincount(s.astype(int)) @ (effects - fixed.estimate) ** 2 / n**2
    assert sampled.estimate == fixed.estimate
    assert sampled.standard_error**2 == pytest.approx(fixed.standard_error**2 + more)
