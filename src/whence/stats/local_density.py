"""Density on both sides of a point, from local polynomials of the distribution function.

Cattaneo, Jansson and Ma (2020), Simple local polynomial density estimators, JASA 115: the empirical distribution
function, which needs no bandwidth of its own, is regressed on powers of the distance; the slope is the density, as
good at a boundary as inside.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

SPARE = 20  # distinct values on each side beyond the coefficients that a bandwidth takes in at least
NODES = 24  # of the Gauss-Legendre rule; the integrands are polynomials, so it is exact


@dataclass(frozen=True)
class DensityJump:
    """Densities just left and right of zero and their difference over its error.

    left, right: densities, of polynomials of one order more than the bandwidths are made for, which takes out their
    bias. errors: of the two. error: of the difference. bandwidths: (left, right). rows: within them.
    """

    left: float
    right: float
    errors: tuple[float, float]
    error: float
    bandwidths: tuple[float, float]
    rows: tuple[int, int]

    @property
    def statistic(self) -> float:
        return (self.right - self.left) / self.error if self.error > 0 else 0.0

    @property
    def p_value(self) -> float:
        """Two-sided, by the normal distribution."""
        from scipy.special import ndtr

        return 2 * float(ndtr(-abs(self.statistic)))


@dataclass(frozen=True)
class Slopes:
    """values: derivatives left and right (2,). covariance: (2, 2)."""

    values: np.ndarray
    covariance: np.ndarray


def density_jump(
    x: np.ndarray, order: int = 2, restricted: bool = False, bandwidths: tuple[float, float] | None = None
) -> DensityJump | None:
    """The manipulation test of Cattaneo, Jansson and Ma (2020), section 4: does the density of ``x`` (n,) jump at zero?

    Bandwidths for polynomials of ``order``, polynomials of one order more, the triangular kernel, jackknife errors.
    restricted: the distribution function and its second and higher derivatives have no jump (their section 4.2): more
    power, but one more thing to believe; then both sides have one bandwidth. bandwidths: left and right, instead of the
    estimated ones. None where a side has, within them, too few distinct values to fit.
    """
    x = np.sort(x)
    if not _enough(x, np.inf, np.inf, SPARE + order + 1):
        return None
    left, right = bandwidths or density_bandwidths(x, order, restricted)
    if not _enough(x, left, right, order + 3):
        return None
    made = derivatives(x, (left, right), order + 1, 1, restricted)
    v = made.covariance
    error = math.sqrt(max(0.0, float(v[0, 0] + v[1, 1] - 2 * v[0, 1])))
    rows = (int(((x < 0) & (x >= -left)).sum()), int(((x >= 0) & (x <= right)).sum()))
    return DensityJump(float(made.values[0]), float(made.values[1]), (math.sqrt(v[0, 0]), math.sqrt(v[1, 1])), error,
                       (left, right), rows)


def _enough(x: np.ndarray, left: float, right: float, count: int) -> bool:
    """Whether each side has ``count`` distinct values within its bandwidth; x: (n,), ascending."""
    sides = x[(x < 0) & (x > -left)], x[(x >= 0) & (x < right)]
    return all(len(side) and 1 + int((side[1:] > side[:-1]).sum()) >= count for side in sides)


def derivatives(
    x: np.ndarray, bandwidths: tuple[float, float], order: int, which: int, restricted: bool = False
) -> Slopes:
    """Derivatives number ``which`` of the distribution function on both sides of zero; x: (n,), ascending.

    The distribution function of each row is that among the others, ties included. Their equation 3 with weights
    K(x / h) / h; errors by the jackknife of the second-order U-statistic that it is (section 3.2): what leaving out row
    i does to the sum over the rows j at or above it. Outside the bandwidths it does nothing to derivatives.
    """
    n, start = len(x), int(np.searchsorted(x, -bandwidths[0], "right"))
    x = x[start : int(np.searchsorted(x, bandwidths[1], "left"))]
    first, last = np.searchsorted(x, x, "left"), np.searchsorted(x, x, "right") - 1 + start
    h = np.where(x < 0, *bandwidths)
    weights = (1 - np.abs(x / h)) / h
    design, places = _basis(x, order, which, restricted)
    scale = np.abs(design).max(axis=0)
    design = design / scale
    weighted = design * weights[:, None]
    bread = np.linalg.pinv(weighted.T @ design / n, rcond=1e-14, hermitian=True)[places] / scale[places, None]
    above = np.cumsum(weighted[::-1], axis=0)[::-1]
    influence = (above[first] - weighted) @ bread.T / (n - 1)
    factor = math.factorial(which)
    values = bread @ (weighted.T @ (last / (n - 1))) / n
    return Slopes(factor * values, factor**2 * influence.T @ influence / n**2)


def _basis(x: np.ndarray, order: int, which: int, restricted: bool) -> tuple[np.ndarray, list[int]]:
    """Powers of x by side, or with a common value and common powers from the second on; and where the coefficients
    behind derivative ``which`` stand, left and right."""
    left, powers = x < 0, np.column_stack([x**k for k in range(order + 1)])
    if not restricted:
        return np.column_stack([powers * left[:, None], powers * ~left[:, None]]), [which, order + 1 + which]
    kinked = np.column_stack([powers[:, 0], x * left, x * ~left, powers[:, 2:]])
    return kinked, [1, 2] if which == 1 else [which + 1, which + 1]


def density_bandwidths(x: np.ndarray, order: int, restricted: bool = False) -> tuple[float, float]:
    """Bandwidths (left, right) that make the mean squared error of densities small; x: (n,), ascending.

    For each side, their difference and their sum, n h^(2p+1) = V / (2 p B^2) with the variance V / (n h) and the bias
    B h^p of polynomials of order p (Cattaneo, Jansson and Ma 2020, section 4.3); V by the jackknife at a first
    bandwidth, B from derivative p + 1 of the distribution function, by polynomials of order p + 2 at another, both from
    a normal distribution with the mean and spread of ``x`` and a uniform kernel. Then for each side the one in the
    middle of its own, the difference's and the sum's; restricted: the smaller of the last two. No bandwidth takes in
    fewer than p + 21 distinct values of a side, nor reaches beyond the data.
    """
    n, p = len(x), order
    least = _least(x, SPARE + p + 1)
    far = float(np.abs(x).max())
    first = min(max(_reference(x, p, 1), least), far)
    second = min(max(_reference(x, p + 2, p + 1), _least(x, SPARE + p + 3)), far)
    v = n * first * derivatives(x, (first, first), p, 1, restricted).covariance
    bent = derivatives(x, (second, second), p + 2, p + 1, restricted).values / math.factorial(p + 1)
    bias = bent * _bias(p, restricted)
    variances = (v[0, 0], v[1, 1], v[0, 0] + v[1, 1] - 2 * v[0, 1], v[0, 0] + v[1, 1] + 2 * v[0, 1])
    squares = (bias[0] ** 2, bias[1] ** 2, (bias[1] - bias[0]) ** 2, (bias[1] + bias[0]) ** 2)
    left, right, apart, together = (
        min((float(a) / (2 * p * float(b) * n)) ** (1 / (2 * p + 1)) if b > 0 else far, far)
        for a, b in zip(variances, squares, strict=True))
    if restricted:
        left = right = min(apart, together)
    else:
        left, right = (sorted((side, apart, together))[1] for side in (left, right))
    return max(left, least), max(right, least)


def _least(x: np.ndarray, count: int) -> float:
    """The bandwidth that takes in ``count`` distinct values, or all there are, on both sides."""
    sides = (np.unique(-x[x < 0]), np.unique(x[x >= 0]))
    return max(float(side[min(count, len(side)) - 1]) for side in sides)


def _reference(x: np.ndarray, order: int, which: int) -> float:
    """The bandwidth at which derivative ``which`` of the distribution function at an end of a normal distribution has
    the least mean squared error by polynomials of ``order`` and the uniform kernel."""
    from numpy.polynomial.hermite_e import hermeval

    spread = float(np.std(x, ddof=1))
    z = -float(x.mean()) / spread
    height = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    bent = float(hermeval(z, [0.0] * order + [1.0])) ** 2 * height
    variance, bias = _constants(order, False)
    ratio = variance[which] / (bias[which] / math.factorial(order + 1)) ** 2
    power = order + 1 - which
    if bent <= 0:
        return float(np.abs(x).max())
    return spread * ((2 * which - 1) / (2 * power) * ratio / (bent * len(x))) ** (1 / (2 * order + 1))


@functools.cache
def _constants(order: int, triangular: bool) -> tuple[np.ndarray, np.ndarray]:
    """Diagonal of S^-1 G S^-1 and S^-1 c (order + 1,) of one side: S = int r r' K, c = int r u^(order + 1) K and
    G = int int min(u, v) r(u) r(v)' K(u) K(v) on [0, 1], r the powers up to ``order``."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    u, w = (nodes + 1) / 2, weights / 2

    def inside(at: np.ndarray) -> np.ndarray:
        return 1 - at if triangular else np.ones_like(at)

    r = np.vander(u, order + 2, increasing=True)
    weighted = r[:, :-1] * (inside(u) * w)[:, None]
    # min(u, v) is the length of the t below both, so G is the integral of products of what lies above t.
    beyond = u[:, None] + (1 - u[:, None]) * u
    tails = np.einsum("tuk,tu->tk", np.vander(beyond.ravel(), order + 1, increasing=True).reshape(NODES, NODES, -1),
                      inside(beyond) * w * (1 - u[:, None]))
    s = np.linalg.inv(weighted.T @ r[:, :-1])
    return np.diagonal(s @ ((tails * w[:, None]).T @ tails) @ s), s @ (weighted.T @ r[:, -1])


@functools.cache
def _bias(order: int, restricted: bool) -> np.ndarray:
    """What the first neglected power adds to the slopes left and right (2,), with the triangular kernel."""
    if not restricted:
        one = _constants(order, True)[1][1]
        return np.array([one, one])
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    u = np.concatenate([-(nodes + 1)[::-1], nodes + 1]) / 2
    design, places = _basis(u, order, 1, True)
    weighted = design * (np.concatenate([weights[::-1], weights]) / 2 * (1 - np.abs(u)))[:, None]
    return np.linalg.solve(weighted.T @ design, weighted.T @ u ** (order + 1))[places]
