"""Bias-reduced cluster-robust errors of least squares: CR2 and CR3, with degrees of freedom to match."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whence.stats.regress import LinearFit

SINGULAR = 1e-10  # of I - H within a cluster: a direction in which the cluster alone decides the fit


@dataclass(frozen=True)
class BiasReduced:
    """values: (n, m), influence values whose sums by cluster give the covariance. df: (m,), of the t distribution.
    decided: clusters that alone decide some coefficient, whose rows say nothing there about the errors."""

    values: np.ndarray
    df: np.ndarray
    decided: int


def orthonormal(fit: LinearFit) -> np.ndarray:
    """Q (n, rank): an orthonormal basis of the design's columns, rows times the root of their weights."""
    bread = fit.bread[np.ix_(fit.kept, fit.kept)]
    return (np.sqrt(fit.weights)[:, None] * fit.design[:, fit.kept]) @ np.linalg.cholesky(bread)


def bias_reduced(
    q: np.ndarray, direction: np.ndarray, residuals: np.ndarray, clusters: np.ndarray, kind: str
) -> BiasReduced:
    """CR2 or CR3 of least-squares estimates ``direction' y``.

    q: (n, k), orthonormal basis of the design. direction: (n, m), in its span. residuals: (n,). All rows times the root
    of their weights, which are read as inverse variances. clusters: int (n,).
    With H = QQ' and A_g a power of I - H_gg, the variance is the sum over clusters of (a_g' A_g e_g)^2: the power -1/2
    is CR2 (Bell and McCaffrey 2002), unbiased when the rows are independent with equal variances; -1 with the factor
    (G - 1) / G is CR3, the jackknife. Degrees of freedom by Satterthwaite's rule under the same working model
    (Pustejovsky and Tipton 2018, equation 15); generalised inverses where I - H_gg is singular (ibid., theorem 1).
    """
    _, code = np.unique(clusters, return_inverse=True)
    groups, (n, m) = int(code.max()) + 1, direction.shape
    order = np.argsort(code, kind="stable")
    ends = np.searchsorted(code[order], np.arange(1, groups))
    scale = 1.0 if kind == "CR2" else np.sqrt((groups - 1) / groups)
    power = (lambda mu: mu**-0.5) if kind == "CR2" else (lambda mu: 1 / mu)
    values, own = np.zeros((n, m)), np.zeros((groups, m))
    between = np.zeros((groups, q.shape[1], m))
    decided = 0
    for g, rows in enumerate(np.split(order, ends)):
        adjust, singular = adjustment(q[rows], power)
        decided += singular
        pulled = adjust(direction[rows])
        values[rows] = direction[rows] * adjust(residuals[rows, None])
        own[g], between[g] = (pulled**2).sum(axis=0), q[rows].T @ pulled
    return BiasReduced(n * scale * values, _satterthwaite(own, between), decided)


def adjustment(q: np.ndarray, power: Callable[[np.ndarray], np.ndarray]) -> tuple[Callable[..., np.ndarray], bool]:
    """v -> A v for one cluster with rows ``q`` (n_g, k), by the smaller of its two Gram matrices."""
    rows, k = q.shape
    inner = q.T @ q if k < rows else q @ q.T
    shared, vectors = np.linalg.eigh(inner)
    mu = 1 - np.clip(shared, 0.0, 1.0)
    singular = mu < SINGULAR
    gain = np.where(singular, 0.0, power(np.where(singular, 1.0, mu)))
    if k >= rows:
        return lambda v: vectors @ (gain[:, None] * (vectors.T @ v)), bool(singular.any())
    seen = shared > 1e-12  # directions that the cluster does not see stay as they are
    basis = q @ (vectors[:, seen] / np.sqrt(shared[seen]))
    return lambda v: v + basis @ ((gain[seen] - 1)[:, None] * (basis.T @ v)), bool(singular.any())


def _satterthwaite(own: np.ndarray, between: np.ndarray) -> np.ndarray:
    """tr(P)^2 / tr(P P) for P = diag(own) - B B', B the (G, k) of ``between``, for each of the m estimates."""
    lengths = np.einsum("gkm,gkm->gm", between, between)
    gram = np.einsum("gkm,glm->klm", between, between)
    trace = (own - lengths).sum(axis=0)
    spread = (own**2 - 2 * own * lengths).sum(axis=0) + (gram**2).sum(axis=(0, 1))
    return np.where(spread > 0, trace**2 / np.where(spread > 0, spread, 1.0), 1.0)
