"""Kernel tests of (conditional) independence from low-rank factors: what KCI's cards share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whence.stats.citest.kernel import blocks

NULLS = ("gamma", "spectral", "resampling")
_LOST_ROWS = 128
RIDGES = np.geomspace(1e-6, 1.0, 25)  # times the number of rows


@dataclass(frozen=True)
class KernelTest:
    """statistic, p-value (None when nothing varies), and the shape of the gamma law, None for another null."""

    statistic: float
    p_value: float | None
    shape: float | None = None


@dataclass(frozen=True)
class Basis:
    """The directions in which functions of the conditioning variables vary: vectors (n, r), orthonormal and
    without mean, and the share (r,) of the kernel's variance that each carries, their squared singular values."""

    vectors: np.ndarray
    power: np.ndarray


def basis_of(factor: np.ndarray) -> Basis:
    """From a factor (n, r) of the kernel matrix of the conditioning variables."""
    u, s, _ = np.linalg.svd(factor - factor.mean(axis=0), full_matrices=False)
    keep = s > 1e-7 * max(float(s[:1].sum()), 1e-300)
    return Basis(u[:, keep], s[keep] ** 2)


def regressed(target: np.ndarray, basis: Basis) -> tuple[np.ndarray, np.ndarray]:
    """What kernel ridge regression leaves of a centred factor (n, p), and the share (r,) it leaves per direction.

    The ridge is the one of 25 between 1e-6 n and n with the least generalised cross-validation error (Craven and
    Wahba 1979) over all columns together.
    """
    n = len(target)
    seen = basis.vectors.T @ target
    energy = (seen**2).sum(axis=1)
    outside = max(float((target**2).sum() - energy.sum()), 0.0)
    left = RIDGES[:, None] * n / (basis.power + RIDGES[:, None] * n)
    used = 1 + (1 - left).sum(axis=1)
    error = (left**2 @ energy + outside) / np.maximum(n - used, 1.0) ** 2
    best = left[int(error.argmin())]
    return target - basis.vectors @ ((1 - best)[:, None] * seen), best


def unconditional(
    fx: np.ndarray, fy: np.ndarray, null: str, draws: int, rng: Callable[[], np.random.Generator]
) -> KernelTest:
    """The Hilbert-Schmidt independence criterion of centred factors (n, p) and (n, q), times n.

    ``"gamma"``: mean and variance are those over all permutations of the rows, exactly (Kazi-Aoual et al. 1995).
    """
    from scipy.special import gammaincc

    n = len(fx)
    value = float(((fx.T @ fy) ** 2).sum())
    mean, variance = permutation_moments(fx, fy)
    if not (mean > 0 and variance > 0):
        return KernelTest(0.0, None)
    if null == "gamma":
        shape = mean * mean / variance
        return KernelTest(value / n, float(gammaincc(shape, value * mean / variance)), shape)
    if null == "spectral":
        weights = np.outer(_spectrum(fx), _spectrum(fy)).ravel() / (n - 1)
        return KernelTest(value / n, _weighted_tail(value, weights, draws, rng()))
    generator = rng()
    above = sum(((fx.T @ fy[generator.permutation(n)]) ** 2).sum() >= value * (1 - 1e-12) for _ in range(draws))
    return KernelTest(value / n, float((1 + above) / (1 + draws)))


def permutation_moments(fx: np.ndarray, fy: np.ndarray) -> tuple[float, float]:
    """Mean and variance of |fx' P fy|^2 over all permutations P of the rows, for centred factors of n > 3 rows."""
    n = len(fx)
    if n < 4:
        return 0.0, 0.0
    t, t2, s2 = _traces(fx)
    u, u2, v2 = _traces(fy)
    even = 2 * ((n - 1) * t2 - t * t) * ((n - 1) * u2 - u * u) / ((n - 1.0) ** 2 * (n + 1) * (n - 2))
    odd = (n * (n + 1) * s2 - (n - 1) * (t * t + 2 * t2)) * (n * (n + 1) * v2 - (n - 1) * (u * u + 2 * u2))
    return t * u / (n - 1), even + odd / ((n + 1.0) * n * (n - 1) * (n - 2) * (n - 3))


def _traces(f: np.ndarray) -> tuple[float, float, float]:
    """Of K = f f': its trace, the trace of its square, and the sum of its squared diagonal."""
    own = (f**2).sum(axis=1)
    return float(own.sum()), float(((f.T @ f) ** 2).sum()), float((own**2).sum())


