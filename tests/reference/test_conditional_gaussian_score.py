"""The conditional Gaussian score against densities summed row by row, and against BIC where all columns are alike."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import whence
from whence.stats.score.choose import score

N = 120
RNG = np.random.default_rng(8)
G, H = RNG.integers(0, 2, N), RNG.integers(0, 3, N)
X = np.where(G == 1, 1.5, -0.5) * RNG.normal(size=N) + G
Z = X * (1.0 + G) + RNG.normal(size=N) * (1 + H)
DATA = {"g": G, "h": H, "x": X, "z": Z}
CARDS = {"g": 2, "h": 3}


def table(data: dict[str, np.ndarray]) -> whence.Table:
    return whence.read({k: [f"l{v}" for v in x] if k in CARDS else x for k, x in data.items()})


def joint(data: dict[str, np.ndarray], names: tuple[str, ...]) -> tuple[float, int]:
    """The log-likelihood of these columns, row by row, and the parameters."""
    n = len(data["x"])
    coded, numbers = [v for v in names if v in CARDS], [v for v in names if v not in CARDS]
    x = np.array([(data[v] - data[v].mean()) / data[v].std() for v in numbers]).T.reshape(n, -1)
    cells = [tuple(int(data[v][i]) for v in coded) for i in range(n)]
    groups = {cell: [i for i in range(n) if cells[i] == cell] for cell in set(cells)}
    within = np.array([x[i] - x[groups[cells[i]]].mean(axis=0) for i in range(n)])
    c, total = len(numbers), 0.0
    for at in groups.values():
        total += len(at) * math.log(len(at) / n)
        if c:
            own = np.cov(x[at].T, ddof=0).reshape(c, c) if len(at) > c + 1 else within.T @ within / n
            total += multivariate_normal.logpdf(x[at], x[at].mean(axis=0), own).sum()
    q = math.prod(CARDS[v] for v in coded)
    return float(total), q * (c + c * (c + 1) // 2) + q - 1


@pytest.mark.parametrize("rows", [N, 25])
def test_local_scores_row_by_row(rows: int) -> None:
    data = {k: x[:rows] for k, x in DATA.items()}
    found = score(table(data), tuple("ghxz"), "conditional_gaussian", {"penalty": 1.5, "gamma": 0.3})
    for y in "ghxz":
        for k in range(4):
            for parents in itertools.combinations([v for v in "ghxz" if v != y], k):
                (one, many), (two, few) = joint(data, (*parents, y)), joint(data, parents)
                expected = one - two - 0.75 * math.log(rows) * (many - few) - 0.6 * math.log(4) * k
                assert found.local(y, parents) == pytest.approx(expected, abs=1e-7), (y, parents)


def test_columns_of_one_kind_give_bic_and_equivalent_graphs_score_alike() -> None:
    numbers = table({"x": X, "z": Z, "w": X - Z + RNG.normal(size=N)})
    names = ("w", "x", "z")
    ours, bic = score(numbers, names, "conditional_gaussian"), score(numbers, names, "gaussian_bic")
    for y, parents in (("w", ("x",)), ("w", ("x", "z")), ("z", ("x",))):
        gain, expected = (s.local(y, parents) - s.local(y) for s in (ours, bic))
        assert gain == pytest.approx(expected, abs=1e-8)
    levels = table({"g": G, "h": (H + G) % 3, "x": X}).select(("g", "h"))
    ours, bic = (score(levels, ("g", "h"), m) for m in ("conditional_gaussian", "discrete_bic"))
    assert ours.local("g", ("h",)) == pytest.approx(bic.local("g", ("h",)), abs=1e-9)
    mixed = score(table(DATA), tuple("ghxz"), "conditional_gaussian")
    chain, fork = {"g": ["x"], "z": ["x"], "h": ["z"]}, {"x": ["z"], "g": ["x"], "z": ["h"]}
    assert mixed.total(chain) == pytest.approx(mixed.total(fork), abs=1e-8)


def test_slopes_that_differ_between_levels_are_seen() -> None:
    rng = np.random.default_rng(2)
    g = rng.integers(0, 2, 500)
    x = rng.normal(size=500)
    z = np.where(g == 1, x, -x) + 0.5 * rng.normal(size=500)
    found = table({"g": g, "x": x, "z": z})
    edges = {method: {frozenset((a, b)) for a, _, b in whence.discover(found, "exact", score=method).graph.edges()}
             for method in ("conditional_gaussian", "degenerate_gaussian")}
    assert frozenset("xz") in edges["conditional_gaussian"] - edges["degenerate_gaussian"]


def test_numbers_that_determine_each_other_are_no_parents_together() -> None:
    found = score(table({"g": G, "h": H, "x": X, "z": 2 * X}), tuple("ghxz"), "conditional_gaussian")
    assert found.local("g", ("x", "z")) == -math.inf and math.isfinite(found.local("z", ("x",)))
    zeros = np.where(G == 1, np.round(X), 0.0)  # all alike within a level
    assert math.isfinite(score(table({"g": G, "x": zeros}), ("g", "x"), "conditional_gaussian").local("x", ("g",)))
