"""The qNML score against its definition: the maximal likelihood of a column of its kind, summed over all columns."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

import whence
from whence.kernels import scores
from whence.stats.score.choose import score
from whence.stats.score.qnml import regrets


def best_likelihood(counts: list[int]) -> float:
    n = sum(counts)
    return math.prod((c / n) ** c for c in counts if c)


def normaliser(n: int, values: int) -> float:
    """The sum over all sequences of n draws, gathered by their counts."""
    total = 0.0
    for bars in itertools.combinations(range(n + values - 1), values - 1):
        edges = [-1, *bars, n + values - 1]
        counts = [b - a - 1 for a, b in itertools.pairwise(edges)]
        total += math.factorial(n) / math.prod(map(math.factorial, counts)) * best_likelihood(counts)
    return total


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_regret_is_the_log_of_the_sum_over_all_data(n: int) -> None:
    found = regrets(n, 6)
    assert found[1:] == pytest.approx([math.log(normaliser(n, k)) for k in range(1, 7)], abs=1e-11)


def formula(n: int, k: float) -> float:
    a = k / n
    above = 2 / a / (1 + math.sqrt(1 + 4 / a))
    return n * (math.log(a) + (a + 2) * math.log1p(above) - 1 / (1 + above)) - math.log(1 + above + 2 / a) / 2


@pytest.mark.parametrize("n", [100, 10_000, 200_000])
def test_formula_for_large_tables_and_many_rows(n: int) -> None:
    found = regrets(n, 30_000)
    assert max(abs(found[k] - formula(n, k)) for k in range(10_001, 30_001, 50)) < 2e-5
    codes, cards = np.zeros((2, n), dtype=np.uint8), np.array([255, 255], dtype=np.int32)
    kernel = scores.discrete_score(codes, cards, 2, 0.0, 0.0, regret=found[:300].tolist())
    value = kernel.local(0, np.array([1], dtype=np.int32))
    assert value == pytest.approx(found[255] - formula(n, 255.0 * 255), abs=1e-7)


def test_expansion_for_many_rows_meets_the_sum() -> None:
    below, above = regrets(10_000, 3)[2], regrets(10_001, 3)[2]
    assert above - below == pytest.approx(0.5 / 10_000, rel=0.02)


def test_local_scores_by_loops() -> None:
    rng = np.random.default_rng(5)
    a = rng.integers(0, 3, 40)
    b, c = (a + rng.integers(0, 2, 40)) % 2, rng.integers(0, 2, 40)
    table = whence.read({k: [f"l{v}" for v in x] for k, x in zip("abc", (a, b, c), strict=True)})
    found = score(table, ("a", "b", "c"), "qnml", {"gamma": 0.2})
    rows, sizes = list(zip(a.tolist(), b.tolist(), c.tolist(), strict=True)), {"a": 3, "b": 2, "c": 2}

    def nml(names: tuple[str, ...]) -> float:
        at = ["abc".index(name) for name in names]
        counts = list(Counter(tuple(row[i] for i in at) for row in rows).values())
        likelihood = sum(k * math.log(k / 40) for k in counts)
        return likelihood - math.log(normaliser(40, math.prod(sizes[name] for name in names)) if names else 1.0)

    for y, parents in (("a", ()), ("b", ()), ("b", ("c",)), ("c", ("b",))):
        expected = nml((*parents, y)) - nml(parents) - 0.4 * math.log(3) * len(parents)
        assert found.local(y, parents) == pytest.approx(expected, abs=1e-10)
    chain, fork, other = {"b": ["a"], "c": ["b"]}, {"a": ["b"], "c": ["b"]}, {"b": ["a", "c"]}
    assert found.total(chain) == pytest.approx(found.total(fork), abs=1e-9)
    assert abs(found.total(chain) - found.total(other)) > 1e-3