def _spectrum(f: np.ndarray) -> np.ndarray:
    return np.linalg.svd(f, compute_uv=False) ** 2


def _weighted_tail(value: float, weights: np.ndarray, draws: int, rng: np.random.Generator) -> float:
    """Share of draws of sum w_i chi^2_1 that reach ``value``; weights below 1e-5 of the sum enter by their mean."""
    weights = np.sort(weights)[::-1]
    large = weights[weights > 1e-5 * weights.sum()][:500]
    rest = float(weights.sum() - large.sum())
    drawn = rng.chisquare(1.0, (draws, len(large))) @ large + rest
    return float((1 + (drawn >= value).sum()) / (1 + draws))


def conditional(
    ex: np.ndarray, ey: np.ndarray, fz: np.ndarray, basis: Basis, left: tuple[np.ndarray, np.ndarray], null: str,
    draws: int, rng: Callable[[], np.random.Generator],
) -> KernelTest:
    """The test on residual factors ex (n, p), ey (n, q) and a factor fz (n, r) of the conditioning variables.

    T = sum over i, j of M_ij, M = (ex ex') o (ey ey') o (fz fz'), entry by entry: the squared norm of the mean of
    ex_i x ey_i x fz_i, zero under independence. Under independence T is a weighted sum of chi-squares with the
    eigenvalues of M as weights. Its mean and variance, tr M and 2 sum M_ij^2, are multiplied by what regression
    took from the noise: with the smoothers S = I - R of both targets, noise of even spread makes the mean of T
    sum (R R')_ij (Q Q')_ij (fz fz')_ij in place of sum (R R')_ii (Q Q')_ii (fz fz')_ii. ``"resampling"`` changes
    the signs of rows at random (the wild bootstrap).
    """
    from scipy.special import gammaincc

    n = len(ex)
    own = (ex**2).sum(axis=1) * (ey**2).sum(axis=1) * (fz**2).sum(axis=1)
    trace = float(own.sum())
    if not trace > 0:
        return KernelTest(0.0, None)
    total, squares = 0.0, 0.0
    for rows in blocks(n, 256):  # the upper triangle: what lies right of the block counts twice
        m = _products(ex, ey, fz, rows, slice(rows.start, n))
        own_block = m[:, : rows.stop - rows.start]
        total += 2 * m.sum() - own_block.sum()
        squares += 2 * np.vdot(m, m) - np.vdot(own_block, own_block)
    lost = _lost(fz, basis, left)
    mean, variance = trace * lost, 2 * (squares - (own**2).sum()) * lost**2
    if not variance > 0:
        return KernelTest(0.0, None)
    if null == "gamma":
        shape = mean * mean / variance
        return KernelTest(float(total) / n, float(gammaincc(shape, max(total, 0.0) * mean / variance)), shape)
    m = _products(ex, ey, fz, slice(0, n), slice(0, n))
    if null == "spectral":
        weights = np.maximum(np.linalg.eigvalsh(m), 0.0) * lost
        return KernelTest(float(total) / n, _weighted_tail(float(total), weights, draws, rng()))
    signs = rng().choice([-1.0, 1.0], (draws, n))
    drawn = ((signs @ m) * signs).sum(axis=1) * lost
    return KernelTest(float(total) / n, float((1 + (drawn >= total).sum()) / (1 + draws)))


def _products(ex: np.ndarray, ey: np.ndarray, fz: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """The part of M on these rows and columns."""
    m = ex[rows] @ ex[columns].T
    m *= ey[rows] @ ey[columns].T
    m *= fz[rows] @ fz[columns].T
    return m


def _lost(fz: np.ndarray, basis: Basis, left: tuple[np.ndarray, np.ndarray]) -> float:
    """What the mean of T is multiplied by, from at most 128 rows spread evenly."""
    n = len(fz)
    chosen = np.arange(0, n, -(-n // _LOST_ROWS))
    own = np.arange(len(chosen)), chosen
    product = fz[chosen] @ fz.T
    for share in left:
        smoother = (basis.vectors[chosen] * (share**2 - 1)) @ basis.vectors.T
        smoother -= 1 / n
        smoother[own] += 1.0
        product *= smoother
    return max(float(product.sum() / product[own].sum()), 1e-3)
