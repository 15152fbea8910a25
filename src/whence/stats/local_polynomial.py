"""Local polynomials at a boundary: every estimate is a weighted sum of the outcomes.

Calonico, Cattaneo and Titiunik (2014), Robust nonparametric confidence intervals for regression-discontinuity designs,
Econometrica 82. Functions on the rows of one side of a point, with ``x`` the distance from it.
"""

from __future__ import annotations

from math import factorial

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


def coefficient_weights(x: np.ndarray, w: np.ndarray, order: int, coefficient: int) -> np.ndarray:
    """What each outcome (n,) adds to a coefficient of the weighted fit of ``order``; nan when the fit has no answer.

    w: weights (n,), not negative. The coefficient of x**j is ``weights @ outcome``.
    """
    scale = float(np.abs(x[w > 0]).max(initial=0.0)) or 1.0
    powers = np.vander(x / scale, order + 1, increasing=True)
    root = np.sqrt(w)
    if np.count_nonzero(w) <= order or len(np.unique(x[w > 0])) <= order:
        return np.full(len(x), np.nan)
    q, r = np.linalg.qr(powers * root[:, None])
    row = np.zeros(order + 1)
    row[coefficient] = 1.0
    return q @ np.linalg.solve(r.T, row) * root / scale**coefficient


def boundary_weights(
    x: np.ndarray, w: np.ndarray, wide: np.ndarray, order: int, derivative: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """What each outcome (n,) adds to the boundary value (or derivative), plain and corrected for bias.

    w: kernel weights (n,) of the fit of ``order``; wide: of the fit one order higher that estimates the bias, the
    term in x**(order + 1) that the first fit leaves out (Calonico et al. 2014, eq. 3 and theorem 1).
    """
    plain = coefficient_weights(x, w, order, derivative)
    curve = coefficient_weights(x, wide, order + 1, order + 1)
    return factorial(derivative) * plain, factorial(derivative) * (plain - float(plain @ x ** (order + 1)) * curve)


def neighbour_residuals(x: np.ndarray, values: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Outcomes less the mean of their nearest neighbours in ``x``, scaled to the outcomes' own spread.

    x: (n,), ascending. values: (n,). Rows at the same distance are taken together, so each row has at least
    ``neighbours`` (all others, where there are fewer). With J neighbours the factor is sqrt(J / (J + 1)) (Abadie and
    Imbens 2006; Calonico et al. 2014, section 2.4).
    """
    n = len(x)
    points, first, counts = np.unique(x, return_index=True, return_counts=True)
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
