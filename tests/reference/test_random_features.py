"""RCoT and RCIT written a second time: features and moments by loops, the tail by Imhof's integral."""

from __future__ import annotations

import itertools
import math
import statistics
from types import MappingProxyType

import numpy as np
import pytest
from scipy import integrate

from whence.core.rng import generator
from whence.data.table import Column, Table
from whence.stats.citest.random_features import moments
from whence.stats.citest.rcit import rcit_test
from whence.stats.citest.rcot import rcot_test

FEATURES, GIVEN, SEED = 4, 30, 7


def imhof(value: float, weights: np.ndarray) -> float:
    """P(sum of w chi-square(1) > value), three weights or more, by Imhof's (1961) inversion of the characteristic
    function: Simpson's rule on a grid so wide that what lies beyond is below 1e-4."""
    largest = weights.max()
    weights, value = weights / largest, value / largest
    u = np.linspace(1e-9, 200.0, 200_001)
    angle, size = -0.5 * value * u, np.ones_like(u)
    for w in weights:
        angle += 0.5 * np.arctan(w * u)
        size *= (1 + w * w * u * u) ** 0.25
    return 0.5 + float(integrate.simpson(np.sin(angle) / (u * size), x=u)) / math.pi


def test_imhof_of_equal_weights_is_a_chi_square() -> None:
    assert imhof(7.815, np.ones(3)) == pytest.approx(0.05, abs=1e-4)
    assert imhof(2 * 9.488, np.full(4, 2.0)) == pytest.approx(0.05, abs=1e-4)


def standard(values: np.ndarray) -> list[float]:
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    return [(v - mean) / spread for v in values]


def waves(columns: list[list[float]], number: int, *stream: str) -> np.ndarray:
    """sqrt(2) cos(w . row / median distance + b), row by row, of standardised columns."""
    rows = list(zip(*columns, strict=True))
    chosen = rows[:: max(1, math.ceil(len(rows) / 250))]
    middle = statistics.median(math.dist(a, b) for a, b in itertools.combinations(chosen, 2))
    rng = generator(SEED, "random features", *stream)
    weights = rng.standard_normal((len(columns), number))
    shifts = rng.uniform(0, 2 * math.pi, number)
    return np.array([[math.sqrt(2) * math.cos(sum(row[c] * weights[c, k] for c in range(len(row))) / middle + shifts[k])
                      for k in range(number)] for row in rows])


def by_hand(values: dict[str, np.ndarray], given: list[str], joined: bool) -> float:
    """Tail of the sum over features of squared sums of products of residuals, by pseudo-inverse and Imhof."""
    n = len(values["x"])
    columns = {name: standard(v) for name, v in values.items()}
    sides = []
    for name in ("x", "y"):
        with_others = joined and bool(given)
        own = [columns[name], *(columns[g] for g in given if with_others)]
        sides.append(waves(own, FEATURES, *((name, "with", *given) if with_others else (name,))))
    design = np.ones((n, 1))
    if given:
        z = waves([columns[g] for g in given], GIVEN, "given", *given)
        design = np.column_stack([design, z])
    hat = design @ np.linalg.pinv(design, rcond=1e-8)
    e, f = (side - hat @ side for side in sides)
    total, cross = np.zeros((FEATURES, FEATURES)), np.zeros((FEATURES**2, FEATURES**2))
    for i in range(n):
        product = np.outer(e[i], f[i])
        total += product
        cross += np.outer(product.ravel(), product.ravel())
    free = n - np.linalg.matrix_rank(hat, tol=1e-6)
    scale = free / sum((1 - hat[i, i]) ** 2 for i in range(n))
    return imhof(float((total**2).sum()), np.maximum(np.linalg.eigvalsh(cross), 0.0) * scale)


def drawn(seed: int, strength: float, n: int = 600) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    v, w, e = rng.standard_normal((3, n))
    return {"v": v, "w": w, "x": np.tanh(v + w) + 0.5 * e,
            "y": np.cos(v) * w + 0.5 * rng.standard_normal(n) + strength * (e**2 - 1)}


@pytest.mark.parametrize("given", [[], ["v"], ["v", "w"]])
@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("strength", [0.0, 0.12])
def test_p_values_by_hand(given: list[str], joined: bool, strength: float) -> None:
    """The reference takes all products for the weights, the test only those of different rows, and three moments of
    the law: near p-values where it matters, rougher ones above a half."""
    values = drawn(len(given), strength)
    t = Table(MappingProxyType({name: Column(name, "continuous", v) for name, v in values.items()}), 600)
    ask = rcit_test if joined else rcot_test
    found = ask(t, "y", "x", tuple(reversed(given)), features=FEATURES, features_given=GIVEN, seed=SEED)
    assert found.p_value is not None
    expected = by_hand(values, given, joined)
    assert found.p_value == pytest.approx(expected, abs=0.02 if expected < 0.5 else 0.06)


def test_moments_by_loops_over_different_rows() -> None:
    rng = np.random.default_rng(2)
    n = 9
    products = rng.standard_normal((n, 3))
    basis = np.linalg.qr(np.column_stack([np.ones(n), rng.standard_normal((n, 2))]))[0]
    m = [[float(products[i] @ products[j]) for j in range(n)] for i in range(n)]
    project = np.eye(n) - basis @ basis.T
    lost = (project**2).sum() / (np.diagonal(project) ** 2).sum()
    expected = [sum(m[i][i] for i in range(n)),
                sum(m[i][j] ** 2 for i, j in itertools.permutations(range(n), 2)),
                sum(m[i][j] * m[j][k] * m[k][i] for i, j, k in itertools.permutations(range(n), 3))]
    assert moments(products, basis) == pytest.approx([v * lost ** (p + 1) for p, v in enumerate(expected)])


def test_the_moments_have_the_mean_of_the_true_ones() -> None:
    """Normal residuals outside a basis with uneven leverage: |sum e f|^2 has mean n - k = 12."""
    rng = np.random.default_rng(3)
    n = 20
    uneven = rng.standard_normal((n, 7)) * np.geomspace(0.1, 3, n)[:, None]
    basis = np.linalg.qr(np.column_stack([np.ones(n), uneven]))[0]
    project = np.eye(n) - basis @ basis.T
    seen, told = [], []
    for _ in range(3000):
        e, f = (project @ rng.standard_normal(n) for _ in range(2))
        seen.append((e @ f) ** 2)
        told.append(moments((e * f)[:, None], basis)[0])
    error = 4 * np.std(np.array(seen) - told) / math.sqrt(3000)
    assert np.mean(told) == pytest.approx(12, abs=0.6)
    assert np.mean(seen) == pytest.approx(np.mean(told), abs=error)
