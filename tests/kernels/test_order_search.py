"""The native exact search over orders against its reference: the same sets of parents, graphs of the same score."""

from __future__ import annotations

import math

import numpy as np
import pytest

from whence import kernels
from whence.kernels import order_search, order_search_ref, scores

pytestmark = pytest.mark.skipif(kernels.BACKEND != "native", reason="native kernels are not built")


def kernel(kind: str, d: int, seed: int) -> object:
    rng = np.random.default_rng(seed)
    if kind == "called":
        known: dict[object, float] = {}
        return scores.called_score(d, lambda y, ps: known.setdefault(
            (y, ps), float(np.random.default_rng([seed, y, *ps]).normal() * 3 - len(ps))))
    weights = np.triu(rng.normal(size=(d, d)) * (rng.random((d, d)) < 0.4), 1)
    x = rng.normal(size=(150, d)) @ np.linalg.inv(np.eye(d) - weights)
    if kind == "gaussian":
        r = np.ascontiguousarray(np.corrcoef(x.T))
        return scores.gaussian_score(r, -np.arange(d) * math.log(150) / 2, np.full(d, 75.0), 0.0)
    codes = np.ascontiguousarray(np.digitize(x, [-0.5, 0.8]).T.astype(np.uint8))
    return scores.discrete_score(codes, np.full(d, 3, dtype=np.int32), int(kind == "bic"), 1.0, -0.3)


@pytest.mark.parametrize("kind", ["called", "gaussian", "bdeu", "bic"])
@pytest.mark.parametrize("seed", range(3))
def test_sets_and_graphs_agree(kind: str, seed: int) -> None:
    d = 7
    score, rng = kernel(kind, d, seed), np.random.default_rng(seed)
    may, required = 1 - np.eye(d, dtype=np.uint8), np.zeros((d, d), dtype=np.uint8)
    if seed:
        may = may & (rng.random((d, d)) < 0.9)
        may[2, 5] = required[2, 5] = 1
    most = 3 if seed == 2 else d - 1
    ours, reference = (m.useful_sets(score, may, required, most, 10_000, 2) for m in (order_search, order_search_ref))
    for y in range(d):
        found, expected = (dict(zip(part[1][y], part[0][y], strict=True)) for part in (ours, reference))
        assert found == pytest.approx(expected, rel=1e-12)
        assert ours[2][y] >= reference[2][y]
    pairs = [sorted(zip(v, s, strict=True), reverse=True) for v, s in zip(reference[0], reference[1], strict=True)]
    given = [[p[0] for p in part] for part in pairs], [[p[1] for p in part] for part in pairs]
    totals = []
    for search, least in ((order_search, -math.inf), (order_search_ref, -math.inf), (order_search, None)):
        parents = np.zeros(d, dtype=np.uint32)
        least = totals[0] - 1e-6 if least is None else least
        states = search.best_order(*given, list(range(d)), 0, least, 10_000, parents)
        assert 0 < states <= 2**d
        totals.append(sum(given[0][y][given[1][y].index(int(parents[y]))] for y in range(d)))
    assert totals == pytest.approx([totals[1]] * 3, rel=1e-12)


def test_a_bound_says_when_no_larger_set_can_be_useful() -> None:
    """400 binary rows: by BIC no node has more than log2(2 n / log n) parents, and A* learns it without a limit."""
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 2, (12, 400)).astype(np.uint8)
    score = scores.discrete_score(codes, np.full(12, 2, dtype=np.int32), 1, 1.0, 0.0)
    may, none = 1 - np.eye(12, dtype=np.uint8), np.zeros((12, 12), dtype=np.uint8)
    _, sets, ended = order_search.useful_sets(score, may, none, 8, 10_000, 1)
    assert min(ended) == 9 and max(s.bit_count() for part in sets for s in part) <= math.log2(800 / math.log(400))


def test_what_cannot_be_is_said() -> None:
    values, sets = [[0.0], [0.0]], [[2], [1]]
    for search in (order_search, order_search_ref):
        parents = np.zeros(2, dtype=np.uint32)
        assert search.best_order(values, sets, [0, 1], 0, -math.inf, 100, parents) == 0
        score = kernel("called", 6, 0)
        may, none = 1 - np.eye(6, dtype=np.uint8), np.zeros((6, 6), dtype=np.uint8)
        assert search.useful_sets(score, may, none, 5, 7, 1)[2] == [1] * 6
        made = order_search_ref.useful_sets(score, may, none, 5, 100, 1)
        pairs = [sorted(zip(v, s, strict=True), reverse=True) for v, s in zip(made[0], made[1], strict=True)]
        given = [[p[0] for p in part] for part in pairs], [[p[1] for p in part] for part in pairs]
        assert search.best_order(*given, list(range(6)), 0, -math.inf, 3, np.zeros(6, dtype=np.uint32)) == -1
