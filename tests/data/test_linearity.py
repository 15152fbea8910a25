"""The lack-of-fit test: its size by simulation, its statistic by two plain regressions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from whence.data.linearity import BINS, lack_of_fit


def test_statistic_against_two_regressions():
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    y = x**2 + rng.normal(size=200)
    cuts = np.quantile(x, np.arange(1, BINS) / BINS)
    group = np.searchsorted(cuts, x, side="right")
    line = np.column_stack([np.ones(200), x])
    full = np.column_stack([line, *(group == g for g in range(1, BINS))])

    def left(design):
        return ((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum()

    f = ((left(line) - left(full)) / (BINS - 1)) / (left(full) / (200 - BINS - 1))
    (found,) = lack_of_fit(x, y[:, None], "x", ("y",))
    assert found.statistic == pytest.approx(f)
    assert (found.df1, found.df2) == (BINS - 1, 200 - BINS - 1)
    assert found.effect == pytest.approx(1 - left(full) / left(line))
    assert found.p_value < 1e-6


@pytest.mark.parametrize("noise", ["gaussian", "skewed", "heavy"])
@pytest.mark.parametrize("n", [80, 500])
def test_size_under_the_null(n, noise):
    """3,000 straight lines; 5 % rejections within 3.3 Monte Carlo standard errors (1.5 points more for the
    noise that is not Gaussian, for which the test is only nearly exact)."""
    rng = np.random.default_rng(n)
    draw = {"gaussian": rng.normal, "skewed": lambda size: rng.exponential(size=size) - 1,
            "heavy": lambda size: rng.standard_t(4, size=size)}[noise]
    rejected = 0
    names = tuple(f"y{i}" for i in range(20))
    for _ in range(150):
        x = rng.normal(size=n)
        found = lack_of_fit(x, 1 + 2 * x[:, None] + draw(size=(n, 20)), "x", names)
        rejected += sum(t.p_value < 0.05 for t in found)
    allowed = 3.3 * math.sqrt(0.05 * 0.95 / 3000) + (0 if noise == "gaussian" else 0.015)
    assert abs(rejected / 3000 - 0.05) < allowed


def test_nothing_to_test():
    x = np.arange(100.0)
    assert lack_of_fit(x, np.column_stack([2 * x + 1e6, np.full(100, 7.0)]), "x", ("a", "b")) == []
    assert lack_of_fit(np.ones(100), x[:, None], "one", ("x",)) == []
    assert lack_of_fit(x[:30], x[:30, None], "x", ("y",)) == []
