"""The nearest-neighbour estimate by loops and against the information of normal variables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import psi

from whence.stats.citest.cmi_knn import information, information_dense, local_permutation, neighbours


@pytest.mark.parametrize("q", [0, 1, 2])
def test_information_by_loops(q: int) -> None:
    rng = np.random.default_rng(q)
    n, k = 40, 4
    x, y, z = rng.standard_normal(n), rng.standard_normal(n), rng.standard_normal((n, q))
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
    dx, dy = np.abs(x[:, None] - x), np.abs(y[:, None] - y)
    dz = np.abs(z[:, None] - z[None]).max(axis=2, initial=0.0)
    assert information(x, y, z, k) == pytest.approx(expected)
    assert information_dense(dx, np.maximum(dy, dz), dz, k) == pytest.approx(expected)


def test_information_of_normal_variables() -> None:
    rng = np.random.default_rng(5)
    z = rng.standard_normal(3000)
    x = z + rng.standard_normal(3000)
    y = z + 0.8 * (x - z) + 0.6 * rng.standard_normal(3000)
    assert information(x, y, z[:, None], 5) == pytest.approx(-0.5 * math.log(1 - 0.64), abs=0.06)


def test_a_local_permutation_stays_among_neighbours() -> None:
    rng = np.random.default_rng(6)
    z = rng.standard_normal((200, 1))
    near = neighbours(z, 5)
    assert all(i in row for i, row in enumerate(near))
    moved = local_permutation(near, rng)
    assert all(j in row for j, row in zip(moved, near, strict=True))
    assert len(set(moved.tolist())) > 180
    assert (moved != np.arange(200)).mean() > 0.5
