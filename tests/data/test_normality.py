"""Anderson-Darling: its size by simulation, its statistic by the textbook sum."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from whence.data.normality import anderson_darling


def test_statistic_against_the_textbook_sum():
    x = np.random.default_rng(2).exponential(size=57)
    z = sorted((x - x.mean()) / x.std(ddof=1))
    n = len(z)
    phi = [0.5 * math.erfc(-v / math.sqrt(2)) for v in z]
    a2 = -n - sum((2 * i + 1) * (math.log(phi[i]) + math.log(1 - phi[n - 1 - i])) for i in range(n)) / n
    found = anderson_darling(x)
    assert found.statistic == pytest.approx(a2 * (1 + 0.75 / n + 2.25 / n**2))
    assert found.p_value < 0.001
    assert found.skewness > 1


@pytest.mark.parametrize("n", [20, 50, 200, 1000])
def test_size_under_the_null(n):
    """4,000 Gaussian samples; rejections at 5 % and 1 % within 3.3 Monte Carlo standard errors."""
    rng = np.random.default_rng(100 + n)
    p = np.array([anderson_darling(1e6 + 3 * rng.normal(size=n)).p_value for _ in range(4000)])
    for level in (0.05, 0.01):
        assert abs((p < level).mean() - level) < 3.3 * math.sqrt(level * (1 - level) / 4000)


def test_p_value_falls_all_the_way():
    from whence.data.normality import _p_value

    p = [_p_value(a) for a in np.linspace(0.05, 40, 4000)]
    assert all(0 <= v <= 1 for v in p)
    assert all(b <= a + 5e-3 for a, b in itertools.pairwise(p))  # the pieces meet within 0.005


def test_too_little_to_say():
    assert anderson_darling(np.arange(10.0)) is None
    assert anderson_darling(np.full(50, 3.3)) is None
    assert anderson_darling(np.full(50, 1e300)) is None
    assert anderson_darling(np.r_[np.zeros(50), 1e300]).p_value == 0
