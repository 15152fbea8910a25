"""Nearest neighbours with every tie: the native kernel and its reference against distances of all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from whence import kernels
from whence.kernels import nearest as chosen
from whence.kernels import nearest_ref

native = pytest.mark.skipif(kernels.BACKEND != "native", reason="the native kernels are not built")
KERNELS = [nearest_ref, pytest.param(chosen, marks=native)]
SIZES = [(1, 3, 2), (64, 5, 1), (65, 40, 3), (400, 60, 1), (900, 50, 10), (33, 9, 20)]


def by_all_pairs(donors, counts, queries, wanted, limit):
    found = []
    for q in queries:
        far = np.sqrt(((donors - q) ** 2).sum(axis=1))
        order = np.argsort(far, kind="stable")
        order = order[far[order] <= limit * (1 + 1e-9) + 1e-10]
        reached = np.flatnonzero(np.cumsum(counts[order]) >= wanted)
        if len(reached):
            order = order[far[order] <= far[order[reached[0]]] * (1 + 1e-9) + 1e-10]
        found.append((sorted(order.tolist()), far[order].max(initial=0.0)))
    return found


def agree(kernel, donors, counts, queries, wanted, limit, threads=1):
    starts, columns, farthest = kernel.nearest(donors, counts, queries, wanted, limit, threads)
    for i, (those, last) in enumerate(by_all_pairs(donors, counts, queries, wanted, limit)):
        assert columns[starts[i] : starts[i + 1]].tolist() == those
        assert farthest[i] == pytest.approx(last, rel=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("m", "q", "k"), SIZES)
def test_all_pairs(kernel, m, q, k):
    rng = np.random.default_rng([m, q, k])
    donors, queries = rng.standard_normal((m, k)), rng.standard_normal((q, k))
    counts = rng.integers(1, 4, m)
    for wanted, limit in ((1, np.inf), (4, np.inf), (4, 0.8), (10 * m, np.inf), (2, 1e-3)):
        agree(kernel, donors, counts, queries, wanted, limit)


@pytest.mark.parametrize("kernel", KERNELS)
def test_ties_on_a_grid_and_copies(kernel):
    """Whole numbers tie all the time; distances are exact, so the limit 1 takes those at 1."""
    rng = np.random.default_rng(0)
    donors = rng.integers(0, 4, (300, 3)).astype(float)
    queries = rng.integers(0, 4, (40, 3)).astype(float)
    ones = np.ones(300, dtype=np.int64)
    for wanted, limit in ((1, np.inf), (3, np.inf), (5, 1.0), (30, np.inf)):
        agree(kernel, donors, ones, queries, wanted, limit)
    agree(kernel, np.zeros((200, 2)), ones[:200], queries[:, :2], 3, np.inf)


@native
def test_threads_and_kernels_agree():
    rng = np.random.default_rng(1)
    donors, queries = rng.standard_normal((4000, 6)), rng.standard_normal((3000, 6))
    donors[1000:2000] = donors[:1000]
    counts = rng.integers(1, 3, 4000)
    one = chosen.nearest(donors, counts, queries, 4, np.inf, 1)
    for other in (chosen.nearest(donors, counts, queries, 4, np.inf, 3),
                  nearest_ref.nearest(donors, counts, queries, 4, np.inf, 1)):
        assert all(np.array_equal(a, b) for a, b in zip(one[:2], other[:2], strict=True))
        assert np.allclose(one[2], other[2], rtol=1e-12)


@native
def test_single_precision_never_loses_a_neighbour():
    """Coordinates far from zero, of very unequal size, and a query far out."""
    rng = np.random.default_rng(2)
    donors = rng.standard_normal((500, 4)) * [1, 1e-6, 1e3, 1] + [1e7, 0, 0, -1e5]
    queries = np.vstack([donors[:30] + 1e-7 * rng.standard_normal((30, 4)), [[1e40, 0, 0, 0]], [[1e7, 1e12, 0, 0]]])
    ones = np.ones(500, dtype=np.int64)
    for wanted in (1, 5):
        theirs = nearest_ref.nearest(donors, ones, queries, wanted, np.inf, 1)
        found = chosen.nearest(donors, ones, queries, wanted, np.inf, 1)
        assert all(np.array_equal(a, b) for a, b in zip(found[:2], theirs[:2], strict=True))


@native
def test_bad_input_is_named():
    points, ones = np.zeros((4, 2)), np.ones(4, dtype=np.int64)
    for wrong in ((points, ones[:3], points, 1, 1.0, 1), (points, ones, np.zeros((4, 3)), 1, 1.0, 1),
                  (points, 0 * ones, points, 1, 1.0, 1), (points, ones, points, 0, 1.0, 1)):
        with pytest.raises(ValueError, match="donor"):
            chosen.nearest(*wrong)
    starts, columns, farthest = chosen.nearest(points, ones, np.zeros((0, 2)), 1, 1.0, 1)
    assert starts.tolist() == [0] and len(columns) == len(farthest) == 0
