"""PC-stable against a search written another way: its own loops, tests by regression, orientation by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from whence.core.progress import SILENT
from whence.discovery.discovery import discover
from whence.discovery.independence import GaussianTests
from whence.discovery.skeleton import skeleton
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian
from whence.simulate.networks import random_network


def _regression_p(values: np.ndarray, x: int, y: int, given: tuple[int, ...]) -> float:
    """Fisher's z of the residuals of two regressions."""
    n = len(values)
    design = np.column_stack([np.ones(n), values[:, given]])
    left = values[:, [x, y]] - design @ np.linalg.lstsq(design, values[:, [x, y]], rcond=None)[0]
    r = (left[:, 0] @ left[:, 1]) / math.sqrt((left[:, 0] ** 2).sum() * (left[:, 1] ** 2).sum())
    return 2 * stats.norm.sf(abs(math.atanh(r)) * math.sqrt(n - len(given) - 3))


def _chi_square_p(codes: np.ndarray, x: int, y: int, given: tuple[int, ...]) -> float:
    value, df = 0.0, 0
    for stratum in np.unique(codes[:, given], axis=0):
        inside = codes[(codes[:, given] == stratum).all(axis=1)]
        table = np.array([[np.sum((inside[:, x] == a) & (inside[:, y] == b)) for b in np.unique(inside[:, y])]
                          for a in np.unique(inside[:, x])])
        if min(table.shape) > 1 and table.sum(axis=0).max() > 1 and table.sum(axis=1).max() > 1:
            part = stats.contingency.chi2_contingency(table, correction=False)
            value += part.statistic * (table.sum() - 1) / table.sum()
            df += part.dof
    return stats.chi2.sf(value, df) if df else 0.0


def _stable_skeleton(d: int, p_value, alpha: float) -> set[frozenset[int]]:
    edges = {frozenset(e) for e in itertools.combinations(range(d), 2)}
    for size in range(d - 1):
        around = {i: {j for j in range(d) if frozenset((i, j)) in edges} for i in range(d)}
        for x, y in itertools.permutations(range(d), 2):
            if frozenset((x, y)) in edges:
                sets = itertools.combinations(sorted(around[x] - {y}), size)
                if any(p_value(x, y, s) > alpha for s in sets):
                    edges.remove(frozenset((x, y)))
    return edges


def _found(graph) -> set[frozenset[int]]:
    return {frozenset((int(a[1:]), int(b[1:]))) for a, _, b in graph.edges()}


@pytest.mark.parametrize("seed", range(6))
def test_gaussian_skeleton(seed: int) -> None:
    table = linear_gaussian(random_dag(9, 3, seed), seed).sample(300, seed)
    values = table.matrix(sorted(table.names))
    expected = _stable_skeleton(9, lambda *t: _regression_p(values, *t), 0.05)
    assert _found(discover(table, alpha=0.05).graph) == expected


@pytest.mark.parametrize("seed", range(2))
def test_discrete_skeleton(seed: int) -> None:
    table = random_network(random_dag(6, 2, seed), seed).sample(800, seed)
    codes = np.column_stack([table.codes(n) for n in sorted(table.names)])
    expected = _stable_skeleton(6, lambda *t: _chi_square_p(codes, *t), 0.01)
    assert _found(discover(table, alpha=0.01).graph) == expected


@pytest.mark.parametrize("seed", range(4))
def test_max_p_evidence(seed: int) -> None:
    """The p-values behind each collider verdict, by brute force over the neighbours' subsets."""
    table = linear_gaussian(random_dag(7, 3, seed), seed).sample(400, seed)
    values = table.matrix(sorted(table.names))
    found = discover(table)
    around = {i: {j for j in range(7) if frozenset((i, j)) in _found(found.graph)} for i in range(7)}
    open_ended = ~np.eye(7, dtype=bool)
    tests = GaussianTests(np.corrcoef(values, rowvar=False), 400)
    names = tuple(sorted(table.names))
    depth = skeleton(tests, names, open_ended, ~open_ended & False, 0.01, None, SILENT).depth
    for triple in found.triples:
        a, b, c = (int(name[1:]) for name in (triple.a, triple.b, triple.c))
        sets = {s for k in range(depth + 1) for end, other in ((a, c), (c, a))
                for s in itertools.combinations(sorted(around[end] - {other}), k)}
        best = {True: 0.0, False: 0.0}
        for s in sets:
            best[b in s] = max(best[b in s], _regression_p(values, a, c, s))
        assert triple.p_with == pytest.approx(best[True], rel=1e-6, abs=1e-12)
        assert triple.p_without == pytest.approx(best[False], rel=1e-6, abs=1e-12)
        if triple.status != "overruled":
            assert triple.collider == (best[False] > best[True])
