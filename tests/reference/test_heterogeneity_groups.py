"""Projection and group effects against textbook formulas written out."""

from __future__ import annotations

import numpy as np
import pytest

from whence.estimation.heterogeneity.best_linear_projection import best_linear_projection
from whence.estimation.heterogeneity.groups import classification, group_effects, level_effects


def sandwich(x: np.ndarray, y: np.ndarray, w: np.ndarray, clusters: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares with HC3, or CR1 by cluster, rows one by one."""
    bread = np.linalg.inv(x.T @ (w[:, None] * x))
    beta = bread @ x.T @ (w * y)
    e, (n, k) = y - x @ beta, x.shape
    meat = np.zeros((k, k))
    if clusters is None:
        for i in range(n):
            leverage = w[i] * x[i] @ bread @ x[i]
            meat += np.outer(x[i], x[i]) * (w[i] * e[i] / (1 - leverage)) ** 2
    else:
        for g in np.unique(clusters):
            s = (x * (w * e)[:, None])[clusters == g].sum(axis=0)
            meat += np.outer(s, s)
        groups = len(np.unique(clusters))
        meat *= groups / (groups - 1) * (n - 1) / (n - k)
    return beta, bread @ meat @ bread


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_projection(clustered: bool, weighted: bool) -> None:
    from scipy.stats import f as fisher
    from scipy.stats import t as student

    rng = np.random.default_rng(3)
    x = np.column_stack([rng.normal(50, 10, 200), rng.integers(2, size=200)])
    y, w = 1 + 0.1 * x[:, 0] + rng.normal(size=200), rng.uniform(0.3, 2, 200) if weighted else np.ones(200)
    clusters = rng.integers(25, size=200) if clustered else None
    found = best_linear_projection(y, x, ["age", "female"], weights=w, clusters=clusters)
    beta, v = sandwich(np.column_stack([np.ones(200), x]), y, w / w.mean(), clusters)
    all_terms = [found.intercept, *found.slopes]
    assert [c.label for c in all_terms] == ["intercept", "age", "female"]
    assert [c.estimate for c in all_terms] == pytest.approx(beta, rel=1e-8)
    assert [c.standard_error for c in all_terms] == pytest.approx(np.sqrt(np.diag(v)), rel=1e-8)
    df = 24 if clustered else 197
    assert found.slopes[1].p_value == pytest.approx(2 * student.sf(abs(beta[2]) / np.sqrt(v[2, 2]), df), rel=1e-6)
    statistic = beta[1:] @ np.linalg.solve(v[1:, 1:], beta[1:]) / 2
    assert found.none.statistic == pytest.approx(statistic, rel=1e-8)
    assert found.none.p_value == pytest.approx(fisher.sf(statistic, 2, df), rel=1e-6)


def test_groups_are_means_with_their_own_errors_and_a_joint_band() -> None:
    from scipy.stats import norm
    from scipy.stats import t as student

    rng = np.random.default_rng(4)
    scores, order = rng.normal(size=500), rng.normal(size=500)
    found = group_effects(scores, order, groups=4)
    place = np.argsort(np.argsort(order)) // 125
    for k, c in enumerate(found.groups):
        own = scores[place == k]
        assert c.estimate == pytest.approx(own.mean(), abs=1e-12)
        assert c.standard_error == pytest.approx(own.std(ddof=1) / np.sqrt(125), rel=1e-9)
    top, low = scores[place == 3], scores[place == 0]
    assert found.top_against_bottom.estimate == pytest.approx(top.mean() - low.mean(), abs=1e-12)
    assert found.top_against_bottom.standard_error == pytest.approx(
        np.sqrt(top.var(ddof=1) / 125 + low.var(ddof=1) / 125), rel=1e-9)
    # Four independent means: the joint level is the fourth power of each one's.
    z = norm.ppf(0.5 + 0.95**0.25 / 2)
    factor = student.ppf(norm.cdf(z), 496)
    lo, hi = found.groups[0].joint_interval
    assert (hi - lo) / 2 == pytest.approx(factor * found.groups[0].standard_error, rel=0.01)
    between = sum(((scores[place == k].mean() - m) ** 2) / (scores[place == k].var(ddof=1) / 125)
                  for k in range(4) for m in [_precision_mean(scores, place)])
    assert found.equal.statistic == pytest.approx(between / 3, rel=1e-8)


def _precision_mean(scores: np.ndarray, place: np.ndarray) -> float:
    """The common mean under equality: groups weighted by the inverse of their variance."""
    own = [scores[place == k] for k in range(4)]
    w = np.array([len(s) / s.var(ddof=1) for s in own])
    return float(w @ [s.mean() for s in own] / w.sum())


def test_groups_within_folds_ties_and_weights() -> None:
    """Cut within each fold by weight: two heavy rows make a group of their own; ties stay together."""
    order = np.array([0.0] * 10 + [1.0] * 10 + [5.0] * 10 + [6.0] * 10)
    folds = np.repeat([0, 1], 20)
    found = group_effects(np.arange(40.0), order, groups=2, folds=folds)
    assert found.codes.tolist() == [0] * 10 + [1] * 10 + [0] * 10 + [1] * 10
    weights = np.append(np.full(12, 5.0), np.full(60, 1.0))
    heavy = group_effects(np.arange(72.0), np.arange(72.0), groups=2, weights=weights)
    assert (heavy.codes == 0).sum() == 12


@pytest.mark.parametrize("clustered", [False, True])
def test_levels_and_traits_of_means(clustered: bool) -> None:
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(60), 5) if clustered else None
    scores, site = rng.normal(size=300), rng.integers(3, size=300)
    found = level_effects(scores, site, ["north", "east", "south"], column="site", clusters=clusters)
    indicator = (site[:, None] == np.arange(3)).astype(float)
    own = scores - indicator @ [c.estimate for c in found.levels]
    for k, c in enumerate(found.levels):
        assert c.estimate == pytest.approx(scores[site == k].mean(), abs=1e-12)
        if clustered:
            sums = np.bincount(clusters, weights=own * indicator[:, k])
            variance = (sums**2).sum() / indicator[:, k].sum() ** 2 * 60 / 59
        else:
            variance = scores[site == k].var(ddof=1) / (site == k).sum()
        assert c.standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)
    traits = classification(scores[:, None], ["score"], site, clusters=clusters)
    assert traits[0].most - traits[0].least == pytest.approx(scores[site == 2].mean() - scores[site == 0].mean())
    assert traits[0].difference.estimate == pytest.approx(traits[0].most - traits[0].least, abs=1e-12)
