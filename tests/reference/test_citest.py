"""The independence tests against formulas written another way, and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from whence.stats.citest.chi2 import chi2, stratified_counts
from whence.stats.citest.fisher_z import correlation, p_value, partial_correlation, statistic
from whence.stats.citest.gcm import gcm


@pytest.mark.parametrize("k", [0, 1, 2, 5])
def test_partial_correlation_is_minus_the_scaled_precision(k: int) -> None:
    rng = np.random.default_rng(k)
    x = rng.standard_normal((80, k + 2)) @ rng.standard_normal((k + 2, k + 2))
    precision = np.linalg.inv(np.cov(x, rowvar=False))
    expected = -precision[0, 1] / math.sqrt(precision[0, 0] * precision[1, 1])
    corr = correlation(x)
    assert corr is not None
    r = partial_correlation(corr)
    assert r == pytest.approx(expected, abs=1e-10)
    z = 0.5 * math.log((1 + expected) / (1 - expected)) * math.sqrt(80 - k - 3)
    assert statistic(r, 80, k) == pytest.approx(z)
    assert p_value(z) == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_perfect_correlation_gives_finite_numbers() -> None:
    assert math.isfinite(statistic(1.0, 100, 0))
    assert p_value(statistic(-1.0, 100, 0)) < 1e-100


@pytest.mark.parametrize("seed", range(5))
def test_chi_square_by_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.poisson(1.5, (4, 3, 3)) * (rng.random((4, 3, 3)) < 0.8)
    value, df = 0.0, 0
    for stratum in table:
        n = stratum.sum()
        if stratum.sum(axis=0).max() <= 1 or stratum.sum(axis=1).max() <= 1:
            continue
        rows = [i for i in range(3) if stratum[i].sum()]
        columns = [j for j in range(3) if stratum[:, j].sum()]
        df += max(len(rows) - 1, 0) * max(len(columns) - 1, 0)
        for i in rows:
            for j in columns:
                expected = stratum[i].sum() * stratum[:, j].sum() / n
                value += (stratum[i, j] - expected) ** 2 / expected * (n - 1) / n
    found = chi2(table)
    assert (found.statistic, found.df) == (pytest.approx(value), df)
    assert found.p_value == pytest.approx(stats.chi2.sf(value, df))


def test_chi_square_two_by_two_is_pearsons_n_minus_one_form() -> None:
    (a, b), (c, d) = (12, 5), (3, 9)
    expected = (a * d - b * c) ** 2 * 28 / ((a + b) * (c + d) * (a + c) * (b + d))
    assert chi2(np.array([[[a, b], [c, d]]])).statistic == pytest.approx(expected)


def test_chi_square_mean_given_margins_is_its_degrees_of_freedom() -> None:
    """Shuffling y within a sparse table keeps the margins; the mean over shuffles must be df exactly."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 4, 25), rng.integers(0, 3, 25)
    values = []
    for _ in range(4000):
        table = np.zeros((1, 4, 3))
        np.add.at(table[0], (x, rng.permutation(y)), 1)
        values.append(chi2(table).statistic)
    assert np.mean(values) == pytest.approx(6, abs=5 * np.std(values) / math.sqrt(4000))


@pytest.mark.parametrize("levels", [(2, 3, 2, 2), (3, 3, 4, 5, 6, 7), (2, 2)])
def test_stratified_counts_by_loops(levels: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    codes = np.array([rng.integers(-1, c, 150) for c in levels], dtype=np.int32)
    expected: dict[tuple[int, ...], np.ndarray] = {}
    for row in codes.T.tolist():
        if min(row) >= 0:
            expected.setdefault(tuple(row[2:]), np.zeros(levels[:2]))[row[0], row[1]] += 1
    found = stratified_counts(codes, levels)
    full = sorted(map(tuple, (t.ravel().tolist() for t in found if t.any())))
    assert full == sorted(map(tuple, (t.ravel().tolist() for t in expected.values())))


def test_gcm_of_two_numbers_is_the_published_statistic() -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((150, 3))
    x, y = z[:, 0] + rng.standard_normal(150), z[:, 1] + rng.standard_normal(150)
    design = np.column_stack([np.ones(150), z])
    left = [v - design @ np.linalg.solve(design.T @ design, design.T @ v) for v in (x, y)]
    products = left[0] * left[1]
    t = products.sum() ** 2 / (products**2).sum() * (150 - 4) / 150
    found = gcm(x[:, None], y[:, None], z)
    assert found.statistic == pytest.approx(t)
    assert found.df == pytest.approx(1)
    assert found.p_value == pytest.approx(stats.chi2.sf(t, 1))


def test_gcm_of_categories_is_the_tail_of_a_weighted_sum_of_chi_squares() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 3, 300), rng.integers(0, 4, 300)
    indicators = [np.eye(c)[v][:, 1:] for v, c in ((x, 3), (y, 4))]
    left = []
    for v in indicators:
        v = v - v.mean(axis=0)
        vector, root = np.linalg.eigh(v.T @ v)[::-1]
        left.append(v @ vector / np.sqrt(root))
    products = np.einsum("na,nb->nab", *left).reshape(300, -1)
    weights = np.linalg.eigvalsh(products.T @ products) * 300 / 299
    draws = rng.chisquare(1, (400_000, 6)) @ weights
    share = (draws >= (products.sum(axis=0) ** 2).sum()).mean()
    found = gcm(*indicators, np.empty((300, 0)))
    assert found.p_value == pytest.approx(share, abs=0.005)


def test_gcm_does_not_depend_on_the_coding_of_categories() -> None:
    rng = np.random.default_rng(6)
    x, z = rng.integers(0, 3, 200), rng.standard_normal((200, 2))
    y = (x == 1) * 0.5 + rng.standard_normal(200)
    one = gcm(np.eye(3)[x][:, 1:], y[:, None], z)
    two = gcm(np.eye(3)[x][:, :2] * 7 + 1, -3 * y[:, None], z @ [[1, 2], [0, 1]])
    assert one.p_value == pytest.approx(two.p_value, rel=1e-8)
