"""G2 with Williams' factor by loops, and by its link to mutual information."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from whence.stats.citest.g2 import g2


@pytest.mark.parametrize("seed", range(5))
def test_g2_by_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.poisson(1.5, (5, 3, 4)) * (rng.random((5, 3, 4)) < 0.8)
    value, df = 0.0, 0
    for stratum in table:
        n = stratum.sum()
        rows = [i for i in range(3) if stratum[i].sum()]
        columns = [j for j in range(4) if stratum[:, j].sum()]
        own = (len(rows) - 1) * (len(columns) - 1)
        if own <= 0 or stratum.sum(axis=0).max() <= 1 or stratum.sum(axis=1).max() <= 1:
            continue
        ratio = 0.0
        for i in rows:
            for j in columns:
                if stratum[i, j]:
                    expected = stratum[i].sum() * stratum[:, j].sum() / n
                    ratio += 2 * stratum[i, j] * math.log(stratum[i, j] / expected)
        a = sum(n / stratum[i].sum() for i in rows) - 1
        b = sum(n / stratum[:, j].sum() for j in columns) - 1
        value, df = value + ratio / min(1.5, 1 + a * b / (6 * n * own)), df + own
    found = g2(table)
    assert (found.statistic, found.df) == (pytest.approx(value), df)
    assert found.p_value == pytest.approx(stats.chi2.sf(value, df))


def test_large_strata_give_the_textbook_ratio() -> None:
    table = np.array([[[300, 400], [350, 500]]])
    expected = stats.chi2_contingency(table[0], correction=False, lambda_="log-likelihood")
    assert g2(table).statistic == pytest.approx(expected.statistic, rel=2e-3)


def test_zeros_of_structure_take_no_degree_of_freedom() -> None:
    full = np.array([[[8, 5], [3, 9]]])
    wide = np.zeros((1, 3, 4), dtype=int)
    wide[0, [[0], [2]], [1, 3]] = full[0]
    assert g2(wide) == g2(full)
    assert g2(np.array([[[3, 0], [0, 0]]])).p_value is None
    assert g2(np.array([[[1, 0], [0, 1]]])).df == 0
    assert g2(np.zeros((0, 2, 2), dtype=int)).p_value is None


def test_mean_in_small_strata_is_close_to_the_degrees_of_freedom() -> None:
    rng = np.random.default_rng(1)
    values = []
    for _ in range(4000):
        x, y = rng.integers(0, 2, (2, 14))
        table = np.zeros((1, 2, 2))
        np.add.at(table[0], (x, y), 1)
        found = g2(table)
        if found.df:
            values.append(found.statistic)
    assert np.mean(values) == pytest.approx(1, abs=0.1)  # 1.13 without the factor
