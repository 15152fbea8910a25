"""The nearest-neighbour estimate by loops and against the information of normal variables."""

from __future__ import annotations

import math
from types import MappingProxyType

import numpy as np
import pytest
from scipy.special import psi

from whence.data.table import Column, Table
from whence.stats.citest.cmi_knn import cmi_knn_test, doubled_ranks, information, local_permutation, neighbours


@pytest.mark.parametrize("most", [9, 1000])  # few values: many equal ranks and distances
@pytest.mark.parametrize("q", [0, 1, 2])
def test_information_by_loops(q: int, most: int) -> None:
    rng = np.random.default_rng(q)
    n, k = 40, 4
    x, y = (doubled_ranks(rng.integers(0, most, n)).tolist() for _ in range(2))
    z = np.array([doubled_ranks(rng.integers(0, most, n)) for _ in range(q)], dtype=np.int16).reshape(q, n).T
    expected = 0.0
    for i in range(n):
        far = sorted(max([abs(x[i] - x[j]), abs(y[i] - y[j]), *np.abs(z[i] - z[j])]) for j in range(n) if j != i)
        radius = far[k - 1]
        counts = [1, 1, 1]
        for j in range(n):
            if j == i:
                continue
            dz = max([0.0, *np.abs(z[i] - z[j])])
            counts[0] += dz < radius
            counts[1] += max(dz, abs(x[i] - x[j])) < radius
            counts[2] += max(dz, abs(y[i] - y[j])) < radius
        expected += (psi(k) + psi(counts[0]) - psi(counts[1]) - psi(counts[2])) / n
    assert information(np.array(x), np.array(y), z, k) == pytest.approx(expected)


def test_doubled_ranks_are_whole_where_values_are_equal() -> None:
    assert doubled_ranks(np.array([3.0, 1.0, 3.0, 7.0])).tolist() == [5, 2, 5, 8]
    many = doubled_ranks(np.arange(2**14))  # differences of 16 bits would overflow
    assert many.dtype == np.int32 and many[-1] - many[0] == 2 * (2**14 - 1)


def test_information_of_normal_variables() -> None:
    rng = np.random.default_rng(5)
    z = rng.standard_normal(2000)
    x = z + rng.standard_normal(2000)
    y = z + 0.8 * (x - z) + 0.6 * rng.standard_normal(2000)
    x, y, z = (doubled_ranks(v) for v in (x, y, z))
    assert information(x, y, z[:, None], 5) == pytest.approx(-0.5 * math.log(1 - 0.64), abs=0.06)


def test_stopping_early_gives_the_p_value_of_besag_and_clifford() -> None:
    """200 sets: three Monte Carlo errors are allowed. A p-value above a tenth is ten over the shuffles made."""
    rng = np.random.default_rng(8)
    found = []
    for seed in range(200):
        x, y = rng.standard_normal((2, 25))
        t = Table(MappingProxyType({"x": Column("x", "continuous", x), "y": Column("y", "continuous", y)}), 25)
        found.append(cmi_knn_test(t, "x", "y", permutations=99, seed=seed).p_value)
    p = np.array(found)
    for level in (0.05, 0.1, 0.3, 0.6):  # a valid p-value: P(p <= a) <= a
        assert (p <= level).mean() <= level + 3 * math.sqrt(level * (1 - level) / 200)
    assert (p <= 0.5).mean() > 0.36
    large = p[p > 0.11]
    assert np.allclose(10 / large, np.rint(10 / large))


def test_a_local_permutation_stays_among_neighbours() -> None:
    rng = np.random.default_rng(6)
    z = rng.standard_normal((200, 1))
    near = neighbours(z, 5)
    assert all(i in row for i, row in enumerate(near))
    moved = local_permutation(near, rng)
    assert all(j in row for j, row in zip(moved, near, strict=True))
    assert len(set(moved.tolist())) > 180
    assert (moved != np.arange(200)).mean() > 0.5
