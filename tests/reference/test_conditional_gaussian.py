"""The conditional Gaussian ratio against regressions within cells, and its correction against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from whence.stats.citest.chi2 import stratified_counts
from whence.stats.citest.conditional_gaussian import conditional_gaussian
from whence.stats.citest.g2 import g2


def squares(y: np.ndarray, *blocks: np.ndarray) -> float:
    design = np.column_stack([np.ones(len(y)), *blocks])
    return float(((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum())


def test_a_category_and_a_number_compare_regressions_within_cells() -> None:
    rng = np.random.default_rng(0)
    n = 120
    x, y, z = rng.integers(0, 3, n), rng.standard_normal(n), rng.standard_normal(n)
    ratio = n * np.log(squares(y, z) / n)
    for level in range(3):
        m = (x == level).sum()
        ratio -= m * np.log(squares(y[x == level], z[x == level]) / m)
    zero = np.zeros(n, dtype=np.int32)
    found = conditional_gaussian([zero * 1.0, y, z], [x, zero, zero], [False, True, True])
    assert found.df == 6  # two more cells of an intercept, a slope and a spread
    # The correction only scales the ratio, by less than a tenth in cells of forty rows.
    assert 0.85 < found.statistic / ratio < 1
    other = conditional_gaussian([y, zero * 1.0, z], [zero, x, zero], [True, False, True])
    assert other.statistic == pytest.approx(found.statistic)


def test_the_corrected_mean_is_the_degrees_of_freedom() -> None:
    rng = np.random.default_rng(1)
    values, df = [], set()
    zero = np.zeros(40, dtype=np.int32)
    x = np.arange(40) % 4
    for _ in range(1500):
        y, z = rng.standard_normal((2, 40))
        found = conditional_gaussian([zero * 1.0, y, z], [x, zero, zero], [False, True, True])
        values.append(found.statistic)
        df.add(found.df)
    assert df == {9}
    assert np.mean(values) == pytest.approx(9, abs=4 * np.std(values) / np.sqrt(1500))


def test_categories_alone_are_g2() -> None:
    codes = list(np.random.default_rng(2).integers(0, 3, (3, 90)).astype(np.int32))
    assert conditional_gaussian([c * 1.0 for c in codes], codes, [False] * 3) == g2(
        stratified_counts(np.array(codes), [3, 3, 3]))
