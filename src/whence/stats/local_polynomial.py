"""Local polynomials at a boundary: every estimate is a weighted sum of the outcomes.

Calonico, Cattaneo and Titiunik (2014), Robust nonparametric confidence intervals for regression-discontinuity designs,
Econometrica 82. Functions on the rows of one side of a point, with ``x`` the distance from it.
"""

from __future__ import annotations

from math import comb, factorial

import numpy as np

KERNELS = ("triangular", "epanechnikov", "uniform")
NEIGHBOURS = 3  # of a row, that say how much outcomes vary around it


def kernel_weights(x: np.ndarray, bandwidth: float, kernel: str) -> np.ndarray:
    """Weights (n,) of rows at distance ``x`` (n,): zero from the bandwidth on."""
    u = np.abs(x) / bandwidth
    inside = u <= 1
    if kernel == "uniform":
        return np.where(inside, 0.5, 0.0) / bandwidth
    return np.where(inside, 1 - u if kernel == "triangular" else 0.75 * (1 - u * u), 0.0) / bandwidth


def within(x: np.ndarray, bandwidth: float) -> slice:
    """The rows at most ``bandwidth`` away; x: (n,), ascending."""
    return slice(int(np.searchsorted(x, -bandwidth, "left")), int(np.searchsorted(x, bandwidth, "right")))


def power(x: np.ndarray, exponent: int) -> np.ndarray:
    """x (n,) to a whole power, by products: much faster than ``**`` and as exact."""
    out = np.ones_like(x)
    for _ in range(exponent):
        out = out * x
    return out


def coefficient_weights(x: np.ndarray, w: np.ndarray, order: int, coefficient: int) -> np.ndarray:
    """What each outcome (n,) adds to a coefficient of the weighted fit of ``order``; nan when the fit has no answer.

    x: (n,), all on one side of zero. w: weights (n,), not negative. The coefficient of x**j is ``weights @ outcome``.
    The normal equations are those of Legendre polynomials from zero to the farthest row, which are well conditioned.
    """
    some = np.flatnonzero(w)
    if len(some) <= order or _values(x[some], order + 1) <= order:
        return np.full(len(x), np.nan)
    part = slice(int(some[0]), int(some[-1]) + 1)
    inside = w[part]
    sign = -1.0 if x[some[0]] < 0 or x[some[-1]] < 0 else 1.0
    scale = float(np.abs(x[some]).max()) or 1.0
    basis = _legendre(sign * x[part] / scale, order)
    gram = basis.T @ (basis * inside[:, None])
    # The coefficient of u**c in the k-th polynomial.
    row = [(-1.0) ** (k + coefficient) * comb(k, coefficient) * comb(k + coefficient, coefficient)
           for k in range(order + 1)]
    out = np.zeros(len(x))
    out[part] = basis @ np.linalg.solve(gram, row) * inside * (sign / scale) ** coefficient
    return out


def _legendre(u: np.ndarray, order: int) -> np.ndarray:
    """The polynomials of Legendre on [0, 1] up to ``order``, (n, order + 1)."""
    out = np.empty((len(u), order + 1))
    v = 2 * u - 1
    out[:, 0] = 1.0
    if order:
        out[:, 1] = v
    for k in range(1, order):
        out[:, k + 1] = ((2 * k + 1) * v * out[:, k] - k * out[:, k - 1]) / (k + 1)
    return out


def _values(x: np.ndarray, enough: int) -> int:
    """How many different values there are; where a few rows have ``enough``, no more are looked at."""
    few = len(np.unique(x[:: max(1, len(x) // 64)]))
    return few if few >= enough else len(np.unique(x))


def boundary_weights(
    x: np.ndarray, w: np.ndarray, wide: np.ndarray, order: int, derivative: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What each outcome (n,) adds to the boundary value (or derivative), plain and corrected for bias.

    w: kernel weights (n,) of the fit of ``order``; wide: of the fit one order higher that estimates the bias, the
    term in x**(order + 1) that the first fit leaves out (Calonico et al. 2014, eq. 3 and theorem 1).
    """
    plain = coefficient_weights(x, w, order, derivative)
    curve = coefficient_weights(x, wide, order + 1, order + 1)
    left_out = float(plain @ power(x, order + 1))
    return factorial(derivative) * plain, factorial(derivative) * (plain - left_out * curve)


def neighbour_residuals(x: np.ndarray, values: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Outcomes less the mean of their nearest neighbours in ``x``, scaled to the outcomes' own spread.

    x: (n,), ascending. values: (n,). Rows at the same distance are taken together, so each row has at least
    ``neighbours`` (all others, where there are fewer). With J neighbours the factor is sqrt(J / (J + 1)) (Abadie and
    Imbens 2006; Calonico et al. 2014, section 2.4).
    """
    n = len(x)
    first = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1]])) if n else np.zeros(0, dtype=np.int64)
    points, counts = x[first], np.diff(np.append(first, n))
    total = np.concatenate([[0.0], np.cumsum(np.add.reduceat(values, first))]) if n else np.zeros(1)
    members = np.concatenate([[0], np.cumsum(counts)])
    padded = np.concatenate([[-np.inf], points, [np.inf]])
    low = high = np.arange(len(points))  # the groups from low to high are the neighbourhood
    wanted = min(neighbours, n - 1)
    for _ in range(neighbours):
        short = members[high + 1] - members[low] - 1 < wanted
        left, right = points - padded[low], padded[high + 2] - points
        even = 1 + 1e-9  # equal distances stay equal through rounding
        low, high = low - (short & (left <= even * right)), high + (short & (right <= even * left))
    group = np.repeat(np.arange(len(points)), counts)
    others = (members[high + 1] - members[low] - 1)[group]
    rest = (total[high + 1] - total[low])[group] - values
    near = np.maximum(others, 1)
    return np.where(others > 0, np.sqrt(near / (near + 1)) * (values - rest / near), 0.0)
